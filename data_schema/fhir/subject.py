"""The patient that FHIR resources are about; resources about several are refused.

One patient is referred to in many ways: by an absolute or a relative reference, over http or https,
by `urn:uuid:`, by an identifier, or as a contained resource. These are one patient if they lead to
one another. An id without a server is that of the only server that has it here; the same id at two
servers is two patients.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from data_schema.fhir.resources import (
    Entry,
    FhirBroken,
    FhirProblem,
    Resource,
    contained_in,
    listed,
    part,
    reference_key,
    text,
)

__all__ = ["identifier_keys", "is_about", "one_subject"]

_ABOUT = ("subject", "patient")
_PATIENT = "Patient/"
# What an inline copy of a Patient may lack or add without being of someone else.
_NOT_IDENTIFYING = frozenset({"id", "meta", "text", "language", "implicitRules", "extension"})


def identifier_keys(patient: Resource) -> frozenset[str]:
    """Return the identifiers of a Patient, each as `system|value`."""
    keys = (_identifier_key(identifier) for identifier in listed(patient, "identifier"))
    return frozenset(filter(None, keys))


def is_about(
    resource: Resource, patient_id: str, *, identifiers: Iterable[str] = frozenset()
) -> bool:
    """Return whether a resource is about the patient of an id in its server, or names no patient.

    `identifiers` are those of the patient (`identifier_keys`), by which a resource may refer to the
    patient instead.

    >>> is_about({"subject": {"reference": "https://ehr.example/fhir/Patient/p1"}}, "p1")
    True
    >>> is_about({"subject": {"reference": "Patient/p2"}}, "p1")
    False
    """
    return all(
        _is_to(part(resource, name), resource, patient_id, frozenset(identifiers))
        for name in _ABOUT
        if resource.get(name)
    )


def one_subject(entries: Sequence[Entry]) -> tuple[Resource, Resource]:
    """Return the one patient that all Patients and Observations are about.

    The first result is a reference without a name, the second the Patient resource, empty if none
    was sent. `FhirBroken` is raised for no patient, for several, and for an Observation about
    something else.

    >>> one_subject([Entry({"resourceType": "Patient", "id": "p1"}, "")])[0]
    {'reference': 'Patient/p1'}
    """
    patients = [entry for entry in entries if entry.kind == "Patient"]
    observations = [entry for entry in entries if entry.kind == "Observation"]
    names = _Names(patients, observations)
    subjects: dict[str, Resource] = {}
    for patient in patients:
        name = names.of_patient(patient)
        if _contradicts(patient.resource, patients[0].resource):
            name = f"{name} of {patient.expression}"
        subjects.setdefault(name, {"reference": patient.reference})
    for entry in observations:
        reference = part(entry.resource, "subject")
        subjects.setdefault(names.of_reference(reference, entry), _plain(reference, entry))
    if len(subjects) > 1:
        raise _broken(
            "Bundle", "two_subjects", f"must be about one patient; it is about {len(subjects)}."
        )
    if not subjects:
        raise _broken("Bundle", "subject", "must hold a Patient or an Observation.")
    return next(iter(subjects.values())), patients[0].resource if patients else {}


@dataclass(frozen=True, slots=True)
class _Ways:
    """What leads to one Patient resource."""

    name: str
    identifiers: frozenset[str]
    content: str


class _Names:
    """One name for each patient, whichever way a resource refers to the patient."""

    def __init__(self, patients: Sequence[Entry], observations: Sequence[Entry]) -> None:
        # The servers that are known to have a patient of an id.
        self._at_servers: dict[str, set[str]] = defaultdict(set)
        # `urn:uuid:` and other addresses that do not end in the id of their Patient.
        self._ids: dict[str, str] = {}
        for patient in patients:
            if not patient.reference:
                raise _broken(patient.expression, "subject", "must have an id or a fullUrl.")
            self._note(_address(patient.full_url))
        for entry in observations:
            self._note(_address(reference_key(part(entry.resource, "subject"), entry)))
        for patient in patients:
            own = f"{_PATIENT}{text(patient.resource, 'id')}"
            if text(patient.resource, "id") and not patient.full_url.endswith(own):
                self._ids[patient.full_url] = own
        self._sent = [_ways(self.of_patient(patient), patient.resource) for patient in patients]

    def of_patient(self, patient: Entry) -> str:
        """Return the name of a Patient resource."""
        return self._resolved(patient.full_url or patient.reference)

    def of_reference(self, reference: Resource, entry: Entry) -> str:
        """Return the name of the patient that an entry refers to, or raise FhirBroken."""
        stated = text(reference, "reference")
        if stated.startswith("#"):
            return self._of_contained(contained_in(entry.resource, stated), entry)
        key = reference_key(reference, entry)
        if not stated and key:
            return self._of_identifier(key)
        name = self._resolved(key)
        if name not in {one.name for one in self._sent} and not _may_be_patient(key, reference):
            raise _broken(entry.expression, "subject", "must have a Patient as its subject.")
        return name

    def _note(self, address: str) -> None:
        if _PATIENT in address and not address.startswith(("urn:", _PATIENT)):
            self._at_servers[address.rpartition(_PATIENT)[2]].add(address)

    def _resolved(self, key: str) -> str:
        """Return the address at the only server that has a patient of a relative key's id."""
        address = _address(self._ids.get(key, key))
        if not address.startswith(_PATIENT):
            return address
        at_servers = self._at_servers[address.removeprefix(_PATIENT)]
        return next(iter(at_servers)) if len(at_servers) == 1 else address

    def _of_identifier(self, key: str) -> str:
        names = {one.name for one in self._sent if key in one.identifiers}
        return names.pop() if len(names) == 1 else key

    def _of_contained(self, patient: Resource, entry: Entry) -> str:
        if text(patient, "resourceType") != "Patient":
            raise _broken(entry.expression, "subject", "must have a Patient as its subject.")
        ways = _ways(min(identifier_keys(patient), default=""), patient)
        for one in self._sent:
            # Without an identifier, the same name, sex and date of birth are the same patient.
            is_same_content = not ways.identifiers and ways.content == one.content
            if ways.identifiers & one.identifiers or is_same_content:
                return one.name
        if not ways.name:
            raise _broken(
                entry.expression, "subject", "must have an identifier where its Patient is within."
            )
        self._sent.append(ways)
        return ways.name


def _address(key: str) -> str:
    """Return a key without what does not identify a server: http or https, and a final slash."""
    scheme, separator, rest = key.partition("://")
    if not separator or scheme.casefold() not in ("http", "https"):
        return key
    host, slash, path = rest.partition("/")
    return f"{host.casefold()}{slash}{path.rstrip('/')}"


def _ways(name: str, patient: Resource) -> _Ways:
    stated = {key: one for key, one in patient.items() if key not in _NOT_IDENTIFYING}
    return _Ways(name, identifier_keys(patient), json.dumps(stated, sort_keys=True))


def _identifier_key(identifier: Resource) -> str:
    value = text(identifier, "value")
    return f"{text(identifier, 'system')}|{value}" if value else ""


def _is_to(
    reference: Resource, resource: Resource, patient_id: str, identifiers: frozenset[str]
) -> bool:
    stated = text(reference, "reference").partition("/_history/")[0]
    if stated.startswith("#"):
        patient = contained_in(resource, stated)
        return text(patient, "resourceType") == "Patient" and (
            bool(identifier_keys(patient) & identifiers) or text(patient, "id") == patient_id
        )
    if not stated:
        return _identifier_key(part(reference, "identifier")) in identifiers
    return stated == f"{_PATIENT}{patient_id}" or stated.endswith(f"/{_PATIENT}{patient_id}")


def _contradicts(one: Resource, other: Resource) -> bool:
    """Return whether two resources of one id state two sexes or two dates of birth."""
    stated = ((text(one, name), text(other, name)) for name in ("gender", "birthDate"))
    return any(first and second and first != second for first, second in stated)


def _may_be_patient(key: str, reference: Resource) -> bool:
    """Return whether a reference to what was not sent may be to a patient."""
    if not key:
        return False
    if text(reference, "type"):
        return text(reference, "type") == "Patient"
    return _PATIENT in key or key.startswith("urn:")


def _plain(reference: Resource, entry: Entry) -> Resource:
    """Return a reference without anything else that it holds, such as the patient's name."""
    stated = text(reference, "reference")
    if stated and not stated.startswith("#"):
        return {"reference": stated}
    within = listed(contained_in(entry.resource, stated), "identifier")
    identifier = part(reference, "identifier") if not stated else next(iter(within), {})
    named = {key: text(identifier, key) for key in ("system", "value") if text(identifier, key)}
    return {"identifier": named}


def _broken(expression: str, rule: str, message: str) -> FhirBroken:
    return FhirBroken([FhirProblem(expression, rule, message)])
