"""What is known about each patient at one horizon, and the weight that it carries."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from data_schema.outcomes import MIN_EVENTS
from models.censoring import CensoringDistribution, ipcw_weights, is_known
from models.folds import patient_codes

__all__ = [
    "LOWEST_OBSERVED_SHARE",
    "KnownOutcome",
    "known_outcome",
    "pseudo_outcome",
    "why_not_evaluable",
    "why_too_few",
]

LOWEST_OBSERVED_SHARE = 0.05
"""Lowest G(h-) at which a horizon is evaluated; below it a few patients' weights dominate."""


@dataclass(frozen=True, slots=True)
class KnownOutcome:
    """Who had the event by a horizon, with weights that make up for patients lost before it.

    Every metric at a horizon is a metric of this weighted yes/no outcome, so censoring and
    competing events are handled here and nowhere else. Where every outcome is known, no times are
    needed: `KnownOutcome(happened, np.ones(n), np.ones(n))`.

    Parameters
    ----------
    happened : ndarray of bool, shape (n_patients,)
        Whether the event of interest happened by the horizon; a competing event first is a "no".
    weight : ndarray of float, shape (n_patients,) or (n_patients, n_resamples)
        Weight of a known outcome; 0 where it is unknown.
    count : ndarray of float, shape of `weight`
        How often each patient occurs: 1, or the number of draws in each bootstrap resample.
    own_weight : ndarray of float, shape (n_rows, 1), or None
        Weight of one patient, where a row stands for several of one risk; None where each row is a
        patient.
    """

    happened: NDArray[np.bool_]
    weight: NDArray[np.float64]
    count: NDArray[np.float64]
    own_weight: NDArray[np.float64] | None = None

    @property
    def event_rate(self) -> NDArray[np.float64]:
        """Observed risk: the Aalen-Johansen estimate (Kaplan-Meier without competing events)."""
        with np.errstate(invalid="ignore"):
            rate: NDArray[np.float64] = (self.happened @ self.weight) / self.weight.sum(axis=0)
        return rate


def known_outcome(
    time_days: ArrayLike,
    event: ArrayLike,
    horizon_days: float,
    *,
    counts: NDArray[np.float64] | None = None,
    censoring: CensoringDistribution | None = None,
) -> KnownOutcome:
    """Return who had the event by the horizon, weighted for censoring.

    Parameters
    ----------
    time_days : array-like of float, shape (n_patients,)
        Time to the first event or to censoring.
    event : array-like of int, shape (n_patients,)
        0 censored, 1 the outcome, 2 the competing event.
    horizon_days : float
        Days from time zero.
    counts : ndarray of float, shape (n_patients,) or (n_patients, n_resamples), optional
        How often each patient occurs in each bootstrap resample (default: once).
    censoring : CensoringDistribution, optional
        Fitted on these patients with these counts (default: fitted here).

    Returns
    -------
    KnownOutcome
        One row per patient, one column per resample.

    Raises
    ------
    DataError
        If no patient was still under observation at the time of an outcome, or up to the horizon
        where an outcome is unknown.

    Examples
    --------
    >>> outcome = known_outcome([1.0, 2.0, 2.0, 3.0], [0, 1, 0, 1], 2.0)
    >>> outcome.happened, outcome.weight.round(3), outcome.event_rate.round(3)
    (array([False,  True, False, False]), array([0.   , 1.333, 1.333, 1.333]), np.float64(0.333))
    """
    time, kind = np.asarray(time_days, dtype=np.float64), np.asarray(event)
    count = np.ones(len(time)) if counts is None else counts
    if censoring is None:
        censoring = CensoringDistribution.fit(time, kind, counts=counts)
    weight = count * ipcw_weights(time, kind, horizon_days, censoring)
    return KnownOutcome((kind == 1) & (time <= horizon_days), weight, count)


def pseudo_outcome(
    pseudo_values: ArrayLike, *, counts: NDArray[np.float64] | None = None
) -> KnownOutcome:
    """Return pseudo-values as an outcome that is known for every patient.

    For the metrics of calibration, which need only its means. They then need no weights, and
    depend only on the Aalen-Johansen estimate among these patients.

    Parameters
    ----------
    pseudo_values : array-like of float, shape (n_patients,)
        From `pseudo_values.pseudo_values`, of these patients.
    counts : ndarray of float, shape (n_patients,) or (n_patients, n_resamples), optional
        How often each patient occurs in each bootstrap resample (default: once).

    Returns
    -------
    KnownOutcome
        `happened` holds the pseudo-values, and `event_rate` is their mean.

    Examples
    --------
    >>> pseudo_outcome([1.2, -0.1, 0.4]).event_rate
    np.float64(0.5)
    """
    value: Any = np.asarray(pseudo_values, dtype=np.float64)
    count = np.ones(len(value)) if counts is None else counts
    return KnownOutcome(value, count, count)


def why_not_evaluable(
    time_days: ArrayLike,
    event: ArrayLike,
    horizon_days: float,
    censoring: CensoringDistribution,
    *,
    groups: ArrayLike | None = None,
) -> str:
    """Return why metrics cannot be computed at a horizon, in words; "" where they can.

    Parameters
    ----------
    time_days, event, horizon_days, censoring
        As in `known_outcome`.
    groups : array-like, shape (n_stays,), optional
        Patient of each stay, counted once (default: each stay is a patient).

    Returns
    -------
    str
        Names no count and no value.

    Raises
    ------
    DataError
        If a stay has no patient.

    Examples
    --------
    >>> time, event = [1.0, 2.0, 2.0, 3.0], [0, 1, 0, 1]
    >>> why_not_evaluable(time, event, 2.0, CensoringDistribution.fit(time, event))
    'needs 10 patients with and 10 without the event; one or both are fewer'
    """
    time, kind = np.asarray(time_days, dtype=np.float64), np.asarray(event)
    happened = (kind == 1) & (time <= horizon_days)
    did_not = is_known(time, kind, horizon_days) & ~happened
    patient = patient_codes(groups, len(time))
    yes, no = (len(np.unique(patient[stays])) for stays in (happened, did_not))
    return why_too_few(yes, no, censoring, horizon_days)


def why_too_few(
    with_event: int, without_event: int, censoring: CensoringDistribution, horizon_days: float
) -> str:
    """Return `why_not_evaluable` from the numbers of patients with and without the event."""
    if min(with_event, without_event) < MIN_EVENTS:
        return (
            f"needs {MIN_EVENTS} patients with and {MIN_EVENTS} without the event; "
            "one or both are fewer"
        )
    if censoring.lowest_before(horizon_days) < LOWEST_OBSERVED_SHARE:
        return f"under {LOWEST_OBSERVED_SHARE:.0%} are still observed at this horizon"
    return ""
