"""Example patients, fictitious: made from the contract of a model."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from data_schema.variables import is_state
from models.inference.contract import Feature
from serving.prediction.served import ServedModel

__all__ = ["Example", "examples"]

_KNOWN = ("age", "sex")
"""Variables that are known of every patient, however little is measured."""

_OUT = 1.0
"""Distance of the higher-risk patient from the middle, in standard deviations."""


@dataclass(frozen=True, slots=True)
class Example:
    """One fictitious patient: values by column, in canonical units."""

    title: str
    values: Mapping[str, float | str]


def examples(model: ServedModel) -> tuple[Example, ...]:
    """Return the example patients of a model that it does not refuse.

    They have middle values; the same, for the fewest variables with which the model gives a risk;
    and values further out for variables with a known direction of risk.
    """
    middle = {
        name: value
        for name, value in model.contract.example.items()
        if value is not None and not is_state(name)
    }
    candidates = [
        Example("Middle values, everything measured", middle),
        Example("Values that accompany a higher risk", _further_out(model, middle)),
    ]
    little = _little_measured(model, middle)
    if little is not None:
        candidates.insert(1, Example("Middle values, little measured", little))
    answered = _are_answered(model, [one.values for one in candidates])
    return tuple(one for one, ok in zip(candidates, answered, strict=True) if ok)


def _little_measured(
    model: ServedModel, values: Mapping[str, float | str]
) -> Mapping[str, float | str] | None:
    """Return the values of age, sex and as few further variables as suffice for a risk.

    The variables that the model uses most come first. None where only all of them suffice.
    """
    information = model.contract.guard.information
    variable_of = {f.name: f.variable for f in model.contract.features}
    known = [name for name in _KNOWN if name in variable_of.values()]
    by_use = sorted(information, key=lambda name: -information[name])
    ordered = [*known, *(name for name in by_use if name not in known)]
    candidates = [
        {name: value for name, value in values.items() if variable_of[name] in ordered[:count]}
        for count in range(len(known), len(ordered))
    ]
    answered = zip(candidates, _are_answered(model, candidates), strict=True)
    return next((values for values, ok in answered if ok), None)


def _further_out(model: ServedModel, values: Mapping[str, float | str]) -> dict[str, float | str]:
    """Return the values with each number of a known direction moved towards higher risk."""
    novelty = model.contract.guard.novelty
    normal = np.asarray(novelty.normal_scores)
    moved = dict(values)
    for number, quantiles in zip(novelty.columns, novelty.quantiles, strict=True):
        feature = _raw_feature(model, number)
        if feature is not None and feature.direction and feature.name in values:
            value = float(np.interp(feature.direction * _OUT, normal, quantiles))
            moved[feature.name] = float(f"{value:.2g}")
    return moved


def _raw_feature(model: ServedModel, number: int) -> Feature | None:
    """Return the feature of a raw column: raw columns are numbers and flags, in contract order."""
    numbers = [f for f in model.contract.features if f.kind != "category"]
    return numbers[number] if number < len(numbers) else None


def _are_answered(
    model: ServedModel, candidates: Sequence[Mapping[str, float | str]]
) -> list[bool]:
    """Return whether the model gives a risk for each patient."""
    if not candidates:
        return []
    columns = {
        f.name: [
            values.get(f.name, None if f.kind == "category" else np.nan) for values in candidates
        ]
        for f in model.contract.features
    }
    answer = model.loaded.risk_model.predict(pd.DataFrame(columns), interval=False)
    return [status == "ok" for status in answer.status]
