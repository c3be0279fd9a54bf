"""Whether a card is due now, and its time zero."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta

from data_schema.birth_dates import BirthDate, age_in_years
from data_schema.fhir.encounter import icu_stays
from data_schema.fhir.resources import Entry, Resource, text
from data_schema.fhir.vital_status import died_in_encounter, recorded_death
from data_schema.outcomes import OUTCOMES
from serving.cds.services import CdsService

__all__ = ["Landmark", "landmark", "reason_not_due", "reason_not_eligible"]

_ADULT_YEARS = 18
# An earlier start is an error in the record.
_LONGEST_STAY = timedelta(days=730)


@dataclass(frozen=True, slots=True)
class Landmark:
    """Time zero of one patient, and the start of the stay in intensive care before it.

    If the patient is still there and is being discharged, time zero is the call itself (`is_now`).
    """

    icu_start: datetime
    time_zero: datetime
    is_now: bool = False


def reason_not_eligible(patient: Resource, today: date) -> str:
    """Return the code for which a Patient gets no card at any time; empty for a living adult.

    The codes are those of refusals: `deceased`, `birth_after_time_zero`, `under_18` and, unlike
    elsewhere, `age_unknown`: a card interrupts, and must not be about a child. A year or month of
    birth counts as its last day.
    """
    if recorded_death(patient) is not None:
        return "deceased"
    born = BirthDate.of(text(patient, "birthDate"))
    if born is None:
        return "age_unknown"
    if born.first > today:
        return "birth_after_time_zero"
    return "" if age_in_years(born.last, today) >= _ADULT_YEARS else "under_18"


def reason_not_due(
    service: CdsService, at: Landmark, *, now: datetime, asked_within_days: float
) -> str | None:
    """Return why no card is due now, None if it is.

    The code of a refusal where the model would refuse the moment, too; empty where only the window
    of the service is over.
    """
    if at.time_zero > now:
        return "time_zero_in_future"
    if now - at.time_zero > timedelta(days=asked_within_days):
        return "stale"
    return "" if now > at.time_zero + service.window else None


def landmark(
    service: CdsService,
    entries: Sequence[Entry],
    *,
    now: datetime,
    icu_locations: Collection[str] = (),
) -> Landmark | None:
    """Return the landmark of an encounter, in the past or to come; None if it has none.

    None outside intensive care, and if the patient died there. `entries` are the encounter and
    Locations.
    """
    stays = icu_stays(entries, icu_locations=icu_locations)
    begun = [stay for stay in stays if now - _LONGEST_STAY <= stay.start <= now]
    if not begun or any(died_in_encounter(entry.resource) for entry in entries):
        return None
    stay, counted_from = begun[-1], OUTCOMES[service.outcome].landmark
    is_there = stay.is_running(now)
    if counted_from is None:
        return None
    if counted_from.hours is None:
        if stay.has_ended and stay.end is None:
            return None  # when is not stated
        zero = now if is_there or stay.end is None else stay.end
        return Landmark(stay.start, zero, is_now=is_there)
    if not is_there:
        return None
    return Landmark(stay.start, stay.start + timedelta(hours=counted_from.hours))
