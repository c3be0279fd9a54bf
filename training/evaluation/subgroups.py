"""Every group of patients on its own: whether a model ranks and calibrates there as overall."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from models.censoring import CensoringDistribution
from training.evaluation.calibration import calibration_intercept, calibration_slope, oe_ratio
from training.evaluation.clinical_use import net_benefit
from training.evaluation.discrimination import auroc
from training.evaluation.intervals import bootstrap_interval
from training.evaluation.known_outcome import known_outcome, pseudo_outcome, why_not_evaluable
from training.evaluation.overall import brier, ipa
from training.evaluation.pseudo_values import pseudo_values
from training.evaluation.summary import Metric

__all__ = ["SMALLEST_SUBGROUP", "SUBGROUP_METRICS", "Subgroup", "evaluate_subgroups"]

SMALLEST_SUBGROUP = 50
"""Patients below which a group gets no metric."""

SMALLEST_COUNT = 10
"""A group of fewer patients is not even counted."""

SUBGROUP_METRICS = (
    "auroc",
    "brier",
    "ipa",
    "oe_ratio",
    "calibration_intercept",
    "calibration_slope",
    "net_benefit",
)


@dataclass(frozen=True, slots=True)
class Subgroup:
    """One group of patients.

    Parameters
    ----------
    grouping, level : str
        What patients are told apart by, and which of them these are.
    stays, events : int or None
        None for fewer than `SMALLEST_COUNT` stays.
    metrics : tuple of Metric
        `SUBGROUP_METRICS` at each horizon; none in a group that is too small.
    note : str
        Why there are none.
    """

    grouping: str
    level: str
    stays: int | None
    events: int | None
    metrics: tuple[Metric, ...]
    note: str = ""

    def as_json(self) -> dict[str, Any]:
        """Return the group as a mapping."""
        return {
            "grouping": self.grouping,
            "level": self.level,
            "stays": self.stays,
            "events": self.events,
            "metrics": [metric.as_json() for metric in self.metrics],
            **({"note": self.note} if self.note else {}),
        }


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
    time_days : array-like of float, shape (n_stays,)
        Time to the first event or to censoring.
    event : array-like of int, shape (n_stays,)
        0 censored, 1 the outcome, 2 the competing event.
    risk : array-like of float, shape (n_stays, n_horizons)
        Predicted probability of the outcome by each horizon.
    horizons_days : sequence of float
    groupings : mapping of str to ndarray of object, shape (n_stays,)
        What patients are told apart by -> level of each stay.
    n_bootstrap : int
        Resamples of patients within each group.
    random_state : int
        Seed of the resamples.
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
    >>> found = evaluate_subgroups(
    ...     np.where(died, 10.0, 40.0), died, risk[:, None], [28], {"sex": sex}, n_bootstrap=50
    ... )
    >>> [(group.level, group.metrics[0].metric) for group in found]
    [('female', 'auroc'), ('male', 'auroc')]
    """
    time, kind = np.asarray(time_days, dtype=np.float64), np.asarray(event)
    predicted = np.asarray(risk, dtype=np.float64)
    patient = np.arange(len(time)) if patients is None else np.asarray(patients)
    thresholds = _event_rates(time, kind, horizons_days)
    return tuple(
        _subgroup(
            (grouping, str(level)),
            time[rows],
            kind[rows],
            predicted[rows],
            thresholds,
            n_bootstrap=n_bootstrap,
            random_state=random_state,
            patients=patient[rows],
        )
        for grouping, levels in groupings.items()
        for level in sorted(set(levels), key=_by_number)
        for rows in [levels == level]
    )


def _by_number(level: str) -> list[str | int]:
    """Return a key that puts "5 to 9" before "10 or more"; text and numbers alternate in it."""
    return [int(part) if part.isdigit() else part for part in re.split(r"(\d+)", str(level))]


def _event_rates(
    time: NDArray[np.float64], kind: NDArray[np.int64], horizons_days: Sequence[float]
) -> dict[float, float]:
    """Return the observed risk at each horizon; NaN where it cannot be judged."""
    censoring = CensoringDistribution.fit(time, kind)
    return {
        days: np.nan
        if why_not_evaluable(time, kind, days, censoring)
        else float(known_outcome(time, kind, days, censoring=censoring).event_rate)
        for days in horizons_days
    }


def _subgroup(
    name: tuple[str, str],
    time: NDArray[np.float64],
    kind: NDArray[np.int64],
    risk: NDArray[np.float64],
    thresholds: Mapping[float, float],
    *,
    n_bootstrap: int,
    random_state: int,
    patients: NDArray[np.object_],
) -> Subgroup:
    """Return the metrics of the patients of one group."""
    stays, events = len(time), int((kind == 1).sum())
    if stays < SMALLEST_COUNT:
        return Subgroup(*name, None, None, (), f"fewer than {SMALLEST_COUNT} patients")
    if stays < SMALLEST_SUBGROUP:
        return Subgroup(*name, stays, events, (), f"fewer than {SMALLEST_SUBGROUP} patients")
    censoring = CensoringDistribution.fit(time, kind)
    metrics: list[Metric] = []
    for column, (days, threshold) in enumerate(thresholds.items()):
        note = why_not_evaluable(time, kind, days, censoring)
        if note or np.isnan(threshold):
            note = note or "cannot be judged in the whole cohort"
            metrics += [Metric(m, days, np.nan, np.nan, np.nan, note) for m in SUBGROUP_METRICS]
            continue
        pseudo, predicted = pseudo_values(time, kind, days), risk[:, column]

        def statistic(
            counts: NDArray[np.float64] | None,
            days: float = days,
            threshold: float = threshold,
            pseudo: NDArray[np.float64] = pseudo,
            predicted: NDArray[np.float64] = predicted,
        ) -> NDArray[np.float64]:
            outcome = known_outcome(time, kind, days, counts=counts)
            known = pseudo_outcome(pseudo, counts=counts)
            return np.stack(
                [
                    auroc(outcome, predicted),
                    brier(outcome, predicted),
                    ipa(outcome, predicted),
                    oe_ratio(known, predicted),
                    calibration_intercept(known, predicted),
                    calibration_slope(known, predicted),
                    net_benefit(outcome, predicted, threshold)[0],
                ]
            )

        found = bootstrap_interval(
            statistic, stays, n_resamples=n_bootstrap, random_state=random_state, groups=patients
        )
        metrics += [
            _metric(metric, days, *map(float, ends))
            for metric, *ends in zip(
                SUBGROUP_METRICS, found.estimate, found.low, found.high, strict=True
            )
        ]
    return Subgroup(*name, stays, events, tuple(metrics))


def _metric(metric: str, days: float, estimate: float, low: float, high: float) -> Metric:
    """Return one metric, with a note where it is undefined."""
    note = ""
    if np.isnan(estimate):
        note = "risks are equal for all, or separate those with the event from the others"
    elif np.isnan(low):
        note = "undefined in too many resamples for an interval"
    return Metric(metric, days, estimate, low, high, note)
