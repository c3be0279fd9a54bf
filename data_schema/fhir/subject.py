"""The patient whom FHIR resources are about; resources about several are refused."""

from __future__ import annotations

from collections.abc import Sequence

from data_schema.fhir.resources import (
    Entry,
    FhirBroken,
    FhirProblem,
    Resource,
    part,
    reference_key,
    text,
)

__all__ = ["is_about", "one_subject"]

_ABOUT = ("subject", "patient")


def is_about(resource: Resource, patient_id: str) -> bool:
    """Return whether a resource is about the patient of an id in its server, or names no patient.

    >>> is_about({"subject": {"reference": "https://ehr.example/fhir/Patient/p1"}}, "p1")
    True
    >>> is_about({"subject": {"reference": "Patient/p2"}}, "p1")
    False
    """
    for name in _ABOUT:
        if resource.get(name):
            stated = text(part(resource, name), "reference").partition("/_history/")[0]
            if stated != f"Patient/{patient_id}" and not stated.endswith(f"/Patient/{patient_id}"):
                return False
    return True


def one_subject(entries: Sequence[Entry]) -> tuple[Resource, Resource]:
    """Return the one patient that all Patients and Observations are about.

    The first result is a reference without a name, the second the Patient resource, empty if none
    was sent. `FhirBroken` is raised for no patient, for several, and for an Observation about
    something else.

    >>> one_subject([Entry({"resourceType": "Patient", "id": "p1"}, "")])[0]
    {'reference': 'Patient/p1'}
    """
    patients = [entry for entry in entries if entry.kind == "Patient"]
    subjects: dict[str, Resource] = {}
    names: dict[str, str] = {}
    for patient in patients:
        if not patient.reference:
            raise _broken(patient.expression, "subject", "must have an id or a fullUrl.")
        name = patient.full_url or patient.reference
        names |= {name: name, f"Patient/{text(patient.resource, 'id')}": name}
        subjects[name] = {"reference": patient.reference}
    for entry in entries:
        if entry.kind == "Observation":
            reference = part(entry.resource, "subject")
            key = reference_key(reference, entry)
            if key not in names and not _may_be_patient(key, reference):
                raise _broken(entry.expression, "subject", "must have a Patient as its subject.")
            subjects.setdefault(names.get(key, key), _plain(reference))
    if len(subjects) > 1:
        raise _broken(
            "Bundle", "two_subjects", f"must be about one patient; it is about {len(subjects)}."
        )
    if not subjects:
        raise _broken("Bundle", "subject", "must hold a Patient or an Observation.")
    return next(iter(subjects.values())), patients[0].resource if patients else {}


def _may_be_patient(key: str, reference: Resource) -> bool:
    """Return whether a reference to what was not sent may be to a patient."""
    if not key or key.startswith("#"):
        return False
    if text(reference, "type"):
        return text(reference, "type") == "Patient"
    return "Patient/" in key or key.startswith("urn:") or "|" in key


def _plain(reference: Resource) -> Resource:
    """Return a reference without anything else that it holds, such as the patient's name."""
    if text(reference, "reference"):
        return {"reference": text(reference, "reference")}
    identifier = part(reference, "identifier")
    stated = {key: text(identifier, key) for key in ("system", "value") if text(identifier, key)}
    return {"identifier": stated}


def _broken(expression: str, rule: str, message: str) -> FhirBroken:
    return FhirBroken([FhirProblem(expression, rule, message)])
