"""The patients of one fit, encoded, with the horizons that can be learned from them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Concatenate, NamedTuple, Protocol, Self, TypeVar

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from data_schema.disclosure import SMALLEST_CELL
from data_schema.errors import DataError
from data_schema.outcomes import MIN_EVENTS
from data_schema.variables import Variable
from models.censoring import CensoringDistribution
from models.fitting.blanking import Blanking
from models.fitting.boosted import BoostingSettings
from models.fitting.censoring_strata import censoring_strata
from models.fitting.encoding import fit_encoding, outer_share
from models.fitting.tuning import SMALL_COHORT
from models.folds import patient_codes, patient_folds
from models.inference.matrices import level_columns, raw_matrix
from models.inference.parameters import Encoding
from models.targets import MIN_G, Pairs, pairs_at, sample_pairs

__all__ = [
    "Censoring",
    "Fit",
    "FitRunner",
    "FitSettings",
    "Progress",
    "SizeRules",
    "TrainingCohort",
    "default_folds",
]

LONGEST_SHARE = 0.99
GRID_POINTS = 24
SMALL_COHORT_FOLDS, LARGE_COHORT_FOLDS = 10, 4
HORIZONS_IF_SMALL, HORIZONS_IF_LARGE = 24, 12
WIDE_COLUMNS, MANY_PAIRS = 100, 200_000
"""Beyond either, trees learn from every second horizon of a patient.

It loses less than another seed would, at 0.6 times the cost of a tree: chosen on simulated cohorts
of 5,000 and 20,000 with 185 columns, and of 20,000 with 60. On 9,000 patients with 46 columns the
ranking at the earliest horizon would suffer. The linear part, whose cost hardly depends on the
horizons, learns from all.
"""

SEED_OF_TREES = 4_000

Progress = Callable[[str, int, int], None]
"""Called with the kind of step, how many are done, and how many there are."""

T = TypeVar("T")
Rows = NDArray[np.int64]
Floats = NDArray[np.float64]
Fit = Callable[Concatenate["TrainingCohort", ...], T]
"""A function of a module, called with a cohort, what all jobs share, and the members of a job."""


class FitRunner(Protocol):
    """Runs the fits of one model in other processes."""

    def results(
        self, cohort: TrainingCohort, fit: Fit[T], jobs: Sequence[tuple[Any, ...]], shared: object
    ) -> Iterator[T]:
        """Yield `fit(cohort, shared, *job)` of every job in turn."""
        ...


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
    horizons_per_patient: int | None
    tuning_folds: int | None
    interval_folds: int
    risk_only: bool
    random_state: int
    n_jobs: int
    runner: FitRunner | None
    progress: Progress | None


class Censoring(NamedTuple):
    """The censoring distribution of some patients, and the stratum of every patient."""

    distribution: CensoringDistribution
    strata: NDArray[np.object_]

    def curves(self) -> int:
        """Return how many curves of censoring the patients are weighted by."""
        own = np.isin(self.strata.astype(str), list(self.distribution.by_site))
        return len(np.unique(self.strata[own])) + int(not own.all())

    def left_at(self, days: float) -> Floats:
        """Return, for every patient, the probability of still being observed just before a day."""
        return self.distribution.survival_before(np.full(len(self.strata), days), sites=self.strata)


def default_folds(rows: int) -> int:
    """Return the number of folds in which a fit to so many rows makes its choices."""
    return SMALL_COHORT_FOLDS if rows < SMALL_COHORT else LARGE_COHORT_FOLDS


class SizeRules(NamedTuple):
    """What a fit does by the size of its cohort.

    Attributes
    ----------
    folds : int
        In which choices are made.
    every_candidate : bool
        Whether all penalties are tried, rather than until the loss rises.
    horizons : int
        That each patient is paired with.
    tree_step : int
        Trees learn from every so many of these.
    """

    folds: int
    every_candidate: bool
    horizons: int
    tree_step: int

    @classmethod
    def of(cls, rows: int, columns: int, settings: FitSettings) -> Self:
        """Return the rules for so many rows and columns."""
        small = rows < SMALL_COHORT
        horizons = settings.horizons_per_patient or (
            HORIZONS_IF_SMALL if small else HORIZONS_IF_LARGE
        )
        by_default = not settings.fixed_horizon and settings.horizons_per_patient is None
        wide = columns > WIDE_COLUMNS and not small
        many = rows * horizons > MANY_PAIRS
        return cls(
            folds=settings.tuning_folds or default_folds(rows),
            every_candidate=small,
            horizons=1 if settings.fixed_horizon else horizons,
            tree_step=2 if by_default and (wide or many) else 1,
        )


@dataclass(frozen=True, slots=True)
class TrainingCohort:
    """Encoded patients, their identifiers, and the longest horizon that can be learned."""

    frame: pd.DataFrame
    target: NDArray[np.void]
    groups: Rows
    sites: NDArray[np.object_] | None
    encoding: Encoding
    raw: Floats
    upto_days: float
    blanking: Blanking
    boosting: BoostingSettings
    rules: SizeRules
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
        """Encode the cohort and set the longest horizon; `DataError` if none can be learned."""
        patient = patient_codes(groups, len(target))
        patients = int(patient.max()) + 1
        if settings.tuning_folds is not None and settings.tuning_folds > patients:
            raise DataError(
                f"tuning_folds must be at most the number of patients, {patients}; "
                f"got {settings.tuning_folds}."
            )
        _check_events(target, patient, settings)
        site = None if sites is None else np.asarray(sites, dtype=object)
        encoding = fit_encoding(frame, patient)
        raw = raw_matrix(frame, encoding)
        if not raw.shape[1]:
            raise DataError(
                f"features must have a number, or a level that {SMALLEST_CELL} patients have; none "
                f"of {frame.shape[1]} has. Add patients, or group the levels."
            )
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
            upto_days=_longest_horizon(target, settings),
            blanking=Blanking.of(encoding, settings.variables),
            boosting=_boosting_settings(encoding, settings),
            rules=SizeRules.of(len(raw), raw.shape[1], settings),
            settings=settings,
        )

    @property
    def n_numbers(self) -> int:
        """How many leading columns of `raw` are numbers."""
        return len(self.encoding.numbers)

    def with_threads(self, threads: int) -> TrainingCohort:
        """Return the cohort whose boosted fits use so many threads."""
        return replace(self, boosting=replace(self.boosting, threads=threads))

    def blanked(self, seed: int) -> Floats:
        """Return the raw matrix of all patients, each with blanks of their own."""
        rng = np.random.default_rng((self.settings.random_state, seed))
        return self.blanking.apply(self.raw, self.blanking.draw(len(self.raw), rng))

    @property
    def ends_days(self) -> tuple[float, float]:
        """The shortest and the longest horizon."""
        grid = self.grid_days()
        return float(grid[0]), float(grid[-1])

    def censoring(self, rows: Rows) -> Censoring:
        """Return how long the given patients were followed up, by stratum of the whole cohort."""
        strata = censoring_strata(
            self.raw, self.target, rows, sites=self.sites, random_state=self.settings.random_state
        )
        time, event = self.target["time_days"][rows], self.target["event"][rows]
        return Censoring(CensoringDistribution.fit(time, event, sites=strata[rows]), strata)

    def pairs(self, rows: Rows, censoring: Censoring, seed: int) -> Pairs:
        """Return pairs of the given patients under a censoring distribution fitted elsewhere."""
        s = self.settings
        return sample_pairs(
            self.target[rows],
            horizons_days=np.asarray(s.horizons_days),
            event_times=self.event_times(),
            per_patient=self.rules.horizons,
            censoring=censoring.distribution,
            strata=censoring.strata[rows],
            rng=np.random.default_rng((s.random_state, seed)),
        )

    def pairs_of_trees(self, pairs: Pairs, rows: Rows, seed: int) -> Pairs:
        """Return those of the pairs of the given patients that trees learn from."""
        step = self.rules.tree_step
        rng = np.random.default_rng((self.settings.random_state, SEED_OF_TREES, seed))
        return pairs.every(step, rng.integers(step, size=len(self.target))[rows])

    def pairs_on_grid(self, rows: Rows, censoring: Censoring) -> Pairs:
        """Return the given patients, each at every day of the grid."""
        return pairs_at(
            self.target[rows],
            self.grid_days(),
            censoring=censoring.distribution,
            strata=censoring.strata[rows],
        )

    def grid_days(self) -> Floats:
        """Return the horizons of the running maximum: default ones and shares of the event times.

        Its ends are the first and last event time to two digits, so that they identify no patient.
        """
        defaults = np.asarray(self.settings.horizons_days)
        if self.settings.fixed_horizon:
            return defaults
        times = self.event_times()
        outer = outer_share(len(times))
        shares = np.quantile(times, np.linspace(outer, 1 - outer, GRID_POINTS))
        ends = [_two_digits_down(times[0]), _two_digits_down(times[-1])]
        grid: Floats = np.unique(np.concatenate([ends, shares.round(3), defaults]))
        return grid

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


def _check_events(target: NDArray[np.void], groups: Rows, settings: FitSettings) -> None:
    """Refuse a cohort that cannot be split into folds with and without the event."""
    happened = target["event"] == 1
    first = min(settings.horizons_days)
    by_first = happened & (target["time_days"] <= first)
    counts = [len(np.unique(groups[rows])) for rows in (happened, ~by_first)]
    if min(counts) < MIN_EVENTS:
        raise DataError(
            f"outcome must have at least {MIN_EVENTS} patients with the event and {MIN_EVENTS} "
            f"without within {first:g} days; got {counts[0]} and {counts[1]}."
        )


def _boosting_settings(encoding: Encoding, settings: FitSettings) -> BoostingSettings:
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


def _directions(encoding: Encoding, settings: FitSettings) -> tuple[int, ...]:
    """Return the constraint of each raw column: only where the direction of risk is settled."""
    known = settings.variables
    numbers = [
        known[name].direction.get(settings.outcome, 0) if name in known else 0
        for name in encoding.numbers
    ]
    return (*numbers, *[0] * len(level_columns(encoding)))


def _longest_horizon(target: NDArray[np.void], settings: FitSettings) -> float:
    """Return the longest horizon that can be learned; refuse default horizons beyond it."""
    time, event = target["time_days"], target["event"]
    censoring = CensoringDistribution.fit(time, event)
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


def _two_digits_down(days: float) -> float:
    """Return a positive number rounded down to two significant digits."""
    unit = 10.0 ** (np.floor(np.log10(days)) - 1)
    return float(f"{np.floor(days / unit) * unit:.2g}")
