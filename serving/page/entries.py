"""The entries as the service reads them, with unit and reference, before a prediction."""

from __future__ import annotations

from typing import Literal

import pandas as pd
from pydantic import BaseModel

from data_schema.biomarkers import VARIABLES, reference_interval
from data_schema.derived.derivations import DERIVATIONS
from data_schema.measurements import CanonicalMeasurement, Measurement, canonical_measurement
from data_schema.units import canonical_unit_spelling, is_in_range
from data_schema.values import parse_numbers
from data_schema.variables import Reference, Variable, base_name
from serving.page.form import Unit, unit_choices
from serving.page.usual_values import UsualValues, usual_values
from serving.prediction.derived import with_derived_values
from serving.prediction.patient import read_patient
from serving.prediction.question import Question
from serving.prediction.served import Served, ServedModel

__all__ = ["Derived", "Entries", "Entry", "Meant", "read_entries"]

_REMARKABLE = 1.1
"""Deviations from the middle beyond which another unit is considered; one patient in four."""

_MORE_ORDINARY = 0.5
"""Share of that distance within which the same number in the other unit must lie."""

_STILL_USUAL = 3.0
"""Deviations within which a number that is impossible in its own unit is one in another."""


class Meant(BaseModel):
    """Another unit in which the number would be an ordinary one."""

    unit: str
    label: str
    read_as: str


class Entry(BaseModel):
    """One entry as read, or the rule that it breaks.

    `flag` is H above and L below the person's reference interval; `unusual` states the range of
    nearly all patients that the model learned from where the value lies outside it.
    """

    column: str
    read_as: str = ""
    canonical: str = ""
    comparator: str = ""
    reference: str = ""
    flag: Literal["", "H", "L"] = ""
    multiple: str = ""
    unusual: str = ""
    meant: Meant | None = None
    problem: str = ""


class Derived(BaseModel):
    """A value that follows from what was entered, where its own entry is empty."""

    column: str
    read_as: str
    parts: list[str]


class Entries(BaseModel):
    """The entries in their order, what follows from them, and this person's reference intervals."""

    entries: list[Entry]
    derived: list[Derived]
    references: dict[str, dict[str, str]]


def read_entries(question: Question, served: Served) -> Entries:
    """Return the entries of a question as a prediction would read them.

    Raises QuestionBroken and NoModel as `Served.find`.
    """
    models = served.find(question.outcomes)
    variables = dict(VARIABLES)
    for model in models:
        variables |= model.own_variables
    read = [canonical_measurement(one.measurement, variables) for one in question.measurements]
    person = _Person(question, [one for one in read if isinstance(one, CanonicalMeasurement)])
    usual = usual_values(models[0])
    entries = []
    for sent, checked in zip(question.measurements, read, strict=True):
        column = sent.measurement.variable or ""
        if isinstance(checked, CanonicalMeasurement):
            entries.append(_entry(sent.measurement, checked, person, usual.get(checked.column)))
        else:
            variable = variables.get(base_name(column))
            label = variables[checked.variable].label if checked.variable else "This entry"
            rule = checked.message.removeprefix(checked.variable).strip()
            meant = None
            if variable is not None and checked.rule == "range":
                meant = _meant_out_of_range(sent.measurement, variable, usual.get(column))
            entries.append(Entry(column=column, problem=f"{label} {rule}", meant=meant))
    is_whole = not any(one.problem for one in entries)
    derived = _derived(question, models[0], person) if is_whole else []
    return Entries(entries=entries, derived=derived, references=_references(person))


class _Person:
    """The person whose reference intervals are shown."""

    def __init__(self, question: Question, read: list[CanonicalMeasurement]) -> None:
        values = {one.column: one.value for one in read}
        age, menopause = values.get("age"), values.get("menopausal_status")
        self._sex = question.sex
        self._age = age if isinstance(age, float) else None
        self._menopause = menopause if isinstance(menopause, str) else None

    def reference(self, variable: Variable) -> Reference | None:
        """Return the reference interval of a variable for this person, or None."""
        sex = self._sex if self._sex in ("female", "male") else None
        return reference_interval(variable, sex=sex, menopause=self._menopause, age=self._age)


def _entry(
    sent: Measurement, measured: CanonicalMeasurement, person: _Person, usual: UsualValues | None
) -> Entry:
    column, variable, value = measured.column, measured.variable, measured.value
    if not isinstance(value, float):
        return Entry(column=column, read_as=(value or "not stated").replace("_", " "))
    if variable.kind == "flag":
        return Entry(column=column, read_as="yes" if value else "no")
    labels = {choice.value: choice.label for choice in unit_choices(variable)}
    unit = canonical_unit_spelling(variable, sent.unit or "") or variable.unit
    scale = variable.units.get(unit, 1.0)
    label = labels.get(unit, "")
    comparator = "<" if measured.below else ">" if measured.above else ""
    canonical = _with_unit(comparator + _converted(value), labels.get(variable.unit, ""))
    reference = person.reference(variable) if base_name(column) == column else None
    flag, multiple = _against(None if comparator else reference, value)
    meant, unusual = None, ""
    if usual is not None and not comparator:
        meant = _meant(variable, value / scale, unit, usual)
        unusual = "" if usual.holds(value) else _range(usual, scale, label)
    return Entry(
        column=column,
        # As entered, without the digits beyond 10 that conversion adds.
        read_as=_with_unit(f"{comparator}{value / scale:.10g}", label),
        canonical="" if scale == 1.0 else canonical,
        comparator=comparator,
        reference=_interval(reference, scale, label),
        flag=flag,
        multiple=multiple,
        unusual=unusual,
        meant=meant,
    )


def _meant(variable: Variable, number: float, unit: str, usual: UsualValues) -> Meant | None:
    """Return the other unit in which a number is far more ordinary, if there is one."""
    scale = variable.units.get(unit, 1.0)
    distance = usual.distance(number * scale)
    others = [
        (usual.distance(number * choice.scale), choice)
        for choice in unit_choices(variable)
        if choice.scale != scale and is_in_range(variable, number * choice.scale)
    ]
    if distance < _REMARKABLE or not others:
        return None
    nearest, choice = min(others, key=lambda one: one[0])
    if nearest > _MORE_ORDINARY * distance:
        return None
    return _as_meant(number, choice)


def _meant_out_of_range(
    sent: Measurement, variable: Variable, usual: UsualValues | None
) -> Meant | None:
    """Return the unit in which a number that is impossible in its own would be possible."""
    number = float(parse_numbers(pd.Series([sent.value], dtype=object)).values[0])
    own = variable.units.get(canonical_unit_spelling(variable, sent.unit or "") or variable.unit)
    possible = [
        choice
        for choice in unit_choices(variable)
        if choice.scale != own and is_in_range(variable, number * choice.scale)
    ]
    if usual is not None:
        ordinary = [one for one in possible if usual.distance(number * one.scale) < _STILL_USUAL]
        possible = sorted(ordinary, key=lambda one: usual.distance(number * one.scale))[:1]
    return _as_meant(number, possible[0]) if len(possible) == 1 else None


def _as_meant(number: float, choice: Unit) -> Meant:
    return Meant(
        unit=choice.value, label=choice.label, read_as=_with_unit(f"{number:.10g}", choice.label)
    )


def _range(usual: UsualValues, scale: float, unit: str) -> str:
    low, high = (_short(end / scale) for end in (usual.low, usual.high))
    return _with_unit(f"{low} to {high}", unit)


def _derived(question: Question, model: ServedModel, person: _Person) -> list[Derived]:
    """Return the values that a prediction of the model would derive, with what they come from."""
    patient = read_patient(question, own=model.own_variables, icu_hours=model.hours_after_admission)
    read = {feature.variable for feature in model.contract.features}
    whole = with_derived_values(patient, question, read)
    names = [name for name in whole.values if name not in patient.values and name in read]
    found = [
        Derived(
            column=name,
            read_as=_in_canonical_unit(VARIABLES[name], whole.number(name) or 0.0),
            parts=[
                VARIABLES[part].label
                for part in DERIVATIONS[name].reads
                if part in {base_name(column) for column in whole.values}
            ],
        )
        for name in names
    ]
    age = patient.number("age")
    if age is not None and "age" not in patient.numbers:
        read_as = _in_canonical_unit(VARIABLES["age"], age)
        found.append(Derived(column="age", read_as=read_as, parts=["the date of birth"]))
    return found


def _in_canonical_unit(variable: Variable, value: float) -> str:
    labels = {choice.value: choice.label for choice in unit_choices(variable)}
    return _with_unit(_short(value), labels.get(variable.unit, ""))


def _references(person: _Person) -> dict[str, dict[str, str]]:
    """Return all reference intervals, empty where none applies to this person."""
    return {
        name: {
            choice.value: _interval(
                person.reference(variable), variable.units.get(choice.value, 1.0), choice.label
            )
            for choice in unit_choices(variable)
        }
        for name, variable in VARIABLES.items()
        if variable.references
    }


def _against(reference: Reference | None, value: float) -> tuple[Literal["", "H", "L"], str]:
    """Return whether a value lies above or below a reference, and its multiple of that limit."""
    if reference is None or value <= 0:
        return "", ""
    low, high = reference.low, reference.high
    if low is not None and 0 < value < low:
        return "L", f"{_times(value / low)} × lower limit"
    if high is not None and 0 < high < value:
        return "H", f"{_times(value / high)} × upper limit"
    return "", ""


def _times(multiple: float) -> str:
    """Return a multiple to two digits; just outside the limit never reads as 1."""
    text = f"{multiple:.2g}"
    return f"{multiple:.3g}" if text == "1" else text if multiple < 100 else f"{multiple:.0f}"


def _interval(reference: Reference | None, scale: float, unit: str) -> str:
    if reference is None:
        return ""
    low, high = (
        None if end is None else _short(end / scale) for end in (reference.low, reference.high)
    )
    if low is None:
        return "" if high is None else _with_unit(f"up to {high}", unit)
    return _with_unit(f"from {low}" if high is None else f"{low} to {high}", unit)


def _with_unit(number: str, unit: str) -> str:
    return f"{number.replace('-', '−')} {unit}".strip()


def _converted(value: float) -> str:
    """Return a converted number to four digits, without an exponent."""
    return f"{value:.0f}" if abs(value) >= 1000 else f"{value:#.4g}".rstrip("0").rstrip(".")


def _short(value: float) -> str:
    """Return a number to three digits, without an exponent."""
    return f"{value:.0f}" if abs(value) >= 100 else f"{value:.3g}"
