"""Points by bands of a value, and the range of points that agrees with what is recorded.

A component whose values are recorded in part is not settled: its points lie in a range. Scores add
such ranges up, and a policy decides what an unsettled component counts.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

__all__ = ["Bands", "PointRange", "above", "exactly", "most_of", "sum_of"]

Numbers = NDArray[np.float64]

# Conversion of units leaves binary noise (132.6 umol/L is 1.49999... mg/dL); no printed limit of a
# score has more than four decimals.
_DECIMALS = 6


def above(limit: float) -> float:
    """Return the lowest value that counts as above `limit`, for bands that are open below."""
    return math.nextafter(limit + 10.0**-_DECIMALS / 2, math.inf)


@dataclass(frozen=True, slots=True)
class Bands:
    """Points by band of a value.

    Parameters
    ----------
    limits : tuple of float
        Rising. Each is the lowest value of the band above it; `above(x)` starts a band after x.
    points : tuple of int
        Points of each band from the lowest up, one more than limits.
    """

    limits: tuple[float, ...]
    points: tuple[int, ...]

    def __post_init__(self) -> None:
        """Check that the bands are complete and in order."""
        if len(self.points) != len(self.limits) + 1 or list(self.limits) != sorted(self.limits):
            raise ValueError("bands must have rising limits and one number of points more.")

    @property
    def most(self) -> int:
        """The most points that any value gets."""
        return max(self.points)

    def of(self, values: Numbers) -> Numbers:
        """Return the points of values; NaN where there is none.

        >>> Bands((50.0, 70.0), (4, 2, 0)).of(np.array([49.9, 50.0, 70.0, np.nan]))
        array([ 4.,  2.,  0., nan])
        """
        band = np.searchsorted(self.limits, np.round(values, _DECIMALS), side="right")
        points = np.asarray(self.points, dtype=np.float64)[np.minimum(band, len(self.limits))]
        return np.where(np.isnan(values), np.nan, points)

    def range_of(self, *values: Numbers) -> PointRange:
        """Return the points of the worst of several values; any points where none is recorded.

        `values` are the lowest and the highest of a window, or a single value.
        """
        worst = np.fmax.reduce([self.of(one) for one in values])
        unknown = np.isnan(worst)
        return PointRange(
            np.where(unknown, float(min(self.points)), worst),
            np.where(unknown, float(self.most), worst),
        )


@dataclass(frozen=True, slots=True)
class PointRange:
    """The fewest and the most points that agree with what is recorded, each of shape (n_rows,)."""

    fewest: Numbers
    most: Numbers

    def where(self, condition: NDArray[np.bool_], other: PointRange) -> PointRange:
        """Return this range where `condition` holds, and the other elsewhere."""
        return PointRange(
            np.where(condition, self.fewest, other.fewest),
            np.where(condition, self.most, other.most),
        )

    def either(self, settled: Numbers, other: PointRange) -> PointRange:
        """Return this range where a flag is 1, the other where it is 0, both where it is unknown.

        `settled` holds 1, 0 and NaN.
        """
        both = PointRange(np.minimum(self.fewest, other.fewest), np.maximum(self.most, other.most))
        return self.where(settled == 1.0, other.where(settled == 0.0, both))


def exactly(points: Numbers | float, n_rows: int) -> PointRange:
    """Return the range of points that are known."""
    known = np.broadcast_to(np.asarray(points, dtype=np.float64), (n_rows,))
    return PointRange(known, known)


def most_of(ranges: Sequence[PointRange]) -> PointRange:
    """Return the range of the highest of several points, of which only the worst counts."""
    return PointRange(
        np.maximum.reduce([one.fewest for one in ranges]),
        np.maximum.reduce([one.most for one in ranges]),
    )


def sum_of(ranges: Sequence[PointRange]) -> PointRange:
    """Return the range of the sum of several points."""
    return PointRange(
        np.add.reduce([one.fewest for one in ranges]),
        np.add.reduce([one.most for one in ranges]),
    )
