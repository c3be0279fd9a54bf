"""The two scores of the neutral comparison, as its authors compute them (R: mlr3proba)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from models.metrics.discrimination.concordance import harrell_c
from models.metrics.overall.survival_curves import cumulative_incidence

__all__ = ["SurvivalTimes", "isbs", "judged_times", "kaplan_meier_isbs", "ordered_c"]

LARGEST_SHARE_GONE = 0.8
SMALLEST_G = 0.001
R_DIGITS = 15

_Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class SurvivalTimes:
    """Times and events of some patients, with one event and censoring.

    Parameters
    ----------
    time : ndarray of float, shape (n_patients,)
        Time to the event or to censoring, > 0, in any unit.
    event : ndarray of int, shape (n_patients,)
        1 the event, 0 censored.
    """

    time: _Floats
    event: NDArray[np.int64]

    def take(self, rows: NDArray[np.bool_]) -> SurvivalTimes:
        """Return the times of some of the patients."""
        return SurvivalTimes(self.time[rows], self.event[rows])

    def observed_after(self, at: _Floats) -> _Floats:
        """Return the Kaplan-Meier probability of censoring later than each time."""
        return 1 - cumulative_incidence(self.time, 1 - self.event, at)


def judged_times(time: _Floats) -> _Floats:
    """Return the times over which the Brier score is integrated.

    Parameters
    ----------
    time : ndarray of float, shape (n_patients,)
        Observed times of the held-out patients.

    Returns
    -------
    ndarray of float, shape (n_times,)
        The distinct times up to the first that more than 80 % of the patients did not reach.
    """
    times = np.unique(time)
    gone = np.searchsorted(np.sort(time), times, side="left") / len(time)
    beyond = np.flatnonzero(gone > LARGEST_SHARE_GONE)
    return times[: beyond[0] + 1] if len(beyond) else times


def isbs(train: SurvivalTimes, test: SurvivalTimes, risk: _Floats, times: _Floats) -> float:
    r"""Return the integrated survival Brier score; lower is better.

    Parameters
    ----------
    train : SurvivalTimes
        The patients learned from: their censoring gives the weights.
    test : SurvivalTimes
        The held-out patients.
    risk : ndarray of float, shape (n_test, n_times)
        Predicted probability of the event by each time.
    times : ndarray of float, shape (n_times,)
        As `judged_times` returns them.

    Returns
    -------
    float
        NaN if there are fewer than two times.

    Notes
    -----
    :math:`B(t) = \frac1n \sum_i \left( \frac{S_i(t)^2\, 1\{T_i \le t, \delta_i = 1\}}{G(T_i)}
    + \frac{(1 - S_i(t))^2\, 1\{T_i > t\}}{G(t)} \right)` with the right-continuous Kaplan-Meier
    curve G of the censoring of the training patients, at least 0.001; the trapezoid integral of B
    over the times, divided by their span [1]_ [2]_.

    References
    ----------
    .. [1] Graf et al. Stat Med 18 (1999) 2529-2545.
       doi:10.1002/(SICI)1097-0258(19990915/30)18:17/18<2529::AID-SIM274>3.0.CO;2-5
    .. [2] Burk et al. arXiv 2406.04098v2 (2026).
    """
    if len(times) < 2:
        return float("nan")
    at_event, at_time = (
        np.maximum(train.observed_after(at), SMALLEST_G) for at in (test.time, times)
    )
    score = np.empty(len(times))
    for column, time in enumerate(times):
        by_then = risk[:, column]
        happened = (test.time <= time) & (test.event == 1)
        beyond = test.time > time
        score[column] = (
            ((1 - by_then[happened]) ** 2 / at_event[happened]).sum()
            + (by_then[beyond] ** 2).sum() / at_time[column]
        ) / len(test.time)
    return float(np.trapezoid(score, times) / (times[-1] - times[0]))


def ordered_c(test: SurvivalTimes, ranking: _Floats) -> float:
    """Return Harrell's C over the pairs of different times; higher is better.

    A pair counts if the patient with the shorter time had the event. Patients of the same time are
    never compared, where `harrell_c` counts an event as earlier than a censoring of the same time:
    the published scores of Cox models come out again only without these pairs.

    Parameters
    ----------
    test : SurvivalTimes
        The held-out patients.
    ranking : ndarray of float, shape (n_test,)
        Higher for an earlier event; equal values count half.

    Returns
    -------
    float
        NaN where no two patients can be compared.
    """
    order = np.unique(test.time, return_inverse=True)[1]
    # A censoring moves before the events of its time, so that it is never the later of a pair.
    return float(harrell_c(2 * order + (test.event == 1), test.event, ranking))


def kaplan_meier_isbs(train: SurvivalTimes, test: SurvivalTimes) -> float:
    """Return the score of the training patients' Kaplan-Meier curve, as published to 6 decimals.

    R names the columns of a matrix of curves by their times, with 15 significant digits, and reads
    the times back from there. So a curve there steps up to 1e-15 beside its event; this decides the
    sixth decimal where test patients share the times of training patients.
    """
    times = judged_times(test.time)
    labels = np.array([float(f"{time:.{R_DIGITS}g}") for time in train.time])
    risk = cumulative_incidence(labels, train.event, times)
    return isbs(train, test, np.broadcast_to(risk, (len(test.time), len(times))), times)
