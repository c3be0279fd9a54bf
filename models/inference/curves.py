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
    "SiteLevel",
    "competing_risk",
    "grid_days",
    "log_odds_with_interval",
]

MOST_STACKED_ROWS = 40_000
"""Patients times days that a booster is asked for at a time."""


class GridDays(NamedTuple):
    """The days of a model's grid and those requested.

    Attributes
    ----------
    all_days : ndarray of float, shape (n_days,)
        The grid up to the last requested day and the requested days, ascending.
    on_grid : ndarray of bool, shape (n_days,)
        Which of them belong to the grid.
    requested : ndarray of int, shape (h,)
        Positions of the requested days, in the order of the request.
    """

    all_days: np.ndarray
    on_grid: np.ndarray
    requested: np.ndarray

    def running_maximum(self, eta: np.ndarray) -> np.ndarray:
        """Return the maximum of log-odds over the grid up to each day, and of that day itself.

        It never runs over other requested days, so that a risk does not depend on what else is in
        the request.

        Parameters
        ----------
        eta : ndarray of float, shape (..., n_days)
        """
        # eta*(h) = max(eta(h), max of eta(g) over g <= h in the fixed grid). Off the grid eta is
        # replaced by -inf before the running maximum, so a requested day counts for itself alone.
        highest = np.maximum.accumulate(np.where(self.on_grid, eta, -np.inf), axis=-1)
        return np.asarray(np.maximum(eta, highest))

    def raised(self, eta: np.ndarray, highest: np.ndarray) -> np.ndarray:
        """Return where a curve was raised at the day or at an earlier day of the grid.

        Parameters
        ----------
        eta, highest : ndarray of float, shape (..., n_days)
            Before and after the running maximum.
        """
        here = highest > eta
        return np.asarray(here | np.logical_or.accumulate(here & self.on_grid, axis=-1))


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


class SiteLevel(NamedTuple):
    """What the sites of n patients add to their log-odds, in a model updated by site.

    Attributes
    ----------
    shift, variance : ndarray of float, shape (n,)
        The level of the patient's site, and what is unknown of it.
    known : ndarray of bool, shape (n,)
        Whether the model has a level for that site.
    """

    shift: np.ndarray
    variance: np.ndarray
    known: np.ndarray

    def applied(
        self, log_odds: np.ndarray, low: np.ndarray, high: np.ndarray, t: float
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Return log-odds and the ends of their interval, all (n, h), with the site's level.

        `t` is the number of standard errors from the estimate to an end.
        """
        moved = log_odds + self.shift[:, None]
        added = t**2 * self.variance[:, None]
        below = np.sqrt((log_odds - low) ** 2 + added)
        above = np.sqrt((high - log_odds) ** 2 + added)
        return moved, moved - below, moved + above


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
    """Return the requested days together with those of the grid up to the last of them."""
    of_grid = np.asarray(grid, dtype=float)
    of_grid = of_grid[of_grid <= days.max()]
    all_days, place = np.unique(np.concatenate([of_grid, days]), return_inverse=True)
    return GridDays(all_days, np.isin(all_days, of_grid), place[len(of_grid) :])


def log_odds_with_interval(
    main: Ensemble,
    with_folds: Ensemble | None,
    raw: np.ndarray,
    inferred: Inferred,
    days: GridDays,
    width: IntervalWidth,
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Return log-odds, what the running maximum added, and the ends of the interval.

    The interval reaches t times the root of two terms on the logit scale. One is the variance among
    the fold models, each fitted on a random half of the patients [1]_. The other allows for
    squared bias, which such a variance does not see. On average over the training cohort it is as
    large as the variance, since a fit tuned to the lowest error has bias and variance of the same
    order of magnitude, plus the squared bias expected from the penalty of the linear part [2]_.
    Half of it is the same for all patients, half in proportion to how far the patient's log-odds
    are (squared, in units of their variance) from the mean, towards which shrinkage pulls.
    The fold models have a running maximum only where the model's own has raised its curve by then.

    Parameters
    ----------
    main, with_folds : Ensemble
        The model alone; the model, then the fold models, each fitted on a half, or None to leave
        out the interval.
    raw : ndarray of float, shape (n, n_columns)
        From `matrices.raw_matrix`.
    inferred : Inferred
        From `missing.infer`, for the same patients.
    days, width
        Of the requested days.

    Returns
    -------
    tuple of four ndarray of float, each of shape (n, h)
        The last two hold NaN without an interval.

    References
    ----------
    .. [1] Shao & Wu. A general theory for jackknife variance estimation. Ann Stat 17 (1989)
       1176-1197. doi:10.1214/aos/1176347263
    .. [2] Nychka. Bayesian confidence intervals for smoothing splines. JASA 83 (1988) 1134-1143.
       doi:10.1080/01621459.1988.10478711
    """
    shape = len(raw), len(days.requested)
    eta, adjustment, low, high = (np.full(shape, np.nan) for _ in range(4))
    log_h, at = np.log(days.all_days), days.requested
    folds = None if with_folds is None or len(with_folds) == 1 else with_folds
    # If every day is requested, one booster for all parts is faster than one of each kind.
    first = folds if folds is not None and len(np.unique(at)) == len(log_h) else main
    for rows in _chunks(len(raw), len(log_h)):
        own, of_rows = raw[rows], inferred.take(rows)
        before = first.log_odds(own, of_rows, log_h)
        after = days.running_maximum(before)
        eta[rows] = after[0][:, at]
        adjustment[rows] = eta[rows] - before[0][:, at]
        if folds is not None:
            raised = days.raised(before[0], after[0])[:, at]
            if first is folds:
                of_folds = np.where(raised, after[1:, :, at], before[1:, :, at])
            else:
                of_folds = _of_folds(folds, own, of_rows, days, raised)
            half = width.half(eta[rows], of_folds.var(0, ddof=1))
            low[rows], high[rows] = eta[rows] - half, eta[rows] + half
    return eta, adjustment, low, high


def _of_folds(
    with_folds: Ensemble, raw: np.ndarray, inferred: Inferred, days: GridDays, raised: np.ndarray
) -> np.ndarray:
    """Return the log-odds of the fold models at the requested days, (n_folds, n, h).

    `raised`, (n, h), states where they have a running maximum.
    """
    log_h = np.log(days.all_days)
    out = with_folds.log_odds(raw, inferred, log_h[days.requested])[1:]
    # The curves of few patients are raised: only theirs are needed at every day of the grid.
    rows = np.flatnonzero(raised.any(1))
    if len(rows):
        on_grid = with_folds.log_odds(raw[rows], inferred.take(rows), log_h)[1:]
        highest = days.running_maximum(on_grid)[..., days.requested]
        out[:, rows] = np.where(raised[rows], highest, out[:, rows])
    return out


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
    log_h = np.log(days.all_days)
    for rows in _chunks(len(raw), len(log_h)):
        (curve,) = days.running_maximum(competing.log_odds(raw[rows], inferred.take(rows), log_h))
        alone = expit(curve[:, days.requested])
        out[rows] = np.minimum(alone, expit(-eta[rows]))
    return out


def _chunks(n_rows: int, n_days: int) -> list[slice]:
    """Return slices of rows, so that memory does not grow with the patients."""
    rows = max(1, MOST_STACKED_ROWS // n_days)
    return [slice(start, start + rows) for start in range(0, n_rows, rows)]
