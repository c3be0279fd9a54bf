"""From a question to one patient: every measurement checked, one value for each feature column.

A question is never half-read: every rule it breaks is reported, and one broken rule is enough for
no prediction. Two things are no fault: a measurement that is not needed is listed as ignored, and a
category that is not known counts as not measured, with a warning.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime

from data_schema.biomarkers import VARIABLES
from data_schema.errors import Finding
from data_schema.measurements import CanonicalMeasurement, Measurement, canonical_measurement
from data_schema.units import is_in_range, range_text
from data_schema.variables import Variable, base_name
from models.inference.prediction import Remark
from serving.prediction.answer import Ignored
from serving.prediction.question import BrokenRule, Place, Question, QuestionBroken

__all__ = ["Patient", "age_in_years", "read_patient"]

_LONG_AGO = datetime.min.replace(tzinfo=UTC)

# The part of a measurement that a rule is about; any other rule is about its value.
_PARTS = frozenset({"unit", "assay", "specimen", "comparator"})


@dataclass(frozen=True, slots=True)
class Patient:
    """One patient in the words of the catalogue.

    Parameters
    ----------
    values : mapping of str to CanonicalMeasurement
        Feature column -> the latest value at or before time zero.
    numbers : mapping of str to int
        Feature column -> the number of the measurement that its value came from.
    ignored : tuple of Ignored
    warnings : tuple of Remark
    """

    values: Mapping[str, CanonicalMeasurement]
    numbers: Mapping[str, int]
    ignored: tuple[Ignored, ...]
    warnings: tuple[Remark, ...]

    def number(self, column: str) -> float | None:
        """Return the value of a number, or None if it was not measured."""
        found = self.values.get(column)
        return found.value if found and isinstance(found.value, float) else None

    def word(self, column: str) -> str | None:
        """Return the value of a category, or None if it was not stated."""
        found = self.values.get(column)
        return found.value if found and isinstance(found.value, str) else None


def read_patient(
    question: Question,
    *,
    own: Mapping[str, Variable],
    elsewhere: Collection[str] = (),
) -> Patient:
    """Return the patient of a question as one model may read it.

    Of several measurements of one column the latest at or before time zero counts; one without a
    time counts as earlier than any with one, and of equals the one further down the list counts.

    Parameters
    ----------
    question : Question
    own : mapping of str to Variable
        Variables of the model that the catalogue does not hold.
    elsewhere : collection of str
        Variables that only another model asked in the same question has.

    Returns
    -------
    Patient

    Raises
    ------
    QuestionBroken
        With every rule that the question breaks.
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
    if broken:
        raise QuestionBroken(broken)
    chosen, unused = _latest(read, question.time_zero, person)
    values = {column: one.measurement for column, one in chosen.items()} | person
    numbers = {column: one.number for column, one in chosen.items()}
    return Patient(values, numbers, tuple(ignored + unused), tuple(warnings))


@dataclass(frozen=True, slots=True)
class _ReadMeasurement:
    """A measurement that kept every rule, its number in the question, and when it was taken."""

    number: int
    time: datetime | None
    measurement: CanonicalMeasurement


def _latest(
    read: Sequence[_ReadMeasurement],
    time_zero: datetime,
    person: Mapping[str, CanonicalMeasurement],
) -> tuple[dict[str, _ReadMeasurement], list[Ignored]]:
    """Choose one measurement for each column; the others are ignored, each with its reason."""
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


def _person(question: Question) -> tuple[dict[str, CanonicalMeasurement], list[BrokenRule]]:
    """Return sex and age as measurements, and the rules that the date of birth breaks."""
    person: dict[str, CanonicalMeasurement] = {}
    # Any other answer is missing, and then no reference interval of one sex is used.
    if question.sex in VARIABLES["sex"].categories:
        person["sex"] = CanonicalMeasurement("sex", VARIABLES["sex"], question.sex)
    if question.birth_date is None:
        return person, []
    day_zero = question.time_zero.date()
    if question.birth_date > day_zero:
        return person, [_birth_problem("birth_after_time_zero", "must not lie after time_zero")]
    age = age_in_years(question.birth_date, day_zero)
    if not is_in_range(VARIABLES["age"], age):
        rule = f"must give an age at time_zero of {range_text(VARIABLES['age'])}"
        return person, [_birth_problem("range", rule)]
    person["age"] = CanonicalMeasurement("age", VARIABLES["age"], age)
    return person, []


def _birth_problem(rule: str, rest: str) -> BrokenRule:
    return BrokenRule(Place("birth_date"), rule, f"birth_date {rest}; it does not.")


def age_in_years(birth: date, day: date) -> float:
    """Return completed years and the part of the running one: on a birthday it is whole.

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
        message=f"{finding.message} It counts as not measured.",
        variables=(finding.variable,),
    )
