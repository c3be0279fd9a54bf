"""Short names of code systems, so that one code is written alike whichever source it came from.

A code of an observation is `SYSTEM//CODE`. The names are those of OMOP's vocabularies.
"""

from __future__ import annotations

from collections.abc import Mapping

from data_schema.fhir.code_systems import canonical_system
from data_schema.variables import LOCAL_SYSTEM, LOINC

__all__ = ["LOCAL_NAME", "coded", "system_name"]

LOCAL_NAME = "OSTEON"
"""Osteon's own codes, for variables that LOINC lacks."""

_NAMES: Mapping[str, str] = {
    LOINC: "LOINC",
    LOCAL_SYSTEM: LOCAL_NAME,
    "http://snomed.info/sct": "SNOMED",
    "http://hl7.org/fhir/sid/icd-10": "ICD10",
    "http://hl7.org/fhir/sid/icd-10-cm": "ICD10CM",
    "http://hl7.org/fhir/sid/icd-10-us": "ICD10CM",
    "http://hl7.org/fhir/sid/icd-9-cm": "ICD9CM",
    "http://fhir.de/CodeSystem/bfarm/icd-10-gm": "ICD10GM",
    "http://fhir.de/CodeSystem/dimdi/icd-10-gm": "ICD10GM",
    "http://www.nlm.nih.gov/research/umls/rxnorm": "RxNorm",
    "http://www.whocc.no/atc": "ATC",
    "http://hl7.org/fhir/sid/ndc": "NDC",
    "http://www.ama-assn.org/go/cpt": "CPT4",
    "http://www.cms.gov/Medicare/Coding/ICD10": "ICD10PCS",
}


def system_name(system: str) -> str:
    """Return the short name of a code system's URI, however it is written; else the URI itself.

    >>> system_name("http://hl7.org/fhir/sid/icd-10-cm"), system_name("urn:site:lab")
    ('ICD10CM', 'urn:site:lab')
    >>> system_name("urn:oid:2.16.840.1.113883.6.1")
    'LOINC'
    """
    return _NAMES.get(canonical_system(system), system)


def coded(system: str, code: str) -> str:
    """Return the code of an observation.

    >>> coded("http://loinc.org", "2160-0"), coded("", "CREA")
    ('LOINC//2160-0', 'CREA')
    """
    name = system_name(system)
    return f"{name}//{code}" if name else code
