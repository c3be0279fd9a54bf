"""Fits without some of the patients, and what they predict for those: all that is chosen by.

A fit without two folds of a cohort serves the choices of two fits: of that without the one fold,
which it judges by the other, and the reverse. The fits of a cross-validation so share theirs.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice, tee
from typing import Any, Self

import numpy as np
import xgboost as xgb
from numpy.typing import NDArray

from models.fitting.basis import Basis
from models.fitting.blanking import RECORDED_SHARE
from models.fitting.boosted import (
    BoostingSettings,
    HeldOutPairs,
    boosted_log_odds,
    fit_booster_watched,
)
from models.fitting.encoding import in_encoding
from models.fitting.jobs import results_of
from models.fitting.linear import (
    TOLERANCE_OF_CANDIDATES,
    LinearPart,
    linear_path,
    path_log_odds,
    penalty_shares,
)
from models.fitting.training_cohort import TrainingCohort
from models.fitting.tuning import log_loss, pooled_losses
from models.inference.parameters import Encoding
from models.targets import MAX_PAIRS, Pairs

__all__ = [
    "PENALTY_PATIENTS",
    "SEED_OF_BLANKS",
    "HeldOut",
    "TunedFold",
    "WatchedFold",
    "lowest_loss",
    "tuned_folds",
    "tuned_without",
    "watched_folds",
]

PENALTY_PATIENTS = (1_000.0, 300.0, 100.0, 30.0, 10.0, 3.0, 1.0)
"""Candidate penalties of the linear part, in units of one patient's log-loss."""

WORSE_CANDIDATES = 2
"""Candidates in a row, each weaker than the best, that end a path in a large cohort."""

SEED_OF_BLANKS, SEED_OF_JUDGED_BLANKS = 2_000, 2_001

Rows = NDArray[np.int64]
Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class HeldOut:
    """Patients of a cohort who judge a fit to its other patients.

    Attributes
    ----------
    rows : ndarray of int, shape (n,)
        Rows of the cohort.
    patients : ndarray, shape (2n,)
        Patient of each row: each row is there as recorded, then each with blanks.
    pairs : Pairs
        Of the same, at every day of the grid.
    raw : ndarray of float, shape (2n, n_columns)
        Raw matrix of the same.
    watched : HeldOutPairs
        By which the boosted part stops, at random horizons.
    encoding : Encoding
        Of both matrices.
    """

    rows: Rows
    patients: NDArray[Any]
    pairs: Pairs
    raw: Floats
    watched: HeldOutPairs
    encoding: Encoding

    @classmethod
    def of(cls, cohort: TrainingCohort, learn: Rows, out: Rows, *, number: int) -> Self:
        """Return the rows `out` of a cohort, with the censoring of the rows learned from.

        `number` tells the draws of one fit from those of another.
        """
        censoring = cohort.censoring(learn)
        # Held-out patients per fold such that all folds together hold at most `MAX_PAIRS` pairs.
        most = MAX_PAIRS // (2 * cohort.rules.folds * len(cohort.grid_days()))
        judged = out[np.random.default_rng(number).permutation(len(out))[:most]]
        blanked = cohort.blanked(SEED_OF_JUDGED_BLANKS)[judged]
        return cls(
            rows=judged,
            patients=np.tile(cohort.groups[judged], 2),
            pairs=cohort.pairs_on_grid(judged, censoring).twice(RECORDED_SHARE),
            raw=np.concatenate([cohort.raw[judged], blanked]),
            watched=HeldOutPairs(cohort.raw[out], cohort.pairs(out, censoring, 2 * number + 1)),
            encoding=cohort.encoding,
        )


@dataclass(frozen=True, slots=True)
class TunedFold:
    """Every candidate, fitted without some patients, and what they predict for those.

    Attributes
    ----------
    rows, patients, pairs, raw
        As in `HeldOut`.
    raw_as_learned : ndarray of float, shape (2n, n_columns_learned)
        The raw matrix with the levels that the fit has learned.
    basis : Basis
    path : list of LinearPart
        Candidates, strongest penalty first.
    linear : list of ndarray of float, shape (2n, n_days)
        Their log-odds.
    history : ndarray of float, shape (n_evaluations,)
        As in `fit_booster_watched`.
    booster : Booster
    """

    rows: Rows
    patients: NDArray[Any]
    pairs: Pairs
    raw: Floats
    raw_as_learned: Floats
    basis: Basis
    path: list[LinearPart]
    linear: list[Floats]
    history: Floats
    booster: xgb.Booster

    def chosen(self, candidate: int) -> tuple[Floats, Floats]:
        """Return the linear log-odds of a candidate, inferred in the settled directions.

        Beside them the share of its variance that missing values leave open.
        """
        part, days = self.path[candidate], self.pairs.horizon_days
        columns, unsettled = self.basis.columns_and_unsettled(self.raw_as_learned, part, days[0])
        return part.log_odds(columns, days), unsettled

    def boosted(self, trees: int) -> Floats:
        """Return the boosted log-odds after this many trees, or after all if it has fewer."""
        trees = min(trees, self.booster.num_boosted_rounds())
        return boosted_log_odds(
            self.booster, self.raw_as_learned, self.pairs.horizon_days, trees=trees
        )


def tuned_folds(cohort: TrainingCohort) -> list[TunedFold]:
    """Return the folds of a cohort, each predicted by fits to the others.

    Scaling, factors, censoring and both parts are fitted without the held-out patients; only the
    horizons come from the event times of all patients of the cohort.
    """
    jobs = [(k,) for k in range(cohort.rules.folds)]
    return results_of(_tune_fold, jobs, cohort, what="choosing out of fold")


def tuned_without(
    learned_from: TrainingCohort, held_out: Sequence[HeldOut], *, number: int
) -> list[TunedFold]:
    """Return what fits to all patients of one cohort predict for patients of other cohorts.

    Parameters
    ----------
    learned_from : TrainingCohort
        Without any of the patients held out: its horizons, too, are of its own event times.
    held_out : sequence of HeldOut
        Each of a cohort that has all patients of `learned_from` and more.
    number : int
        Tells the draws of this fit from those of another.
    """
    (folds,) = results_of(_tune_all, [(number,)], learned_from, shared=tuple(held_out))
    return folds


def _tune_fold(cohort: TrainingCohort, _: object, number: int) -> TunedFold:
    learn, out = next(islice(cohort.folds(cohort.rules.folds, seed=0), number, None))
    held_out = HeldOut.of(cohort, learn, out, number=number)
    (fold,) = _tune(cohort, learn, [held_out], number)
    return fold


def _tune_all(
    cohort: TrainingCohort, held_out: tuple[HeldOut, ...], number: int
) -> list[TunedFold]:
    return _tune(cohort, np.arange(len(cohort.target)), held_out, number)


def _tune(
    cohort: TrainingCohort, learn: Rows, held_out: Sequence[HeldOut], number: int
) -> list[TunedFold]:
    """Fit every candidate to some rows of a cohort and predict each group of other patients."""
    pairs = cohort.pairs(learn, cohort.censoring(learn), 2 * number)
    basis = Basis.fit(cohort, learn)
    twice = np.concatenate([cohort.raw[learn], cohort.blanked(SEED_OF_BLANKS)[learn]])
    as_learned = [in_encoding(one.raw, one.encoding, cohort.encoding) for one in held_out]
    path, linear = _judged_path(
        linear_path(
            basis.columns_rounded(twice),
            pairs.twice(RECORDED_SHARE),
            shares=penalty_shares(cohort.encoding),
            directions=basis.inequalities,
            penalties=tuple(c / len(learn) for c in PENALTY_PATIENTS),
            tolerance=TOLERANCE_OF_CANDIDATES,
        ),
        [(basis.columns(raw), one.pairs) for raw, one in zip(as_learned, held_out, strict=True)],
        every=cohort.rules.every_candidate,
    )
    booster, histories = fit_booster_watched(
        cohort.raw[learn],
        cohort.pairs_of_trees(pairs, learn, 2 * number),
        [
            one.watched._replace(raw=in_encoding(one.watched.raw, one.encoding, cohort.encoding))
            for one in held_out
        ],
        cohort.blanking,
        settings=cohort.boosting,
        max_trees=cohort.settings.max_trees,
    )
    return [
        TunedFold(
            rows=one.rows,
            patients=one.patients,
            pairs=one.pairs,
            raw=one.raw,
            raw_as_learned=raw,
            basis=basis,
            path=path,
            linear=log_odds,
            history=history,
            booster=booster,
        )
        for one, raw, log_odds, history in zip(held_out, as_learned, linear, histories, strict=True)
    ]


def _judged_path(
    candidates: Iterator[LinearPart], judges: Sequence[tuple[Floats, Pairs]], *, every: bool
) -> tuple[list[LinearPart], list[list[Floats]]]:
    """Return candidates, strongest penalty first, and their log-odds of each group held out.

    Unless `every` one is wanted, the path ends `WORSE_CANDIDATES` after the one of lowest loss in
    every group: the loss falls and then rises along it, and the weakest penalties take most of its
    time. `judges` are the columns and pairs of each group.
    """
    path: list[LinearPart] = []
    log_odds: list[list[Floats]] = [[] for _ in judges]
    losses: list[list[float]] = [[] for _ in judges]
    by_group = [
        path_log_odds(same, columns, pairs.horizon_days)
        for same, (columns, pairs) in zip(tee(candidates, len(judges)), judges, strict=True)
    ]
    for candidate in zip(*by_group, strict=True):
        path.append(candidate[0][0])
        for group, (_, of_group) in enumerate(candidate):
            log_odds[group].append(of_group)
            losses[group].append(log_loss(of_group, judges[group][1]))
        worse = min(len(of_group) - 1 - int(np.argmin(of_group)) for of_group in losses)
        if not every and worse >= WORSE_CANDIDATES:
            break
    return path, log_odds


@dataclass(frozen=True, slots=True)
class WatchedFold:
    """The held-out loss of one fold, tree by tree.

    Parameters
    ----------
    losses : ndarray of float, shape (n_evaluations,)
        Log-loss of the patients held out, lower is better; from `fit_booster_watched`.
    patients : int
        Patients held out.
    """

    losses: Floats
    patients: int


def watched_folds(
    cohort: TrainingCohort, boosting: BoostingSettings, max_trees: int
) -> Iterator[WatchedFold]:
    """Yield the held-out loss of the boosted part by itself, in each fold of `tuned_folds`.

    Folds, censoring and drawn horizons are the same, so that settings are compared on the same
    patients and days.
    """
    for k, (learn, out) in enumerate(cohort.folds(cohort.rules.folds, seed=0)):
        censoring = cohort.censoring(learn)
        _, (losses,) = fit_booster_watched(
            cohort.raw[learn],
            cohort.pairs_of_trees(cohort.pairs(learn, censoring, 2 * k), learn, 2 * k),
            [HeldOutPairs(cohort.raw[out], cohort.pairs(out, censoring, 2 * k + 1))],
            cohort.blanking,
            settings=boosting,
            max_trees=max_trees,
        )
        yield WatchedFold(losses, len(out))


def lowest_loss(folds: Sequence[WatchedFold]) -> float:
    """Return the lowest loss over all folds at one number of trees."""
    return float(pooled_losses([f.losses for f in folds], [f.patients for f in folds]).min())
