"""Stay, diagnoses and prescriptions of a record that an EHR opens, laid into the form."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import httpx
import pytest

ZERO = "2026-11-25T08:00:00+01:00"
ATC, ICD_10 = "http://www.whocc.no/atc", "http://hl7.org/fhir/sid/icd-10"
SUBJECT = {"reference": "Patient/p1"}
ICU = {"system": "http://terminology.hl7.org/CodeSystem/v3-RoleCode", "code": "ICU"}


def condition(number: int, code: str, **changed: Any) -> dict[str, Any]:
    return {
        "resourceType": "Condition",
        "id": f"c{number}",
        "subject": SUBJECT,
        "code": {"coding": [{"system": ICD_10, "code": code}]},
        "recordedDate": "2026-11-24T09:00:00+01:00",
    } | changed


def order(number: int, code: str, authored: str, **changed: Any) -> dict[str, Any]:
    return {
        "resourceType": "MedicationRequest",
        "id": f"m{number}",
        "status": "active",
        "subject": SUBJECT,
        "medicationCodeableConcept": {"coding": [{"system": ATC, "code": code}]},
        "authoredOn": authored,
    } | changed


def in_icu(since: str) -> dict[str, Any]:
    return {
        "resourceType": "Encounter",
        "id": "e1",
        "status": "in-progress",
        "subject": SUBJECT,
        "location": [
            {
                "location": {"reference": "Location/icu-1"},
                "physicalType": {"coding": [ICU]},
                "period": {"start": since},
            }
        ],
    }


@pytest.fixture(autouse=True)
def _record(provider: Any) -> None:
    provider.patient = {
        "resourceType": "Patient",
        "id": "p1",
        "gender": "female",
        "birthDate": "1958-03-02",
    }
    provider.encounter = in_icu("2026-11-24T08:00:00+01:00")


@pytest.fixture
def read(
    service: Callable[..., tuple[httpx.Client, Any]], provider: Any
) -> Callable[..., dict[str, Any]]:
    """Return a function of settings that opens the page out of the EHR and gives its record."""

    def read_record(**stated: Any) -> dict[str, Any]:
        reader, _ = service(**stated)
        to = reader.get("/launch", params={"iss": provider.fhir, "launch": "l1"})
        back = httpx.get(to.headers["location"]).headers["location"]
        assert reader.get(back).status_code == 303
        header = {"x-csrf-token": reader.get("/page/session").json()["csrf"]}
        answer = reader.post("/page/record", json={"time_zero": ZERO}, headers=header)
        assert answer.status_code == 200, answer.text
        found: dict[str, Any] = answer.json()
        return found

    return read_record


def flags(found: dict[str, Any]) -> dict[str, str]:
    rows = {one["column"]: one["value"] for one in found["filled"]}
    return {name: value for name, value in rows.items() if name not in ("age", "sex")}


def test_diagnoses_and_orders_of_the_stay_are_filled_in_as_yes(
    read: Callable[..., dict[str, Any]], provider: Any
) -> None:
    provider.conditions = [
        condition(1, "E11.9"),
        condition(2, "M81.0"),
        condition(3, "N18.3", recordedDate="2026-11-25T09:00:00+01:00"),  # after time zero
        condition(
            4, "F03", verificationStatus={"coding": [{"system": "urn:x", "code": "refuted"}]}
        ),
        condition(5, "J18.9"),  # nothing of the catalogue
    ]
    provider.medications = [
        order(1, "C01CA03", "2026-11-24T10:00:00+01:00"),
        order(2, "M05BA04", "2026-05-02"),  # a drug for bone counts for a year
        order(3, "H02AB09", "2026-11-20T10:00:00+01:00"),  # before the stay
        order(4, "A02BC02", "2026-11-24T11:00:00+01:00", status="cancelled"),
        order(5, "M05BX04", "2024-05-02"),
    ]
    found = read()
    assert flags(found) == dict.fromkeys(
        ("diabetes", "osteoporosis", "catecholamines", "bisphosphonate"), "true"
    )
    assert found["notes"] == []
    assert found["unread"] == []


def test_an_observation_counts_more_than_a_diagnosis(
    read: Callable[..., dict[str, Any]], provider: Any
) -> None:
    provider.conditions = [condition(1, "E11.9")]
    provider.observations = [
        {
            "resourceType": "Observation",
            "id": "o1",
            "status": "final",
            "code": {"coding": [{"system": "http://loinc.org", "code": "2524-7"}]},
            "subject": SUBJECT,
            "effectiveDateTime": "2026-11-25T06:10:00+01:00",
            "valueQuantity": {
                "value": 2.8,
                "code": "mmol/L",
                "system": "http://unitsofmeasure.org",
            },
        }
    ]
    assert flags(read()) == {"lactate": "2.8", "diabetes": "true"}


def test_without_a_stay_drugs_that_count_from_its_beginning_stay_open_and_it_is_said(
    read: Callable[..., dict[str, Any]], provider: Any
) -> None:
    provider.encounter = in_icu("2026-11-25T09:00:00+01:00")  # begins after time zero
    provider.medications = [
        order(1, "H02AB09", "2026-11-24T10:00:00+01:00"),
        order(2, "M05BA04", "2026-05-02"),
    ]
    found = read()
    assert flags(found) == {"bisphosphonate": "true"}
    [note] = found["notes"]
    assert "has no stay in intensive care before time zero" in note


def test_a_unit_that_only_the_site_knows_is_intensive_care(
    read: Callable[..., dict[str, Any]], provider: Any
) -> None:
    del provider.encounter["location"][0]["physicalType"]
    provider.medications = [order(1, "H02AB09", "2026-11-24T10:00:00+01:00")]
    assert flags(read()) == {}
    assert flags(read(icu_locations=("Location/icu-1",))) == {"corticosteroid": "true"}


@pytest.mark.parametrize(
    ("withheld", "message"),
    [
        ({"Condition"}, "so not filled in: diagnoses."),
        ({"Condition", "MedicationRequest"}, "so not filled in: diagnoses and prescriptions."),
        ({"Encounter"}, "so not filled in: the encounter."),
    ],
)
def test_what_the_ehr_keeps_back_is_named_and_the_rest_is_read(
    read: Callable[..., dict[str, Any]], provider: Any, withheld: set[str], message: str
) -> None:
    provider.conditions = [condition(1, "E11.9")]
    provider.kept_back = withheld
    found = read()
    assert ("diabetes" in flags(found)) == ("Condition" not in withheld)
    [note] = found["notes"]
    assert message in note


def test_nothing_of_another_patient_is_filled_in(
    read: Callable[..., dict[str, Any]], provider: Any
) -> None:
    provider.conditions = [
        condition(1, "E11.9"),
        condition(2, "M81.0", subject={"reference": "Patient/p2"}),
    ]
    found = read()
    assert flags(found) == {}
    [note] = found["notes"]
    assert "so not filled in: diagnoses" in note


def test_that_the_goal_is_comfort_is_said(
    read: Callable[..., dict[str, Any]], provider: Any
) -> None:
    provider.conditions = [condition(number, "Z51.5") for number in range(4)]  # two pages
    assert read()["notes"] == ["The record says that the goal of care is comfort."]
