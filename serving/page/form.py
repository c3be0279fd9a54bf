"""The form of the page: every variable that a served model can use, by pathway."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass

from data_schema.biomarkers import VARIABLES
from data_schema.derived.derivations import DERIVATIONS
from data_schema.outcomes import OUTCOMES
from data_schema.printed_units import printed_unit
from data_schema.variables import PATHWAYS, Variable, base_name, is_state
from serving.page.first_screen import WardGroup, ward_group
from serving.prediction.served import Served, ServedModel

__all__ = ["Unit", "fields", "form_units", "groups", "parts_of", "places", "unit_choices"]

# What a clinician knows first; the bone pathways follow in the catalogue's order.
_FIRST = ("person", "severity")

_LOCKED = frozenset({"age", "sex"})

# Amounts of substance, and g/L, the SI unit of albumin and hemoglobin.
_SI = re.compile(r"^([unp]|m)?mol/L$|^g/L$")

_WHOLE = frozenset({"{score}", "{stage}", "{count}"})

_SUFFIX_WORDS: Mapping[str, str] = {
    "first": "first value",
    "max": "highest value",
    "min": "lowest value",
    "mean": "mean value",
    "slope": "change a day",
    "count": "number of measurements",
    "hours_since": "hours since the last",
}

_UNIT_WORDS: Mapping[str, str] = {
    "{RU}/mL": "RU/mL",
    "{score}": "points",
    "mo": "months",
    "wk": "weeks",
    "cm[Hg]": "cmHg",
    "[IU]/d": "IU/d",
    "/uL": "per µL",
    "[lb_av]": "lb",
    "[in_i]": "in",
    "{beats}/min": "per minute",
    "{breaths}/min": "per minute",
}


@dataclass(frozen=True, slots=True)
class Choice:
    """One option: the value to send and its label."""

    value: str
    label: str


@dataclass(frozen=True, slots=True)
class Unit:
    """One accepted unit; a value times `scale` is in the canonical unit."""

    value: str
    label: str
    scale: float


@dataclass(frozen=True, slots=True)
class Field:
    """One variable of the form, sent as `variable` (but `sex` as the request's own field).

    Units begin with the canonical one and are empty if none is sent. `models` read the variable to
    predict, `guards` only to refuse or to warn, and `parts` only to derive a variable that they
    read, by the words of `outcomes`. `locked` variables (age, sex, treatments) cannot be moved in
    "check an entry"; `whole` ones are scores, stages and counts; `severity` is whether it is a
    score of how ill the patient is, and `ward` the group under which a ward looks for it.
    """

    column: str
    label: str
    hint: str
    specimen: str
    pathway: str
    kind: str
    units: tuple[Unit, ...]
    categories: tuple[Choice, ...]
    models: tuple[str, ...]
    guards: tuple[str, ...]
    parts: tuple[str, ...]
    locked: bool
    whole: bool
    severity: bool
    ward: WardGroup

    @property
    def may_be_absent(self) -> bool:
        """Whether it can be recorded as not done: as a variable, and never the sex."""
        return base_name(self.column) == self.column != "sex"

    @property
    def si_unit(self) -> str:
        """The first SI unit, or "" if there is none."""
        return next((one.value for one in self.units if _SI.search(one.value)), "")


@dataclass(frozen=True, slots=True)
class Group:
    """The fields of one pathway."""

    pathway: str
    label: str
    fields: tuple[Field, ...]


@dataclass(frozen=True, slots=True)
class Place:
    """Where the patient is, and the models with this time zero."""

    key: str
    label: str
    models: tuple[ServedModel, ...]


def places(served: Served) -> tuple[Place, ...]:
    """Return the two places to choose from, each with its models, those of real patients first.

    For a patient who leaves the ICU, the outcome is fracture, with death competing; for a patient
    in the ICU, any other outcome.
    """
    ordered = sorted(served.models, key=lambda model: model.contract.simulated)
    leaving = tuple(model for model in ordered if _is_of_discharge(model))
    staying = tuple(model for model in ordered if model not in leaving)
    return Place("icu", "In ICU", staying), Place("leaving", "Leaving ICU", leaving)


def _is_of_discharge(model: ServedModel) -> bool:
    outcome = OUTCOMES.get(model.contract.outcome)
    return outcome is not None and outcome.landmark is not None and outcome.landmark.hours is None


def groups(served: Served) -> tuple[Group, ...]:
    """Return every field by pathway: the person, severity, then the bone pathways."""
    listed = fields(served)
    by_pathway = (
        Group(name, PATHWAYS[name], tuple(one for one in listed if one.pathway == name))
        for name in dict.fromkeys([*_FIRST, *PATHWAYS])
    )
    return tuple(group for group in by_pathway if group.fields)


def fields(served: Served) -> tuple[Field, ...]:
    """Return a field for each column that a model reads, or that derives or guards one."""
    readers: dict[str, list[str]] = {}
    guards: dict[str, list[str]] = {}
    parts: dict[str, list[str]] = {}
    variables: dict[str, Variable] = dict(VARIABLES)
    for model in served.models:
        variables |= {k: v for k, v in model.own_variables.items() if k not in variables}
        read = _columns(model)
        for column in read:
            readers.setdefault(column, []).append(model.requested_as)
        for column in model.guard_columns.difference(read):
            guards.setdefault(column, []).append(model.requested_as)
        for column in parts_of(read).difference(read, model.guard_columns):
            parts.setdefault(column, []).append(model.requested_as)
    # In the order of the catalogue; what is a model's own comes last.
    used = {*readers, *guards, *parts}
    columns = [*(name for name in VARIABLES if name in used), *(readers.keys() - VARIABLES.keys())]
    return tuple(
        _field(
            column,
            variables[base_name(column)],
            readers=readers.get(column, ()),
            guards=guards.get(column, ()),
            parts=parts.get(column, ()),
        )
        for column in columns
    )


def parts_of(read: Collection[str]) -> set[str]:
    """Return the variables from which those that a model reads can be derived."""
    parts: set[str] = set()
    waiting = [name for name in read if name in DERIVATIONS]
    while waiting:
        for part in DERIVATIONS[waiting.pop()].reads:
            column = base_name(part)
            if column in VARIABLES and column not in parts:
                parts.add(column)
                waiting += [column] if column in DERIVATIONS else []
    return parts


def _columns(model: ServedModel) -> tuple[str, ...]:
    """Return the columns that a model scores; flags about a value come with their variables."""
    names = (feature.name for feature in model.contract.features)
    return tuple(name for name in names if not is_state(name))


def _field(
    column: str,
    variable: Variable,
    *,
    readers: Iterable[str],
    guards: Iterable[str],
    parts: Iterable[str],
) -> Field:
    suffix = column.removeprefix(variable.name).removeprefix("__")
    words = f" ({_SUFFIX_WORDS[suffix]})" if suffix else ""
    return Field(
        column=column,
        label=variable.label + words,
        hint=variable.hint,
        specimen=variable.specimen,
        pathway=variable.pathway,
        kind=variable.kind,
        units=() if suffix in ("count", "hours_since") else form_units(variable),
        categories=tuple(Choice(one, one.replace("_", " ")) for one in variable.categories),
        models=tuple(readers),
        guards=tuple(guards),
        parts=tuple(parts),
        locked=variable.treatment or variable.name in _LOCKED,
        whole=suffix == "count" or (not suffix and not _WHOLE.isdisjoint(variable.units)),
        severity=variable.summarises_severity,
        ward=ward_group(variable),
    )


def form_units(variable: Variable) -> tuple[Unit, ...]:
    """Return the units that the form offers: the age of an adult is typed in years."""
    return unit_choices(variable)[: 1 if variable.name == "age" else None]


def unit_choices(variable: Variable) -> tuple[Unit, ...]:
    """Return the units to choose from, the canonical one first, each label and scale once.

    Examples
    --------
    >>> from data_schema.biomarkers import variable
    >>> [choice.label for choice in unit_choices(variable("ctx_s"))]
    ['pg/mL', 'ng/L', 'ng/mL', 'µg/L']
    >>> [choice.label for choice in unit_choices(variable("fgf23_c"))]
    ['RU/mL']
    >>> [choice.label for choice in unit_choices(variable("fio2"))]
    ['%', 'as a fraction']
    """
    first = [variable.unit] if variable.unit else []
    choices: dict[tuple[str, float], Unit] = {}
    scales: set[float] = set()
    for unit in dict.fromkeys([*first, *variable.units]):
        scale = variable.units.get(unit, 1.0)
        label = _UNIT_WORDS.get(unit) or printed_unit(unit)
        if not label and scale in scales:
            continue  # another spelling of a number without a unit
        if not label and variable.unit == "%":
            label = "as a fraction"
        if unit == "[arb'U]/mL" and "{RU}/mL" not in variable.units:
            label = "arbitrary units/mL"  # of a kit of its own, not the C-terminal assay's
        scales.add(scale)
        choices.setdefault((label, scale), Unit(unit, label, scale))
    return tuple(choices.values())
