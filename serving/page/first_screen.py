"""Which fields stand open on the page for a model, in the groups that a ward thinks in.

The model's own account of what it uses decides (`Guard.information`); the other fields are folded
behind search.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Literal

from data_schema.biomarkers import VARIABLES, is_bone_marker
from data_schema.variables import Variable, base_name, is_state
from serving.prediction.served import ServedModel

__all__ = ["GROUPS", "SHOWN", "FirstGroup", "WardGroup", "first_screen", "ward_group"]

WardGroup = Literal["person", "scores", "organs", "bone", "treatment"]

GROUPS: Mapping[WardGroup, str] = {
    "person": "Person",
    "scores": "Scores",
    "organs": "Organs and laboratory",
    "bone": "Bone panel",
    "treatment": "Treatment",
}

SHOWN = 18
"""How many fields stand open at most; with time, outcome and search the first screen has 24."""

# The product's own question is what the bone panel adds, so a part of it stands open.
_OF_BONE = 5

_PERSON = ("age", "sex")


@dataclass(frozen=True, slots=True)
class FirstGroup:
    """One group of open fields, by column."""

    key: WardGroup
    columns: tuple[str, ...]


def first_screen(model: ServedModel) -> tuple[FirstGroup, ...]:
    """Return the fields of a model that stand open, by group, the most informative first.

    Age, sex and the most informative severity score come before any other; then up to five
    bone markers; then what the model uses most.
    """
    information = model.contract.guard.information
    columns: dict[str, str] = {}
    for feature in model.contract.features:
        if not is_state(feature.name):
            columns.setdefault(feature.variable, feature.name)
    ranked = sorted(columns, key=lambda name: -information.get(name, 0.0))
    variables = {name: _variable(model, name) for name in ranked}
    scores = [name for name in ranked if variables[name].summarises_severity]
    bone = [name for name in ranked if ward_group(variables[name]) == "bone"]
    wanted = [*(one for one in _PERSON if one in columns), *scores[:1], *bone[:_OF_BONE], *ranked]
    chosen = list(dict.fromkeys(wanted))[:SHOWN]
    return tuple(_groups(chosen, variables, columns))


def ward_group(variable: Variable) -> WardGroup:
    """Return the group under which a ward looks for a variable.

    >>> [ward_group(VARIABLES[name]) for name in ("ckd", "gcs", "lactate", "ctx_s", "opioid")]
    ['person', 'scores', 'organs', 'bone', 'treatment']
    """
    if variable.pathway == "bone_mass" or is_bone_marker(variable.name):
        return "bone"
    if variable.pathway == "person":
        return "person"
    if variable.pathway in ("drivers", "care"):
        return "treatment"
    origin = variable.origin
    return "scores" if origin is not None and origin.kind == "score" else "organs"


def _groups(
    chosen: list[str], variables: Mapping[str, Variable], columns: Mapping[str, str]
) -> Iterator[FirstGroup]:
    for key in GROUPS:
        names = [name for name in chosen if ward_group(variables[name]) == key]
        if names:
            yield FirstGroup(key, tuple(columns[name] for name in names))


def _variable(model: ServedModel, name: str) -> Variable:
    return VARIABLES.get(base_name(name)) or model.own_variables[base_name(name)]
