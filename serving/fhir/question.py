"""The input of `$predict`, a Bundle or Parameters that hold one, and its question."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from data_schema.fhir.observations import FhirRecord
from data_schema.fhir.resources import (
    Entry,
    FhirBroken,
    Resource,
    entries_of,
    is_partial,
    last_moment,
    listed,
    part,
    text,
)
from data_schema.measurements import Measurement
from data_schema.variables import base_name
from serving.prediction.question import (
    MAX_TEXT,
    Question,
    TimedAbsence,
    TimedMeasurement,
    UnreadValue,
    check_form,
)
from serving.problems.details import FieldProblem, RequestBroken

__all__ = [
    "PARAMETERS",
    "Circumstances",
    "FhirQuestion",
    "fhir_broken",
    "question_of",
    "read_question",
]

PARAMETERS: Mapping[str, str] = {
    "observations": "A Bundle of Observations of one patient, with the Patient resource for sex "
    "and date of birth.",
    "outcome": "The outcome to predict, such as `mortality` (default: every served model).",
    "timeZero": "The landmark from which days are counted (default: the time of the newest "
    "Observation of the one encounter that the record states, never in the future). Nothing taken "
    "later is used.",
    "askedAt": "For records of the past, the moment for which the estimate is wanted (default: "
    "now).",
    "horizonDays": "Horizons in days (default: each model's own).",
}
"""The parameters of the operation, with their descriptions."""

_NOT_OURS = frozenset({"_format", "_pretty"})
_VALUES = (
    "valueString",
    "valueCode",
    "valueDateTime",
    "valueInstant",
    "valueDecimal",
    "valueInteger",
)


@dataclass(frozen=True, slots=True)
class FhirQuestion:
    """The resources of the Bundle and the parameters, as sent; no outcomes means all.

    `is_incomplete` if the `bundle` states that it is a part of what the server has.
    """

    entries: tuple[Entry, ...]
    outcomes: tuple[str, ...]
    time_zero: datetime | None
    horizons_days: tuple[float, ...] | None
    bundle: Resource
    asked_at: datetime | None = None
    is_incomplete: bool = False


def read_question(document: object, query: Iterable[tuple[str, str]]) -> FhirQuestion:
    """Return the question of a body and its query, or raise RequestBroken.

    `document` is parsed JSON: a Bundle, or Parameters with `observations`. The query may hold the
    other parameters, which are simple.
    """
    stated: dict[str, list[object]] = {name: [] for name in PARAMETERS}
    unknown: list[FieldProblem] = []
    for name, value in [*_in_body(document), *query]:
        if name in stated:
            stated[name].append(value)
        elif name not in _NOT_OURS:
            known = ", ".join(PARAMETERS)
            unknown.append(_problem("Parameters", "unknown_field", f"must be one of {known}."))
    if unknown:
        raise RequestBroken(unknown[:1])
    bundles = stated["observations"]
    if len(bundles) != 1:
        raise RequestBroken([_problem("observations", "required", "must be one Bundle.")])
    where = "Bundle" if bundles[0] is document else "Parameters.parameter('observations').resource"
    try:
        entries = entries_of(bundles[0], where)
    except FhirBroken as error:
        raise fhir_broken(error) from None
    return FhirQuestion(
        entries=tuple(entries),
        outcomes=tuple(map(str, stated["outcome"])),
        time_zero=_moment("timeZero", stated["timeZero"]),
        horizons_days=_horizons(stated["horizonDays"]),
        bundle=bundles[0] if isinstance(bundles[0], Mapping) else {},
        asked_at=_moment("askedAt", stated["askedAt"]),
        is_incomplete=is_partial(bundles[0]),
    )


@dataclass(frozen=True, slots=True)
class Circumstances:
    """What is known of a record beside its Observations.

    Parameters
    ----------
    time_zero : datetime
    asked_at : datetime
        The moment of the request, or the earlier one that the request states.
    icu_admission : datetime or None
    is_comfort_care, is_incomplete, is_retrospective : bool
        As in `Question`.
    """

    time_zero: datetime
    asked_at: datetime
    icu_admission: datetime | None = None
    is_comfort_care: bool = False
    is_incomplete: bool = False
    is_retrospective: bool = False


def question_of(
    record: FhirRecord,
    about: Circumstances,
    *,
    outcomes: Sequence[str],
    horizons_days: Sequence[float] | None = None,
) -> Question:
    """Return the question of a record, in which each list has the order of the record's.

    `measurements[i]` is `record.observations[i]`, and so for `absent` and `unread`.

    Raises
    ------
    QuestionBroken
        With every rule of form that the record breaks.
    """
    question = Question(
        patient_id=_bare_id(record.subject),
        encounter_id=record.encounter.rsplit("/", 1)[-1] or None,
        time_zero=about.time_zero,
        sex=record.sex,
        birth_date=record.birth_date,
        icu_admission=about.icu_admission,
        death=record.death,
        is_comfort_care=about.is_comfort_care,
        is_incomplete=about.is_incomplete,
        is_clinical=True,
        asked_at=about.asked_at,
        is_retrospective=about.is_retrospective,
        outcomes=tuple(outcomes),
        horizons_days=tuple(horizons_days) if horizons_days else None,
        measurements=tuple(
            TimedMeasurement(_shortened(one.measurement), one.time, one.issued, one.is_corrected)
            for one in record.observations
        ),
        absent=tuple(TimedAbsence(one.variable, one.time) for one in record.absent),
        unread=tuple(
            UnreadValue(base_name(one.variable), one.rule, one.message, one.time)
            for one in record.unread
        ),
    )
    check_form(question)
    return question


def _shortened(measurement: Measurement) -> Measurement:
    """Return a measurement whose words have at most the length that a question may have."""
    return replace(
        measurement,
        unit=_short(measurement.unit),
        assay=_short(measurement.assay),
        specimen=_short(measurement.specimen),
    )


def _short(words: str | None) -> str | None:
    return None if words is None else words[:MAX_TEXT]


def _bare_id(subject: Resource) -> str:
    """Return the patient's id without the address of the server."""
    if text(subject, "reference"):
        return text(subject, "reference").rsplit("/", 1)[-1]
    return text(part(subject, "identifier"), "value")


def fhir_broken(error: FhirBroken) -> RequestBroken:
    """Return the same broken rules as an error response."""
    return RequestBroken([_problem(p.expression, p.rule, p.message) for p in error.problems])


def _in_body(document: object) -> list[tuple[str, object]]:
    """Return the parameters of a body; a Bundle alone is `observations`."""
    if not isinstance(document, Mapping) or document.get("resourceType") != "Parameters":
        return [("observations", document)]
    return [
        (text(one, "name"), one.get("resource", next((one[v] for v in _VALUES if v in one), None)))
        for one in listed(document, "parameter")
    ]


def _moment(name: str, stated: Sequence[object]) -> datetime | None:
    if not stated:
        return None
    # A blank was the plus of an offset, not escaped in the address.
    sent = stated[0].replace(" ", "+") if isinstance(stated[0], str) else ""
    moment = last_moment(sent) if "T" in sent and len(stated) == 1 else None
    if moment is None:
        raise RequestBroken([_problem(name, "time", "must be one time with its offset.")])
    return moment


def _horizons(stated: Sequence[object]) -> tuple[float, ...] | None:
    try:
        days = [
            float(one)
            for one in stated
            if isinstance(one, str | int | float) and not isinstance(one, bool)
        ]
    except (ValueError, OverflowError):
        days = []
    if len(days) < len(stated):
        raise RequestBroken([_problem("horizonDays", "not_a_number", "must be a number of days.")])
    return tuple(days) or None


def _problem(field: str, rule: str, rest: str) -> FieldProblem:
    return FieldProblem(field=field, rule=rule, message=f"{field} {rest}")
