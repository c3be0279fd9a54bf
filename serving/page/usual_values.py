"""How usual a value is among the patients that a model learned from."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from serving.prediction.served import ServedModel

__all__ = ["UsualValues", "usual_values"]

_SIDE = 0.8
"""Normal score of the quantiles from which the spread is taken; every model has them."""


@dataclass(frozen=True, slots=True)
class UsualValues:
    """The values of one column in the training patients, in its canonical unit.

    `low` and `high` bound nearly all of them. `middle` and `spread` are the median and the standard
    deviation of the logarithm, from quantiles; None where fewer than two quantiles are positive.
    """

    low: float
    high: float
    middle: float | None = None
    spread: float | None = None

    def holds(self, value: float) -> bool:
        """Return whether a value is one that nearly all patients have."""
        return self.low <= value <= self.high

    def distance(self, value: float) -> float:
        """Return how many deviations a value lies from the median on the logarithm's scale.

        Where there is no spread, it is 0 within the range of nearly all patients, else infinite.

        >>> round(UsualValues(60.0, 340.0, math.log(150.0), 0.25).distance(5.5))
        13
        """
        if self.middle is None or self.spread is None:
            return 0.0 if self.holds(value) else math.inf
        return math.inf if value <= 0 else abs(math.log(value) - self.middle) / self.spread


def usual_values(model: ServedModel) -> Mapping[str, UsualValues]:
    """Return the usual values of every number that a model reads, by column."""
    numbers = [one for one in model.contract.features if one.kind != "category"]
    novelty = model.contract.guard.novelty
    scores = np.asarray(novelty.normal_scores)
    quantiles = {
        numbers[column].name: values
        for column, values in zip(novelty.columns, novelty.quantiles, strict=True)
        if column < len(numbers)
    }
    found = {}
    for feature in numbers:
        if feature.kind != "number" or feature.seen is None:
            continue
        spread = _spread(scores, quantiles.get(feature.name))
        found[feature.name] = UsualValues(*feature.seen, *spread)
    return found


def _spread(
    scores: np.ndarray, quantiles: tuple[float, ...] | None
) -> tuple[float, float] | tuple[None, None]:
    """Return median and standard deviation of the logarithm of a column, if it is positive."""
    if quantiles is None:
        return None, None
    low, middle, high = np.interp([-_SIDE, 0.0, _SIDE], scores, quantiles)
    if not 0 < low < high:
        return None, None
    return math.log(middle), (math.log(high) - math.log(low)) / (2 * _SIDE)
