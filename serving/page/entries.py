"""What was entered, said back before it is scored: as read, with unit and reference beside it."""

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
    """One entry as it was read, or the rule that it breaks."""

    column: str
    read_as: str = ""
    canonical: str = ""
    comparator: str = ""
    reference: str = ""
    multiple: str = ""
    problem: str = ""


class Entries(BaseModel):
    """Every entry in the order sent, and what the references are for this person.

    `references` holds, by column and unit, the reference interval in that unit.
    """

    entries: list[Entry]
    references: dict[str, dict[str, str]]


def read_entries(question: Question, served: Served) -> Entries:
    """Return what a prediction would read of a question, entry by entry.

    Parameters
    ----------
    question : Question
        The very question that would be answered.
    served : Served

    Returns
    -------
    Entries

    Raises
    ------
    QuestionBroken, NoModel
        As `Served.find`.
    """
    variables = dict(VARIABLES)
    for model in served.find(question.outcomes):
        variables |= model.own_variables
    read = [canonical_measurement(one.measurement, variables) for one in question.measurements]
    person = _Person(question, [one for one in read if isinstance(one, CanonicalMeasurement)])
    entries = []
    for sent, found in zip(question.measurements, read, strict=True):
        column = sent.measurement.variable or ""
        if isinstance(found, CanonicalMeasurement):
            entries.append(_entry(sent.measurement, found, person))
        else:
            label = variables[found.variable].label if found.variable else "This entry"
            said = found.message.removeprefix(found.variable).strip()
            entries.append(Entry(column=column, problem=f"{label} {said}"))
    return Entries(entries=entries, references=_references(person))


class _Person:
    """Who the reference intervals are for."""

    def __init__(self, question: Question, read: list[CanonicalMeasurement]) -> None:
        values = {one.column: one.value for one in read}
        age, menopause = values.get("age"), values.get("menopausal_status")
        self._sex = question.sex
        self._age = age if isinstance(age, float) else None
        self._menopause = menopause if isinstance(menopause, str) else None

    def reference(self, variable: Variable) -> Reference | None:
        """Return the interval of a variable for this person, or None."""
        sex = self._sex if self._sex in ("female", "male") else None
        return reference_interval(variable, sex=sex, menopause=self._menopause, age=self._age)


def _entry(sent: Measurement, found: CanonicalMeasurement, person: _Person) -> Entry:
    variable, value = found.variable, found.value
    if not isinstance(value, float):
        return Entry(column=found.column, read_as=(value or "not stated").replace("_", " "))
    if variable.kind == "flag":
        return Entry(column=found.column, read_as="yes" if value else "no")
    labels = {choice.value: choice.label for choice in unit_choices(variable)}
    unit = canonical_unit_spelling(variable, sent.unit or "") or variable.unit
    scale = variable.units.get(unit, 1.0)
    comparator = "<" if found.below else ">" if found.above else ""
    read_as = _with_unit(comparator + _number(value / scale), labels.get(unit, ""))
    converted = comparator + _converted(value)
    canonical = _with_unit(converted, labels.get(variable.unit, ""))
    reference = person.reference(variable) if base_name(found.column) == found.column else None
    return Entry(
        column=found.column,
        read_as=read_as,
        canonical="" if scale == 1.0 else canonical,
        comparator=comparator,
        reference=_interval(reference, scale, labels.get(unit, "")),
        multiple="" if comparator else _multiple(reference, value),
    )


def _references(person: _Person) -> dict[str, dict[str, str]]:
    """Return the interval of every variable that has one for somebody; empty if not for her."""
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
    """Say where a value stands to its reference, as a multiple of the limit that counts."""
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


def _number(value: float) -> str:
    """Return a number as it was entered, without what conversion adds behind 10 digits."""
    return f"{value:.10g}"


def _converted(value: float) -> str:
    """Return a converted number to four digits, never with an exponent."""
    return f"{value:.0f}" if abs(value) >= 1000 else f"{value:#.4g}".rstrip("0").rstrip(".")


def _short(value: float) -> str:
    """Return a number to three digits, never with an exponent."""
    return f"{value:.0f}" if abs(value) >= 100 else f"{value:.3g}"
