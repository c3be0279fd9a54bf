"""What a bundle states of its training cohort, for comparison with patients who arrive."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray
from scipy.stats import norm

from data_schema.disclosure import SMALLEST_CELL
from models.inference.contract import Contract, VariableInGroups
from models.inference.novelty_scores import NoveltyScale, normal_deviates

__all__ = ["LevelsReference", "NumberReference", "Reference"]

_Floats = NDArray[np.float64]

FURTHEST = 4.0
"""A value further out counts as this many normal deviates: one value must not move a mean."""

MOSTLY_TIED = 0.3
"""Share of neighbouring quantiles that are equal, from which most patients have one value."""

FURTHEST_TIED = 50.0
"""The same where most patients have one value: deviations from their mean."""

_GRID = 999


@dataclass(frozen=True, slots=True, eq=False)
class NumberReference:
    """A variable that is a number, among the training patients.

    Parameters
    ----------
    stays : int
        Training stays.
    recorded : int or None
        Those with a value; None where the bundle hides the count.
    mean, deviation : float
        Of the values; NaN where the bundle hides them.
    scale : NoveltyScale or None
        Quantiles of this one column; None where it has too few distinct values.
    column : int or None
        Its place in the bundle's correlation.
    inner : float
        Normal deviate of the outermost quantile: beyond it, deviates are extrapolated.
    middle, spread : float
        Mean and standard deviation of the training patients' `inner_scores`; the mean is not 0
        where many values are alike.
    """

    name: str
    label: str
    unit: str
    stays: int
    recorded: int | None
    mean: float
    deviation: float
    scale: NoveltyScale | None
    column: int | None
    inner: float
    middle: float
    spread: float

    def inner_scores(self, values: _Floats) -> _Floats:
        """Return `scores`, with values beyond the outermost quantiles as if they lay on them."""
        return np.clip(self.scores(values), -self.inner, self.inner)

    def scores(self, values: _Floats) -> _Floats:
        """Return values as normal deviates of the training cohort, at most `FURTHEST` from 0.

        Parameters
        ----------
        values : ndarray of float, shape (n,)
            In the bundle's unit, none missing.
        """
        if self.scale is None:
            z = (values - self.mean) / self.deviation
        else:
            with np.errstate(invalid="ignore", divide="ignore"):
                z = normal_deviates(values[:, None].astype(np.float64), self.scale)[:, 0]
        return np.clip(np.nan_to_num(z, nan=0.0), -FURTHEST, FURTHEST)

    def distances(self, values: _Floats) -> _Floats:
        """Return how far values lie from the training cohort's, to find another unit by their mean.

        `scores`; but where most patients have one and the same value, as a dose of 0, quantiles
        hide the unit of the others, and values are measured from their mean, in deviations.
        """
        if self.scale is None or self.deviation != self.deviation or not self.deviation:
            return self.scores(values)
        tied = float((np.diff(self.scale.quantiles[0]) == 0).mean())
        if tied < MOSTLY_TIED:
            return self.scores(values)
        return np.clip((values - self.mean) / self.deviation, -FURTHEST_TIED, FURTHEST_TIED)

    @property
    def is_comparable(self) -> bool:
        """Whether the bundle states enough to compare values with."""
        return (self.recorded or 0) >= SMALLEST_CELL and (
            self.scale is not None or self.deviation > 0
        )


@dataclass(frozen=True, slots=True)
class LevelsReference:
    """A flag or a category among the training patients: the stays of each level.

    `recorded` and `levels` are None and empty where the bundle hides the counts.
    """

    name: str
    label: str
    stays: int
    recorded: int | None
    levels: Mapping[str, int]


@dataclass(frozen=True, slots=True, eq=False)
class Reference:
    """The training cohort of a model, as its bundle describes it without any row.

    Parameters
    ----------
    correlation : ndarray of float, shape (n_columns, n_columns)
        Of the normal scores of the numbers with a `column`.
    """

    numbers: Mapping[str, NumberReference]
    levels: Mapping[str, LevelsReference]
    correlation: _Floats
    patients: int

    @classmethod
    def of(cls, contract: Contract) -> Self:
        """Return what a contract states; empty where it describes no cohort."""
        names = [feature.name for feature in contract.features]
        unit_of = {feature.name: feature.unit for feature in contract.features}
        novelty = contract.guard.novelty
        # Columns of novelty are those of the raw matrix: numbers and flags in the features' order.
        number_names = [f.name for f in contract.features if f.kind != "category"]
        place = {number_names[column]: at for at, column in enumerate(novelty.columns)}
        scales: NoveltyScale | None = None
        if novelty.columns:
            scales = NoveltyScale.of(
                np.array(novelty.quantiles),
                np.array(novelty.normal_scores),
                np.array(novelty.logarithmic),
            )
        numbers: dict[str, NumberReference] = {}
        levels: dict[str, LevelsReference] = {}
        described = contract.described["variables"] if contract.described else []
        everyone = contract.described["groups"][0]["stays"] if contract.described else None
        stays = contract.training.stays if everyone is None else everyone
        for variable in described:
            name = variable["name"]
            if name not in names:
                continue
            if variable["kind"] == "number":
                at = place.get(name)
                scale = None if scales is None or at is None else _column(scales, at)
                normal = np.array(novelty.normal_scores)
                numbers[name] = _number(variable, unit_of[name], stays, scale, at, normal)
            else:
                levels[name] = _levels(variable, stays)
        correlation = np.array(novelty.correlation) if novelty.columns else np.empty((0, 0))
        return cls(numbers, levels, correlation, contract.training.patients)


def _column(scale: NoveltyScale, at: int) -> NoveltyScale:
    """Return the scale of one column."""
    one = [at]
    return NoveltyScale(
        scale.logarithmic[one],
        scale.least[one],
        scale.quantiles[one],
        scale.scores[one],
        scale.slopes[:, one],
        scale.growths[:, one],
    )


def _counts(variable: VariableInGroups, stays: int) -> list[int] | None:
    """Return the stays of each level; None where the bundle hides more than one of the counts."""
    counts = variable["groups"][0]["levels"]
    hidden = counts.count(None)
    shown = sum(count for count in counts if count is not None)
    if hidden > 1:
        return None
    return [stays - shown if count is None else count for count in counts]


def _number(
    variable: VariableInGroups,
    unit: str,
    stays: int,
    scale: NoveltyScale | None,
    column: int | None,
    normal: _Floats,
) -> NumberReference:
    counts, everyone = _counts(variable, stays), variable["groups"][0]
    middle, spread = (0.0, 1.0) if scale is None else _middle(scale, normal)
    mean, deviation = everyone["mean"], everyone["deviation"]
    return NumberReference(
        name=variable["name"],
        label=variable["label"],
        unit=unit,
        stays=stays,
        recorded=None if counts is None else counts[0],
        mean=np.nan if mean is None else mean,
        deviation=np.nan if deviation is None else deviation,
        scale=scale,
        column=column,
        inner=FURTHEST if scale is None else float(normal[-1]),
        middle=middle,
        spread=spread,
    )


def _middle(scale: NoveltyScale, normal: _Floats) -> tuple[float, float]:
    """Return mean and deviation of the training patients' scores: tied quantiles share one."""
    even = norm.ppf((np.arange(_GRID) + 0.5) / _GRID)
    values = np.interp(even, normal, scale.quantiles[0])
    ordered = np.interp(values, scale.quantiles[0], scale.scores[0])
    return float(ordered.mean()), float(ordered.std())


def _levels(variable: VariableInGroups, stays: int) -> LevelsReference:
    counts = _counts(variable, stays)
    names = variable["levels"][:-1]
    return LevelsReference(
        name=variable["name"],
        label=variable["label"],
        stays=stays,
        recorded=None if counts is None else sum(counts[:-1]),
        levels={} if counts is None else dict(zip(names, counts[:-1], strict=True)),
    )
