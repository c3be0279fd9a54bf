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

__all__ = ["Landmark", "is_living_adult", "landmark"]

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


def is_living_adult(patient: Resource, today: date) -> bool:
    """Return whether a Patient is known to be at least 18 years old, and not known to be dead.

    A year or month of birth counts as its last day.
    """
    born = BirthDate.of(text(patient, "birthDate"))
    if born is None or recorded_death(patient) is not None:
        return False
    return age_in_years(born.last, today) >= _ADULT_YEARS


def landmark(
    service: CdsService,
    entries: Sequence[Entry],
    *,
    now: datetime,
    icu_locations: Collection[str] = (),
) -> Landmark | None:
    """Return the landmark of an encounter, or None if no card is due now.

    None outside intensive care, before time zero, after the service's window, and if the patient
    died there. `entries` are the encounter and Locations.
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
        at = Landmark(stay.start, zero, is_now=is_there)
    elif is_there:
        at = Landmark(stay.start, stay.start + timedelta(hours=counted_from.hours))
    else:
        return None
    return at if at.time_zero <= now <= at.time_zero + service.window else None
