"""The steps of one fit: prepare pairs, choose on out-of-fold predictions, fit main and folds."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass
from typing import Any, Self

import numpy as np
import pandas as pd
import xgboost as xgb
from numpy.typing import ArrayLike, NDArray

from data_schema.errors import DataError
from data_schema.variables import Variable
from models.blend import (
    SMALL_COHORT,
    Calibration,
    best_round,
    choose_linear_weight,
    log_loss,
    recalibration,
    simplest_within_one_error,
)
from models.boosted import BoostingSettings, boosted_log_odds, fit_booster, fit_booster_watched
from models.censoring import CensoringDistribution
from models.encoding import fit_encoding, fit_scaling
from models.folds import patient_folds
from models.linear import fit_linear_path
from models.matrices import level_columns, raw_matrix
from models.targets import MIN_G, Pairs, sample_pairs

__all__ = [
    "MIN_EVENTS",
    "Choices",
    "FitSettings",
    "Part",
    "Progress",
    "TrainingCohort",
    "choose",
    "fit_interval_parts",
    "fit_part",
]

MIN_EVENTS = 10
"""Fewer patients than this, with the event or without, cannot be split into folds."""

SMALL_COHORT_FOLDS, LARGE_COHORT_FOLDS = 10, 3

LONGEST_SHARE = 0.99
PENALTY_PATIENTS = (300.0, 100.0, 30.0, 10.0, 3.0, 1.0)
"""Candidate penalties of the linear part, in units of one patient's log-loss."""

Progress = Callable[[str, int, int], None]
"""Called with what was done, how many steps are done, and how many there are."""

Rows = NDArray[np.int64]
Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class FitSettings:
    """The parameters of `CumulativeIncidenceModel`, under the same names."""

    horizons_days: tuple[float, ...]
    outcome: str
    variables: Mapping[str, Variable]
    fixed_horizon: bool
    learning_rate: float
    max_depth: int
    max_trees: int
    min_patients: float
    column_share: float
    row_share: float
    boosting_penalty: float
    horizons_per_patient: int
    tuning_folds: int | None
    interval_folds: int
    random_state: int
    n_jobs: int
    progress: Progress | None


@dataclass(frozen=True, slots=True)
class TrainingCohort:
    """Encoded patients, who they are, and how far ahead they can be looked at."""

    frame: pd.DataFrame
    target: NDArray[np.void]
    groups: NDArray[Any]
    sites: NDArray[np.object_] | None
    encoding: dict[str, Any]
    raw: Floats
    upto_days: float
    boosting: BoostingSettings
    settings: FitSettings

    @classmethod
    def prepare(
        cls,
        frame: pd.DataFrame,
        target: NDArray[np.void],
        *,
        groups: ArrayLike | None,
        sites: ArrayLike | None,
        settings: FitSettings,
    ) -> Self:
        """Encode the cohort and find the longest horizon; `DataError` where none can be learned."""
        patient = np.arange(len(target)) if groups is None else np.asarray(groups)
        _check_events(target, patient, settings)
        site = None if sites is None else np.asarray(sites, dtype=object)
        encoding = fit_encoding(frame)
        raw = raw_matrix(frame, encoding)
        infinite = int(np.isinf(raw).any(axis=1).sum())
        if infinite:
            raise DataError(
                f"features must be finite; {infinite} of {len(raw)} rows are not. "
                "Make what was not measured NaN."
            )
        return cls(
            frame=frame,
            target=target,
            groups=patient,
            sites=site,
            encoding=encoding,
            raw=raw,
            upto_days=_longest_horizon(target, site, settings),
            boosting=_boosting_settings(encoding, settings),
            settings=settings,
        )

    @property
    def n_numbers(self) -> int:
        """How many leading columns of `raw` are numbers."""
        return len(self.encoding["numbers"])

    def censoring(self, rows: Rows) -> CensoringDistribution:
        """Return the censoring distribution of the given patients."""
        sites = None if self.sites is None else self.sites[rows]
        return CensoringDistribution.fit(
            self.target["time_days"][rows], self.target["event"][rows], sites=sites
        )

    def pairs(self, rows: Rows, censoring: CensoringDistribution, seed: int) -> Pairs:
        """Return pairs of the given patients under a censoring distribution fitted elsewhere."""
        s = self.settings
        return sample_pairs(
            self.target[rows],
            horizons_days=np.asarray(s.horizons_days),
            event_times=self.event_times(),
            per_patient=1 if s.fixed_horizon else s.horizons_per_patient,
            censoring=censoring,
            sites=None if self.sites is None else self.sites[rows],
            rng=np.random.default_rng((s.random_state, seed)),
        )

    def event_times(self) -> Floats:
        """Return the event times that horizons are spread over."""
        if self.settings.fixed_horizon:
            return np.asarray(self.settings.horizons_days)
        time, event = self.target["time_days"], self.target["event"]
        happened: Floats = np.sort(time[(event == 1) & (time <= self.upto_days)])
        return happened

    def folds(self, count: int, seed: int) -> Iterator[tuple[Rows, Rows]]:
        """Yield rows to learn from and rows held out: by patient, stratified by event."""
        return patient_folds(
            self.groups,
            self.target["event"] == 1,
            count=count,
            rng=np.random.default_rng((self.settings.random_state, seed)),
        )


@dataclass(frozen=True, slots=True)
class Choices:
    """What out-of-fold predictions decided, and those predictions themselves."""

    penalty: float
    trees: int
    linear_weight: float
    calibration: Calibration
    losses: dict[str, float]


@dataclass(frozen=True, slots=True)
class Part:
    """One fitted model on its own, as `inference` reads it."""

    spec: dict[str, Any]
    booster: xgb.Booster


def choose(cohort: TrainingCohort) -> Choices:
    """Choose penalty, trees, linear weight and recalibration on out-of-fold predictions by patient.

    Scaling, imputation, censoring and both parts are fitted without the held-out patients.

    Parameters
    ----------
    cohort : TrainingCohort

    Returns
    -------
    Choices
        Its losses are of all patients, each predicted by a fit that did not know that patient.
    """
    small = len(cohort.target) < SMALL_COHORT
    count = cohort.settings.tuning_folds or (SMALL_COHORT_FOLDS if small else LARGE_COHORT_FOLDS)
    folds = []
    for k, (learn, out) in enumerate(cohort.folds(count, seed=0)):
        folds.append(_tune(cohort, learn, out, seed=k))
        _tell(cohort, "choosing out of fold", k + 1, count)
    pairs = Pairs(
        *(
            np.concatenate([getattr(f.pairs, name) for f in folds])
            for name in ("horizon_days", "outcome", "weight")
        )
    )
    trees = best_round([f.history for f in folds], [f.pairs.weight.sum() for f in folds])
    boosted = np.concatenate([f.boosted(trees) for f in folds])
    paths = [np.concatenate([f.linear[i] for f in folds]) for i in range(len(PENALTY_PATIENTS))]
    best = simplest_within_one_error(paths, pairs)
    weight = choose_linear_weight(paths[best], boosted, pairs)
    mixed = weight * paths[best] + (1 - weight) * boosted
    calibration = recalibration(mixed, pairs)
    losses = {
        "linear": log_loss(paths[best], pairs),
        "boosted": log_loss(boosted, pairs),
        "mixture": log_loss(mixed, pairs),
        "recalibrated": log_loss(calibration.log_odds(mixed, pairs.horizon_days), pairs),
    }
    return Choices(PENALTY_PATIENTS[best], trees, weight, calibration, losses)


def fit_part(cohort: TrainingCohort, choices: Choices, rows: Rows, *, seed: int = 1_000) -> Part:
    """Fit both parts, as chosen, on the given patients.

    Parameters
    ----------
    cohort : TrainingCohort
    choices : Choices
    rows : ndarray of int
        Rows of the cohort to learn from.
    seed : int
        Draws the horizons; the same for the main part and the folds, so that their difference is
        the patients'.

    Returns
    -------
    Part
    """
    raw = cohort.raw[rows]
    pairs = cohort.pairs(rows, cohort.censoring(rows), seed)
    linear = fit_linear_path(
        raw,
        pairs,
        scaling=fit_scaling(raw, cohort.n_numbers),
        penalties=(choices.penalty / len(rows),),
    )[0]
    booster = fit_booster(raw, pairs, settings=cohort.boosting, trees=choices.trees)
    spec = {
        **linear.spec,
        "linear_weight": choices.linear_weight,
        "calibration": asdict(choices.calibration),
    }
    return Part(spec, booster)


def fit_interval_parts(cohort: TrainingCohort, choices: Choices) -> list[Part]:
    """Fit one part without each of the groups of the delete-group jackknife [1]_.

    Parameters
    ----------
    cohort : TrainingCohort
    choices : Choices

    Returns
    -------
    list of Part
        One per interval fold.

    References
    ----------
    .. [1] Kott. The delete-a-group jackknife. J Off Stat 17 (2001) 521-526.
    """
    count = cohort.settings.interval_folds
    if not count:
        return []
    parts = []
    for k, (learn, _) in enumerate(cohort.folds(count, seed=1)):
        parts.append(fit_part(cohort, choices, learn))
        _tell(cohort, "fitting fold models", k + 1, count)
    return parts


@dataclass(frozen=True, slots=True)
class _TunedFold:
    """What one tuning fold says of its held-out patients."""

    pairs: Pairs
    linear: list[Floats]
    history: Floats
    booster: xgb.Booster
    raw: Floats

    def boosted(self, trees: int) -> Floats:
        """Return the boosted log-odds after so many trees, or after all where it stopped before."""
        trees = min(trees, self.booster.num_boosted_rounds())
        return boosted_log_odds(self.booster, self.raw, self.pairs.horizon_days, trees=trees)


def _tune(cohort: TrainingCohort, learn: Rows, out: Rows, *, seed: int) -> _TunedFold:
    """Fit every candidate without the held-out patients and predict those."""
    censoring = cohort.censoring(learn)
    pairs = cohort.pairs(learn, censoring, 2 * seed)
    held_out = cohort.pairs(out, censoring, 2 * seed + 1)
    raw, raw_out = cohort.raw[learn], cohort.raw[out]
    path = fit_linear_path(
        raw,
        pairs,
        scaling=fit_scaling(raw, cohort.n_numbers),
        penalties=tuple(c / len(learn) for c in PENALTY_PATIENTS),
    )
    booster, history = fit_booster_watched(
        raw,
        pairs,
        raw_out,
        held_out,
        settings=cohort.boosting,
        max_trees=cohort.settings.max_trees,
    )
    linear = [part.log_odds(raw_out, held_out.horizon_days) for part in path]
    return _TunedFold(held_out, linear, history, booster, raw_out)


def _check_events(target: NDArray[np.void], groups: NDArray[Any], settings: FitSettings) -> None:
    """Refuse a cohort that cannot be split into folds with and without the event."""
    happened = target["event"] == 1
    first = min(settings.horizons_days)
    by_first = happened & (target["time_days"] <= first)
    counts = [len(np.unique(groups[rows])) for rows in (happened, ~by_first)]
    if min(counts) < MIN_EVENTS:
        raise DataError(
            f"outcome must have at least {MIN_EVENTS} patients with the event and {MIN_EVENTS} "
            f"without it within {first:g} days; got {counts[0]} and {counts[1]}."
        )


def _boosting_settings(encoding: Mapping[str, Any], settings: FitSettings) -> BoostingSettings:
    """Return what every boosted fit shares."""
    return BoostingSettings(
        learning_rate=settings.learning_rate,
        max_depth=settings.max_depth,
        min_patients=settings.min_patients,
        column_share=settings.column_share,
        row_share=settings.row_share,
        penalty=settings.boosting_penalty,
        directions=_directions(encoding, settings),
        seed=settings.random_state,
        threads=settings.n_jobs,
    )


def _directions(encoding: Mapping[str, Any], settings: FitSettings) -> tuple[int, ...]:
    """Return the constraint of each raw column: only where the direction of risk is settled."""
    known = settings.variables
    numbers = [
        known[name].direction.get(settings.outcome, 0) if name in known else 0
        for name in encoding["numbers"]
    ]
    return (*numbers, *[0] * len(level_columns(encoding)))


def _longest_horizon(
    target: NDArray[np.void], sites: NDArray[np.object_] | None, settings: FitSettings
) -> float:
    """Return the longest horizon that can be learned; refuse default horizons beyond it."""
    time, event = target["time_days"], target["event"]
    censoring = CensoringDistribution.fit(time, event, sites=sites)
    refused = [
        h for h in settings.horizons_days if h > time.max() or censoring.lowest_before(h) < MIN_G
    ]
    if refused:
        raise DataError(
            f"horizons_days must be observable for at least {MIN_G:.0%} of patients; "
            f"{', '.join(f'{h:g}' for h in refused)} days are not. Choose shorter horizons."
        )
    candidates = np.quantile(time[event == 1], np.linspace(0.5, LONGEST_SHARE, 50))
    usable = [t for t in candidates if censoring.lowest_before(t) >= MIN_G]
    return float(max([*usable, *settings.horizons_days]))


def _tell(cohort: TrainingCohort, what: str, done: int, steps: int) -> None:
    """Report progress to whoever asked for it."""
    if cohort.settings.progress is not None:
        cohort.settings.progress(what, done, steps)
