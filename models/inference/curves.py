"""Curves of fitted parts: the risk with its interval, and the competing risk.

Part of every bundle's `model.py`: it imports only the standard library, numpy, pandas and xgboost.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from models.inference.contract import Contract
from models.inference.ensemble import Ensemble
from models.inference.matrices import expit
from models.inference.missing import Inferred
from models.inference.prediction import Curve

__all__ = [
    "GridDays",
    "IntervalWidth",
    "PredictedCurves",
    "competing_risk",
    "grid_days",
    "log_odds_with_interval",
]

CHUNK_ROWS = 4_000


class GridDays(NamedTuple):
    """The days of a model's grid and those requested, as `Ensemble.monotone` takes them."""

    all_days: np.ndarray
    on_grid: np.ndarray
    requested: np.ndarray


class IntervalWidth(NamedTuple):
    """How far the interval reaches on the logit scale at the h requested days.

    Attributes
    ----------
    t : float
        Standard errors from the estimate to an end.
    squared_bias : ndarray of float, shape (h,)
        Allowance for the bias of shrinkage, on average over the training cohort.
    center, spread : ndarray of float, shape (h,)
        Mean and variance of the log-odds in the training cohort.
    """

    t: float
    squared_bias: np.ndarray
    center: np.ndarray
    spread: np.ndarray

    @classmethod
    def of(cls, contract: Contract, days: np.ndarray) -> "IntervalWidth":
        """Return the contract's values at the requested days."""
        interval, grid = contract.interval, np.log(contract.grid_days)
        at_grid = (interval.squared_bias, interval.center, interval.spread)
        return cls(interval.t, *(np.interp(np.log(days), grid, each) for each in at_grid))

    def half(self, log_odds: np.ndarray, variance: np.ndarray) -> np.ndarray:
        """Return half the interval of patients, shape (n, h), from their variance."""
        # half = t sqrt(v + B (1 + (eta - c)^2 / s^2) / 2), with B = `squared_bias`, c = `center`
        # and s^2 = `spread`. The last factor has mean 1 over the training cohort, so B keeps its
        # meaning.
        apart = (log_odds - self.center) ** 2 / np.maximum(self.spread, 1e-12)
        bias = self.squared_bias * 0.5 * (1.0 + apart)
        return np.asarray(self.t * np.sqrt(variance + bias))


class PredictedCurves(NamedTuple):
    """What is predicted for n patients at h days, before refusals.

    Attributes
    ----------
    days : ndarray of float, shape (h,)
    log_odds, adjustment, low, high : ndarray of float, shape (n, h)
        As `log_odds_with_interval` gives them.
    cohort_risk : ndarray of float, shape (h,)
    competing_risk : ndarray of float, shape (n, h), or None
    """

    days: np.ndarray
    log_odds: np.ndarray
    adjustment: np.ndarray
    low: np.ndarray
    high: np.ndarray
    cohort_risk: np.ndarray
    competing_risk: np.ndarray | None

    def at(self, days: slice) -> "PredictedCurves":
        """Return the same at some of the days."""
        competing = None if self.competing_risk is None else self.competing_risk[:, days]
        return PredictedCurves._make([*(values[..., days] for values in self[:-1]), competing])

    def curve(self) -> Curve:
        """Return the curves as risks."""
        low, high = expit(self.low), expit(self.high)
        risk = expit(self.log_odds)
        return Curve(self.days, risk, low, high, self.cohort_risk, self.competing_risk)


def grid_days(grid: ArrayLike, days: np.ndarray) -> GridDays:
    """Return the requested days together with those of the grid."""
    of_grid = np.asarray(grid, dtype=float)
    all_days, place = np.unique(np.concatenate([of_grid, days]), return_inverse=True)
    return GridDays(all_days, np.isin(all_days, of_grid), place[len(of_grid) :])


def log_odds_with_interval(
    parts: Ensemble, raw: np.ndarray, inferred: Inferred, days: GridDays, width: IntervalWidth
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Return log-odds, what the running maximum added, and the ends of the interval.

    The interval reaches t times the root of two terms on the logit scale. One is the variance among
    the fold models, each fitted on a random half of the patients [1]_. The other allows for
    squared bias, which such a variance does not see. On average over the training cohort it is as
    large as the variance, since a fit tuned to the lowest error has bias and variance of the same
    order of magnitude, plus the squared bias expected from the penalty of the linear part [2]_.
    Half of it is the same for all patients, half in proportion to how far the patient's log-odds
    are (squared, in units of their variance) from the mean, towards which shrinkage pulls.

    Parameters
    ----------
    parts : Ensemble
        The model, then the fold models, each fitted on a half; if any.
    raw : ndarray of float, shape (n, n_columns)
        From `matrices.raw_matrix`.
    inferred : Inferred
        From `missing.infer`, for the same patients.
    days, width
        Of the requested days.

    Returns
    -------
    tuple of four ndarray of float, each of shape (n, h)
        The last two hold NaN without fold models.

    References
    ----------
    .. [1] Shao & Wu. A general theory for jackknife variance estimation. Ann Stat 17 (1989)
       1176-1197. doi:10.1214/aos/1176347263
    .. [2] Nychka. Bayesian confidence intervals for smoothing splines. JASA 83 (1988) 1134-1143.
       doi:10.1080/01621459.1988.10478711
    """
    shape = len(raw), len(days.requested)
    eta, adjustment, low, high = (np.full(shape, np.nan) for _ in range(4))
    k = len(parts) - 1
    for rows in _chunks(len(raw), len(parts)):
        before, after = parts.monotone(raw[rows], inferred.take(rows), *days)
        eta[rows], adjustment[rows] = after[0], after[0] - before[0]
        if k:
            variance = after[1:].var(0, ddof=1)
            half = width.half(after[0], variance)
            low[rows], high[rows] = after[0] - half, after[0] + half
    return eta, adjustment, low, high


def competing_risk(
    competing: Ensemble, raw: np.ndarray, inferred: Inferred, days: GridDays, eta: np.ndarray
) -> np.ndarray:
    """Return the risk that the competing event comes first, at most what the outcome leaves.

    Parameters
    ----------
    competing : Ensemble
        One part, fitted to the competing event.
    raw, inferred
        As for `log_odds_with_interval`.
    eta : ndarray of float, shape (n, h)
        Log-odds of the outcome.

    Returns
    -------
    ndarray of float, shape (n, h)
        In [0, 1 - risk].
    """
    out = np.empty(eta.shape)
    for rows in _chunks(len(raw), 1):
        alone = expit(competing.monotone(raw[rows], inferred.take(rows), *days)[1][0])
        out[rows] = np.minimum(alone, expit(-eta[rows]))
    return out


def _chunks(n_rows: int, n_parts: int) -> list[slice]:
    """Return slices of rows, so that memory does not grow with the patients."""
    rows = max(1, CHUNK_ROWS // n_parts)
    return [slice(start, start + rows) for start in range(0, n_rows, rows)]
