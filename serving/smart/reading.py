"""What is fetched of a patient's record: the Patient, and Observations of the catalogue."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import urlencode, urljoin, urlsplit

from data_schema.biomarkers import VARIABLES
from data_schema.fhir import Entry, FhirBroken, entries_of, listed, text
from data_schema.variables import LOINC
from serving.outbound import Unreachable, get_json

__all__ = ["BONE_MASS_DAYS", "LABORATORY_DAYS", "FhirSource", "fetched"]

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


def fetched(source: FhirSource, time_zero: datetime) -> list[Entry]:
    """Return the Patient and the Observations up to the day of time zero.

    Parameters
    ----------
    source : FhirSource
    time_zero : datetime
        With its offset.

    Returns
    -------
    list of Entry
        The Patient first.

    Raises
    ------
    Unreachable
        If the server does not answer as it must, or answers for somebody else.
    """
    base = source.server.rstrip("/")
    until = time.monotonic() + _SECONDS
    patient = _asked(source, until, f"{base}/Patient/{source.patient}")
    if text(patient, "resourceType") != "Patient" or text(patient, "id") != source.patient:
        raise Unreachable("server must answer with the patient; it did not.")
    # Both as an Observation may refer to it: by its whole address, and within the server.
    found = [Entry(patient, "Patient", f"{base}/Patient/{source.patient}")]
    for is_bone_mass, days in ((False, LABORATORY_DAYS), (True, BONE_MASS_DAYS)):
        asked = [
            ("patient", source.patient),
            ("code", ",".join(_codes(is_bone_mass=is_bone_mass))),
            ("date", f"ge{(time_zero - timedelta(days=days)).date().isoformat()}"),
            # A day more: the server's day may have begun before this one's.
            ("date", f"le{(time_zero + timedelta(days=1)).date().isoformat()}"),
            ("_count", "500"),
        ]
        url = f"{base}/Observation?{urlencode(asked)}"
        found += [entry for page in _pages(source, until, url) for entry in page]
    return found


def _pages(source: FhirSource, until: float, url: str) -> Iterator[list[Entry]]:
    base = source.server.rstrip("/")
    for _ in range(_MAX_PAGES):
        bundle = _asked(source, until, url)
        try:
            yield [
                Entry(entry.resource, entry.expression)
                for entry in entries_of(bundle)
                if entry.kind == "Observation"
            ]
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
