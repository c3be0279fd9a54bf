"""Observed cumulative incidence."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

__all__ = ["cumulative_incidence"]


def cumulative_incidence(
    time_days: ArrayLike,
    event: ArrayLike,
    at_days: ArrayLike,
    *,
    cause: int = 1,
    counts: NDArray[np.float64] | None = None,
) -> NDArray[np.float64]:
    r"""Return the Aalen-Johansen probability of an event of one kind by each day.

    Without competing events it is one minus Kaplan-Meier. With them one minus Kaplan-Meier is too
    high, since it treats those who died as if they could still have the event.

    Parameters
    ----------
    time_days : array-like of float, shape (n_patients,)
        Time to the first event or to censoring.
    event : array-like of int, shape (n_patients,)
        0 censored, 1 the outcome, 2 the competing event.
    at_days : array-like of float, shape (n_days,)
        Days from time zero.
    cause : {1, 2}
        Which kind of event.
    counts : ndarray of float, shape (n_patients,) or (n_patients, n_resamples), optional
        How often each patient occurs in each bootstrap resample (default: once).

    Returns
    -------
    ndarray of float, shape (n_days,) or (n_days, n_resamples)
        Constant beyond the last observed day.

    Notes
    -----
    :math:`F_k(t) = \sum_{u \le t} S(u-)\, d_k(u) / Y(u)` [1]_.

    References
    ----------
    .. [1] Aalen & Johansen. Scand J Stat 5 (1978) 141-150. https://www.jstor.org/stable/4615704

    Examples
    --------
    >>> cumulative_incidence([1, 2, 2, 3], [2, 1, 0, 1], [1, 2, 3])
    array([0.  , 0.25, 0.75])
    """
    times, at_risk, events = _table(time_days, event, counts)
    survival = np.cumprod(1 - _hazard(events[0] + events[1], at_risk), axis=0)
    before = np.concatenate([np.ones_like(survival[:1]), survival[:-1]])
    incidence = np.cumsum(before * _hazard(events[cause - 1], at_risk), axis=0)
    steps = np.concatenate([np.zeros_like(incidence[:1]), incidence])
    at: NDArray[np.float64] = steps[np.searchsorted(times, np.asarray(at_days), side="right")]
    return at


def _table(
    time_days: ArrayLike, event: ArrayLike, counts: NDArray[np.float64] | None
) -> tuple[NDArray[np.float64], NDArray[np.float64], list[NDArray[np.float64]]]:
    """Return the observed times, patients at risk just before, and events of kinds 1 and 2."""
    time, kind = np.asarray(time_days, dtype=np.float64), np.asarray(event)
    order = np.argsort(time, kind="stable")
    count = (np.ones(len(time)) if counts is None else counts)[order]
    times, start = np.unique(time[order], return_index=True)
    leaving = np.add.reduceat(count, start, axis=0)
    events = [np.add.reduceat((count.T * (kind[order] == k)).T, start, axis=0) for k in (1, 2)]
    return times, np.cumsum(leaving[::-1], axis=0)[::-1], events


def _hazard(events: NDArray[np.float64], at_risk: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return events per patient at risk, 0 where no patient of a resample is left."""
    return np.divide(events, at_risk, out=np.zeros_like(at_risk), where=at_risk > 0)
