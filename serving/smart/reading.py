"""What is fetched of a patient's record: who it is, what was measured, the stay and the history.

Without the Patient and the Observations of the catalogue there is no record. An EHR may keep the
rest to itself, and what it keeps is named.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import urlencode, urljoin, urlsplit

from data_schema.biomarkers import VARIABLES
from data_schema.fhir.history import MEDICATIONS
from data_schema.fhir.resources import Entry, FhirBroken, entries_of, listed, text
from data_schema.fhir.subject import is_about
from data_schema.variables import LOINC
from serving.http.outbound import Unreachable, get_json

__all__ = ["BONE_MASS_DAYS", "LABORATORY_DAYS", "Fetched", "FhirSource", "fetched"]

LABORATORY_DAYS = 7
"""How long before time zero a value may have been taken to be filled in."""

BONE_MASS_DAYS = 731
"""The same for bone density, of which a scan counts for two years."""

_MAX_PAGES = 20
_SECONDS = 20.0


@dataclass(frozen=True, slots=True)
class FhirSource:
    """One patient's record in a FHIR server.

    Parameters
    ----------
    server : str
        Base address.
    token : str
        Access token, which never leaves the service.
    patient, encounter : str
        Ids of the resources; `encounter` may be empty.
    """

    server: str
    token: str = field(repr=False)
    patient: str
    encounter: str


@dataclass(frozen=True, slots=True)
class Fetched:
    """What a server gave of one patient.

    Parameters
    ----------
    patient : Entry
    observations : sequence of Entry
    encounter, conditions, medications : sequence of Entry or None
        All of this patient; None where the server did not give them, and none where it has none.
    """

    patient: Entry
    observations: Sequence[Entry]
    encounter: Sequence[Entry] | None
    conditions: Sequence[Entry] | None
    medications: Sequence[Entry] | None


def fetched(source: FhirSource, time_zero: datetime) -> Fetched:
    """Return the record up to the day of time zero.

    Parameters
    ----------
    source : FhirSource
    time_zero : datetime
        With its offset.

    Returns
    -------
    Fetched

    Raises
    ------
    Unreachable
        If the server does not answer as it must for Patient and Observations, or answers for
        somebody else.
    """
    base = source.server.rstrip("/")
    until = time.monotonic() + _SECONDS
    patient = _asked(source, until, f"{base}/Patient/{source.patient}")
    if text(patient, "resourceType") != "Patient" or text(patient, "id") != source.patient:
        raise Unreachable("server must answer with the patient; it did not.")
    observations: list[Entry] = []
    for is_bone_mass, days in ((False, LABORATORY_DAYS), (True, BONE_MASS_DAYS)):
        asked = [
            ("code", ",".join(_codes(is_bone_mass=is_bone_mass))),
            ("date", f"ge{_day(time_zero, before=days)}"),
            # A day more: the server's day may have begun before this one's.
            ("date", f"le{_day(time_zero, before=-1)}"),
        ]
        observations += _found(source, until, "Observation", asked)
    return Fetched(
        # Both as an Observation may refer to it: by its whole address, and within the server.
        Entry(patient, "Patient", f"{base}/Patient/{source.patient}"),
        observations,
        _if_given(lambda: _encounter(source, until)),
        _if_given(lambda: _own(source, _found(source, until, "Condition", []))),
        _if_given(
            lambda: _own(source, _found(source, until, "MedicationRequest", _since(time_zero)))
        ),
    )


def _if_given(read: Callable[[], list[Entry]]) -> list[Entry] | None:
    try:
        return read()
    except Unreachable:
        return None


def _encounter(source: FhirSource, until: float) -> list[Entry]:
    if not source.encounter:
        return []
    url = f"{source.server.rstrip('/')}/Encounter/{source.encounter}"
    found = Entry(_asked(source, until, url), "Encounter")
    if found.kind != "Encounter" or text(found.resource, "id") != source.encounter:
        raise Unreachable("server must answer with the encounter; it did not.")
    return _own(source, [found])


def _own(source: FhirSource, entries: Sequence[Entry]) -> list[Entry]:
    """Return what is of the patient; if anything is not, nothing of it can be trusted."""
    if not all(is_about(entry.resource, source.patient) for entry in entries):
        raise Unreachable("server must answer for the patient; it did not.")
    return list(entries)


def _since(time_zero: datetime) -> list[tuple[str, str]]:
    lengths = (variable.window.length for variable in MEDICATIONS.values())
    longest = max(length.days for length in lengths if length is not None)
    return [("authoredon", f"ge{_day(time_zero, before=longest + 1)}")]


def _day(time_zero: datetime, *, before: int) -> str:
    return (time_zero - timedelta(days=before)).date().isoformat()


def _found(
    source: FhirSource, until: float, kind: str, asked: Sequence[tuple[str, str]]
) -> list[Entry]:
    """Return what a search for resources of a kind and of the patient finds."""
    query = urlencode([("patient", source.patient), *asked, ("_count", "500")])
    url = f"{source.server.rstrip('/')}/{kind}?{query}"
    return [entry for page in _pages(source, until, url) for entry in page if entry.kind == kind]


def _pages(source: FhirSource, until: float, url: str) -> Iterator[list[Entry]]:
    base = source.server.rstrip("/")
    for _ in range(_MAX_PAGES):
        bundle = _asked(source, until, url)
        try:
            yield [Entry(entry.resource, entry.expression) for entry in entries_of(bundle)]
        except FhirBroken:
            raise Unreachable("server must answer a search with a Bundle; it did not.") from None
        following = [text(one, "url") for one in listed(bundle, "link") if _is_next(one)]
        if not following:
            return
        url = urljoin(f"{base}/", following[0])
        # The token goes to nobody else.
        if urlsplit(url)[:2] != urlsplit(base)[:2]:
            raise Unreachable("server must hold its own pages; it does not.")
    raise Unreachable("server must answer with fewer pages; it did not.")


def _is_next(link: Mapping[str, Any]) -> bool:
    return link.get("relation") == "next"


def _asked(source: FhirSource, until: float, url: str) -> Mapping[str, Any]:
    headers = {
        "Accept": "application/fhir+json",
        "Authorization": f"Bearer {source.token}",
    }
    answer = get_json(url, headers, seconds=until - time.monotonic())
    if not isinstance(answer, Mapping):
        raise Unreachable("server must answer with a resource; it did not.")
    return answer


def _codes(*, is_bone_mass: bool) -> list[str]:
    """Return the LOINC codes of the catalogue that are of bone mass, or that are not."""
    return sorted(
        {
            code.code
            for variable in VARIABLES.values()
            if (variable.pathway == "bone_mass") == is_bone_mass
            for code in variable.codes
            if code.system == LOINC
        }
    )
