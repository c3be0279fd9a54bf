"""One code system is one, however its address is written."""

from __future__ import annotations

import pytest

from data_schema.fhir.code_systems import ATC, RXNORM, SNOMED, UCUM, canonical_system
from data_schema.variables import LOCAL_SYSTEM, LOINC


@pytest.mark.parametrize(
    ("stated", "expected"),
    [
        ("http://loinc.org", LOINC),
        ("https://loinc.org", LOINC),
        ("https://loinc.org/", LOINC),
        ("http://www.loinc.org", LOINC),
        ("urn:oid:2.16.840.1.113883.6.1", LOINC),
        ("URN:OID:2.16.840.1.113883.6.1", LOINC),
        ("urn:oid:2.16.840.1.113883.6.96", SNOMED),
        ("https://snomed.info/sct", SNOMED),
        ("urn:oid:2.16.840.1.113883.6.88", RXNORM),
        ("http://www.nlm.nih.gov/research/umls/rxnorm", RXNORM),
        ("http://www.whocc.no/atc", ATC),
        ("http://whocc.no/atc", ATC),
        ("urn:oid:2.16.840.1.113883.6.8", UCUM),
    ],
)
def test_every_way_to_write_a_system_leads_to_its_address(stated: str, expected: str) -> None:
    assert canonical_system(stated) == expected


@pytest.mark.parametrize(
    "stated",
    ["", LOCAL_SYSTEM, "urn:oid:2.16.840.1.113883.6.11", "http://loinc.org.example", "loinc"],
)
def test_another_system_stays_as_it_is(stated: str) -> None:
    assert canonical_system(stated) == stated
