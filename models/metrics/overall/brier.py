"""Brier score, IPA and their integrals: calibration and discrimination in one number."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from models.censoring import CensoringDistribution, ipcw_weights
from models.metrics.known_outcome import KnownOutcome
from models.metrics.overall.survival_curves import cumulative_incidence

__all__ = ["brier", "integrated_brier", "integrated_ipa", "ipa"]


def brier(outcome: KnownOutcome, risk: ArrayLike) -> NDArray[np.float64]:
    r"""Return the Brier score, the mean squared distance of risk and outcome.

    Lower is better; 0 is perfect, and the event rate p given to every patient scores p(1 - p).

    Parameters
    ----------
    outcome : KnownOutcome
        What is known at the horizon, weighted for censoring.
    risk : array-like of float, shape (n_patients,)
        Predicted probability of the event by the horizon, in [0, 1].

    Returns
    -------
    float, or ndarray of float, shape (n_resamples,)
        In [0, 1] without censoring.

    Notes
    -----
    :math:`\frac1n \sum_i w_i (y_i - r_i)^2` with inverse-probability-of-censoring weights [1]_,
    where a competing event by the horizon is y = 0.

    References
    ----------
    .. [1] Graf et al. Stat Med 18 (1999) 2529-2545.
       doi:10.1002/(SICI)1097-0258(19990915/30)18:17/18<2529::AID-SIM274>3.0.CO;2-5

    Examples
    --------
    >>> from models.metrics.known_outcome import known_outcome
    >>> outcome = known_outcome([5, 8, 20, 30], [1, 1, 0, 0], horizon_days=10)
    >>> brier(outcome, [0.6, 0.3, 0.4, 0.1])
    np.float64(0.205)
    """
    squared = (outcome.happened - np.asarray(risk, dtype=np.float64)) ** 2
    score: NDArray[np.float64] = (squared @ outcome.weight) / outcome.count.sum(axis=0)
    return score


def ipa(outcome: KnownOutcome, risk: ArrayLike) -> NDArray[np.float64]:
    r"""Return the index of prediction accuracy (scaled Brier score).

    Higher is better; 1 is perfect, 0 no better than the observed event rate (Kaplan-Meier or
    Aalen-Johansen) given to every patient, and it can be negative.

    Parameters
    ----------
    outcome : KnownOutcome
        What is known at the horizon, weighted for censoring.
    risk : array-like of float, shape (n_patients,)
        Predicted probability of the event by the horizon, in [0, 1].

    Returns
    -------
    float, or ndarray of float, shape (n_resamples,)
        NaN where no patient has the event, or all have it.

    Notes
    -----
    :math:`1 - \mathrm{Brier} / (p (1 - p))` with p the observed event rate [1]_.

    References
    ----------
    .. [1] Kattan & Gerds. Diagn Progn Res 2 (2018) 7. doi:10.1186/s41512-018-0029-2

    Examples
    --------
    >>> from models.metrics.known_outcome import known_outcome
    >>> outcome = known_outcome([5, 8, 20, 30], [1, 1, 0, 0], horizon_days=10)
    >>> ipa(outcome, [0.6, 0.3, 0.4, 0.1]).round(2)
    np.float64(0.18)
    """
    rate = outcome.event_rate
    null = rate * (1 - rate)
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.where(null > 0, 1 - brier(outcome, risk) / null, np.nan)[()]


def integrated_brier(
    time_days: ArrayLike,
    event: ArrayLike,
    curve_risk: ArrayLike,
    curve_days: ArrayLike,
    *,
    counts: NDArray[np.float64] | None = None,
    censoring: CensoringDistribution | None = None,
) -> NDArray[np.float64]:
    r"""Return the Brier score averaged over a grid of days.

    Lower is better. Depends on the grid: compare models on one grid, which should end where a good
    share of patients is still under observation.

    Parameters
    ----------
    time_days : array-like of float, shape (n_patients,)
        Time to the first event or to censoring.
    event : array-like of int, shape (n_patients,)
        0 censored, 1 the outcome, 2 the competing event.
    curve_risk : array-like of float, shape (n_patients, n_days)
        Predicted probability of the event by each day of the grid.
    curve_days : array-like of float, shape (n_days,)
        The grid, strictly ascending, at least two days.
    counts : ndarray of float, shape (n_patients,) or (n_patients, n_resamples), optional
        How often each patient occurs in each bootstrap resample (default: once).
    censoring : CensoringDistribution, optional
        Fitted on these patients with these counts (default: fitted here).

    Returns
    -------
    float, or ndarray of float, shape (n_resamples,)
        In [0, 1] without censoring; NaN of a resample without patients.

    Raises
    ------
    ValueError
        If the grid is not strictly ascending or has fewer than two days.

    Notes
    -----
    :math:`\frac{1}{t_m - t_1} \int_{t_1}^{t_m} \mathrm{Brier}(t)\,dt` by the trapezoidal rule [1]_.

    References
    ----------
    .. [1] Graf et al. Stat Med 18 (1999) 2529-2545.
       doi:10.1002/(SICI)1097-0258(19990915/30)18:17/18<2529::AID-SIM274>3.0.CO;2-5

    Examples
    --------
    >>> integrated_brier([5, 8, 20, 30], [1, 1, 0, 0], [[0.5, 0.6]] * 4, [6, 10])
    np.float64(0.255)
    """
    time, kind = np.asarray(time_days, dtype=np.float64), np.asarray(event)
    days = np.asarray(curve_days, dtype=np.float64)
    step = np.diff(days)
    if len(days) < 2 or (step <= 0).any():
        raise ValueError(
            f"curve_days must be at least two ascending days; got {len(days)}. Give a finer grid."
        )
    count = np.ones(len(time)) if counts is None else counts
    if censoring is None:
        censoring = CensoringDistribution.fit(time, kind, counts=counts)
    # Trapezoids: day j counts for (t_{j+1} - t_{j-1}) / (2 (t_m - t_1)), an end for half a step.
    share = (np.append(step, 0) + np.append(0, step)) / (2 * (days[-1] - days[0]))
    # An event counts from its time on, always with 1/G(T-); only a survivor's weight 1/G(t-)
    # depends on the day. So events are summed over days before the resamples are looked at.
    risk = np.asarray(curve_risk, dtype=np.float64)
    over = (kind[:, None] != 0) & (time[:, None] <= days)
    of_events = np.where(over, ((kind == 1)[:, None] - risk) ** 2, 0.0) @ share
    survivors = np.where(~over & (time[:, None] >= days), risk**2, 0.0)
    weight = count * ipcw_weights(time, kind, days[-1], censoring)
    inside = censoring.survival_before(days).T
    at_grid = np.divide(
        (survivors.T @ count).T,
        inside,
        out=np.zeros((*count.shape[1:], len(days))),
        where=inside > 0,
    )
    with np.errstate(invalid="ignore"):
        score: NDArray[np.float64] = (of_events @ weight + at_grid @ share) / count.sum(axis=0)
    return score


def integrated_ipa(
    time_days: ArrayLike,
    event: ArrayLike,
    curve_risk: ArrayLike,
    curve_days: ArrayLike,
    *,
    counts: NDArray[np.float64] | None = None,
    censoring: CensoringDistribution | None = None,
) -> NDArray[np.float64]:
    r"""Return the index of prediction accuracy over a grid of days: the scaled integrated Brier.

    Higher is better; 1 is perfect, 0 no better than the observed cumulative incidence given to
    every patient, and it can be negative. Depends less on the grid than `integrated_brier`, and
    compares cohorts of different event rates.

    Parameters
    ----------
    time_days, event, curve_risk, curve_days, counts, censoring
        As in `integrated_brier`.

    Returns
    -------
    float, or ndarray of float, shape (n_resamples,)
        NaN where no patient has the event by the last day.

    Raises
    ------
    ValueError
        If the grid is not strictly ascending or has fewer than two days.

    Notes
    -----
    :math:`1 - \int \mathrm{Brier}(t)\,dt / \int F(t)(1 - F(t))\,dt` with the Aalen-Johansen F
    [1]_, both by the trapezoidal rule.

    References
    ----------
    .. [1] Kattan & Gerds. Diagn Progn Res 2 (2018) 7. doi:10.1186/s41512-018-0029-2

    Examples
    --------
    >>> integrated_ipa([5, 8, 20, 30], [1, 1, 0, 0], [[0.5, 0.6]] * 4, [6, 10]).round(3)
    np.float64(-0.166)
    """
    days = np.asarray(curve_days, dtype=np.float64)
    score = integrated_brier(time_days, event, curve_risk, days, counts=counts, censoring=censoring)
    rate = cumulative_incidence(time_days, event, days, counts=counts)
    null = np.trapezoid(rate * (1 - rate), days, axis=0) / (days[-1] - days[0])
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.where(null > 0, 1 - score / null, np.nan)[()]
