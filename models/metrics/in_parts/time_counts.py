"""How many patients left at each time, and why: what estimates of censoring and incidence need."""

from __future__ import annotations

from dataclasses import dataclass
from functools import reduce

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csc_array

__all__ = ["MOST_TIMES", "TimeCounts", "summed_by"]

MOST_TIMES = 4096
"""Most distinct times that are told apart; of more, times are rounded up to a power of two."""

_FINEST = 2.0**-10
_KINDS = 3


def summed_by(
    place: NDArray[np.int64], values: NDArray[np.float64], places: int
) -> NDArray[np.float64]:
    """Return the sums of the rows with each place, shape (places, n_columns).

    >>> summed_by(np.array([1, 0, 1]), np.array([[1.0], [2.0], [3.0]]), 3)
    array([[2.],
           [4.],
           [0.]])
    """
    n = len(place)
    one_each = csc_array((np.ones(n), place, np.arange(n + 1)), shape=(places, n))
    return np.asarray(one_each @ values)


@dataclass(frozen=True, slots=True)
class TimeCounts:
    """Patients who left at each time, by what ended their follow-up.

    Parameters
    ----------
    days : ndarray of float, shape (n_times,)
        Ascending; where `step` is above 0, the ends of intervals of that length.
    counts : ndarray of float, shape (n_times, 3)
        Censored, with the outcome, with the competing event.
    step : float
        0 where times are exact.
    """

    days: NDArray[np.float64]
    counts: NDArray[np.float64]
    step: float = 0.0

    @classmethod
    def of(cls, time_days: NDArray[np.float64], event: NDArray[np.int64]) -> TimeCounts:
        """Count the patients of one part."""
        days, place = np.unique(time_days, return_inverse=True)
        kinds = np.eye(_KINDS)[np.asarray(event)]
        return cls(days, summed_by(place, kinds, len(days)))._within_the_most()

    def joined(self, other: TimeCounts) -> TimeCounts:
        """Return the counts of both; the order in which parts are joined does not matter."""
        step = max(self.step, other.step)
        first, second = self._rounded(step), other._rounded(step)
        days, place = np.unique(np.concatenate([first.days, second.days]), return_inverse=True)
        counts = summed_by(place, np.concatenate([first.counts, second.counts]), len(days))
        return TimeCounts(days, counts, step)._within_the_most()

    @classmethod
    def joined_all(cls, parts: list[TimeCounts]) -> TimeCounts:
        """Return the counts of all parts."""
        return reduce(cls.joined, parts)

    @property
    def stays(self) -> int:
        """Patients counted."""
        return int(self.counts.sum())

    @property
    def times(self) -> NDArray[np.float64]:
        """Time of each row that stands for the patients of one time and kind."""
        return np.repeat(self.days, _KINDS)

    @property
    def kinds(self) -> NDArray[np.int64]:
        """What ended the follow-up of each of these rows."""
        return np.tile(np.arange(_KINDS), len(self.days))

    @property
    def count(self) -> NDArray[np.float64]:
        """Patients of each of these rows."""
        return self.counts.ravel()

    def place(self, time_days: NDArray[np.float64], event: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return the row to which each patient belongs; their times must be among those counted."""
        at = np.searchsorted(self.days, _up_to(time_days, self.step))
        return at * _KINDS + np.asarray(event)

    def _rounded(self, step: float) -> TimeCounts:
        if step == self.step:
            return self
        days, place = np.unique(_up_to(self.days, step), return_inverse=True)
        return TimeCounts(days, summed_by(place, self.counts, len(days)), step)

    def _within_the_most(self) -> TimeCounts:
        # Steps are powers of two, so that rounding twice is rounding once to the longer step, and
        # the step depends on the times alone.
        fewer = self
        while len(fewer.days) > MOST_TIMES:
            fewer = fewer._rounded(2 * fewer.step if fewer.step else _FINEST)
        return fewer


def _up_to(time_days: NDArray[np.float64], step: float) -> NDArray[np.float64]:
    return np.ceil(time_days / step) * step if step else time_days
