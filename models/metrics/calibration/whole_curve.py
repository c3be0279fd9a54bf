"""Calibration of whole predicted curves: D-calibration and AJ-calibration."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.stats import chi2

from models.metrics.overall.survival_curves import cumulative_incidence

__all__ = [
    "TENTHS",
    "DCalibrationTest",
    "aj_calibration",
    "d_calibration",
    "d_calibration_test",
    "mean_distance",
    "share_in_wrong_tenth",
    "tenths",
    "tenths_test",
]

TENTHS = 10
"""Equal parts of the predicted probability of being free of any event."""


@dataclass(frozen=True, slots=True)
class DCalibrationTest:
    """The chi-square test of D-calibration.

    Parameters
    ----------
    shares : tuple of float
        Share of the patients in each tenth, from those with an event while the predicted
        probability of being free of one was still above .9, to those below .1; .1 is ideal.
    statistic : float
        Pearson's chi-square, with `TENTHS` - 1 degrees of freedom.
    p_value : float
        Probability of a statistic as large if the curves were calibrated.
    """

    shares: tuple[float, ...]
    statistic: float
    p_value: float

    def as_json(self) -> dict[str, object]:
        """Return the test as a mapping, without the shares: they may be of few patients."""
        return {"statistic": self.statistic, "p_value": self.p_value}

    @property
    def sentence(self) -> str:
        """The result of the test, in words."""
        p = "p < 0.001" if self.p_value < 0.001 else f"p = {self.p_value:.3f}"
        return (
            f"D-calibration: chi-square {self.statistic:.1f} with {TENTHS - 1} degrees of freedom, "
            f"{p}. A small p says that events do not fall evenly over the tenths of the predicted "
            "curves."
        )


def d_calibration(
    time_days: ArrayLike,
    event: ArrayLike,
    curve_risk: ArrayLike,
    curve_days: ArrayLike,
    *,
    competing_curve: ArrayLike | None = None,
    counts: NDArray[np.float64] | None = None,
) -> NDArray[np.float64]:
    r"""Return the share of patients in the wrong tenth of their predicted curve (D-calibration).

    Lower is better; 0 is perfect. If curves are calibrated, a tenth of all patients have their
    event while their predicted probability of being free of it falls from 1 to .9, a tenth while
    it falls from .9 to .8, and so on.

    Parameters
    ----------
    time_days : array-like of float, shape (n_patients,)
        Time to the first event or to censoring.
    event : array-like of int, shape (n_patients,)
        0 censored, 1 the outcome, 2 the competing event.
    curve_risk : array-like of float, shape (n_patients, n_days)
        Predicted probability of the outcome by each day of the grid.
    curve_days : array-like of float, shape (n_days,)
        The grid, ascending. Predictions are interpolated linearly, from 0 at time zero.
    competing_curve : array-like of float, shape (n_patients, n_days), optional
        Predicted probability of the competing event. Where it is given, curve and event are those
        of either event, whichever is first: the curve of one cause alone never reaches 0, and its
        tenths would show that instead of calibration.
    counts : ndarray of float, shape (n_patients,) or (n_patients, n_resamples), optional
        How often each patient occurs in each bootstrap resample (default: once).

    Returns
    -------
    float, or ndarray of float, shape (n_resamples,)
        In [0, .9]. NaN with fewer than two days, or where a competing event occurred and
        `competing_curve` is not given.

    Notes
    -----
    :math:`\frac12 \sum_k |p_k - \frac1{10}|` with p the shares of the tenths. A patient censored
    where the predicted probability of being free of the event is s belongs to all tenths below s,
    in proportion to their width [1]_; one still observed at the end of the grid is censored there.
    Where few events are observed, the
    shares are therefore close to a tenth whatever the model [2]_.

    References
    ----------
    .. [1] Haider, Hoehn, Davis & Greiner. J Mach Learn Res 21 (2020) 85.
       https://jmlr.org/papers/v21/18-772.html
    .. [2] Simonsen & Waagepetersen. BMC Med Res Methodol 25 (2025) 236.
       doi:10.1186/s12874-025-02671-6

    Examples
    --------
    >>> d_calibration([10, 30, 50, 70], [1, 1, 1, 1], [[0.5, 1.0]] * 4, [50, 100]).round(2)
    np.float64(0.6)
    """
    inside = tenths(time_days, event, curve_risk, curve_days, competing_curve)
    count = np.ones(len(inside)) if counts is None else counts
    return share_in_wrong_tenth(inside.T @ count / count.sum(axis=0))


def share_in_wrong_tenth(shares: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return `d_calibration` from the share of the patients in each tenth, the first axis."""
    wrong: NDArray[np.float64] = np.abs(shares - 1 / TENTHS).sum(axis=0) / 2
    return wrong


def d_calibration_test(
    time_days: ArrayLike,
    event: ArrayLike,
    curve_risk: ArrayLike,
    curve_days: ArrayLike,
    *,
    competing_curve: ArrayLike | None = None,
) -> DCalibrationTest | None:
    r"""Return the chi-square test of D-calibration; None where `d_calibration` is undefined.

    The test takes each row as independent. It is conservative where many patients are censored,
    since their spread over the tenths is even by construction [2]_.

    Parameters
    ----------
    time_days, event, curve_risk, curve_days, competing_curve
        As in `d_calibration`.

    Notes
    -----
    :math:`\sum_k (N_k - N / 10)^2 / (N / 10)`, with 9 degrees of freedom [1]_.

    References
    ----------
    .. [1] Haider, Hoehn, Davis & Greiner. J Mach Learn Res 21 (2020) 85.
       https://jmlr.org/papers/v21/18-772.html
    .. [2] Simonsen & Waagepetersen. BMC Med Res Methodol 25 (2025) 236.
       doi:10.1186/s12874-025-02671-6

    Examples
    --------
    >>> test = d_calibration_test([10, 30, 50, 70], [1, 1, 1, 1], [[0.5, 1.0]] * 4, [50, 100])
    >>> test.statistic, round(test.p_value, 2)
    (6.0, 0.74)
    """
    inside = tenths(time_days, event, curve_risk, curve_days, competing_curve)
    return tenths_test(inside.sum(axis=0), len(inside))


def tenths_test(observed: NDArray[np.float64], stays: int) -> DCalibrationTest | None:
    """Return `d_calibration_test` from how many of the stays lie in each tenth."""
    if np.isnan(observed).any():
        return None
    expected = stays / TENTHS
    statistic = float(((observed - expected) ** 2 / expected).sum())
    return DCalibrationTest(
        shares=tuple(map(float, (observed / stays)[::-1])),
        statistic=statistic,
        p_value=float(chi2.sf(statistic, TENTHS - 1)),
    )


def aj_calibration(
    time_days: ArrayLike,
    event: ArrayLike,
    curve: ArrayLike,
    curve_days: ArrayLike,
    *,
    cause: int = 1,
    counts: NDArray[np.float64] | None = None,
) -> NDArray[np.float64]:
    r"""Return the mean distance of the average predicted curve from the observed one.

    AJ-calibration of one kind of event. Lower is better; 0 is perfect. On the scale of risk. It
    sees the level of the curves over the whole follow-up, not whether high and low risks are right.

    Parameters
    ----------
    time_days : array-like of float, shape (n_patients,)
        Time to the first event or to censoring.
    event : array-like of int, shape (n_patients,)
        0 censored, 1 the outcome, 2 the competing event.
    curve : array-like of float, shape (n_patients, n_days)
        Predicted probability of an event of kind `cause` by each day of the grid.
    curve_days : array-like of float, shape (n_days,)
        The grid, ascending; it should end where a good share of patients is still observed.
    cause : {1, 2}
        Which kind of event.
    counts : ndarray of float, shape (n_patients,) or (n_patients, n_resamples), optional
        How often each patient occurs in each bootstrap resample (default: once).

    Returns
    -------
    float, or ndarray of float, shape (n_resamples,)
        In [0, 1]. NaN without a day.

    Notes
    -----
    :math:`\frac1{t_m} \int_0^{t_m} |\bar F_k(t) - \hat F_k^{AJ}(t)|^\alpha\,dt` with
    :math:`\alpha = 1`, by the trapezoidal rule; the mean prediction is over all patients, and the
    Aalen-Johansen estimate is of the same patients [1]_.

    References
    ----------
    .. [1] Alberge, Haugomat, Varoquaux & Abecassis. On the calibration of survival models with
       competing risks. AISTATS (2026). arXiv:2602.00194

    Examples
    --------
    >>> aj_calibration([10, 20, 30, 40], [1, 0, 0, 0], [[0.35]] * 4, [15]).round(3)
    np.float64(0.05)
    """
    days = np.asarray(curve_days, dtype=np.float64)
    count = np.ones(len(np.asarray(time_days))) if counts is None else counts
    if len(days) == 0:
        return np.full(count.shape[1:], np.nan)[()]
    predicted = np.asarray(curve, dtype=np.float64).T @ count / count.sum(axis=0)
    observed = cumulative_incidence(time_days, event, days, cause=cause, counts=counts)
    return mean_distance(predicted, observed, days)


def mean_distance(
    predicted: NDArray[np.float64], observed: NDArray[np.float64], days: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Return `aj_calibration` from the mean predicted and the observed curve on the days."""
    distance = np.abs(predicted - observed)
    # Both curves start at 0 at time zero.
    from_zero = np.concatenate([np.zeros_like(distance[:1]), distance])
    mean: NDArray[np.float64] = np.trapezoid(from_zero, np.append(0.0, days), axis=0) / days[-1]
    return mean


def tenths(
    time_days: ArrayLike,
    event: ArrayLike,
    curve_risk: ArrayLike,
    curve_days: ArrayLike,
    competing_curve: ArrayLike | None,
) -> NDArray[np.float64]:
    """Return how much of each patient lies in each tenth, (n, TENTHS), the tenth from 0 first."""
    time, kind = np.asarray(time_days, dtype=np.float64), np.asarray(event)
    days = np.asarray(curve_days, dtype=np.float64)
    if len(days) < 2 or (competing_curve is None and (kind == 2).any()):
        return np.full((len(time), TENTHS), np.nan)
    risk = np.asarray(curve_risk, dtype=np.float64)
    either = risk if competing_curve is None else risk + np.asarray(competing_curve)
    free = 1 - _at_own_day(np.clip(either, 0, 1), days, np.minimum(time, days[-1]))
    lower = np.arange(TENTHS) / TENTHS
    # With an event: wholly in its tenth. Censored at probability s of being free of an event: in
    # each tenth with the share of [0, s] that the tenth covers.
    ended = (kind != 0) & (time <= days[-1])
    own = np.clip((free * TENTHS).astype(int), 0, TENTHS - 1)
    with np.errstate(invalid="ignore"):
        covered = np.clip(free[:, None] - lower, 0, 1 / TENTHS) / free[:, None]
    at_its_tenth = np.eye(TENTHS)[own]
    return np.where((ended | (free <= 0))[:, None], at_its_tenth, covered)


def _at_own_day(
    curve: NDArray[np.float64], days: NDArray[np.float64], at: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Return each patient's curve at that patient's own day, linear from 0 at time zero."""
    grid = np.append(0.0, days)
    from_zero = np.column_stack([np.zeros(len(curve)), curve])
    right = np.clip(np.searchsorted(grid, at, side="left"), 1, len(days))
    rows = np.arange(len(curve))
    before, after = from_zero[rows, right - 1], from_zero[rows, right]
    part = (at - grid[right - 1]) / (grid[right] - grid[right - 1])
    value: NDArray[np.float64] = before + part * (after - before)
    return value
