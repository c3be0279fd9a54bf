"""Example patients, fictitious: made from the contract of a model."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from data_schema.derived.columns import Columns
from data_schema.derived.derivations import DERIVATIONS, derived_value
from data_schema.variables import is_state
from models.inference.contract import Feature
from serving.prediction.served import ServedModel

__all__ = ["Example", "examples", "possible_values"]

_KNOWN = ("age", "sex")
"""Variables that are known of every patient, however little is measured."""

_OUT = (0.8, 1.2, 1.6)
"""Distances of a higher-risk patient from the middle, in standard deviations, the nearest first."""

_OF_A_FLAG: Mapping[str, str] = {
    "calcium_dose": "calcium_supplement",
    "corticosteroid_days": "corticosteroid",
    "corticosteroid_dose": "corticosteroid",
    "denosumab_days_since": "denosumab",
    "selenium_dose": "selenium_supplement",
    "vent_days": "mechanical_ventilation",
    "vitamin_d_dose": "vitamin_d_supplement",
}
"""Numbers that no patient has without the treatment itself, by that treatment."""


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
    middle = possible_values(
        {
            name: value
            for name, value in model.contract.example.items()
            if value is not None and not is_state(name)
        }
    )
    candidates = [Example("Middle values, everything measured", middle)]
    little = _little_measured(model, middle)
    if little is not None:
        candidates.append(Example("Middle values, little measured", little))
    answered = _risks(model, [one.values for one in candidates])
    found = [one for one, risk in zip(candidates, answered, strict=True) if risk is not None]
    higher = _higher(model, middle)
    return tuple(found if higher is None else [*found, higher])


def _higher(model: ServedModel, middle: Mapping[str, float | str]) -> Example | None:
    """Return the patient nearest to the middle whose risk lies above the training cohort's."""
    contract = model.contract
    days = contract.default_horizons_days[0]
    average = float(np.interp(days, contract.grid_days, contract.cohort_risk))
    towards = _directions(model, middle)
    candidates = [
        possible_values(_further_out(model, middle, towards, by=by, count=count))
        for by in _OUT
        for count in range(1, len(towards) + 1)
    ]
    for values, risk in zip(candidates, _risks(model, candidates), strict=True):
        if risk is not None and risk > average:
            return Example("Values that accompany a higher risk", values)
    return None


def _directions(model: ServedModel, middle: Mapping[str, float | str]) -> dict[str, int]:
    """Return in which direction each of the strongest numbers raises the estimate.

    The largest rise comes first. Where the direction of risk is settled, it is that.
    """
    moves = [
        (feature, sign)
        for feature in model.contract.features
        if feature.variable in model.strongest_variables and feature.name in middle
        for sign in ((feature.direction,) if feature.direction else (-1, 1))
        if feature.kind == "number"
    ]
    moved = [
        _further_out(model, middle, {feature.name: sign}, by=1.0, count=1)
        for feature, sign in moves
    ]
    start, *risks = _risks(model, [middle, *moved])
    rises = [
        (risk - start, feature.name, sign)
        for risk, (feature, sign) in zip(risks, moves, strict=True)
        if risk is not None and start is not None and risk > start
    ]
    best: dict[str, int] = {}
    for _, name, sign in sorted(rises, reverse=True):
        best.setdefault(name, sign)
    return best


def possible_values(values: Mapping[str, float | str]) -> dict[str, float | str]:
    """Return the values of a patient who can exist: scores and ratios follow from their parts.

    The middle value of SOFA is not what the middle values of its organs add up to.
    """
    possible = {
        name: value
        for name, value in values.items()
        if values.get(_OF_A_FLAG.get(name, ""), 1.0) != 0.0
    }
    words = {k: np.array([v], dtype=object) for k, v in possible.items() if isinstance(v, str)}
    for name in filter(possible.__contains__, DERIVATIONS):
        numbers = {k: np.array([v]) for k, v in possible.items() if not isinstance(v, str)}
        derived = float(derived_value(name, Columns(1, numbers, words))[0])
        if not math.isnan(derived):
            possible[name] = float(f"{derived:.2g}")
    return possible


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
    answered = zip(candidates, _risks(model, candidates), strict=True)
    return next((values for values, risk in answered if risk is not None), None)


def _further_out(
    model: ServedModel,
    values: Mapping[str, float | str],
    towards: Mapping[str, int],
    *,
    by: float,
    count: int,
) -> dict[str, float | str]:
    """Return the values with the first `count` numbers of `towards` moved in their direction."""
    novelty = model.contract.guard.novelty
    normal = np.asarray(novelty.normal_scores)
    moved = dict(values)
    wanted = dict(list(towards.items())[:count])
    for number, quantiles in zip(novelty.columns, novelty.quantiles, strict=True):
        feature = _raw_feature(model, number)
        if feature is not None and feature.name in wanted:
            value = float(np.interp(wanted[feature.name] * by, normal, quantiles))
            moved[feature.name] = float(f"{value:.2g}")
    return moved


def _raw_feature(model: ServedModel, number: int) -> Feature | None:
    """Return the feature of a raw column: raw columns are numbers and flags, in contract order."""
    numbers = [f for f in model.contract.features if f.kind != "category"]
    return numbers[number] if number < len(numbers) else None


def _risks(
    model: ServedModel, candidates: Sequence[Mapping[str, float | str]]
) -> list[float | None]:
    """Return each patient's risk at the first horizon; None where the model gives none."""
    if not candidates:
        return []
    columns = {
        f.name: [
            values.get(f.name, None if f.kind == "category" else np.nan) for values in candidates
        ]
        for f in model.contract.features
    }
    answer = model.loaded.risk_model.predict(pd.DataFrame(columns), interval=False)
    return [
        float(risk) if status == "ok" else None
        for status, risk in zip(answer.status, answer.risk[:, 0], strict=True)
    ]
