"""Fine intervals of risk, and rows that stand for the patients in each of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit

from models.metrics.calibration.calibration import KNOT_QUANTILES, RISK_FLOOR, log_odds
from models.metrics.known_outcome import KnownOutcome

__all__ = ["LOG_ODDS_STEP", "BinnedRisks", "bin_edges"]

LOG_ODDS_STEP = 0.01
"""Width of an interval of risk, in log-odds: at most a quarter of a point of risk."""


def bin_edges(thresholds: Sequence[float] = ()) -> NDArray[np.float64]:
    """Return the inner ends of the intervals of risk; each threshold is one of them.

    A risk lies in the interval `np.searchsorted(edges, risk, side="right")`, so that the patients
    at or above a threshold are those of whole intervals.
    """
    end = float(log_odds(1 - RISK_FLOOR))
    grid = expit(np.arange(-end, end, LOG_ODDS_STEP))
    return np.union1d(grid, np.asarray(thresholds, dtype=np.float64))


@dataclass(frozen=True, slots=True)
class BinnedRisks:
    """The intervals of risk in which some of the patients lie, two rows for each of them.

    The first half of the rows stands for those without the event, the second for those with it.

    Parameters
    ----------
    edges : ndarray of float
        From `bin_edges`.
    used : ndarray of int, shape (n_bins,)
        Intervals that hold patients.
    mean_risk : ndarray of float, shape (n_bins,)
        Of the patients in each.
    stays : ndarray of float, shape (n_bins,)
    own_weight : ndarray of float, shape (2 * n_bins,)
        Weight of one patient of each row, as the patients of the row weigh it: the sum of squared
        weights over that of weights.
    """

    edges: NDArray[np.float64]
    used: NDArray[np.int64]
    mean_risk: NDArray[np.float64]
    stays: NDArray[np.float64]
    own_weight: NDArray[np.float64]

    @classmethod
    def of(
        cls,
        edges: NDArray[np.float64],
        stays: NDArray[np.float64],
        risks: NDArray[np.float64],
        weights: NDArray[np.float64],
        squares: NDArray[np.float64],
    ) -> BinnedRisks:
        """Return the intervals from sums over the patients of each of them.

        Parameters
        ----------
        stays, risks : ndarray of float, shape (len(edges) + 1,)
            Number of patients, and sum of their risks.
        weights, squares : ndarray of float, shape (2, len(edges) + 1)
            Sums of their weights and of the squares, without and with the event.
        """
        used = np.flatnonzero(stays)
        # Rounding must not move the mean of equal risks below a threshold.
        mean = np.maximum(risks[used] / stays[used], np.append(0.0, edges)[used])
        with np.errstate(invalid="ignore", divide="ignore"):
            own = np.nan_to_num(squares[:, used] / weights[:, used])
        return cls(edges, used, mean, stays[used], own.ravel())

    @property
    def rows(self) -> int:
        """Two for each interval."""
        return 2 * len(self.used)

    @property
    def risk(self) -> NDArray[np.float64]:
        """Risk of each row."""
        return np.tile(self.mean_risk, 2)

    @property
    def knots(self) -> NDArray[np.float64]:
        """Where a calibration curve of all patients may bend, in log-odds."""
        passed = np.cumsum(self.stays)
        at = np.searchsorted(passed, np.multiply(KNOT_QUANTILES, passed[-1] - 1), side="right")
        return np.unique(log_odds(self.mean_risk[np.minimum(at, len(self.used) - 1)]))

    def place(self, risk: NDArray[np.float64]) -> NDArray[np.int64]:
        """Return the row without the event to which each patient belongs."""
        interval = np.searchsorted(self.edges, risk, side="right")
        return np.searchsorted(self.used, interval)

    def outcome(
        self,
        without_event: NDArray[np.float64],
        with_event: NDArray[np.float64],
        count: NDArray[np.float64],
        *,
        own_factor: float = 1.0,
    ) -> KnownOutcome:
        """Return the outcome of the rows.

        Parameters
        ----------
        without_event, with_event : ndarray of float, shape (n_bins, n_resamples)
            Weights of the patients of each interval.
        count : ndarray of float, shape (n_bins, n_resamples)
            How many they are, those of unknown outcome included.
        own_factor : float
            How many times a patient who is drawn occurs: 2 by Poisson's distribution with mean 1,
            weighted by the number.
        """
        bins = len(self.used)
        # The two rows of an interval have one risk: whose of them the patients are does not matter.
        return KnownOutcome(
            np.repeat([False, True], bins),
            np.concatenate([without_event, with_event]),
            np.concatenate([count, np.zeros_like(count)]),
            own_weight=self.own_weight[:, None] * own_factor,
        )
