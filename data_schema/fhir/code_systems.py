"""Code systems of FHIR, each by one address however a sender writes it.

Senders write https for http, add a slash, or give the object identifier of HL7's registry.
"""

from __future__ import annotations

from collections.abc import Mapping

from data_schema.variables import LOINC

__all__ = ["ATC", "RXNORM", "SNOMED", "UCUM", "canonical_system"]

SNOMED = "http://snomed.info/sct"
ATC = "http://www.whocc.no/atc"
RXNORM = "http://www.nlm.nih.gov/research/umls/rxnorm"
UCUM = "http://unitsofmeasure.org"
_ICD_10 = "http://hl7.org/fhir/sid/icd-10"
_ICD_10_CM = "http://hl7.org/fhir/sid/icd-10-cm"
_ICD_9_CM = "http://hl7.org/fhir/sid/icd-9-cm"

_HL7 = "2.16.840.1.113883.6"
_BY_IDENTIFIER: Mapping[str, str] = {
    f"{_HL7}.1": LOINC,
    f"{_HL7}.3": _ICD_10,
    f"{_HL7}.8": UCUM,
    f"{_HL7}.73": ATC,
    f"{_HL7}.88": RXNORM,
    f"{_HL7}.90": _ICD_10_CM,
    f"{_HL7}.96": SNOMED,
    f"{_HL7}.103": _ICD_9_CM,
}
_BY_ADDRESS: Mapping[str, str] = {
    known.removeprefix("http://").removeprefix("www."): known
    for known in (LOINC, SNOMED, ATC, RXNORM, UCUM, _ICD_10, _ICD_10_CM, _ICD_9_CM)
}
_PREFIXES = ("urn:oid:", "https://", "http://")


def canonical_system(stated: str) -> str:
    """Return the address of a code system; as it was stated if it is not known.

    >>> canonical_system("https://loinc.org/"), canonical_system("urn:oid:2.16.840.1.113883.6.1")
    ('http://loinc.org', 'http://loinc.org')
    >>> canonical_system("urn:site:laboratory")
    'urn:site:laboratory'
    """
    prefix = next((one for one in _PREFIXES if stated.casefold().startswith(one)), None)
    if prefix is None:
        return stated
    name = stated[len(prefix) :].rstrip("/").casefold()
    if prefix == "urn:oid:":
        return _BY_IDENTIFIER.get(name, stated)
    return _BY_ADDRESS.get(name.removeprefix("www."), stated)
