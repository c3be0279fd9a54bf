"""The steps of one fit: choose on out-of-fold predictions, fit the main part and the folds."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import xgboost as xgb
from numpy.typing import NDArray

from models.fitting.basis import Basis
from models.fitting.blanking import RECORDED_SHARE
from models.fitting.boosted import EVALUATE_EVERY_ROUNDS, fit_booster
from models.fitting.jobs import results_of
from models.fitting.linear import (
    LinearPart,
    expected_squared_bias,
    linear_path,
    penalty_shares,
)
from models.fitting.out_of_fold import (
    PENALTY_PATIENTS,
    SEED_OF_BLANKS,
    TunedFold,
    tuned_folds,
)
from models.fitting.training_cohort import TrainingCohort
from models.fitting.tuning import (
    best_evaluation,
    choose_linear_weight,
    log_loss,
    recalibration,
)
from models.inference.contract import LogLosses
from models.inference.parameters import Calibration, PartParameters
from models.metrics.discrimination.ranking import auroc_within_folds
from models.metrics.known_outcome import KnownOutcome
from models.targets import Pairs

__all__ = [
    "Choices",
    "Columns",
    "Moved",
    "Part",
    "choose",
    "fit_columns",
    "fit_interval_parts",
    "fit_main_part",
    "squared_bias",
]

SEED_OF_PARTS = 1_000

EVENTS_PER_KNOT, MOST_KNOTS = 100, 8

Rows = NDArray[np.int64]
Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Choices:
    """What was chosen on out-of-fold predictions, with their losses and areas under the curve.

    `start` is the linear part of the first fold at the chosen penalty, near those of all patients
    and of their halves; None where that fold has not learned every level of the cohort.
    """

    penalty: float
    start: LinearPart | None
    trees: int
    linear_weight: float
    calibration: Calibration
    losses: LogLosses
    auroc: tuple[float, ...]
    moved: Moved


@dataclass(frozen=True, slots=True)
class Moved:
    """How far blanks moved the log-odds of patients held out, at every day of the grid.

    Attributes
    ----------
    rows : ndarray of int, shape (n,)
        Rows of the cohort.
    blanked : ndarray of float, shape (n, n_columns)
        Their raw matrix with blanks.
    change : ndarray of float, shape (n, n_days)
        Log-odds as recorded less log-odds with blanks.
    """

    rows: Rows
    blanked: Floats
    change: Floats


@dataclass(frozen=True, slots=True)
class Columns:
    """What the linear part is fitted to: every patient as recorded, then all with blanks."""

    basis: Basis
    both: Floats

    def twice(self, rows: Rows) -> Floats:
        """Return the rows, ascending, as recorded, then the same rows with blanks."""
        patients = len(self.both) // 2
        if len(rows) == patients:  # no copy: these columns are the largest array of a fit
            return self.both
        twice: Floats = self.both[np.concatenate([rows, rows + patients])]
        return twice


@dataclass(frozen=True, slots=True)
class Part:
    """One fitted model on its own."""

    parameters: PartParameters
    linear: LinearPart
    booster: xgb.Booster


def choose(cohort: TrainingCohort, folds: Sequence[TunedFold] | None = None) -> Choices:
    """Choose penalty, trees, linear weight and recalibration on out-of-fold predictions by patient.

    Held-out patients are judged at every day of the grid: at random horizons, mean risk and events
    would differ by the draw, and recalibration would learn that. Each is judged twice, as recorded
    and with blanks, weighted by `RECORDED_SHARE`: what is chosen must serve both. The losses are
    over all patients, each predicted by a fit without the patient.

    Parameters
    ----------
    folds : sequence of TunedFold, optional
        In which every patient of the cohort is held out once (default: `tuned_folds`).
    """
    if folds is None:
        folds = tuned_folds(cohort)
    pairs = Pairs(
        *(
            np.concatenate([getattr(f.pairs, name) for f in folds])
            for name in ("horizon_days", "outcome", "weight")
        )
    )
    best_round = best_evaluation([f.history for f in folds], [len(f.raw) for f in folds])
    trees = min(best_round * EVALUATE_EVERY_ROUNDS, cohort.settings.max_trees)
    boosted = np.concatenate([f.boosted(trees) for f in folds])
    # A fold may have ended its path before another: only what all of them judged is compared.
    paths = map(np.concatenate, zip(*(f.linear for f in folds), strict=False))
    best = int(np.argmin([log_loss(path, pairs) for path in paths]))
    patients = np.concatenate([f.patients for f in folds])
    linear, unsettled = map(np.concatenate, zip(*(f.chosen(best) for f in folds), strict=True))
    weight = choose_linear_weight(linear, boosted, pairs, patients)
    # In the order in which they are applied: eta = w eta_linear + (1 - w) eta_boosted, then a(h) +
    # b eta + c(h) times the unsettled share. Each is chosen given those before it, all on
    # out-of-fold predictions.
    mixed = weight * linear + (1 - weight) * boosted
    calibration = recalibration(mixed, unsettled, pairs, knots_days=_calibration_knots(cohort))
    recalibrated = calibration.log_odds(mixed, unsettled, np.log(pairs.horizon_days))
    losses = LogLosses(
        linear=log_loss(linear, pairs),
        boosted=log_loss(boosted, pairs),
        mixture=log_loss(mixed, pairs),
        recalibrated=log_loss(recalibrated, pairs),
    )
    start = folds[0].path[best]
    return Choices(
        PENALTY_PATIENTS[best],
        start if len(start.coef) == len(penalty_shares(cohort.encoding)) else None,
        trees,
        weight,
        calibration,
        losses,
        _auroc(folds, recalibrated, cohort),
        _moved(folds, recalibrated),
    )


def _auroc(
    folds: Sequence[TunedFold], log_odds: Floats, cohort: TrainingCohort
) -> tuple[float, ...]:
    """Return the area under the curve of patients as recorded, at each default horizon."""
    ends = np.cumsum([len(f.raw) for f in folds])[:-1]
    recorded = np.concatenate([part[: len(part) // 2] for part in np.split(log_odds, ends)])
    happened, weight = (
        np.concatenate([getattr(f.pairs, name)[: len(f.rows)] for f in folds])
        for name in ("outcome", "weight")
    )
    fold = np.repeat(np.arange(len(folds)), [len(f.rows) for f in folds])
    at = np.searchsorted(cohort.grid_days(), cohort.settings.horizons_days)
    return tuple(
        float(
            auroc_within_folds(
                KnownOutcome(happened[:, k] == 1, weight[:, k], np.ones(len(fold))),
                recorded[:, k],
                fold,
            )
        )
        for k in at
    )


def _moved(folds: Sequence[TunedFold], log_odds: Floats) -> Moved:
    """Return the changes by blanks in out-of-fold log-odds, those of each fold after another."""
    ends = np.cumsum([len(f.raw) for f in folds])[:-1]
    halves = [np.split(part, 2) for part in np.split(log_odds, ends)]
    return Moved(
        rows=np.concatenate([f.rows for f in folds]),
        blanked=np.concatenate([f.raw[len(f.rows) :] for f in folds]),
        change=np.concatenate([recorded - blanked for recorded, blanked in halves]),
    )


def fit_columns(cohort: TrainingCohort) -> Columns:
    """Return the linear part's columns of every patient, by scaling and factors of all of them."""
    basis = Basis.fit(cohort, np.arange(len(cohort.target)))
    patients = len(cohort.raw)
    both = np.empty((2 * patients, len(basis.factors.mean)))
    basis.fill(both[:patients], cohort.raw)
    basis.fill(both[patients:], cohort.blanked(SEED_OF_BLANKS))
    return Columns(basis, both)


def fit_main_part(cohort: TrainingCohort, choices: Choices, columns: Columns) -> Part:
    """Fit both parts, as chosen, on all rows of the cohort."""
    shared = columns, choices
    if cohort.settings.runner is None:
        return _fit_on_all(cohort, shared)
    return results_of(_fit_on_all, [()], cohort, shared=shared)[0]


def _fit_on_all(cohort: TrainingCohort, shared: tuple[Columns, Choices]) -> Part:
    return _fit_on(cohort, *shared, np.arange(len(cohort.target)))


def _fit_on_half(cohort: TrainingCohort, shared: tuple[Columns, Choices], number: int) -> Part:
    half, _ = next(cohort.folds(2, seed=1 + number))
    return _fit_on(cohort, *shared, half)


def _fit_on(cohort: TrainingCohort, columns: Columns, choices: Choices, rows: Rows) -> Part:
    """Fit both parts, as chosen, on some rows of the cohort.

    A patient has the same horizons in every part, so that parts differ by their patients alone.
    """
    pairs = _training_pairs(cohort, rows)
    (linear,) = linear_path(
        columns.twice(rows),
        pairs.twice(RECORDED_SHARE),
        shares=penalty_shares(cohort.encoding),
        directions=columns.basis.inequalities,
        penalties=(choices.penalty / len(rows),),
        start=choices.start,
    )
    booster = fit_booster(
        cohort.raw[rows],
        cohort.pairs_of_trees(pairs, rows, SEED_OF_PARTS),
        cohort.blanking,
        settings=cohort.boosting,
        trees=choices.trees,
    )
    parameters = PartParameters(
        horizon=linear.horizon,
        intercept=linear.intercept,
        coef_h=linear.coef_h,
        coef=linear.coef,
        coef_log_h=linear.coef_log_h,
        linear_weight=choices.linear_weight,
        calibration=choices.calibration,
    )
    return Part(parameters, linear, booster)


def fit_interval_parts(cohort: TrainingCohort, choices: Choices, columns: Columns) -> list[Part]:
    """Fit one part on each of several random halves of the patients [1]_.

    The variance of an estimate among such halves is that of the estimate on all patients. Unlike
    leaving out a tenth, it does not multiply the noise of the rows and columns drawn for the trees.

    References
    ----------
    .. [1] Shao & Wu. A general theory for jackknife variance estimation. Ann Stat 17 (1989)
       1176-1197. doi:10.1214/aos/1176347263
    """

    # For a mean of n patients with variance s^2 / n, a random half has variance 2 s^2 / n, and two
    # random halves of the same patients have covariance s^2 / n, the variance of the mean of all.
    # The expected variance among halves is the difference, s^2 / n: the delete-d jackknife with d =
    # n / 2, whose factor (n - d) / d is 1.
    jobs = [(k,) for k in range(cohort.settings.interval_folds)]
    shared = columns, choices
    return results_of(_fit_on_half, jobs, cohort, shared=shared, what="fitting fold models")


def squared_bias(
    cohort: TrainingCohort,
    choices: Choices,
    main: Part,
    columns: Columns,
    raw: Floats,
    days: Floats,
) -> Floats:
    """Return the squared bias of each log-odds expected from the penalty of the linear part.

    It is computed as if the linear part had the whole weight: the bias of the trees, which have the
    rest of it, is not known. It is given for the patients of `raw`, (n, n_columns), at each of h
    days: (n, h), on the scale of the recalibrated log-odds.
    """
    all_rows = np.arange(len(cohort.target))
    pairs = _training_pairs(cohort, all_rows)
    expected = expected_squared_bias(
        main.linear,
        columns.twice(all_rows),
        pairs.twice(RECORDED_SHARE),
        shares=penalty_shares(cohort.encoding),
        penalty=choices.penalty / len(all_rows),
        patients=len(all_rows),
        at=columns.basis.columns(raw, main.linear),
        days=days,
    )
    # Recalibration a(h) + b eta multiplies a bias of eta by b, and its square by b^2.
    return choices.calibration.slope**2 * expected


def _training_pairs(cohort: TrainingCohort, rows: Rows) -> Pairs:
    """Return pairs of the rows, with censoring of these rows and horizons drawn for all rows."""
    all_rows = np.arange(len(cohort.target))
    return cohort.pairs(all_rows, cohort.censoring(rows), SEED_OF_PARTS).take(rows)


def _calibration_knots(cohort: TrainingCohort) -> Floats:
    """Return days of the grid where recalibration may bend: more of them with more events."""
    grid = cohort.grid_days()
    events = int((cohort.target["event"] == 1).sum())
    # One knot per hundred events, from 2 to 8, at evenly spaced positions of the grid: as the grid
    # lies mostly at quantiles of the event times, so do the knots.
    count = min(max(events // EVENTS_PER_KNOT, 2), MOST_KNOTS, len(grid))
    knots: Floats = grid[np.linspace(0, len(grid) - 1, count).round().astype(int)]
    return knots
