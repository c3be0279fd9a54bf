"""Curves of fitted parts: the risk with its interval, and what competes with it.

Part of every bundle's `model.py`: it imports only the standard library, numpy, pandas and xgboost.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from models.ensemble import Ensemble
from models.matrices import expit
from models.prediction import Curve

__all__ = ["Course", "GridDays", "competing_risk", "grid_days", "log_odds_with_interval"]

CHUNK_ROWS = 4_000


class GridDays(NamedTuple):
    """The days of a model's grid and those asked for, as `Ensemble.monotone` takes them.

    Attributes
    ----------
    all_days : ndarray of float, shape (n_days,)
        Ascending.
    on_grid : ndarray of bool, shape (n_days,)
        Which of them are of the grid.
    asked : ndarray of int, shape (h,)
        Positions of those asked for, in the order asked.
    """

    all_days: np.ndarray
    on_grid: np.ndarray
    asked: np.ndarray


class Course(NamedTuple):
    """What is predicted of n patients at h days, before anybody is refused.

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

    def at(self, days: slice) -> "Course":
        """Return the same at some of the days."""
        beside = None if self.competing_risk is None else self.competing_risk[:, days]
        return Course._make([*(part[..., days] for part in self[:-1]), beside])

    def curve(self) -> Curve:
        """Return it as risks."""
        low, high = expit(self.low), expit(self.high)
        risk = expit(self.log_odds)
        return Curve(self.days, risk, low, high, self.cohort_risk, self.competing_risk)


def grid_days(grid: ArrayLike, days: np.ndarray) -> GridDays:
    """Return the days asked for among those of the grid."""
    of_grid = np.asarray(grid, dtype=float)
    all_days, place = np.unique(np.concatenate([of_grid, days]), return_inverse=True)
    return GridDays(all_days, np.isin(all_days, of_grid), place[len(of_grid) :])


def log_odds_with_interval(
    parts: Ensemble, raw: np.ndarray, days: GridDays, *, t: float
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Return log-odds, what the running maximum added, and the ends of the interval.

    The standard error is that of the delete-group jackknife on the logit scale [1]_.

    Parameters
    ----------
    parts : Ensemble
        The model, then those fitted without one group each; without them there is no interval.
    raw : ndarray of float, shape (n, n_columns)
        From `matrices.raw_matrix`.
    days : GridDays
    t : float
        Standard errors from the estimate to an end.

    Returns
    -------
    tuple of four ndarray of float, each of shape (n, h)
        The last two hold NaN without folds.

    References
    ----------
    .. [1] Kott. The delete-a-group jackknife. J Off Stat 17 (2001) 521-526.
    """
    eta, adjustment, low, high = (np.full((len(raw), len(days.asked)), np.nan) for _ in range(4))
    k = len(parts) - 1
    for rows in _chunks(len(raw), len(parts)):
        before, after = parts.monotone(raw[rows], *days)
        eta[rows], adjustment[rows] = after[0], after[0] - before[0]
        if k:
            error = np.sqrt((k - 1) / k * ((after[1:] - after[1:].mean(0)) ** 2).sum(0))
            low[rows], high[rows] = after[0] - t * error, after[0] + t * error
    return eta, adjustment, low, high


def competing_risk(
    competing: Ensemble, raw: np.ndarray, days: GridDays, eta: np.ndarray
) -> np.ndarray:
    """Return the risk that the competing event comes first, at most what the outcome leaves.

    Parameters
    ----------
    competing : Ensemble
        One part, fitted to the competing event.
    raw : ndarray of float, shape (n, n_columns)
        From `matrices.raw_matrix`.
    days : GridDays
    eta : ndarray of float, shape (n, h)
        Log-odds of the outcome, which are not altered.

    Returns
    -------
    ndarray of float, shape (n, h)
        In [0, 1 - risk].
    """
    out = np.empty(eta.shape)
    for rows in _chunks(len(raw), 1):
        alone = expit(competing.monotone(raw[rows], *days)[1][0])
        out[rows] = np.minimum(alone, expit(-eta[rows]))
    return out


def _chunks(n_rows: int, n_parts: int) -> list[slice]:
    """Return slices of rows, so that memory does not grow with the patients."""
    rows = max(1, CHUNK_ROWS // n_parts)
    return [slice(start, start + rows) for start in range(0, n_rows, rows)]
