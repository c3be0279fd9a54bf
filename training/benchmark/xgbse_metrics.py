"""The metrics of xgbse for survival curves, which differ from ours, for its published table.

Written from the definitions in xgbse 0.3.3, which cannot be installed with numpy 2.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from data_schema.cohort import OutcomeData

__all__ = ["approximate_brier", "strict_c", "time_bins"]

Floats = NDArray[np.float64]


def time_bins(outcome: OutcomeData, *, size: int = 30) -> Floats:
    """Return whole days, evenly spread over the times with both censored patients and events.

    Parameters
    ----------
    outcome : OutcomeData
        Of the training patients.
    size : int
        Number of days.

    Returns
    -------
    ndarray of float, shape (size,)

    Examples
    --------
    >>> time_bins(OutcomeData("mortality", np.arange(1.0, 9.0), np.array([0, 1] * 4)), size=3)
    array([3., 4., 6.])
    """
    days = np.floor(outcome.time_days)
    censored, dead = days[outcome.event == 0], days[outcome.event == 1]
    first, last = max(censored.min(), dead.min()) + 1, min(censored.max(), dead.max()) - 1
    return np.floor(np.linspace(first, last, size))


def strict_c(outcome: OutcomeData, score: Floats) -> float:
    """Return the C index over pairs in which one had the event strictly before the other's time.

    Higher is better. `concordance.harrell_c` counts a patient censored on the day of the event as
    living longer; here such a pair is left out.

    Parameters
    ----------
    score : ndarray of float, shape (n_patients,)
        Higher for an earlier event.

    Returns
    -------
    float
        In [0, 1].

    Examples
    --------
    >>> strict_c(OutcomeData("mortality", np.array([1.0, 2, 2]), np.array([1, 1, 0])), [3.0, 1, 2])
    1.0
    """
    time, score = outcome.time_days, np.asarray(score, dtype=np.float64)
    had_event = outcome.event == 1
    later = time > time[had_event][:, None]
    ahead = score[had_event][:, None] - score
    agreeing = (later & (ahead > 0)).sum() + 0.5 * (later & (ahead == 0)).sum()
    return float(agreeing / later.sum())


def approximate_brier(outcome: OutcomeData, risk: Floats, days: Floats) -> float:
    r"""Return the mean over days of the Brier score, censoring weights read at the days only.

    Lower is better. The weight of an event is one over the censoring curve at the first of the days
    after it (the last day, if there is none), where `overall.integrated_brier` reads it just before
    the event.

    Parameters
    ----------
    outcome : OutcomeData
        Of the patients judged; their own censoring weighs them.
    risk : ndarray of float, shape (n_patients, n_days)
        Predicted probability of the event by each day.
    days : ndarray of float, shape (n_days,)
        Ascending.

    Notes
    -----
    :math:`\frac1{mn} \sum_{t,i} \frac{1\{T_i \le t, e_i\}(1 - r_i)^2}{G(t_{next}(T_i))} +
    \frac{1\{T_i > t\} r_i^2}{G(t)}` [1]_.

    References
    ----------
    .. [1] Haider et al. J Mach Learn Res 21 (2020) 85. arXiv:1811.11347
    """
    time, had_event = outcome.time_days[:, None], (outcome.event == 1)[:, None]
    still_observed = _censoring_curve(outcome, days)
    after = np.clip(np.searchsorted(days, time[:, 0], side="right"), 0, len(days) - 1)
    of_event = ((time <= days) & had_event) * (1 - risk) ** 2 / still_observed[after][:, None]
    of_survivor = (time > days) * risk**2 / still_observed
    return float((of_event + of_survivor).mean())


def _censoring_curve(outcome: OutcomeData, days: Floats) -> Floats:
    """Return the Kaplan-Meier curve of censoring, the events of its day still at risk."""
    times, place = np.unique(outcome.time_days, return_inverse=True)
    left, censored = np.bincount(place), np.bincount(place, weights=outcome.event == 0)
    at_risk = np.cumsum(left[::-1])[::-1]
    curve = np.append(1.0, np.cumprod(1 - censored / at_risk))
    at: Floats = curve[np.searchsorted(times, days, side="right")]
    return at
