"""Calibration: whether about 20 of 100 patients given a risk of 20 % have the event."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import logit

from models.metrics.calibration.logistic import expit, weighted_logistic
from models.metrics.known_outcome import KnownOutcome

__all__ = [
    "KNOT_QUANTILES",
    "RISK_FLOOR",
    "CalibrationError",
    "Recalibration",
    "calibration_error",
    "calibration_intercept",
    "calibration_slope",
    "log_odds",
    "oe_ratio",
    "recalibration",
    "smoothed_risk",
]

RISK_FLOOR = 1e-6
"""Risks are clipped to this distance from 0 and 1 before their log-odds are taken."""

KNOT_QUANTILES = (0.05, 0.35, 0.65, 0.95)
"""Where the calibration curve may bend: Harrell's four knots, in quantiles of the log-odds."""


@dataclass(frozen=True, slots=True)
class CalibrationError:
    """Mean (`ici`), median (`e50`) and 90th percentile (`e90`) of an absolute difference.

    It is that of observed and predicted risk.
    """

    ici: NDArray[np.float64]
    e50: NDArray[np.float64]
    e90: NDArray[np.float64]


def log_odds(risk: ArrayLike) -> NDArray[np.float64]:
    """Return the log-odds of risks, clipped to `RISK_FLOOR` from 0 and 1.

    >>> log_odds([0.0, 0.5]).round(2)
    array([-13.82,   0.  ])
    """
    odds: NDArray[np.float64] = logit(np.clip(np.asarray(risk, float), RISK_FLOOR, 1 - RISK_FLOOR))
    return odds


def oe_ratio(outcome: KnownOutcome, risk: ArrayLike) -> NDArray[np.float64]:
    r"""Return the ratio of observed to expected events at the horizon.

    Best at 1. Above 1 the risks are too low on average, below 1 too high.

    Parameters
    ----------
    outcome : KnownOutcome
        What is known at the horizon, weighted for censoring.
    risk : array-like of float, shape (n_patients,)
        Predicted probability of the event by the horizon, in [0, 1].

    Returns
    -------
    float, or ndarray of float, shape (n_resamples,)
        Infinite where every risk is 0.

    Notes
    -----
    :math:`\hat F^{AJ}(h) / \bar r`: the Aalen-Johansen estimate (Kaplan-Meier without competing
    events) over the mean risk of all patients, those lost before the horizon included [1]_.

    References
    ----------
    .. [1] van Geloven et al. BMJ 377 (2022) e069249. doi:10.1136/bmj-2021-069249

    Examples
    --------
    >>> from models.metrics.known_outcome import known_outcome
    >>> outcome = known_outcome([5, 8, 20, 30], [1, 1, 0, 0], horizon_days=10)
    >>> oe_ratio(outcome, [0.6, 0.3, 0.4, 0.3])
    np.float64(1.25)
    """
    expected = np.asarray(risk, dtype=np.float64) @ outcome.count / outcome.count.sum(axis=0)
    with np.errstate(divide="ignore", invalid="ignore"):
        ratio: NDArray[np.float64] = outcome.event_rate / expected
    return ratio


def calibration_intercept(outcome: KnownOutcome, risk: ArrayLike) -> NDArray[np.float64]:
    r"""Return the calibration intercept (calibration in the large) in log-odds.

    Best at 0. Above 0 the risks are too low on average, below 0 too high.

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
    The a of :math:`\mathrm{logit} P(y = 1) = a + \mathrm{logit}(r)`, a logistic regression weighted
    for censoring; the slope is held at 1 [1]_.

    References
    ----------
    .. [1] van Calster et al. BMC Med 17 (2019) 230. doi:10.1186/s12916-019-1466-7

    Examples
    --------
    >>> from models.metrics.known_outcome import known_outcome
    >>> outcome = known_outcome([5, 8, 20, 30], [1, 1, 0, 0], horizon_days=10)
    >>> calibration_intercept(outcome, [0.2, 0.2, 0.2, 0.2]).round(4)  # log 4
    np.float64(1.3863)
    """
    odds = log_odds(risk)
    coefficients, settled = weighted_logistic(np.ones((len(odds), 1)), outcome, offset=odds)
    return np.where(settled, coefficients[0], np.nan)[()]


@dataclass(frozen=True, slots=True)
class Recalibration:
    """The a and b of logit P(y = 1) = a + b logit(r), and whether they converged.

    `coefficients` has shape (2,) or (2, n_resamples), `settled` () or (n_resamples,).
    """

    coefficients: NDArray[np.float64]
    settled: NDArray[np.bool_]


def recalibration(outcome: KnownOutcome, risk: ArrayLike) -> Recalibration:
    """Return the logistic recalibration of risks, weighted for censoring.

    Parameters
    ----------
    outcome, risk
        As in `calibration_slope`.
    """
    odds = log_odds(risk)
    design = np.column_stack([np.ones(len(odds)), odds])
    return Recalibration(*weighted_logistic(design, outcome, identity=1))


def calibration_slope(
    outcome: KnownOutcome, risk: ArrayLike, *, recalibrated: Recalibration | None = None
) -> NDArray[np.float64]:
    r"""Return the calibration slope.

    Best at 1. Below 1 the risks are too extreme (overfitting), above 1 not extreme enough.

    Parameters
    ----------
    outcome : KnownOutcome
        What is known at the horizon, weighted for censoring.
    risk : array-like of float, shape (n_patients,)
        Predicted probability of the event by the horizon, in [0, 1].
    recalibrated : Recalibration, optional
        Of the same outcome and risks (default: fitted here).

    Returns
    -------
    float, or ndarray of float, shape (n_resamples,)
        NaN where risk separates those with the event from the others, or is the same for all.

    Notes
    -----
    The b of :math:`\mathrm{logit} P(y = 1) = a + b\,\mathrm{logit}(r)`, a logistic regression
    weighted for censoring [1]_.

    References
    ----------
    .. [1] van Calster et al. BMC Med 17 (2019) 230. doi:10.1186/s12916-019-1466-7

    Examples
    --------
    >>> from models.metrics.known_outcome import known_outcome
    >>> outcome = known_outcome([5, 8, 20, 30, 6, 40], [1, 1, 0, 0, 1, 0], horizon_days=10)
    >>> calibration_slope(outcome, [0.6, 0.3, 0.4, 0.1, 0.7, 0.5]).round(3)
    np.float64(1.405)
    """
    fitted = recalibrated or recalibration(outcome, risk)
    return np.where(fitted.settled, fitted.coefficients[1], np.nan)[()]


def smoothed_risk(
    outcome: KnownOutcome,
    risk: ArrayLike,
    at_risk: ArrayLike,
    *,
    knots: NDArray[np.float64] | None = None,
) -> NDArray[np.float64]:
    r"""Return the observed risk among patients given each predicted risk: the calibration curve.

    Best on the diagonal.

    Parameters
    ----------
    outcome : KnownOutcome
        What is known at the horizon, weighted for censoring.
    risk : array-like of float, shape (n_patients,)
        Predicted probability of the event by the horizon, in [0, 1].
    at_risk : array-like of float, shape (n_points,)
        Predicted risks at which the curve is wanted.
    knots : ndarray of float, optional
        Distinct log-odds at which the curve may bend (default: the quantiles of the rows).

    Returns
    -------
    ndarray of float, shape (n_points,) or (n_points, n_resamples)
        NaN where no curve fits; a step where risk separates the outcomes.

    Notes
    -----
    A logistic regression weighted for censoring on a restricted cubic spline of the log-odds of
    risk with four knots (`KNOT_QUANTILES`), after [1]_, whose regression model for the hazard it
    replaces by one for the risk at the horizon, so that it serves competing events as well. Equal
    knots are merged; with fewer than three the curve is a straight line in log-odds, and with one
    risk for all it is flat.

    References
    ----------
    .. [1] Austin, Harrell & van Klaveren. Stat Med 39 (2020) 2714-2742. doi:10.1002/sim.8570

    Examples
    --------
    >>> from models.metrics.known_outcome import known_outcome
    >>> outcome = known_outcome([5, 8, 20, 30], [1, 1, 0, 0], horizon_days=10)
    >>> smoothed_risk(outcome, [0.2, 0.2, 0.2, 0.2], [0.2]).round(4)
    array([0.5])
    """
    odds = log_odds(risk)
    if knots is None:
        knots = np.unique(np.quantile(odds, KNOT_QUANTILES))
    n_terms = None if np.ptp(odds) > 0 else 1
    design = _spline(odds, knots)[:, :n_terms]
    coefficients, _ = weighted_logistic(design, outcome, identity=None if n_terms else 1)
    curve: NDArray[np.float64] = expit(
        np.tensordot(
            _spline(log_odds(at_risk), knots)[:, :n_terms],
            coefficients,
            axes=1,
        )
    )
    return curve


def calibration_error(
    outcome: KnownOutcome, risk: ArrayLike, *, knots: NDArray[np.float64] | None = None
) -> CalibrationError:
    r"""Return the mean, median and 90th percentile of the distance to the calibration curve.

    Lower is better; 0 is perfect. On the scale of risk. A curve fitted to few events wanders, so
    these are above 0 even for true risks, and more so in resamples (`evaluate` on its intervals).

    Parameters
    ----------
    outcome : KnownOutcome
        What is known at the horizon, weighted for censoring.
    risk : array-like of float, shape (n_patients,)
        Predicted probability of the event by the horizon, in [0, 1].
    knots : ndarray of float, optional
        As in `smoothed_risk`.

    Returns
    -------
    CalibrationError
        `ici`, `e50`, `e90`: each a float, or an ndarray of shape (n_resamples,).

    Notes
    -----
    :math:`|\hat o(r_i) - r_i|` over all patients, with the curve of `smoothed_risk` [1]_. Quantiles
    are linearly interpolated (R type 7).

    References
    ----------
    .. [1] Austin & Steyerberg. Stat Med 38 (2019) 4051-4065. doi:10.1002/sim.8281

    Examples
    --------
    >>> from models.metrics.known_outcome import known_outcome
    >>> outcome = known_outcome([5, 8, 20, 30], [1, 1, 0, 0], horizon_days=10)
    >>> calibration_error(outcome, [0.2, 0.2, 0.2, 0.2]).ici.round(4)
    np.float64(0.3)
    """
    predicted = np.asarray(risk, dtype=np.float64)
    curve = smoothed_risk(outcome, predicted, predicted, knots=knots)
    distance = np.abs(curve.T - predicted).T
    mean = (distance * outcome.count).sum(axis=0) / outcome.count.sum(axis=0)
    order = np.argsort(distance, axis=0)
    distance = np.take_along_axis(distance, order, axis=0)
    passed = np.cumsum(np.take_along_axis(outcome.count, order, axis=0), axis=0)
    e50, e90 = (_quantile(distance, passed, level) for level in (0.5, 0.9))
    return CalibrationError(mean, e50, e90)


def _quantile(
    ascending: NDArray[np.float64], passed: NDArray[np.float64], level: float
) -> NDArray[np.float64]:
    """Return a quantile of values repeated as often as `passed` (cumulative) counts them."""
    # R type 7: of n values the one at place h = level (n - 1) from 0, between its neighbours
    # x_floor(h) + (h - floor(h)) (x_ceil(h) - x_floor(h)); a value counted c times has c places.
    position = level * (passed[-1] - 1)
    below = np.floor(position)
    ends = [
        np.take_along_axis(ascending, np.argmax(passed > at, axis=0)[None], axis=0)[0]
        for at in (below, np.ceil(position))
    ]
    quantile: NDArray[np.float64] = ends[0] + (position - below) * (ends[1] - ends[0])
    return quantile


def _spline(odds: NDArray[np.float64], knots: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return intercept, linear and restricted cubic terms, the latter scaled as in R's rms."""
    # With knots k_1 < ... < l < k_m and (u)+ = max(u, 0), (k_m - k_1)^2 times the term of k_j is
    # (x - k_j)+^3 - ((x - l)+^3 (k_m - k_j) - (x - k_m)+^3 (l - k_j)) / (k_m - l).
    # Beyond k_m its cubic and square parts cancel, so the curve is straight there.
    columns = [np.ones(len(odds)), odds]
    for knot in knots[:-2] if len(knots) > 2 else ():
        cubes = [np.maximum(odds - at, 0) ** 3 for at in (knot, knots[-2], knots[-1])]
        gap = knots[-1] - knots[-2]
        tail = (cubes[1] * (knots[-1] - knot) - cubes[2] * (knots[-2] - knot)) / gap
        columns.append((cubes[0] - tail) / (knots[-1] - knots[0]) ** 2)
    return np.column_stack(columns)
