"""Fetch a patient's record from an EHR: Patient, Observations, encounter and history.

Patient and Observations are required. An EHR may withhold the rest, and the page then says so.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from urllib.parse import urlencode

from data_schema.biomarkers import VARIABLES, loinc_codes
from data_schema.fhir.encounter import icu_stays
from data_schema.fhir.history import MEDICATIONS
from data_schema.fhir.resources import Entry, FhirBroken, Resource, entries_of, text
from data_schema.fhir.site_codes import NO_SITE_CODES, SiteCodes
from data_schema.fhir.subject import identifier_keys, is_about
from serving.fhir.client import FhirClient
from serving.fhir.search import split_codes
from serving.http.outbound import Unreachable

__all__ = ["BONE_MASS_DAYS", "LABORATORY_DAYS", "FetchedRecord", "FhirSource", "fetch_record"]

LABORATORY_DAYS = 7
"""Days before time zero from which values are filled in, unless the stay began earlier."""

BONE_MASS_DAYS = 731
"""The same for bone density, since a scan counts for two years."""

_MAX_PAGES = 20
_SECONDS = 20.0


@dataclass(frozen=True, slots=True)
class FhirSource:
    """One patient's record on a FHIR server, by ids; `encounter` may be empty.

    The access token never leaves the service.
    """

    server: str
    token: str = field(repr=False)
    patient: str
    encounter: str


@dataclass(frozen=True, slots=True)
class FetchedRecord:
    """One patient's resources; None if the server withheld them, empty if it has none."""

    patient: Entry
    observations: Sequence[Entry]
    encounter: Sequence[Entry] | None
    conditions: Sequence[Entry] | None
    medications: Sequence[Entry] | None
    laboratory_days: int


def fetch_record(
    source: FhirSource,
    time_zero: datetime,
    site: SiteCodes = NO_SITE_CODES,
    *,
    names: Collection[str] = (),
    icu_locations: Collection[str] = (),
) -> FetchedRecord:
    """Fetch the record up to the day of time zero, by LOINC and the site's own codes.

    Observations are fetched from a week before time zero, or from two days before the stay in
    intensive care where that is earlier. `names` are variables of the models, which have codes in
    the local system, too.

    Raises
    ------
    Unreachable
        If Patient and Observations are not given, or are of another patient.
    """
    base = source.server.rstrip("/")
    until = time.monotonic() + _SECONDS
    client = FhirClient(base, source.token, until=until, max_pages=_MAX_PAGES)
    patient = client.read(f"Patient/{source.patient}")
    if text(patient, "resourceType") != "Patient" or text(patient, "id") != source.patient:
        raise Unreachable("FHIR server must answer with the requested patient.")
    encounter = _unless_withheld(lambda: _own(source, patient, _encounter(client, source)))
    laboratory_days = _laboratory_days(encounter or (), time_zero, icu_locations)
    observations: list[Entry] = []
    for is_bone_mass, days in ((False, laboratory_days), (True, BONE_MASS_DAYS)):
        dates = [
            ("date", f"ge{_day(time_zero, before=days)}"),
            # A day more, since the server's day may begin earlier.
            ("date", f"le{_day(time_zero, before=-1)}"),
        ]
        wanted = _codes(site, names, is_bone_mass=is_bone_mass)
        for codes in split_codes(wanted, others=urlencode(dates)):
            query = [("code", ",".join(codes)), *dates]
            observations += _search(client, source, "Observation", query)
    return FetchedRecord(
        # An Observation may refer to it by a full or a relative address.
        Entry(patient, "Patient", f"{base}/Patient/{source.patient}"),
        observations,
        encounter,
        _unless_withheld(lambda: _own(source, patient, _search(client, source, "Condition", []))),
        _unless_withheld(
            lambda: _own(
                source,
                patient,
                _search(client, source, "MedicationRequest", _prescribed_since(time_zero)),
            )
        ),
        laboratory_days,
    )


def _laboratory_days(
    encounter: Sequence[Entry], time_zero: datetime, icu_locations: Collection[str]
) -> int:
    """Return from how many days before time zero on a last value may count."""
    stays = icu_stays(encounter, icu_locations=icu_locations)
    begun = [stay.start for stay in stays if stay.start <= time_zero]
    since_admission = (time_zero - begun[-1]).days + 2 if begun else 0
    return max(LABORATORY_DAYS, since_admission)


def _unless_withheld(read: Callable[[], list[Entry]]) -> list[Entry] | None:
    try:
        return read()
    except Unreachable:
        return None


def _encounter(client: FhirClient, source: FhirSource) -> list[Entry]:
    if not source.encounter:
        return []
    encounter = Entry(client.read(f"Encounter/{source.encounter}"), "Encounter")
    if encounter.kind != "Encounter" or text(encounter.resource, "id") != source.encounter:
        raise Unreachable("FHIR server must answer with the requested encounter.")
    return [encounter]


def _own(source: FhirSource, patient: Resource, entries: Sequence[Entry]) -> list[Entry]:
    """Return the entries if all are about the patient, or raise."""
    identifiers = identifier_keys(patient)
    if not all(is_about(one.resource, source.patient, identifiers=identifiers) for one in entries):
        raise Unreachable("FHIR server must answer for the requested patient.")
    return list(entries)


def _prescribed_since(time_zero: datetime) -> list[tuple[str, str]]:
    lengths = (variable.window.length for variable in MEDICATIONS.values())
    longest = max(length.days for length in lengths if length is not None)
    return [("authoredon", f"ge{_day(time_zero, before=longest + 1)}")]


def _day(time_zero: datetime, *, before: int) -> str:
    return (time_zero - timedelta(days=before)).date().isoformat()


def _search(
    client: FhirClient, source: FhirSource, kind: str, query: Sequence[tuple[str, str]]
) -> list[Entry]:
    """Return the patient's resources of one kind."""
    parameters = urlencode([("patient", source.patient), *query, ("_count", "500")], safe=",")
    try:
        return [
            Entry(entry.resource, entry.expression)
            for page in client.pages(f"{kind}?{parameters}")
            for entry in entries_of(page)
            if entry.kind == kind
        ]
    except FhirBroken:
        raise Unreachable("FHIR server must answer a search with a Bundle.") from None


def _codes(site: SiteCodes, read: Collection[str], *, is_bone_mass: bool) -> list[str]:
    """Return the LOINC, local and site's codes of bone mass, or of all else that may be read."""
    names = [
        name
        for name, variable in VARIABLES.items()
        if (variable.pathway == "bone_mass") == is_bone_mass
    ]
    codes = loinc_codes(names)
    of_site = {code for (_, code), meant in site.meanings.items() if meant.code in {*names, *codes}}
    local = {
        name for name in read if (name in names) or (not is_bone_mass and name not in VARIABLES)
    }
    return sorted({*codes, *local, *of_site})
