"""DeLong's standard error of an area under the curve, and of the difference between two."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.stats import norm, rankdata

from data_schema.errors import DataError

__all__ = [
    "DeLongInterval",
    "DeLongTest",
    "delong_covariance",
    "delong_interval",
    "delong_test",
]


@dataclass(frozen=True, slots=True)
class DeLongInterval:
    """An area under the curve, its standard error and its interval."""

    auroc: float
    standard_error: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class DeLongTest:
    """Two areas under the curve of the same patients; `difference` is first minus second."""

    first: float
    second: float
    difference: float
    standard_error: float
    low: float
    high: float
    p_value: float


def delong_covariance(
    happened: ArrayLike, risks: ArrayLike
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    r"""Return areas under the curve of several risks and their covariance.

    Does not adjust for censoring: every outcome at the horizon must be known. Otherwise use `auroc`
    and resample.

    Parameters
    ----------
    happened : array-like of bool, shape (n_patients,)
        Whether the event happened by the horizon.
    risks : array-like of float, shape (n_patients, n_models)
        Predicted risks; only their order matters.

    Returns
    -------
    auroc : ndarray of float, shape (n_models,)
        Area under each curve.
    covariance : ndarray of float, shape (n_models, n_models)
        Of the areas.

    Raises
    ------
    DataError
        If fewer than two patients have, or have not, the event.

    Notes
    -----
    The covariance of the mean placements of events among non-events and of non-events among events
    [1]_, taken from midranks in O(n log n) [2]_.

    References
    ----------
    .. [1] DeLong, DeLong & Clarke-Pearson. Biometrics 44 (1988) 837-845. doi:10.2307/2531595
    .. [2] Sun & Xu. IEEE Signal Process Lett 21 (2014) 1389-1393. doi:10.1109/LSP.2014.2337313

    Examples
    --------
    >>> auroc, covariance = delong_covariance([1, 1, 0, 0], [[0.6], [0.3], [0.4], [0.1]])
    >>> auroc, covariance
    (array([0.75]), array([[0.125]]))
    """
    had_event = np.asarray(happened, dtype=bool)
    score = np.asarray(risks, dtype=np.float64)
    n_events, n_without = int(had_event.sum()), int((~had_event).sum())
    if min(n_events, n_without) < 2:
        raise DataError(
            "happened must hold at least 2 patients with and 2 without the event; "
            f"{n_events} have it and {n_without} do not. Use a larger cohort."
        )
    # Placements: V_i = (R_i - R_i among events) / n_without is the share of the others that event i
    # outranks, ties counting one half (mid-ranks R), and W_j the same of one without the event; the
    # area is the mean of V, its covariance cov(V) / n_events + cov(W) / n_without.
    overall = rankdata(score, axis=0)
    of_events = (overall[had_event] - rankdata(score[had_event], axis=0)) / n_without
    of_others = 1.0 - (overall[~had_event] - rankdata(score[~had_event], axis=0)) / n_events
    covariance = (
        np.cov(of_events, rowvar=False) / n_events + np.cov(of_others, rowvar=False) / n_without
    )
    return of_events.mean(axis=0), np.atleast_2d(covariance)


def delong_interval(happened: ArrayLike, risk: ArrayLike, *, level: float = 0.95) -> DeLongInterval:
    """Return the area under the curve with DeLong's interval.

    Higher is better; 0.5 is chance. Does not adjust for censoring.

    Parameters
    ----------
    happened : array-like of bool, shape (n_patients,)
        Whether the event happened by the horizon.
    risk : array-like of float, shape (n_patients,)
        Predicted risk; only its order matters.
    level : float
        Coverage of the interval.

    Returns
    -------
    DeLongInterval
        Normal approximation, cut off at 0 and 1.

    Examples
    --------
    >>> interval = delong_interval([1, 1, 0, 1, 0, 0], [0.9, 0.6, 0.7, 0.8, 0.3, 0.1])
    >>> round(interval.auroc, 3), round(interval.low, 3), round(interval.high, 3)
    (0.889, 0.581, 1.0)
    """
    auroc, covariance = delong_covariance(happened, np.asarray(risk, dtype=np.float64)[:, None])
    error = float(np.sqrt(covariance[0, 0]))
    half = float(norm.ppf(0.5 + level / 2)) * error
    area = float(auroc[0])
    return DeLongInterval(area, error, max(area - half, 0.0), min(area + half, 1.0))


def delong_test(
    happened: ArrayLike, first: ArrayLike, second: ArrayLike, *, level: float = 0.95
) -> DeLongTest:
    """Return the paired difference of two areas under the curve, its interval and p-value.

    A positive difference favours `first`. Does not adjust for censoring.

    Parameters
    ----------
    happened : array-like of bool, shape (n_patients,)
        Whether the event happened by the horizon.
    first, second : array-like of float, shape (n_patients,)
        Predicted risks of the same patients.
    level : float
        Coverage of the interval.

    Returns
    -------
    DeLongTest
        The two-sided p-value is 1 when both rank every pair alike.

    Examples
    --------
    >>> result = delong_test([1, 1, 0, 0, 1, 0], [6, 5, 4, 1, 3, 2], [3, 5, 6, 1, 4, 2])
    >>> round(result.difference, 3), round(result.p_value, 3)
    (0.222, 0.371)
    """
    risks = np.column_stack([np.asarray(first, dtype=float), np.asarray(second, dtype=float)])
    auroc, covariance = delong_covariance(happened, risks)
    difference = float(auroc[0] - auroc[1])
    variance = float(covariance[0, 0] + covariance[1, 1] - 2 * covariance[0, 1])
    error = float(np.sqrt(max(variance, 0.0)))
    half = float(norm.ppf(0.5 + level / 2)) * error
    p_value = 2 * float(norm.sf(abs(difference) / error)) if error > 0 else 1.0
    return DeLongTest(
        first=float(auroc[0]),
        second=float(auroc[1]),
        difference=difference,
        standard_error=error,
        low=difference - half,
        high=difference + half,
        p_value=p_value,
    )
