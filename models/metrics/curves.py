"""Curves with intervals, computed here and drawn by the plots."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from models.metrics.calibration.calibration import smoothed_risk
from models.metrics.comparison.net_benefit import (
    decision_thresholds,
    net_benefit,
    net_benefit_of_all,
)
from models.metrics.intervals import Interval, bootstrap_interval
from models.metrics.known_outcome import known_outcome
from models.metrics.overall.survival_curves import cumulative_incidence

__all__ = [
    "CalibrationCurve",
    "DecisionCurve",
    "IncidenceByRisk",
    "RiskGroup",
    "calibration_curve",
    "decision_curve",
    "incidence_by_risk",
]

_POINTS = 100


@dataclass(frozen=True, slots=True)
class CalibrationCurve:
    """Observed against predicted risk at one horizon, and how the predicted risks are spread.

    `bin_counts[i]` patients have a risk from `bin_edges[i]` to `bin_edges[i + 1]`. `observed` is
    the smoothed curve at `predicted`, which runs from the 1st to the 99th percentile of risk.
    """

    horizon_days: float
    predicted: NDArray[np.float64]
    observed: Interval
    bin_edges: NDArray[np.float64]
    bin_counts: NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class DecisionCurve:
    """Net benefit by threshold of treating by the model and of treating all; none is 0."""

    horizon_days: float
    thresholds: NDArray[np.float64]
    model: Interval
    treat_all: NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class RiskGroup:
    """Mean predicted and observed cumulative incidence of one group, by day."""

    n_patients: int
    predicted: NDArray[np.float64]
    observed: Interval


@dataclass(frozen=True, slots=True)
class IncidenceByRisk:
    """Groups of equal size from the lowest to the highest predicted risk."""

    days: NDArray[np.float64]
    groups: tuple[RiskGroup, ...]


def calibration_curve(
    time_days: ArrayLike,
    event: ArrayLike,
    risk: ArrayLike,
    *,
    horizon_days: float,
    n_bootstrap: int = 200,
    random_state: int = 0,
    groups: ArrayLike | None = None,
) -> CalibrationCurve:
    """Return the smoothed calibration curve with a pointwise 95 % interval.

    Parameters
    ----------
    time_days : array-like of float, shape (n_stays,)
        Time to the first event or to censoring.
    event : array-like of int, shape (n_stays,)
        0 censored, 1 the outcome, 2 the competing event.
    risk : array-like of float, shape (n_stays,)
        Predicted probability of the outcome by the horizon.
    horizon_days : float
        Days from time zero.
    n_bootstrap : int
        Resamples of patients.
    random_state : int
        Seed of the resamples.
    groups : array-like, shape (n_stays,), optional
        Patient of each stay, resampled together.

    Returns
    -------
    CalibrationCurve
        Percentile interval; knots as in `smoothed_risk`.
    """
    predicted = np.asarray(risk, dtype=np.float64)
    at = np.linspace(np.quantile(predicted, 0.01), np.quantile(predicted, 0.99), _POINTS)
    observed = bootstrap_interval(
        lambda counts: smoothed_risk(
            known_outcome(time_days, event, horizon_days, counts=counts), predicted, at
        ),
        len(predicted),
        n_resamples=n_bootstrap,
        random_state=random_state,
        groups=groups,
    )
    counts, edges = np.histogram(predicted, bins=50, range=(0.0, 1.0))
    return CalibrationCurve(float(horizon_days), at, observed, edges, counts.astype(np.int64))


def decision_curve(
    time_days: ArrayLike,
    event: ArrayLike,
    risk: ArrayLike,
    *,
    horizon_days: float,
    n_bootstrap: int = 200,
    random_state: int = 0,
    groups: ArrayLike | None = None,
) -> DecisionCurve:
    """Return net benefit over the thresholds at which the model treats some but not all.

    Parameters
    ----------
    time_days, event, risk, horizon_days, n_bootstrap, random_state, groups
        As in `calibration_curve`.

    Returns
    -------
    DecisionCurve
        From 1 % to the 99th percentile of risk, in steps of about 1 %.
    """
    predicted = np.asarray(risk, dtype=np.float64)
    thresholds = decision_thresholds(predicted)
    model = bootstrap_interval(
        lambda counts: net_benefit(
            known_outcome(time_days, event, horizon_days, counts=counts), predicted, thresholds
        ),
        len(predicted),
        n_resamples=n_bootstrap,
        random_state=random_state,
        groups=groups,
    )
    treat_all = net_benefit_of_all(known_outcome(time_days, event, horizon_days), thresholds)
    return DecisionCurve(float(horizon_days), thresholds, model, treat_all)


def incidence_by_risk(
    time_days: ArrayLike,
    event: ArrayLike,
    curve_risk: ArrayLike,
    curve_days: ArrayLike,
    *,
    n_groups: int = 5,
    n_bootstrap: int = 200,
    random_state: int = 0,
    groups: ArrayLike | None = None,
) -> IncidenceByRisk:
    """Return predicted and observed cumulative incidence in groups of predicted risk.

    Patients are grouped by their mean risk over the days, as the C-index of `evaluate` ranks them.

    Parameters
    ----------
    time_days, event, n_bootstrap, random_state, groups
        As in `calibration_curve`; `groups` are not the groups of risk.
    curve_risk : array-like of float, shape (n_stays, n_days)
        Predicted probability of the outcome by each day.
    curve_days : array-like of float, shape (n_days,)
        The days, within follow-up.
    n_groups : int
        Groups of equal size; 5 are quintiles.

    Returns
    -------
    IncidenceByRisk
        Observed: Aalen-Johansen (Kaplan-Meier without competing events), percentile interval.
    """
    time, kind = np.asarray(time_days, dtype=np.float64), np.asarray(event)
    risk, days = np.asarray(curve_risk, dtype=np.float64), np.asarray(curve_days, dtype=np.float64)
    rank = np.argsort(np.argsort(risk.mean(axis=1), kind="stable"))
    group_of = rank * n_groups // len(rank)
    members = [group_of == group for group in range(n_groups)]

    def observed(counts: NDArray[np.float64] | None) -> NDArray[np.float64]:
        return np.stack(
            [
                cumulative_incidence(
                    time[rows], kind[rows], days, counts=None if counts is None else counts[rows]
                )
                for rows in members
            ]
        )

    incidence = bootstrap_interval(
        observed, len(risk), n_resamples=n_bootstrap, random_state=random_state, groups=groups
    )
    return IncidenceByRisk(
        days,
        tuple(
            RiskGroup(
                int(rows.sum()),
                risk[rows].mean(axis=0),
                Interval(incidence.estimate[i], incidence.low[i], incidence.high[i]),
            )
            for i, rows in enumerate(members)
        ),
    )
