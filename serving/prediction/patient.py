"""From a request to one patient: every measurement checked, one value for each feature column.

A request is never half-read: every rule it breaks is reported, and one is enough for no prediction.
Two things are no fault. A measurement that is not needed is listed as ignored, and a category that
is not known counts as not measured, with a warning.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime

from data_schema.biomarkers import VARIABLES
from data_schema.errors import Finding
from data_schema.measurements import CanonicalMeasurement, Measurement, canonical_measurement
from data_schema.units import may_stand, range_text
from data_schema.variables import Variable, base_name
from serving.prediction.schemas import (
    Ignored,
    IgnoredReason,
    PredictRequest,
    Remark,
    SentMeasurement,
)
from serving.problems.details import FieldProblem, RequestBroken

__all__ = ["Patient", "age_in_years", "as_measurement", "not_used", "read_patient"]

_LONG_AGO = datetime.min.replace(tzinfo=UTC)

# The part of a measurement that a rule is about; any other rule is about its value.
_PARTS = frozenset({"unit", "assay", "specimen", "comparator"})

_REASONS: Mapping[IgnoredReason, str] = {
    "duplicate": "another measurement of the same variable is",
    "after_time_zero": "it was taken after time zero",
    "stated_elsewhere": "the request's own field is",
    "not_in_model": "this model has no such variable",
}


@dataclass(frozen=True, slots=True)
class Patient:
    """One patient in the words of the catalogue.

    Parameters
    ----------
    values : mapping of str to CanonicalMeasurement
        Feature column -> the latest value at or before time zero.
    fields : mapping of str to str
        Feature column -> the field of the request that its value came from.
    ignored : tuple of Ignored
    warnings : tuple of Remark
    """

    values: Mapping[str, CanonicalMeasurement]
    fields: Mapping[str, str]
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
    request: PredictRequest,
    *,
    own: Mapping[str, Variable],
    elsewhere: Collection[str] = (),
) -> Patient:
    """Return the patient of a request as one model may read it.

    Of several measurements of one column the latest at or before time zero counts; one without a
    time counts as earlier than any with one, and of equals the one further down the list counts.

    Parameters
    ----------
    request : PredictRequest
    own : mapping of str to Variable
        Variables of the model that the catalogue does not hold.
    elsewhere : collection of str
        Variables that only another model asked in the same request has.

    Returns
    -------
    Patient

    Raises
    ------
    RequestBroken
        With every rule that the request breaks.
    """
    person, broken = _person(request)
    variables = {**VARIABLES, **own}
    found: list[_Found] = []
    ignored: list[Ignored] = []
    warnings: list[Remark] = []
    for number, sent in enumerate(request.measurements):
        where = f"measurements[{number}]"
        if sent.variable is not None and base_name(sent.variable) in elsewhere:
            ignored.append(not_used(where, sent.variable, "not_in_model"))
            continue
        checked = canonical_measurement(as_measurement(sent), variables)
        if isinstance(checked, CanonicalMeasurement):
            found.append(_Found(where, sent.time, number, checked))
        elif checked.rule == "category":
            warnings.append(_unknown_category(checked))
        else:
            broken.append(_problem(where, sent, checked))
    if broken:
        raise RequestBroken(broken)
    chosen, unused = _latest(found, request.time_zero, person)
    values = {column: one.measurement for column, one in chosen.items()} | person
    fields = {column: one.where for column, one in chosen.items()}
    return Patient(values, fields, tuple(ignored + unused), tuple(warnings))


def not_used(where: str, column: str, reason: IgnoredReason) -> Ignored:
    """Return the record of a measurement that was sent and not used."""
    message = f"{where} ({column}) is not used: {_REASONS[reason]}."
    return Ignored(field=where, variable=column, reason=reason, message=message)


@dataclass(frozen=True, slots=True)
class _Found:
    """A measurement that kept every rule, and where and when it was sent."""

    where: str
    time: datetime | None
    number: int
    measurement: CanonicalMeasurement


def _latest(
    found: Sequence[_Found], time_zero: datetime, person: Mapping[str, CanonicalMeasurement]
) -> tuple[dict[str, _Found], list[Ignored]]:
    """Choose one measurement for each column; the others are ignored, each with its reason."""
    chosen: dict[str, _Found] = {}
    unused: list[Ignored] = []
    for one in sorted(found, key=lambda one: (one.time or _LONG_AGO, one.number), reverse=True):
        column = one.measurement.column
        if one.time is not None and one.time > time_zero:
            unused.append(not_used(one.where, column, "after_time_zero"))
        elif column in person:
            unused.append(not_used(one.where, column, "stated_elsewhere"))
        elif one.measurement.value is None:
            continue  # "unknown" is no measurement, so an earlier one still counts
        elif column in chosen:
            unused.append(not_used(one.where, column, "duplicate"))
        else:
            chosen[column] = one
    return chosen, unused


def _person(
    request: PredictRequest,
) -> tuple[dict[str, CanonicalMeasurement], list[FieldProblem]]:
    """Return sex and age as measurements, and the rules that the date of birth breaks."""
    person: dict[str, CanonicalMeasurement] = {}
    # Any other answer is missing, and then no reference interval of one sex is used.
    if request.sex in VARIABLES["sex"].categories:
        person["sex"] = CanonicalMeasurement("sex", VARIABLES["sex"], request.sex)
    if request.birth_date is None:
        return person, []
    day_zero = request.time_zero.date()
    if request.birth_date > day_zero:
        return person, [_birth_problem("birth_after_time_zero", "must not lie after time_zero")]
    age = age_in_years(request.birth_date, day_zero)
    if not may_stand(VARIABLES["age"], age):
        rule = f"must give an age at time_zero of {range_text(VARIABLES['age'])}"
        return person, [_birth_problem("range", rule)]
    person["age"] = CanonicalMeasurement("age", VARIABLES["age"], age)
    return person, []


def _birth_problem(rule: str, rest: str) -> FieldProblem:
    return FieldProblem(field="birth_date", rule=rule, message=f"birth_date {rest}; it does not.")


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


def as_measurement(sent: SentMeasurement) -> Measurement:
    """Return a sent measurement as the catalogue reads it; its time is not part of it."""
    return Measurement(
        value=sent.value,
        variable=sent.variable,
        loinc=sent.loinc,
        unit=sent.unit,
        comparator=sent.comparator,
        assay=sent.assay,
        specimen=sent.specimen,
    )


def _problem(where: str, sent: SentMeasurement, finding: Finding) -> FieldProblem:
    if finding.rule == "unknown_variable":
        part = "loinc" if sent.variable is None and sent.loinc is not None else "variable"
    else:
        part = finding.rule if finding.rule in _PARTS else "value"
    return FieldProblem(
        field=f"{where}.{part}", rule=finding.rule, message=finding.message, count=finding.count
    )


def _unknown_category(finding: Finding) -> Remark:
    return Remark(
        code="unknown_category",
        message=f"{finding.message} It counts as not measured.",
        variables=[finding.variable],
    )
