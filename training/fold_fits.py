"""Fits to the training parts of a cross-validation, which share the fits that they choose by.

With five folds, the fit without folds 1 and 2 serves two others: that without fold 1, which judges
its candidates by fold 2, and that without fold 2, which judges them by fold 1. Ten such fits take
the place of twenty. No fit predicts a patient that it has learned from, not even in its choices or
its horizons.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import combinations
from typing import Any, NamedTuple, TypeVar

import numpy as np
from numpy.typing import NDArray

from data_schema.cohort import Cohort
from data_schema.errors import DataError
from models.estimator import CumulativeIncidenceModel
from models.fitting.competing import competing_cohort
from models.fitting.out_of_fold import HeldOut, TunedFold, tuned_without
from models.fitting.training_cohort import Progress, TrainingCohort, default_folds
from models.metrics.comparison.paired_changes import OutOfFold
from training.cohorts.splits import Split, folds_by_patient
from training.config import RunConfig
from training.fit import (
    FOLDS,
    fits_side_by_side,
    prepared,
    refit,
    steps_of_all,
    unfitted_refit,
    with_columns,
)

__all__ = ["Folds", "fits_of_folds", "out_of_fold_risks"]

T = TypeVar("T")
Judge = Callable[[CumulativeIncidenceModel, Cohort], T]
"""Called with a fit and the patients that it has not learned from."""

Rows = NDArray[np.int64]
Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Folds:
    """A cohort, and splits of it in which every patient is held out once."""

    cohort: Cohort
    splits: Sequence[Split]

    @property
    def share_choices(self) -> bool:
        """Whether a fit to one training part chooses in as many folds as the others are."""
        others = len(self.splits) - 1
        return all(default_folds(len(split.train)) == others for split in self.splits)


def fits_of_folds(
    judge: Judge[T],
    groups: Sequence[Folds],
    horizons_days: Sequence[float],
    config: RunConfig,
    *,
    risk_only: bool,
    what: str,
    progress: Progress | None = None,
) -> Iterator[T]:
    """Yield what `judge` returns of a fit to the training part of every split, and its other part.

    Penalty, number of trees, weight and recalibration are chosen anew in every fit, on its own
    patients; a fit has no interval. Where a fit would choose in as many folds as the others are, it
    chooses in those, and shares the fits without two folds. That is so from 2,500 patients in five
    folds; smaller cohorts choose in ten folds of their own.

    Parameters
    ----------
    judge : callable
        In the thread of the fit, which is then forgotten.
    groups : sequence of Folds
        As repeats, or sets of columns; results come group by group, split by split.
    risk_only : bool
        Fit what `predict_risk` reads and nothing beside it.
    what : str
        Kind of step that `progress` is called with.
    """
    settings = _Settings(horizons_days, config, risk_only, what)
    if not all(group.share_choices for group in groups):
        yield from _each_by_itself(judge, groups, settings, progress)
        return
    for number, group in enumerate(groups):
        steps = steps_of_all(progress, what, number, len(groups))
        sharing = _Sharing(group, settings, steps)
        try:
            fits = sharing.prepared()
            tuned = sharing.tuned(fits)
        except DataError:
            # Without two folds there may be too few events where without one there are enough.
            yield from _each_by_itself(judge, [group], settings, steps)
        else:
            yield from sharing.judged(judge, fits, tuned)


@dataclass(frozen=True, slots=True)
class _Settings:
    """What all fits have in common, as in `fits_of_folds`."""

    horizons_days: Sequence[float]
    config: RunConfig
    risk_only: bool
    what: str


def _each_by_itself(
    judge: Judge[T], groups: Sequence[Folds], settings: _Settings, progress: Progress | None
) -> Iterator[T]:
    def fit(own: RunConfig, steps: Progress | None, cohort: Cohort, split: Split) -> T:
        train = cohort.take(split.train)
        model = refit(
            train, settings.horizons_days, own, risk_only=settings.risk_only, progress=steps
        )
        return judge(model, cohort.take(split.test))

    yield from fits_side_by_side(
        fit,
        [(group.cohort, split) for group in groups for split in group.splits],
        settings.config,
        rows=len(groups[0].cohort),
        what=settings.what,
        progress=progress,
    )


class _Fit(NamedTuple):
    """A fit without one fold, before it, with the cohort that it learns from."""

    model: CumulativeIncidenceModel
    cohort: TrainingCohort
    competing: TrainingCohort | None
    place: Rows
    """Row of the whole cohort -> row of its own, or -1."""


class _Tuned(NamedTuple):
    """What a fit without two folds predicts for the second, then for the first of them."""

    outcome: list[TunedFold]
    competing: list[TunedFold] | None


@dataclass(frozen=True, slots=True)
class _Sharing:
    """The fits to the training parts of one group, in three steps."""

    folds: Folds
    settings: _Settings
    progress: Progress | None

    @property
    def pairs(self) -> list[tuple[int, int]]:
        """Every two folds."""
        return list(combinations(range(len(self.folds.splits)), 2))

    def prepared(self) -> list[_Fit]:
        """Return the fits without one fold, before they are fitted."""
        jobs = [(split.train,) for split in self.folds.splits]
        return list(self._side_by_side(self._prepared, jobs, done_before=0))

    def _prepared(self, own: RunConfig, _: Progress | None, rows: Rows) -> _Fit:
        train = self.folds.cohort.take(rows)
        days, risk_only = self.settings.horizons_days, self.settings.risk_only
        model = unfitted_refit(train, days, own, risk_only=risk_only)
        cohort = prepared(model, train)
        place = np.full(len(self.folds.cohort), -1)
        place[rows] = np.arange(len(rows))
        return _Fit(model, cohort, None if risk_only else competing_cohort(cohort), place)

    def tuned(self, fits: Sequence[_Fit]) -> list[_Tuned]:
        """Return what the fits without two folds predict for these, in the order of `pairs`."""
        jobs = [(number, fits) for number in range(len(self.pairs))]
        return list(self._side_by_side(self._tuned, jobs, done_before=0))

    def _tuned(
        self, own: RunConfig, steps: Progress | None, number: int, fits: Sequence[_Fit]
    ) -> _Tuned:
        first, second = self.pairs[number]
        splits, both = self.folds.splits, (fits[first], fits[second])
        out = splits[second].test, splits[first].test
        rows = np.setdiff1d(splits[first].train, splits[second].test)
        without = self._prepared(own, None, rows)

        def tuned_by(
            learned_from: TrainingCohort, cohorts: Sequence[TrainingCohort]
        ) -> list[TunedFold]:
            held_out = [
                HeldOut.of(cohort, fit.place[rows], fit.place[rows_out], number=number)
                for cohort, fit, rows_out in zip(cohorts, both, out, strict=True)
            ]
            # It is smaller than the fits that it serves, and follows their rules.
            by_rules = replace(learned_from, rules=cohorts[0].rules)
            return tuned_without(by_rules, held_out, number=number)

        outcome = tuned_by(without.cohort, [fit.cohort for fit in both])
        competing = None
        cohorts = [fit.competing for fit in both if fit.competing is not None]
        if without.competing is not None and len(cohorts) == len(both):
            competing = tuned_by(without.competing, cohorts)
        if steps is not None:
            steps(self.settings.what, 1, 1)
        return _Tuned(outcome, competing)

    def judged(self, judge: Judge[T], fits: Sequence[_Fit], tuned: Sequence[_Tuned]) -> Iterator[T]:
        """Yield what `judge` returns of every fit without one fold."""

        def fit(_: RunConfig, steps: Progress | None, number: int) -> T:
            own = fits[number]
            chosen_by = [
                (both.index(number), of_both)
                for both, of_both in zip(self.pairs, tuned, strict=True)
                if number in both
            ]
            outcome = [of_both.outcome[at] for at, of_both in chosen_by]
            competing = [
                of_both.competing[at] for at, of_both in chosen_by if of_both.competing is not None
            ]
            has_all = len(competing) == len(outcome)
            own.model.fit_prepared(own.cohort, outcome, competing if has_all else None)
            result = judge(own.model, self.folds.cohort.take(self.folds.splits[number].test))
            if steps is not None:
                steps(self.settings.what, 1, 1)
            return result

        jobs = [(number,) for number in range(len(fits))]
        yield from self._side_by_side(fit, jobs, done_before=len(self.pairs))

    def _side_by_side(
        self, fit: Callable[..., T], jobs: Sequence[tuple[Any, ...]], *, done_before: int
    ) -> Iterator[T]:
        """Yield the results of one step, in steps of all that report progress."""
        everything = len(self.pairs) + len(self.folds.splits)

        def report(_: str, done: int, __: int) -> None:
            if self.progress is not None:
                self.progress(self.settings.what, done_before + done, everything)

        rows = len(self.folds.cohort)
        return fits_side_by_side(fit, jobs, self.settings.config, rows=rows, progress=report)


def out_of_fold_risks(
    cohort: Cohort,
    columns: Mapping[str, Sequence[str]],
    horizons_days: Sequence[float],
    config: RunConfig,
    *,
    progress: Progress | None = None,
) -> OutOfFold:
    """Return each patient's risks by models that were fitted without that patient.

    Parameters
    ----------
    columns : mapping of str to sequence of str
        Model -> columns of the cohort that it reads; equal sets are fitted once.

    Returns
    -------
    OutOfFold
        Penalty, number of trees, weight and calibration are chosen anew within each fold.
    """
    sets = {name: frozenset(members) for name, members in columns.items()}
    distinct = list(dict.fromkeys(sets.values()))
    splits = folds_by_patient(cohort, folds=FOLDS, random_state=config.seed)
    risks = fits_of_folds(
        lambda model, held_out: model.predict_risk(held_out.features),
        [Folds(with_columns(cohort, list(members)), splits) for members in distinct],
        horizons_days,
        config,
        risk_only=True,
        what="fitting with and without",
        progress=progress,
    )
    fold = np.empty(len(cohort), dtype=np.int64)
    risk = {members: np.empty((len(cohort), len(horizons_days))) for members in distinct}
    for members in distinct:
        for k, split in enumerate(splits):
            fold[split.test] = k
            risk[members][split.test] = next(risks)
    return OutOfFold(
        {name: risk[members] for name, members in sets.items()}, fold, tuple(horizons_days)
    )
