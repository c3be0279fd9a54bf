"""What a Bundle says beside its Observations: time zero, the stay, death and the goal of care."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import replace
from datetime import datetime, timedelta

from data_schema.fhir.encounter import icu_stays
from data_schema.fhir.history import history, is_comfort_care
from data_schema.fhir.observations import FhirRecord
from data_schema.fhir.resources import Entry, last_moment, part, text
from data_schema.fhir.vital_status import RecordedDeath, died_in_encounter
from models.inference.guard import FUTURE_TOLERANCE_DAYS
from serving.fhir.question import Circumstances, FhirQuestion
from serving.problems.details import FieldProblem, RequestBroken

__all__ = ["circumstances_of", "with_death", "with_history"]

_CLOCKS_DIFFER = timedelta(days=FUTURE_TOLERANCE_DAYS)


def with_death(record: FhirRecord, entries: Sequence[Entry]) -> FhirRecord:
    """Return a record with the death that an Encounter states, where the Patient states none."""
    if record.death is not None:
        return record
    for entry in entries:
        if entry.kind == "Encounter" and died_in_encounter(entry.resource):
            return replace(record, death=RecordedDeath(_period(entry)[1]))
    return record


def with_history(record: FhirRecord, entries: Sequence[Entry], about: Circumstances) -> FhirRecord:
    """Return a record with the flags that its Conditions and medications set, after its values.

    Without a stay in intensive care, no drug was given since its start: only flags that count from
    further back are set.
    """
    flags = history(
        entries, icu_start=about.icu_admission or about.time_zero, time_zero=about.time_zero
    )
    return replace(record, observations=(*record.observations, *flags))


def circumstances_of(
    question: FhirQuestion, record: FhirRecord, *, now: datetime, icu_locations: Collection[str]
) -> Circumstances:
    """Return the circumstances of a record, or raise RequestBroken.

    Without a stated time zero it is the time of the newest Observation of the one encounter that
    the record states, and never in the future. `icu_locations` are references to the site's
    intensive care units.
    """
    asked_at = question.asked_at or now
    if asked_at > now + _CLOCKS_DIFFER:
        message = "askedAt must not be later than now."
        raise RequestBroken([FieldProblem(field="askedAt", rule="in_future", message=message)])
    time_zero = question.time_zero or _newest(question, record, asked_at)
    stays = icu_stays(question.entries, icu_locations=icu_locations)
    begun = [stay.start for stay in stays if stay.start <= time_zero]
    return Circumstances(
        time_zero=time_zero,
        asked_at=asked_at,
        icu_admission=begun[-1] if begun else None,
        is_comfort_care=is_comfort_care(question.entries),
        is_incomplete=question.is_incomplete,
        is_retrospective=question.asked_at is not None,
    )


def _newest(question: FhirQuestion, record: FhirRecord, asked_at: datetime) -> datetime:
    """Return the time of the newest Observation of the record's one encounter, or raise."""
    encounters = [entry for entry in question.entries if entry.kind == "Encounter"]
    if len(encounters) != 1 and not record.encounter:
        raise _without_time_zero("since the record does not state one encounter")
    first, last = _period(encounters[0]) if len(encounters) == 1 else (None, None)
    stated = [one.time for one in record.observations] + [one.time for one in record.absent]
    times = [
        time
        for time in stated
        if time is not None
        and time <= asked_at + _CLOCKS_DIFFER
        and (first is None or time >= first)
        and (last is None or time <= last)
    ]
    if not times:
        raise _without_time_zero("since no Observation of the encounter was taken by now")
    return max(times)


def _period(encounter: Entry) -> tuple[datetime | None, datetime | None]:
    period = part(encounter.resource, "period") or part(encounter.resource, "actualPeriod")
    return last_moment(text(period, "start")), last_moment(text(period, "end"))


def _without_time_zero(why: str) -> RequestBroken:
    message = f"timeZero must be given, {why}."
    return RequestBroken([FieldProblem(field="timeZero", rule="required", message=message)])
