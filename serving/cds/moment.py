"""Whether now is a moment for a card, and which time zero it counts from."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta

from data_schema.fhir.encounter import icu_stays
from data_schema.fhir.resources import Entry, Resource, codings, last_moment, part, text
from data_schema.outcomes import OUTCOMES
from serving.cds.services import CdsService

__all__ = ["Landmark", "is_living_adult", "landmark"]

_ADULT_YEARS = 18
# One that began earlier is a slip in the record.
_LONGEST_STAY = timedelta(days=730)


@dataclass(frozen=True, slots=True)
class Landmark:
    """Time zero of one patient, and the start of the stay in intensive care before it.

    Parameters
    ----------
    icu_start, time_zero : datetime
    is_now : bool
        Whether time zero is the call itself: the patient is still there, and is being discharged.
    """

    icu_start: datetime
    time_zero: datetime
    is_now: bool = False


def is_living_adult(patient: Resource, today: date) -> bool:
    """Return whether a Patient is known to be at least 18 years old, and not known to be dead.

    Parameters
    ----------
    patient : mapping
        A year of birth alone, or a month, counts as its last day.
    today : date

    Returns
    -------
    bool
    """
    # `_deceasedDateTime` alone says that the patient died and nobody knows when.
    stated = [value for name, value in patient.items() if name.lstrip("_").startswith("deceased")]
    if any(value not in (False, None, "") for value in stated):
        return False
    born = last_moment(text(patient, "birthDate"), UTC)
    if born is None:
        return False
    birthday = (born.year + _ADULT_YEARS, born.month, born.day)
    return birthday <= (today.year, today.month, today.day)


def landmark(
    service: CdsService,
    entries: Sequence[Entry],
    *,
    now: datetime,
    icu_locations: Collection[str] = (),
) -> Landmark | None:
    """Return the landmark of an encounter, or None if there is none now.

    Parameters
    ----------
    service : CdsService
    entries : sequence of Entry
        The encounter, and Locations.
    now : datetime
    icu_locations : collection of str
        As `icu_stays` takes them.

    Returns
    -------
    Landmark or None
        None outside intensive care, before time zero, once the service's window is over, and for
        who left dead.
    """
    stays = icu_stays(entries, icu_locations=icu_locations)
    begun = [stay for stay in stays if now - _LONGEST_STAY <= stay.start <= now]
    if not begun or any(_left_dead(entry.resource) for entry in entries):
        return None
    stay, counted_from = begun[-1], OUTCOMES[service.outcome].landmark
    is_there = stay.is_running(now)
    if counted_from is None:
        return None
    if counted_from.hours is None:
        zero = now if is_there or stay.end is None else stay.end
        found = Landmark(stay.start, zero, is_now=is_there)
    elif is_there:
        found = Landmark(stay.start, stay.start + timedelta(hours=counted_from.hours))
    else:
        return None
    return found if found.time_zero <= now <= found.time_zero + service.window else None


def _left_dead(encounter: Resource) -> bool:
    stay = part(encounter, "hospitalization") or part(encounter, "admission")
    return any(code == "exp" for _, code in codings(part(stay, "dischargeDisposition")))
