"""Example patients: made up from what a model says of itself, so none of them ever existed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from data_schema.variables import BELOW
from models.inference.contract import Feature
from serving.prediction.served import ServedModel

__all__ = ["Example", "examples"]

_OUT = 1.0
"""How far out the patient at higher risk lies, in standard deviations of a normal score."""


@dataclass(frozen=True, slots=True)
class Example:
    """One made-up patient: what to fill in, by column, in canonical units."""

    title: str
    values: Mapping[str, float | str]


def examples(model: ServedModel) -> tuple[Example, ...]:
    """Return the example patients of a model, those that it refuses left out.

    Parameters
    ----------
    model : ServedModel

    Returns
    -------
    tuple of Example
        A patient of middle values; the same with only what the model uses most; and the same with
        values further out where the direction of risk is settled.
    """
    middle = {
        name: value
        for name, value in model.contract.example.items()
        if value is not None and not name.endswith(f"__{BELOW}")
    }
    candidates = (
        Example("Middle values, everything measured", middle),
        Example("Middle values, little measured", _most_used(model, middle)),
        Example("Values that accompany a higher risk", _further_out(model, middle)),
    )
    answered = _are_answered(model, candidates)
    return tuple(one for one, ok in zip(candidates, answered, strict=True) if ok)


def _most_used(model: ServedModel, values: Mapping[str, float | str]) -> dict[str, float | str]:
    """Keep the variables that carry the most, until they carry more than enough."""
    rules = model.contract.guard
    enough, carried = min(1.0, 1.2 * rules.min_information), 0.0
    kept = set()
    for name, share in sorted(rules.information.items(), key=lambda one: -one[1]):
        if carried >= enough:
            break
        kept.add(name)
        carried += share
    variable_of = {f.name: f.variable for f in model.contract.features}
    return {name: value for name, value in values.items() if variable_of[name] in kept}


def _further_out(model: ServedModel, values: Mapping[str, float | str]) -> dict[str, float | str]:
    """Move each number of a settled direction to where fewer patients lie."""
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
    """Return the feature of a raw column, which are numbers and flags in the contract's order."""
    numbers = [f for f in model.contract.features if f.kind != "category"]
    return numbers[number] if number < len(numbers) else None


def _are_answered(model: ServedModel, candidates: Sequence[Example]) -> list[bool]:
    """Say of each patient whether the model answers."""
    columns = {
        f.name: [
            one.values.get(f.name, None if f.kind == "category" else np.nan) for one in candidates
        ]
        for f in model.contract.features
    }
    answer = model.loaded.risk_model.predict(pd.DataFrame(columns), interval=False)
    return [status == "ok" for status in answer.status]
