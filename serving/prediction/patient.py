"""From a question to one patient: every measurement checked, one value for each feature column.

All broken rules are reported, and one is enough for no prediction. A measurement that is not needed
is listed as ignored; an unknown category counts as not entered, with a warning.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime

from data_schema.biomarkers import VARIABLES
from data_schema.errors import Finding
from data_schema.measurements import (
    CanonicalMeasurement,
    Measurement,
    absent_variable,
    canonical_measurement,
)
from data_schema.units import is_in_range, range_text
from data_schema.variables import Variable, base_name
from models.inference.prediction import Remark
from serving.prediction.answer import Ignored
from serving.prediction.question import BrokenRule, Place, Question, QuestionBroken, TimedAbsence

__all__ = ["Patient", "age_in_years", "read_patient"]

_LONG_AGO = datetime.min.replace(tzinfo=UTC)

# Rules about these parts of a measurement; any other rule is about its value.
_PARTS = frozenset({"unit", "assay", "specimen", "comparator"})


@dataclass(frozen=True, slots=True)
class Patient:
    """One patient in the terms of the catalogue, by feature column.

    `values` holds the latest value at or before time zero, and `numbers` the position of its
    measurement in the question. `absent` maps the variables that are recorded as not done to their
    position; any other variable without a value is not entered.
    """

    values: Mapping[str, CanonicalMeasurement]
    numbers: Mapping[str, int]
    absent: Mapping[str, int]
    ignored: tuple[Ignored, ...]
    warnings: tuple[Remark, ...]

    def number(self, column: str) -> float | None:
        """Return the value of a number, or None if there is none."""
        measured = self.values.get(column)
        return measured.value if measured and isinstance(measured.value, float) else None

    def word(self, column: str) -> str | None:
        """Return the value of a category, or None if it was not stated."""
        stated = self.values.get(column)
        return stated.value if stated and isinstance(stated.value, str) else None


def read_patient(
    question: Question,
    *,
    own: Mapping[str, Variable],
    elsewhere: Collection[str] = (),
) -> Patient:
    """Return the patient of a question as one model reads it, or raise QuestionBroken.

    Of several measurements of one column the latest at or before time zero counts. A measurement
    without a time is earlier than any other; of equal times, the last in the list counts. A value
    supersedes the record of its variable as not done at another time, and contradicts it at the
    same time or where either states none. `own`
    holds the model's variables outside the catalogue, and `elsewhere` those of the other models
    that answer the question.
    """
    person, broken = _person(question)
    variables = {**VARIABLES, **own}
    read: list[_ReadMeasurement] = []
    ignored: list[Ignored] = []
    warnings: list[Remark] = []
    for number, sent in enumerate(question.measurements):
        name = sent.measurement.variable
        if name is not None and base_name(name) in elsewhere:
            ignored.append(Ignored(number, name, "not_in_model"))
            continue
        checked = canonical_measurement(sent.measurement, variables)
        if isinstance(checked, CanonicalMeasurement):
            read.append(_ReadMeasurement(number, sent.time, checked))
        elif checked.rule == "category":
            warnings.append(_unknown_category(checked))
        else:
            broken.append(_broken(number, sent.measurement, checked))
    stated: dict[int, TimedAbsence] = {}
    for number, absence in enumerate(question.absent):
        if absence.variable in elsewhere:
            ignored.append(Ignored(number, absence.variable, "not_in_model", "absent"))
            continue
        known = absent_variable(absence.variable, variables)
        if isinstance(known, Finding):
            broken.append(BrokenRule(Place("absent", number), known.rule, known.message))
        else:
            stated[number] = absence
    chosen, unused = _latest(read, question.time_zero, person)
    absent: dict[str, int] = {}
    for number, absence in stated.items():
        verdict = _beside_values(number, absence, question.time_zero, chosen, person)
        if isinstance(verdict, Ignored):
            ignored.append(verdict)
        elif isinstance(verdict, BrokenRule):
            broken.append(verdict)
        else:
            absent[absence.variable] = number
    if broken:
        raise QuestionBroken(broken)
    values = {column: one.measurement for column, one in chosen.items()} | person
    numbers = {column: one.number for column, one in chosen.items()}
    return Patient(values, numbers, absent, tuple(ignored + unused), tuple(warnings))


@dataclass(frozen=True, slots=True)
class _ReadMeasurement:
    """A valid measurement, its number in the question and its time."""

    number: int
    time: datetime | None
    measurement: CanonicalMeasurement


def _latest(
    read: Sequence[_ReadMeasurement],
    time_zero: datetime,
    person: Mapping[str, CanonicalMeasurement],
) -> tuple[dict[str, _ReadMeasurement], list[Ignored]]:
    """Return the chosen measurement of each column, and the others with the reason for each."""
    chosen: dict[str, _ReadMeasurement] = {}
    unused: list[Ignored] = []
    for one in sorted(read, key=lambda one: (one.time or _LONG_AGO, one.number), reverse=True):
        column = one.measurement.column
        if one.time is not None and one.time > time_zero:
            unused.append(Ignored(one.number, column, "after_time_zero"))
        elif column in person:
            unused.append(Ignored(one.number, column, "stated_elsewhere"))
        elif one.measurement.value is None:
            # An earlier one still counts.
            unused.append(Ignored(one.number, column, "not_measured"))
        elif column in chosen:
            unused.append(Ignored(one.number, column, "duplicate"))
        else:
            chosen[column] = one
    return chosen, unused


def _beside_values(
    number: int,
    absence: TimedAbsence,
    time_zero: datetime,
    chosen: Mapping[str, _ReadMeasurement],
    person: Mapping[str, CanonicalMeasurement],
) -> Ignored | BrokenRule | None:
    """Return why a variable does not count as recorded as not done; None if it does."""
    name = absence.variable
    if absence.time is not None and absence.time > time_zero:
        return Ignored(number, name, "after_time_zero", "absent")
    of_variable = list(_values_of(name, chosen))
    if not of_variable and name not in person:
        return None
    is_of_another_time = name not in person and all(
        absence.time is not None and one.time is not None and one.time != absence.time
        for one in of_variable
    )
    if is_of_another_time:
        return Ignored(number, name, "measured", "absent")
    message = (
        f"{name} must have no value where it is absent; the request states both. Leave out one."
    )
    return BrokenRule(Place("absent", number), "not_done_with_value", message)


def _values_of(name: str, chosen: Mapping[str, _ReadMeasurement]) -> Iterator[_ReadMeasurement]:
    """Yield the values of a variable and of its other features; no sample is no value."""
    for column, one in chosen.items():
        is_none = column.endswith("__count") and one.measurement.value == 0
        if base_name(column) == name and not is_none:
            yield one


def _person(question: Question) -> tuple[dict[str, CanonicalMeasurement], list[BrokenRule]]:
    """Return sex and age as measurements, and the rules that the date of birth breaks."""
    person: dict[str, CanonicalMeasurement] = {}
    # Any other sex counts as missing, and reference intervals of one sex are not used.
    if question.sex in VARIABLES["sex"].categories:
        person["sex"] = CanonicalMeasurement("sex", VARIABLES["sex"], question.sex)
    if question.birth_date is None:
        return person, []
    day_zero = question.time_zero.date()
    if question.birth_date > day_zero:
        return person, [_birth_problem("birth_after_time_zero", "must not be after time_zero")]
    age = age_in_years(question.birth_date, day_zero)
    if not is_in_range(VARIABLES["age"], age):
        rule = f"must give an age of {range_text(VARIABLES['age'])} at time_zero"
        return person, [_birth_problem("range", rule)]
    person["age"] = CanonicalMeasurement("age", VARIABLES["age"], age)
    return person, []


def _birth_problem(rule: str, rest: str) -> BrokenRule:
    return BrokenRule(Place("birth_date"), rule, f"birth_date {rest}.")


def age_in_years(birth: date, day: date) -> float:
    """Return the age in years with its fraction, a whole number on a birthday.

    >>> age_in_years(date(1958, 3, 2), date(2026, 3, 2))
    68.0
    """
    years = day.year - birth.year - ((day.month, day.day) < (birth.month, birth.day))
    year_of_birthday = birth.year + years
    try:
        birthday = birth.replace(year=year_of_birthday)
    except ValueError:  # born on 29 February
        birthday = date(year_of_birthday, 3, 1)
    return years + (day - birthday).days / 366


def _broken(number: int, sent: Measurement, finding: Finding) -> BrokenRule:
    if finding.rule == "unknown_variable":
        part = "loinc" if sent.variable is None and sent.loinc is not None else "variable"
    else:
        part = finding.rule if finding.rule in _PARTS else "value"
    place = Place("measurements", number, part)
    return BrokenRule(place, finding.rule, finding.message, finding.count)


def _unknown_category(finding: Finding) -> Remark:
    return Remark(
        code="unknown_category",
        message=f"{finding.message} It counts as not entered.",
        variables=(finding.variable,),
    )
