"""The entries as the service reads them, with unit and reference, before a prediction."""

from __future__ import annotations

from pydantic import BaseModel

from data_schema.biomarkers import VARIABLES, reference_interval
from data_schema.measurements import CanonicalMeasurement, Measurement, canonical_measurement
from data_schema.units import canonical_unit_spelling
from data_schema.variables import Reference, Variable, base_name
from serving.page.form import unit_choices
from serving.prediction.question import Question
from serving.prediction.served import Served

__all__ = ["Entries", "Entry", "read_entries"]


class Entry(BaseModel):
    """One entry as read, or the rule that it breaks."""

    column: str
    read_as: str = ""
    canonical: str = ""
    comparator: str = ""
    reference: str = ""
    multiple: str = ""
    problem: str = ""


class Entries(BaseModel):
    """The entries in their order, and this person's reference intervals by column and unit."""

    entries: list[Entry]
    references: dict[str, dict[str, str]]


def read_entries(question: Question, served: Served) -> Entries:
    """Return the entries of a question as a prediction would read them.

    Raises QuestionBroken and NoModel as `Served.find`.
    """
    variables = dict(VARIABLES)
    for model in served.find(question.outcomes):
        variables |= model.own_variables
    read = [canonical_measurement(one.measurement, variables) for one in question.measurements]
    person = _Person(question, [one for one in read if isinstance(one, CanonicalMeasurement)])
    entries = []
    for sent, checked in zip(question.measurements, read, strict=True):
        column = sent.measurement.variable or ""
        if isinstance(checked, CanonicalMeasurement):
            entries.append(_entry(sent.measurement, checked, person))
        else:
            label = variables[checked.variable].label if checked.variable else "This entry"
            rule = checked.message.removeprefix(checked.variable).strip()
            entries.append(Entry(column=column, problem=f"{label} {rule}"))
    return Entries(entries=entries, references=_references(person))


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


def _entry(sent: Measurement, measured: CanonicalMeasurement, person: _Person) -> Entry:
    column, variable, value = measured.column, measured.variable, measured.value
    if not isinstance(value, float):
        return Entry(column=column, read_as=(value or "not stated").replace("_", " "))
    if variable.kind == "flag":
        return Entry(column=column, read_as="yes" if value else "no")
    labels = {choice.value: choice.label for choice in unit_choices(variable)}
    unit = canonical_unit_spelling(variable, sent.unit or "") or variable.unit
    scale = variable.units.get(unit, 1.0)
    comparator = "<" if measured.below else ">" if measured.above else ""
    canonical = _with_unit(comparator + _converted(value), labels.get(variable.unit, ""))
    reference = person.reference(variable) if base_name(column) == column else None
    return Entry(
        column=column,
        # As entered, without the digits beyond 10 that conversion adds.
        read_as=_with_unit(f"{comparator}{value / scale:.10g}", labels.get(unit, "")),
        canonical="" if scale == 1.0 else canonical,
        comparator=comparator,
        reference=_interval(reference, scale, labels.get(unit, "")),
        multiple="" if comparator else _multiple(reference, value),
    )


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


def _multiple(reference: Reference | None, value: float) -> str:
    """Return a value as a multiple of the reference limit next to it."""
    if reference is None or value <= 0:
        return ""
    low, high = reference.low, reference.high
    if low is not None and 0 < value < low:
        return f"{_short(value / low)} × lower reference limit"
    if not high or high <= 0:
        return "within reference"
    times = f"{_short(value / high)} × upper reference limit"
    return times if value > high else f"within reference, {times}"


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
