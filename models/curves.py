"""Curves of fitted parts: the risk with its interval, and what competes with it.

Part of every bundle's `model.py`: it imports only the standard library, numpy, pandas and xgboost.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from models.matrices import expit
from models.parts import FittedPart

__all__ = ["GridDays", "competing_risk", "grid_days", "log_odds_with_interval"]

CHUNK_ROWS = 2_000


class GridDays(NamedTuple):
    """The days of a model's grid and those asked for, as `FittedPart.monotone` takes them.

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


def grid_days(grid: ArrayLike, days: np.ndarray) -> GridDays:
    """Return the days asked for among those of the grid."""
    of_grid = np.asarray(grid, dtype=float)
    all_days, place = np.unique(np.concatenate([of_grid, days]), return_inverse=True)
    return GridDays(all_days, np.isin(all_days, of_grid), place[len(of_grid) :])


def log_odds_with_interval(
    main: FittedPart, folds: Sequence[FittedPart], raw: np.ndarray, days: GridDays, *, t: float
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Return log-odds, what the running maximum added, and the ends of the interval.

    The standard error is that of the delete-group jackknife on the logit scale [1]_.

    Parameters
    ----------
    main : FittedPart
    folds : sequence of FittedPart
        Fitted without one group each; none gives no interval.
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
    for rows in _chunks(len(raw)):
        before, eta[rows] = main.monotone(raw[rows], *days)
        adjustment[rows] = eta[rows] - before
        if folds:
            without = np.stack([fold.monotone(raw[rows], *days)[1] for fold in folds])
            k = len(folds)
            error = np.sqrt((k - 1) / k * ((without - without.mean(0)) ** 2).sum(0))
            low[rows], high[rows] = eta[rows] - t * error, eta[rows] + t * error
    return eta, adjustment, low, high


def competing_risk(
    competing: FittedPart, raw: np.ndarray, days: GridDays, eta: np.ndarray
) -> np.ndarray:
    """Return the risk that the competing event comes first, at most what the outcome leaves.

    Parameters
    ----------
    competing : FittedPart
        Fitted to the competing event.
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
    for rows in _chunks(len(raw)):
        alone = expit(competing.monotone(raw[rows], *days)[1])
        out[rows] = np.minimum(alone, expit(-eta[rows]))
    return out


def _chunks(n_rows: int) -> list[slice]:
    """Return slices of rows, so that memory does not grow with the patients."""
    return [slice(start, start + CHUNK_ROWS) for start in range(0, n_rows, CHUNK_ROWS)]
