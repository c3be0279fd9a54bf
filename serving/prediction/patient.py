"""From a question to one patient: every measurement checked, one value for each feature column.

Where a programmer sends names and units on purpose, a broken rule is refused, and all of them are
reported. Where the values come from a record (`Question.is_clinical`), what cannot be read is
listed with its rule, and counts as not entered; a small excess over the plausible range becomes its
nearer end, with a warning. An unknown category counts as not entered, with a warning.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from data_schema.biomarkers import VARIABLES
from data_schema.birth_dates import age_in_years
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
from serving.prediction.answer import Ignored, Part
from serving.prediction.question import (
    BrokenRule,
    Place,
    Question,
    QuestionBroken,
    TimedAbsence,
)
from serving.prediction.selection import (
    Moment,
    ReadMeasurement,
    Selection,
    select,
    values_of,
)

__all__ = ["Patient", "icu_start_before", "read_patient"]

# Rules about these parts of a measurement; any other rule is about its value.
_PARTS = frozenset({"unit", "assay", "specimen", "comparator"})

# Rules after which nothing is known to have been measured of the variable itself.
_OF_SOMETHING_ELSE = frozenset({"assay", "specimen", "unknown_variable", "code", "no_time"})

# Rules of what states no number: an older value may stand, since nothing newer is known.
_WITHOUT_NUMBER = frozenset({"not_a_number", "unread"})

# How long before time zero the stay began where nothing tells: with the day before, one week.
_UNKNOWN_STAY = timedelta(days=6)


@dataclass(frozen=True, slots=True)
class Patient:
    """One patient in the terms of the catalogue, by feature column.

    `values` holds the value of each column that counts, and `numbers` the position of its
    measurement in the question. `absent` maps the variables that are recorded as not done to their
    position; any other variable without a value is not entered. `policy` holds columns of
    `models.inference.columns.POLICY_COLUMNS`, `hidden` the variables whose newest value could not
    be read, and `refusals` the reasons why no model may answer.
    """

    values: Mapping[str, CanonicalMeasurement]
    numbers: Mapping[str, int]
    absent: Mapping[str, int]
    ignored: tuple[Ignored, ...]
    warnings: tuple[Remark, ...]
    policy: Mapping[str, float]
    hidden: tuple[str, ...] = ()
    refusals: tuple[Remark, ...] = ()

    def number(self, column: str) -> float | None:
        """Return the value of a number, or None if there is none."""
        measured = self.values.get(column)
        return measured.value if measured and isinstance(measured.value, float) else None

    def word(self, column: str) -> str | None:
        """Return the value of a category, or None if it was not stated."""
        stated = self.values.get(column)
        return stated.value if stated and isinstance(stated.value, str) else None


@dataclass(frozen=True, slots=True)
class _Unread:
    """A value that could not be read, by its place in the question, with the rule and its times."""

    number: int
    part: Part
    variable: str
    rule: str
    message: str
    time: datetime | None
    issued: datetime | None = None


def icu_start_before(time_zero: datetime, hours: int | None) -> datetime:
    """Return when the stay began, for a time zero so many hours after it; a guess for None."""
    return time_zero - (_UNKNOWN_STAY if hours is None else timedelta(hours=hours))


def read_patient(
    question: Question,
    *,
    own: Mapping[str, Variable],
    elsewhere: Collection[str] = (),
    icu_hours: int | None = None,
) -> Patient:
    """Return the patient of a question as one model reads it, or raise QuestionBroken.

    `serving.prediction.selection` states which measurement counts. A value supersedes the record of
    its variable as not done at another time, and contradicts it at the same time or where either
    states none. `own` holds the model's variables outside the catalogue, `elsewhere` those of the
    other models that answer the question, and `icu_hours` is how many hours after admission to
    intensive care the model's time zero lies, for questions that do not state the admission.
    """
    stay = question.icu_admission or icu_start_before(question.time_zero, icu_hours)
    moment = Moment(question.time_zero, stay)
    variables = {**VARIABLES, **own}
    person = _person(question)
    broken = list(person.broken)
    warnings, ignored = list(person.warnings), list[Ignored]()
    read, unread = list[ReadMeasurement](), list[_Unread]()
    for number, sent in enumerate(question.measurements):
        name = sent.measurement.variable
        if name is not None and base_name(name) in elsewhere:
            ignored.append(Ignored(number, name, "not_in_model"))
            continue
        checked = canonical_measurement(
            sent.measurement, variables, extremes="clip" if question.is_clinical else "refuse"
        )
        if isinstance(checked, CanonicalMeasurement):
            read.append(ReadMeasurement(number, sent.time, checked, sent.issued, sent.is_corrected))
        elif checked.rule == "category":
            warnings.append(_unknown_category(checked))
        elif question.is_clinical:
            about = checked.variable or base_name(name or "")
            unread.append(
                _Unread(
                    number,
                    "measurements",
                    about,
                    checked.rule,
                    checked.message,
                    sent.time,
                    sent.issued,
                )
            )
        else:
            broken.append(_broken(number, sent.measurement, checked))
    for number, value in enumerate(question.unread):
        if value.variable in elsewhere:
            ignored.append(Ignored(number, value.variable, "not_in_model", "unread"))
            continue
        known = absent_variable(value.variable, variables, "unread")
        if isinstance(known, Finding) and not question.is_clinical:
            broken.append(BrokenRule(Place("unread", number), known.rule, known.message))
            continue
        unread.append(
            _Unread(number, "unread", value.variable, value.rule, value.message, value.time)
        )
    selection = select(read, moment, stated_elsewhere=frozenset(person.values))
    ignored += [Ignored(*one) for one in selection.unused]
    ignored += [_listed(one, moment) for one in unread]
    chosen = dict(selection.chosen)
    absent, verdicts = _absent(question, moment, variables, elsewhere, chosen, person.values)
    for verdict in verdicts:
        if isinstance(verdict, BrokenRule):
            broken.append(verdict)
        else:
            ignored.append(verdict)
            if verdict.reason == "contradiction":
                warnings.append(_contradiction(variables[verdict.variable]))
                chosen = {c: one for c, one in chosen.items() if base_name(c) != verdict.variable}
    if broken:
        raise QuestionBroken(broken)
    return Patient(
        values={
            **{column: one.measurement for column, one in chosen.items()},
            **person.values,
        },
        numbers={column: one.number for column, one in chosen.items()},
        absent=absent,
        ignored=tuple(ignored),
        warnings=(*warnings, *_remarks(selection)),
        policy={**_policy(question), **person.policy},
        hidden=tuple(dict.fromkeys(_hidden(unread, moment, chosen))),
        refusals=person.refusals,
    )


def _listed(one: _Unread, moment: Moment) -> Ignored:
    """Return a value that could not be read, with why it would not have counted, or its rule."""
    reason = moment.reason_not_counted(one.variable, one.time, one.issued)
    if one.rule == "no_time":
        reason = "no_time"
    if reason is not None:
        return Ignored(one.number, one.variable, reason, one.part)
    return Ignored(one.number, one.variable, "unreadable", one.part, one.rule, one.message)


def _hidden(
    unread: Sequence[_Unread], moment: Moment, chosen: Mapping[str, ReadMeasurement]
) -> list[str]:
    """Return the variables whose newest value could not be read, and may have been any value."""
    hidden = []
    for one in unread:
        if (
            not one.variable
            or one.rule in _OF_SOMETHING_ELSE
            or moment.reason_not_counted(one.variable, one.time, one.issued) is not None
        ):
            continue
        others = [other.time for other in values_of(one.variable, chosen)]
        is_superseded = bool(others) and (
            one.rule in _WITHOUT_NUMBER
            or (one.time is not None and all(t is None or t >= one.time for t in others))
        )
        if not is_superseded:
            hidden.append(one.variable)
    return hidden


def _remarks(selection: Selection) -> list[Remark]:
    """Return the warnings about values that contradict each other or were clipped."""
    remarks = [_contradiction(variable) for variable in selection.contradicting.values()]
    for one in selection.chosen.values():
        if one.measurement.clipped:
            variable = one.measurement.variable
            message = (
                f"{variable.label} lies outside its plausible range; the nearer end of the range "
                "was used. Check the value."
            )
            remarks.append(Remark("clipped", message, (variable.name,)))
    return remarks


def _contradiction(variable: Variable) -> Remark:
    message = (
        f"{variable.label}: entries of one time contradict each other, so none of them was used. "
        "Correct the record."
    )
    return Remark("contradiction", message, (variable.name,))


def _absent(
    question: Question,
    moment: Moment,
    variables: Mapping[str, Variable],
    elsewhere: Collection[str],
    chosen: Mapping[str, ReadMeasurement],
    person: Mapping[str, CanonicalMeasurement],
) -> tuple[dict[str, int], list[Ignored | BrokenRule]]:
    """Return the variables that count as recorded as not done, and why others do not."""
    absent: dict[str, int] = {}
    verdicts: list[Ignored | BrokenRule] = []
    for number, absence in enumerate(question.absent):
        if absence.variable in elsewhere:
            verdicts.append(Ignored(number, absence.variable, "not_in_model", "absent"))
            continue
        known = absent_variable(absence.variable, variables)
        if isinstance(known, Finding):
            if question.is_clinical:
                verdicts.append(Ignored(number, absence.variable, "not_in_model", "absent"))
            else:
                verdicts.append(BrokenRule(Place("absent", number), known.rule, known.message))
            continue
        verdict = _beside_values(number, absence, question, moment, chosen, person)
        if verdict is None:
            absent[absence.variable] = number
        else:
            verdicts.append(verdict)
    return absent, verdicts


def _beside_values(
    number: int,
    absence: TimedAbsence,
    question: Question,
    moment: Moment,
    chosen: Mapping[str, ReadMeasurement],
    person: Mapping[str, CanonicalMeasurement],
) -> Ignored | BrokenRule | None:
    """Return why a variable does not count as recorded as not done; None if it does."""
    name = absence.variable
    reason = moment.reason_not_counted(name, absence.time)
    if reason is None and question.is_clinical and absence.time is None:
        reason = "no_time"
    if reason is None and question.is_clinical and name in person:
        reason = "stated_elsewhere"
    if reason is not None:
        return Ignored(number, name, reason, "absent")
    of_variable = list(values_of(name, chosen))
    if not of_variable and name not in person:
        return None
    is_of_another_time = name not in person and all(
        absence.time is not None and one.time is not None and one.time != absence.time
        for one in of_variable
    )
    if is_of_another_time:
        return Ignored(number, name, "measured", "absent")
    if question.is_clinical:
        return Ignored(number, name, "contradiction", "absent")
    message = (
        f"{name} must have no value where it is absent; the request states both. Leave out one."
    )
    return BrokenRule(Place("absent", number), "not_done_with_value", message)


def _policy(question: Question) -> dict[str, float]:
    """Return what decides whether any model may answer, apart from values and age."""
    policy = {
        "dead_at_time_zero": float(
            question.death is not None and question.death.is_by(question.time_zero)
        ),
        "comfort_care_at_time_zero": float(question.is_comfort_care),
        "record_incomplete": float(question.is_incomplete),
    }
    if question.asked_at is not None:
        policy["asked_after_days"] = (question.asked_at - question.time_zero) / timedelta(days=1)
    return policy


@dataclass(frozen=True, slots=True)
class _Person:
    """Sex and age as measurements, and what else follows from the question's own fields."""

    values: Mapping[str, CanonicalMeasurement]
    policy: Mapping[str, float]
    warnings: tuple[Remark, ...] = ()
    refusals: tuple[Remark, ...] = ()
    broken: tuple[BrokenRule, ...] = ()


def _person(question: Question) -> _Person:
    """Return sex and age, and the rules that the date of birth breaks.

    Of a year or a month of birth, the middle gives the age, and the last day the lowest age, which
    decides whether the patient is surely an adult.
    """
    values: dict[str, CanonicalMeasurement] = {}
    # Any other sex counts as missing, and reference intervals of one sex are not used.
    if question.sex in VARIABLES["sex"].categories:
        values["sex"] = CanonicalMeasurement("sex", VARIABLES["sex"], question.sex)
    warnings = _of_the_request(question)
    born, day_zero = question.birth_date, question.time_zero.date()
    if born is None:
        return _Person(values, {}, warnings)
    age = age_in_years(born.middle, day_zero)
    lowest = age_in_years(born.last, day_zero)
    if born.first > day_zero:
        return _birth_problem(question, values, "birth_after_time_zero", "must not be after")
    age = max(age, 0.0)
    if not is_in_range(VARIABLES["age"], age):
        rest = f"must give an age of {range_text(VARIABLES['age'])} at"
        return _birth_problem(question, values, "range", rest)
    values["age"] = CanonicalMeasurement("age", VARIABLES["age"], age)
    if born.is_exact:
        return _Person(values, {}, warnings)
    partial = Remark(
        "birth_date_partial",
        "The day of birth is not known: the age was taken from the middle of the year or month of "
        "birth, and its last day decided whether the patient is an adult.",
        (),
    )
    return _Person(values, {"lowest_age": lowest}, (*warnings, partial))


def _of_the_request(question: Question) -> tuple[Remark, ...]:
    """Return the warnings about the moment of the request."""
    remarks = []
    if question.is_retrospective:
        message = (
            "The request states that it is about an earlier time: the estimate is not for the care "
            "of a patient now."
        )
        remarks.append(Remark("retrospective", message, ()))
    if question.death is not None and not question.death.is_by(question.time_zero):
        message = "The record states that the patient has died since time zero."
        remarks.append(Remark("died_after_time_zero", message, ()))
    return tuple(remarks)


def _birth_problem(
    question: Question, values: Mapping[str, CanonicalMeasurement], rule: str, rest: str
) -> _Person:
    """Return a person whose date of birth breaks a rule, which a record is refused for."""
    if question.is_clinical:
        message = f"The date of birth {rest} time zero."
        return _Person(values, {}, refusals=(Remark(rule, message, ("age",)),))
    broken = BrokenRule(Place("birth_date"), rule, f"birth_date {rest} time_zero.")
    return _Person(values, {}, broken=(broken,))


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
