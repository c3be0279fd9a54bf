"""The input of `predict`, the same for every interface, and the rules of its form.

Each interface (HTTP, FHIR, CDS Hooks) translates its request into a `Question` once, and names a
broken rule in its own terms: a `Place` is a part of the question, not a field of a request.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from data_schema.birth_dates import BirthDate
from data_schema.errors import DataError, GateError
from data_schema.fhir.vital_status import RecordedDeath
from data_schema.measurements import Measurement

__all__ = [
    "MAX_HORIZONS",
    "MAX_MEASUREMENTS",
    "MAX_OUTCOMES",
    "MAX_TEXT",
    "BrokenRule",
    "NoModel",
    "Part",
    "Place",
    "Question",
    "QuestionBroken",
    "Rule",
    "Sex",
    "TimedAbsence",
    "TimedMeasurement",
    "UnreadValue",
    "check_form",
    "rule_of_days",
    "rule_of_number",
]

# A stay has some hundred relevant measurements; far more is an error or an attack.
MAX_MEASUREMENTS = 2_000
MAX_HORIZONS = 50
MAX_OUTCOMES = 10
MAX_TEXT = 200

Sex = Literal["female", "male", "other", "unknown"]
Part = Literal[
    "patient_id",
    "encounter_id",
    "session",
    "birth_date",
    "outcomes",
    "horizons_days",
    "measurements",
    "absent",
    "unread",
    "icu_admission",
    "asked_at",
]
Rule = tuple[str, str]
"""The code of a rule, and the text that follows the name of a part: `must be finite`."""


@dataclass(frozen=True, slots=True)
class TimedMeasurement:
    """One measurement and its time, if known.

    `issued` is when the result was made available, where that is stated. One that `is_corrected`
    replaces any other of the same time.
    """

    measurement: Measurement
    time: datetime | None = None
    issued: datetime | None = None
    is_corrected: bool = False


@dataclass(frozen=True, slots=True)
class TimedAbsence:
    """A variable that is recorded as not done, and the time of that record, if known."""

    variable: str
    time: datetime | None = None


@dataclass(frozen=True, slots=True)
class UnreadValue:
    """A value of a variable that an interface could not translate, and the rule that it breaks.

    `time` is the last moment at which it may have been taken, None where that is unknown; the
    message holds no value. `variable` is empty where several may be meant.
    """

    variable: str
    rule: str
    message: str
    time: datetime | None = None


@dataclass(frozen=True, slots=True)
class Question:
    """One patient at one time zero: measurements, and the outcomes and horizons to predict.

    Parameters
    ----------
    patient_id : str
        Opaque.
    time_zero : datetime
        With its offset.
    outcomes : tuple of str
        As in `Served.find`.
    measurements : tuple of TimedMeasurement
    absent : tuple of TimedAbsence
        What is recorded as not done; all others without a measurement are not entered.
    unread : tuple of UnreadValue
    encounter_id : str or None
    sex : Sex or None
    birth_date : BirthDate or None
    icu_admission : datetime or None
        When the stay in intensive care began; if None, each model's own time zero tells.
    death : RecordedDeath or None
    is_comfort_care : bool
        Whether comfort is recorded as the goal of care; False where nothing is recorded.
    is_incomplete : bool
        Whether a part of the record is known to be missing.
    is_clinical : bool
        Whether the values come from a record, where one that cannot be read is listed; otherwise it
        is refused.
    asked_at : datetime or None
        The moment of the request; None if it is not to be compared with time zero.
    is_retrospective : bool
        Whether the request itself states that moment.
    horizons_days : tuple of float or None
        None for each model's own.
    session : str or None
        Opaque; names the sitting in which this and other answers were shown.
    is_interim : bool
        Whether entries are still being made, so that a later answer of the session replaces this.
    explain, next_best : bool
        Whether to add contributions and pathways, and the missing tests that would move the
        estimate.
    """

    patient_id: str
    time_zero: datetime
    outcomes: tuple[str, ...]
    measurements: tuple[TimedMeasurement, ...]
    absent: tuple[TimedAbsence, ...] = ()
    unread: tuple[UnreadValue, ...] = ()
    encounter_id: str | None = None
    sex: Sex | None = None
    birth_date: BirthDate | None = None
    icu_admission: datetime | None = None
    death: RecordedDeath | None = None
    is_comfort_care: bool = False
    is_incomplete: bool = False
    is_clinical: bool = False
    asked_at: datetime | None = None
    is_retrospective: bool = False
    horizons_days: tuple[float, ...] | None = None
    session: str | None = None
    is_interim: bool = False
    explain: bool = True
    next_best: bool = False


@dataclass(frozen=True, slots=True)
class Place:
    """A part of a question: in a list the number of an entry, in a measurement an attribute.

    >>> str(Place("measurements", 3, "unit"))
    'measurements[3].unit'
    """

    part: Part
    number: int | None = None
    attribute: str = ""

    def __str__(self) -> str:
        """Return the place as in messages."""
        number = "" if self.number is None else f"[{self.number}]"
        return f"{self.part}{number}{'.' if self.attribute else ''}{self.attribute}"


@dataclass(frozen=True, slots=True)
class BrokenRule:
    """A rule that `count` values of a part break; `question` is its number in a batch.

    The message names the part and the rule, never a value.
    """

    place: Place
    rule: str
    message: str
    count: int = 1
    question: int | None = None


class QuestionBroken(DataError):
    """A question breaks the rules listed in `broken`."""

    def __init__(self, broken: Sequence[BrokenRule]) -> None:
        self.broken = tuple(broken)
        super().__init__("; ".join(f"[{one.rule}] {one.message}" for one in self.broken))


class NoModel(GateError):
    """No model is served for an outcome of a question."""

    def __init__(self, broken: Sequence[BrokenRule]) -> None:
        self.broken = tuple(broken)
        super().__init__("; ".join(one.message for one in self.broken))


def rule_of_number(number: float) -> Rule | None:
    """Return the rule that any number with this value breaks, or None."""
    try:
        number = float(number)
    except OverflowError:  # a whole number of more than 308 digits
        number = math.inf
    if math.isnan(number):
        return "not_a_number", "must be a number"
    if math.isinf(number):
        return "infinite", "must be finite"
    return None


def rule_of_days(days: float) -> Rule | None:
    """Return the rule that a horizon breaks for any model, or None."""
    return rule_of_number(days) or (None if days > 0 else ("range", "must be more than 0 days"))


def check_form(question: Question) -> None:
    """Raise QuestionBroken with every rule of form that a question breaks.

    For questions that did not come as JSON, whose schema states the same rules. A single value of a
    record that breaks one fails no patient: it is read like any other.
    """
    broken = [
        BrokenRule(place, rule, f"{place} {words}.") for place, (rule, words) in _broken(question)
    ]
    if broken:
        raise QuestionBroken(broken)


def _broken(question: Question) -> Iterator[tuple[Place, Rule]]:
    yield from _broken_text(Place("patient_id"), question.patient_id)
    yield from _broken_text(Place("encounter_id"), question.encounter_id)
    yield from _broken_text(Place("session"), question.session)
    yield from _too_many(Place("outcomes"), question.outcomes, MAX_OUTCOMES)
    horizons_days = question.horizons_days or ()
    if len(horizons_days) > MAX_HORIZONS:
        yield from _too_many(Place("horizons_days"), horizons_days, MAX_HORIZONS)
    else:
        rules = [rule_of_days(days) for days in horizons_days]
        for number, rule in enumerate(rules):
            if rule is not None:
                yield Place("horizons_days", number), rule
        if not any(rules) and len(set(horizons_days)) < len(horizons_days):
            yield Place("horizons_days"), ("repeated", "must not name a horizon twice")
    if len(question.measurements) > MAX_MEASUREMENTS:
        yield from _too_many(Place("measurements"), question.measurements, MAX_MEASUREMENTS)
    elif not question.is_clinical:
        for number, one in enumerate(question.measurements):
            yield from _broken_measurement(number, one.measurement)
    if len(question.absent) > MAX_MEASUREMENTS:
        yield from _too_many(Place("absent"), question.absent, MAX_MEASUREMENTS)
    else:
        for number, stated in enumerate(question.absent):
            yield from _broken_text(Place("absent", number), stated.variable)


def _broken_measurement(number: int, sent: Measurement) -> Iterator[tuple[Place, Rule]]:
    def place(attribute: str) -> Place:
        return Place("measurements", number, attribute)

    yield from _broken_text(place("variable"), sent.variable)
    yield from _broken_text(place("loinc"), sent.loinc)
    value = sent.value
    rule = None if value is None or isinstance(value, str) else rule_of_number(value)
    if rule is not None:
        yield place("value"), rule
    if sent.comparator not in (None, "<", "<=", ">", ">="):
        rest = "must be one of the values that /openapi.json states"
        yield place("comparator"), ("not_allowed", rest)
    yield from _broken_text(place("unit"), sent.unit)
    yield from _broken_text(place("assay"), sent.assay)
    yield from _broken_text(place("specimen"), sent.specimen)


def _broken_text(place: Place, text: str | None) -> Iterator[tuple[Place, Rule]]:
    if text is not None and not 0 < len(text) <= MAX_TEXT:
        yield place, ("text_length", "must be shorter" if text else "must not be empty")


def _too_many(place: Place, listed: Sequence[object], most: int) -> Iterator[tuple[Place, Rule]]:
    if len(listed) > most:
        yield place, ("too_many", "must have fewer entries")
