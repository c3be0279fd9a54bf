"""One patient is one, and two are two, however they are referred to."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from data_schema.fhir.resources import Entry, FhirBroken, entries_of
from data_schema.fhir.subject import identifier_keys, is_about, one_subject

MRN = {"system": "urn:hospital:mrn", "value": "4711"}
UUID = "urn:uuid:11111111-1111-4111-8111-111111111111"
PATIENT: dict[str, Any] = {
    "resourceType": "Patient",
    "id": "p1",
    "identifier": [MRN],
    "birthDate": "1958-03-02",
}


def observation(subject: Any, **more: Any) -> dict[str, Any]:
    return {"resourceType": "Observation", "id": "o", "subject": subject} | more


def entry(resource: dict[str, Any], full_url: str = "") -> Entry:
    return Entry(resource, "Bundle.entry[0].resource", full_url)


def rule_of(*entries: Entry) -> str:
    with pytest.raises(FhirBroken) as raised:
        one_subject(entries)
    return raised.value.problems[0].rule


WAYS: dict[str, Entry] = {
    "relative": entry(observation({"reference": "Patient/p1"})),
    "relative beside a fullUrl": entry(
        observation({"reference": "Patient/p1"}), "https://ehr.example/fhir/Observation/o"
    ),
    "of a version": entry(observation({"reference": "Patient/p1/_history/2"})),
    "absolute": entry(observation({"reference": "https://ehr.example/fhir/Patient/p1"})),
    "over http": entry(observation({"reference": "http://EHR.example/fhir/Patient/p1"})),
    "by identifier": entry(observation({"identifier": MRN})),
    "by identifier and type": entry(observation({"type": "Patient", "identifier": MRN})),
    "contained": entry(
        observation(
            {"reference": "#p"},
            contained=[{"resourceType": "Patient", "id": "p", "identifier": [MRN]}],
        )
    ),
}


@pytest.mark.parametrize("full_url", ["", "https://ehr.example/fhir/Patient/p1", UUID])
@given(ways=st.lists(st.sampled_from(sorted(WAYS)), min_size=1))
def test_every_way_leads_to_the_one_patient(full_url: str, ways: list[str]) -> None:
    subject, patient = one_subject([entry(PATIENT, full_url), *(WAYS[way] for way in ways)])
    assert subject == {"reference": "Patient/p1"}
    assert patient == PATIENT


def test_a_patient_of_a_uuid_is_referred_to_by_uuid_or_id() -> None:
    by_uuid = entry(observation({"reference": UUID}))
    assert one_subject([entry(PATIENT, UUID), by_uuid, WAYS["relative"]])[1] == PATIENT
    nameless = {key: one for key, one in PATIENT.items() if key != "id"}
    assert one_subject([entry(nameless, UUID), by_uuid])[0] == {"reference": UUID}


def test_a_contained_patient_with_the_same_particulars_is_the_patient() -> None:
    plain = {"resourceType": "Patient", "id": "p1", "birthDate": "1958-03-02", "gender": "female"}
    within = observation({"reference": "#x"}, contained=[plain | {"id": "x"}])
    assert one_subject([entry(plain), entry(within)])[0] == {"reference": "Patient/p1"}


OTHERS: dict[str, Entry] = {
    "another id": entry(observation({"reference": "Patient/p2"})),
    "another server": entry(observation({"reference": "https://other.example/fhir/Patient/p1"})),
    "another path": entry(observation({"reference": "https://ehr.example/test/Patient/p1"})),
    "another uuid": entry(observation({"reference": f"{UUID[:-1]}2", "type": "Patient"})),
    "another identifier": entry(observation({"identifier": MRN | {"value": "4712"}})),
    "another system": entry(observation({"identifier": MRN | {"system": "urn:other"}})),
    "another contained": entry(
        observation(
            {"reference": "#p"},
            contained=[
                {"resourceType": "Patient", "id": "p", "identifier": [MRN | {"value": "4712"}]}
            ],
        )
    ),
    "another Patient": entry(PATIENT | {"id": "p2"}),
    "the same id with another date of birth": entry(PATIENT | {"birthDate": "1990-01-01"}),
}


@pytest.mark.parametrize("other", OTHERS)
def test_two_patients_are_two(other: str) -> None:
    own = entry(PATIENT, "https://ehr.example/fhir/Patient/p1")
    assert rule_of(own, WAYS["absolute"], OTHERS[other]) == "two_subjects"


def test_a_relative_reference_does_not_join_two_servers() -> None:
    absolute = [
        entry(observation({"reference": f"https://{host}/fhir/Patient/p1"})) for host in ("a", "b")
    ]
    assert rule_of(*absolute, WAYS["relative"]) == "two_subjects"


def test_an_identifier_of_two_patients_is_of_neither() -> None:
    family = [entry(PATIENT), entry(PATIENT | {"id": "p2"})]
    assert rule_of(*family, WAYS["by identifier"]) == "two_subjects"


def test_a_contained_patient_without_a_name_is_refused() -> None:
    within = observation({"reference": "#x"}, contained=[{"resourceType": "Patient", "id": "x"}])
    assert rule_of(entry(within)) == "subject"
    group = observation({"reference": "#x"}, contained=[{"resourceType": "Group", "id": "x"}])
    assert rule_of(entry(group)) == "subject"


def test_contained_patients_alone_are_known_by_their_identifier() -> None:
    subject, patient = one_subject([WAYS["contained"], WAYS["by identifier"], WAYS["contained"]])
    assert (subject, patient) == ({"identifier": MRN}, {})


def test_the_bundles_within_the_answer_to_a_batch_are_read() -> None:
    page = {
        "resourceType": "Bundle",
        "type": "searchset",
        "entry": [{"resource": observation({"reference": "Patient/p1"})}],
    }
    batch = {
        "resourceType": "Bundle",
        "type": "batch-response",
        "entry": [
            {"resource": PATIENT, "response": {"status": "200"}},
            {"resource": page, "response": {"status": "200"}},
        ],
    }
    found = entries_of(batch)
    assert [one.kind for one in found] == ["Patient", "Observation"]
    assert found[1].expression == "Bundle.entry[1].resource.entry[0].resource"
    assert one_subject(found)[1] == PATIENT


@pytest.mark.parametrize("way", WAYS)
def test_what_a_server_sends_is_about_the_patient_in_context(way: str) -> None:
    identifiers = identifier_keys(PATIENT)
    assert is_about(WAYS[way].resource, "p1", identifiers=identifiers)
    assert not is_about(OTHERS["another contained"].resource, "p1", identifiers=identifiers)
    assert not is_about(OTHERS["another identifier"].resource, "p1", identifiers=identifiers)
