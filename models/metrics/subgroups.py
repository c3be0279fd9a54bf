"""Metrics within subgroups: whether a model ranks and calibrates there as it does overall."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import NotRequired, TypedDict

import numpy as np
from numpy.typing import ArrayLike, NDArray

from data_schema.disclosure import hidden_cells
from models.censoring import CensoringDistribution
from models.folds import patient_codes
from models.metrics.catalogue import AT_HORIZON, AtHorizon, Place
from models.metrics.intervals import named_bootstrap_intervals, widened_for_training
from models.metrics.known_outcome import known_outcome, pseudo_outcome, why_not_evaluable
from models.metrics.metric import Metric, MetricJson
from models.metrics.pseudo_values import pseudo_values
from models.metrics.summary import Repeat, added_variance, metric_of

__all__ = [
    "SMALLEST_SUBGROUP",
    "SUBGROUP_METRICS",
    "Subgroup",
    "SubgroupJson",
    "evaluate_subgroups",
    "evaluate_subgroups_out_of_fold",
    "in_order",
    "shown_counts",
]

SMALLEST_SUBGROUP = 50
"""Fewest patients of a group for which metrics are computed."""

SUBGROUP_METRICS = tuple(spec for spec in AT_HORIZON if Place.SUBGROUPS in spec.places)


class SubgroupJson(TypedDict):
    """A group of patients as JSON."""

    grouping: str
    level: str
    stays: int | None
    events: int | None
    metrics: list[MetricJson]
    note: NotRequired[str]


@dataclass(frozen=True, slots=True)
class Subgroup:
    """One group of patients.

    Parameters
    ----------
    grouping, level : str
        What the patients are grouped by, and the level that this group has.
    stays, events : int or None
        None where the count, or another derived from it, would describe few patients.
    metrics : tuple of Metric
        Those that the catalogue places in subgroups, at each horizon; none if the group is too
        small.
    note : str
        Why there are no metrics.
    """

    grouping: str
    level: str
    stays: int | None
    events: int | None
    metrics: tuple[Metric, ...]
    note: str = ""

    def as_json(self) -> SubgroupJson:
        """Return what the command line prints."""
        group = SubgroupJson(
            grouping=self.grouping,
            level=self.level,
            stays=self.stays,
            events=self.events,
            metrics=[metric.as_json() for metric in self.metrics],
        )
        if self.note:
            group["note"] = self.note
        return group


def evaluate_subgroups(
    time_days: ArrayLike,
    event: ArrayLike,
    risk: ArrayLike,
    horizons_days: Sequence[float],
    groupings: Mapping[str, NDArray[np.object_]],
    *,
    n_bootstrap: int = 200,
    random_state: int = 0,
    patients: ArrayLike | None = None,
) -> tuple[Subgroup, ...]:
    """Return the metrics of each group, with 95 % intervals.

    Groups are many and some are small: the lowest of ten areas under the curve is low by chance.

    Parameters
    ----------
    time_days, event, random_state
        As in `summary.evaluate`.
    risk : array-like of float, shape (n_stays, n_horizons)
        Predicted probability of the outcome by each horizon.
    horizons_days : sequence of float
    groupings : mapping of str to ndarray of object, shape (n_stays,)
        What patients are grouped by -> level of each stay; None for a stay in no group.
    n_bootstrap : int
        Resamples of patients within each group.
    patients : array-like, shape (n_stays,), optional
        Patient of each stay, resampled together.

    Returns
    -------
    tuple of Subgroup
        In the order of the groupings and of their levels, numbers in them by size.

    Notes
    -----
    Calibration rests on Aalen-Johansen pseudo-values taken within the group [1]_, so that follow-up
    may differ between groups; the other metrics are weighted by the group's own censoring. The net
    benefit is at the observed event rate of all patients, the same threshold in every group.

    References
    ----------
    .. [1] van Geloven et al. BMJ 377 (2022) e069249. doi:10.1136/bmj-2021-069249

    Examples
    --------
    >>> import numpy as np
    >>> rng = np.random.default_rng(0)
    >>> risk = rng.uniform(0.1, 0.9, 400)
    >>> died = rng.random(400) < risk
    >>> sex = np.where(rng.random(400) < 0.5, "female", "male").astype(object)
    >>> subgroups = evaluate_subgroups(
    ...     np.where(died, 10.0, 40.0), died, risk[:, None], [28], {"sex": sex}, n_bootstrap=50
    ... )
    >>> [(group.level, group.metrics[0].metric) for group in subgroups]
    [('female', 'auroc'), ('male', 'auroc')]
    """
    predicted = np.asarray(risk, dtype=np.float64)
    return evaluate_subgroups_out_of_fold(
        time_days,
        event,
        [Repeat(predicted, np.zeros(len(predicted), dtype=np.int64))],
        horizons_days,
        groupings,
        n_bootstrap=n_bootstrap,
        random_state=random_state,
        patients=patients,
    )


def evaluate_subgroups_out_of_fold(
    time_days: ArrayLike,
    event: ArrayLike,
    repeats: Sequence[Repeat],
    horizons_days: Sequence[float],
    groupings: Mapping[str, NDArray[np.object_]],
    *,
    n_bootstrap: int = 200,
    random_state: int = 0,
    patients: ArrayLike | None = None,
    simulated: bool = False,
) -> tuple[Subgroup, ...]:
    """Return the metrics of a procedure in each group, from out-of-fold risks.

    Parameters
    ----------
    time_days, event, horizons_days, groupings, n_bootstrap, random_state, patients
        As in `evaluate_subgroups`.
    repeats : sequence of Repeat
        As in `summary.evaluate_out_of_fold`, whose means and intervals these are.
    simulated : bool
        Whether the patients are simulated, so that no count need be withheld.
    """
    time, kind = np.asarray(time_days, dtype=np.float64), np.asarray(event)
    patient = patient_codes(patients, len(time))
    thresholds = _event_rates(time, kind, horizons_days, patient)
    subgroups = []
    for grouping, levels in groupings.items():
        names = in_order({*levels} - {None})
        members = [levels == name for name in names]
        counts = (
            [(int(rows.sum()), int((rows & (kind == 1)).sum())) for rows in members]
            if simulated
            else _shown_counts(members, kind == 1, patient)
        )
        for name, rows, (stays, events) in zip(names, members, counts, strict=True):
            metrics, note = _metrics(
                time[rows],
                kind[rows],
                [each.take(rows) for each in repeats],
                thresholds,
                folds=max(each.folds for each in repeats),
                n_bootstrap=n_bootstrap,
                random_state=random_state,
                patients=patient[rows],
            )
            subgroups.append(Subgroup(grouping, str(name), stays, events, metrics, note))
    return tuple(subgroups)


def _shown_counts(
    members: Sequence[NDArray[np.bool_]],
    happened: NDArray[np.bool_],
    patient: NDArray[np.int64],
) -> list[tuple[int | None, int | None]]:
    """Return stays and events of each level; None for counts that would describe few patients."""
    columns = [np.logical_or.reduce(members), *members]

    def patients(of: NDArray[np.bool_]) -> list[int]:
        return [len(np.unique(patient[rows & of])) for rows in columns]

    return shown_counts(
        [(int(rows.sum()), int((rows & happened).sum())) for rows in members],
        np.array([patients(np.ones_like(happened)), patients(happened), patients(~happened)]),
    )


def shown_counts(
    counts: Sequence[tuple[int, int]], patients: NDArray[np.int64]
) -> list[tuple[int | None, int | None]]:
    """Return stays and events of each level; None for counts that would describe few patients.

    Parameters
    ----------
    counts : sequence of tuple of int
        Stays and events of each level.
    patients : ndarray of int, shape (3, 1 + n_levels)
        Patients of all levels together, then of each: all, with and without the event.
    """
    no_stays = hidden_cells(patients[:1])[0, 1:]
    no_events = np.atleast_1d(hidden_cells(patients[1:])[:, 1:].any(axis=0))
    return [
        (None if no_count else stays, None if no_count or no_event else events)
        for (stays, events), no_count, no_event in zip(counts, no_stays, no_events, strict=True)
    ]


def in_order(levels: Iterable[str]) -> list[str]:
    """Return the levels of a grouping as they are printed, numbers in them by size."""
    return sorted(levels, key=_by_number)


def _by_number(level: str) -> list[str | int]:
    """Return a sort key, alternately text and numbers, that puts "5 to 9" before "10 or more"."""
    return [int(part) if part.isdigit() else part for part in re.split(r"(\d+)", str(level))]


def _event_rates(
    time: NDArray[np.float64],
    kind: NDArray[np.int64],
    horizons_days: Sequence[float],
    patients: ArrayLike,
) -> dict[float, float]:
    """Return the observed risk at each horizon; NaN where it cannot be judged."""
    censoring = CensoringDistribution.fit(time, kind)
    return {
        days: np.nan
        if why_not_evaluable(time, kind, days, censoring, groups=patients)
        else float(known_outcome(time, kind, days, censoring=censoring).event_rate)
        for days in horizons_days
    }


def _metrics(
    time: NDArray[np.float64],
    kind: NDArray[np.int64],
    repeats: Sequence[Repeat],
    thresholds: Mapping[float, float],
    *,
    folds: int,
    n_bootstrap: int,
    random_state: int,
    patients: NDArray[np.int64],
) -> tuple[tuple[Metric, ...], str]:
    """Return the metrics of the patients of one group, or why there are none."""
    if len(np.unique(patients)) < SMALLEST_SUBGROUP:
        return (), f"fewer than {SMALLEST_SUBGROUP} patients"
    censoring = CensoringDistribution.fit(time, kind)
    notes = {
        days: why_not_evaluable(time, kind, days, censoring, groups=patients)
        or ("cannot be judged in the whole cohort" if np.isnan(threshold) else "")
        for days, threshold in thresholds.items()
    }
    judged = [
        _AtHorizon(
            days,
            threshold,
            pseudo_values(time, kind, days),
            [(each.risk[:, column], each.fold) for each in repeats],
        )
        for column, (days, threshold) in enumerate(thresholds.items())
        if not notes[days]
    ]
    intervals = (
        named_bootstrap_intervals(
            partial(_at_horizons, time, kind, judged),
            len(time),
            n_resamples=n_bootstrap,
            random_state=random_state,
            groups=patients,
        )
        if judged
        else {}
    )
    return tuple(
        Metric.undefined(spec.name, days, notes[days])
        if notes[days]
        else metric_of(
            spec,
            days,
            widened_for_training(
                intervals[days, spec.name],
                added_variance(spec.group, folds=folds, repeats=len(repeats)),
            ),
        )
        for days in thresholds
        for spec in SUBGROUP_METRICS
    ), ""


@dataclass(frozen=True, slots=True)
class _AtHorizon:
    """What a group is judged on at one horizon.

    Parameters
    ----------
    days, threshold : float
    pseudo : ndarray of float, shape (n_stays,)
        Pseudo-values of the group before resampling.
    risks : sequence of tuple of ndarray
        Risks with their folds, of each repeat.
    """

    days: float
    threshold: float
    pseudo: NDArray[np.float64]
    risks: Sequence[tuple[NDArray[np.float64], NDArray[np.int64]]]


def _at_horizons(
    time: NDArray[np.float64],
    kind: NDArray[np.int64],
    judged: Sequence[_AtHorizon],
    counts: NDArray[np.float64] | None,
) -> dict[tuple[float, str], NDArray[np.float64]]:
    """Return each metric's mean over the repeats, by horizon and name."""
    censoring = CensoringDistribution.fit(time, kind, counts=counts)
    values: dict[tuple[float, str], NDArray[np.float64]] = {}
    for at in judged:
        outcome = known_outcome(time, kind, at.days, counts=counts, censoring=censoring)
        calibration = pseudo_outcome(at.pseudo, counts=counts)
        of_repeats = [
            AtHorizon(outcome, calibration, risk, at.threshold, fold) for risk, fold in at.risks
        ]
        for spec in SUBGROUP_METRICS:
            of_metric = [spec.function(each) for each in of_repeats]
            values[at.days, spec.name] = np.mean(of_metric, axis=0)
    return values
