"""Stays in intensive care, read from Encounters.

Only codes count, and the locations that a site names: a ward's display is free text.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from data_schema.fhir.code_systems import SNOMED
from data_schema.fhir.resources import Entry, Resource, codings, last_moment, listed, part, text

__all__ = ["IcuStay", "icu_stays", "icu_units"]

_HSLOC = "https://www.cdc.gov/nhsn/cdaportal/terminology/codesystem/hsloc.html"
_HSLOC_HL7 = "http://terminology.hl7.org/CodeSystem/hsloc"
# Critical care of adults in the CDC's list of health care service locations.
_HSLOC_ADULTS = (
    "1025-6",
    "1026-4",
    "1027-2",
    "1028-0",
    "1029-8",
    "1030-6",
    "1031-4",
    "1032-2",
    "1033-0",
    "1035-5",
)

ICU_CODES = frozenset(
    {
        ("http://terminology.hl7.org/CodeSystem/v3-RoleCode", "ICU"),
        (SNOMED, "309904001"),  # intensive care unit (environment)
        (SNOMED, "305351004"),  # admission to intensive care unit (procedure)
        *((system, code) for system in (_HSLOC, _HSLOC_HL7) for code in _HSLOC_ADULTS),
    }
)
"""(system, code) of an intensive care unit for adults, or of an admission to such a unit."""

_FINISHED = frozenset({"finished", "completed", "discharged"})
_NEVER = frozenset({"planned", "cancelled", "entered-in-error", "unknown"})
_NOT_THERE = frozenset({"planned", "reserved"})

# A move from bed to bed is written as an end and a start some minutes apart.
_SAME_STAY = timedelta(hours=1)


@dataclass(frozen=True, slots=True)
class IcuStay:
    """One stay in intensive care.

    `end` is None while it lasts, and where it `has_ended` at a time that is not stated.
    """

    start: datetime
    end: datetime | None
    has_ended: bool = False

    def is_running(self, now: datetime) -> bool:
        """Return whether the patient is there at the given moment."""
        if self.end is None:
            return self.start <= now and not self.has_ended
        return self.start <= now < self.end


def icu_stays(entries: Sequence[Entry], *, icu_locations: Collection[str] = ()) -> list[IcuStay]:
    """Return the stays in intensive care within the encounters that were sent, in order of time.

    `icu_locations` are references to the site's intensive care units, as `Location/icu-1`. Beds
    that follow one another are one stay. A period whose start has no time and offset is left out.
    No stay lasts longer than its encounter: once that is finished, or its period has ended, the
    stay has ended too, whatever its locations say.

    >>> encounter = {
    ...     "resourceType": "Encounter",
    ...     "status": "in-progress",
    ...     "location": [
    ...         {
    ...             "location": {"reference": "Location/icu-1"},
    ...             "period": {"start": "2026-11-01T08:00:00Z"},
    ...         }
    ...     ],
    ... }
    >>> [stay] = icu_stays([Entry(encounter, "")], icu_locations=["Location/icu-1"])
    >>> stay.start.isoformat(), stay.end
    ('2026-11-01T08:00:00+00:00', None)
    """
    units = icu_units(entries).union(icu_locations)
    stays = [
        _within(entry.resource, stay)
        for entry in entries
        if entry.kind == "Encounter" and text(entry.resource, "status") not in _NEVER
        for stay in _of_encounter(entry.resource, units)
    ]
    return _joined(sorted(stays, key=lambda stay: stay.start))


def icu_units(entries: Iterable[Entry]) -> frozenset[str]:
    """Return the references to the Locations whose type is an intensive care unit.

    >>> icu_type = {
    ...     "coding": [
    ...         {"system": "http://terminology.hl7.org/CodeSystem/v3-RoleCode", "code": "ICU"}
    ...     ]
    ... }
    >>> sorted(
    ...     icu_units([Entry({"resourceType": "Location", "id": "icu-1", "type": [icu_type]}, "")])
    ... )
    ['Location/icu-1']
    """
    return frozenset(
        entry.reference
        for entry in entries
        if entry.kind == "Location" and _is_icu(entry.resource, "type")
    )


def _is_icu(resource: Resource, *names: str) -> bool:
    concepts = (concept for name in names for concept in listed(resource, name))
    return any(coding in ICU_CODES for concept in concepts for coding in codings(concept))


def _of_encounter(encounter: Resource, units: Collection[str]) -> Iterator[IcuStay]:
    period = part(encounter, "period") or part(encounter, "actualPeriod")
    if _is_icu(encounter, "class", "type", "serviceType"):
        yield from _stay(period)
        return
    contained = {
        f"#{text(location, 'id')}"
        for location in listed(encounter, "contained")
        if text(location, "resourceType") == "Location" and _is_icu(location, "type")
    }
    for place in listed(encounter, "location"):
        reference = text(part(place, "location"), "reference")
        is_unit = reference in contained or any(
            reference == unit or reference.endswith(f"/{unit}") for unit in units
        )
        if text(place, "status") in _NOT_THERE:
            continue
        if is_unit or _is_icu(place, "physicalType", "form"):
            yield from _stay(part(place, "period") or period)


def _within(encounter: Resource, stay: IcuStay) -> IcuStay:
    """Return a stay that does not outlast its encounter."""
    period = part(encounter, "period") or part(encounter, "actualPeriod")
    ended = _moment(text(period, "end"))
    if ended is not None and ended >= stay.start and (stay.end is None or stay.end > ended):
        return replace(stay, end=ended)
    if stay.end is None and text(encounter, "status") in _FINISHED:
        return replace(stay, has_ended=True)
    return stay


def _stay(period: Resource) -> Iterator[IcuStay]:
    start, end = _moment(text(period, "start")), _moment(text(period, "end"))
    if start is not None and (end is not None or not text(period, "end")):
        yield IcuStay(start, end)


def _moment(stated: str) -> datetime | None:
    return last_moment(stated) if "T" in stated else None


def _joined(stays: Sequence[IcuStay]) -> list[IcuStay]:
    joined: list[IcuStay] = []
    for stay in stays:
        before = joined[-1] if joined else None
        if before is None or (before.end is not None and stay.start > before.end + _SAME_STAY):
            joined.append(stay)
        elif before.end is not None and (stay.end is None or stay.end > before.end):
            joined[-1] = IcuStay(before.start, stay.end, stay.has_ended)
        elif before.end is None and before.has_ended and stay.end is not None:
            joined[-1] = IcuStay(before.start, stay.end)
    return joined
