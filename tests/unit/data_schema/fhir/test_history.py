from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from data_schema.biomarkers import VARIABLES
from data_schema.fhir.history import DIAGNOSES, MEDICATIONS, history, is_comfort_care
from data_schema.fhir.resources import Entry

ICU_START = datetime(2026, 11, 1, 8, tzinfo=UTC)
TIME_ZERO = datetime(2026, 11, 2, 8, tzinfo=UTC)
ICD_10 = "http://hl7.org/fhir/sid/icd-10-cm"
SNOMED = "http://snomed.info/sct"
ATC = "http://www.whocc.no/atc"


def concept(system: str, code: str) -> dict[str, Any]:
    return {"coding": [{"system": system, "code": code}]}


def condition(code: str, system: str = ICD_10, **more: Any) -> dict[str, Any]:
    return {"resourceType": "Condition", "id": "c", "code": concept(system, code)} | more


def request(code: str, at: str = "2026-11-01T12:00:00Z", **more: Any) -> dict[str, Any]:
    return {
        "resourceType": "MedicationRequest",
        "status": "active",
        "medicationCodeableConcept": concept(ATC, code),
        "authoredOn": at,
    } | more


def flags(*resources: dict[str, Any]) -> set[str]:
    entries = [Entry(resource, "") for resource in resources]
    found = history(entries, icu_start=ICU_START, time_zero=TIME_ZERO)
    assert all(one.measurement.value is True for one in found)
    return {one.measurement.variable or "" for one in found}


def comfort(resource: dict[str, Any]) -> bool:
    return is_comfort_care([Entry(resource, "")])


def test_every_flag_is_one_of_the_catalogue() -> None:
    for name in (*DIAGNOSES, *MEDICATIONS):
        assert VARIABLES[name].kind == "flag"
    assert all(VARIABLES[name].treatment for name in MEDICATIONS)


@pytest.mark.parametrize(
    ("code", "system", "expected"),
    [
        ("E11.9", ICD_10, {"diabetes"}),
        ("E11.90", "http://fhir.de/CodeSystem/bfarm/icd-10-gm", {"diabetes"}),
        ("N18.3", "http://hl7.org/fhir/sid/icd-10", {"ckd"}),
        ("M80.08XA", ICD_10, {"osteoporosis", "prior_fracture"}),
        ("64859006", SNOMED, {"osteoporosis"}),
        ("E11.9", SNOMED, set()),
        ("E11.9", "http://example.org", set()),
        ("J18.9", ICD_10, set()),
    ],
)
def test_a_diagnosis_sets_its_flags(code: str, system: str, expected: set[str]) -> None:
    assert flags(condition(code, system)) == expected


@pytest.mark.parametrize("status", ["refuted", "entered-in-error", "provisional"])
def test_a_diagnosis_that_is_not_certain_sets_none(status: str) -> None:
    assert flags(condition("E11.9", verificationStatus=concept("v", status))) == set()


def test_a_diagnosis_made_after_time_zero_sets_none() -> None:
    assert flags(condition("E11.9", recordedDate="2026-11-02T08:00:01Z")) == set()
    assert flags(condition("E11.9", recordedDate="2026-11-02")) == set()
    assert flags(condition("E11.9", recordedDate="2026-11-01")) == {"diabetes"}


def test_a_pregnancy_that_is_over_is_none() -> None:
    assert flags(condition("O24.4")) == {"pregnant"}
    assert flags(condition("O24.4", clinicalStatus=concept("c", "resolved"))) == set()
    assert flags(condition("E11.9", clinicalStatus=concept("c", "remission"))) == {"diabetes"}


def test_a_medication_counts_in_the_window_of_its_flag() -> None:
    assert flags(request("C03CA01")) == {"loop_diuretic"}
    assert flags(request("C03CA01", "2026-11-01T07:00:00Z")) == set()  # before intensive care
    assert flags(request("C03CA01", "2026-11-02T09:00:00Z")) == set()  # after time zero
    assert flags(request("M05BX04", "2026-03-01")) == {"denosumab"}
    assert flags(request("M05BX04", "2025-03-01")) == set()


@pytest.mark.parametrize(
    "changed",
    [
        {"status": "cancelled"},
        {"status": "draft"},
        {"doNotPerform": True},
        {"modifierExtension": [{"url": "urn:not"}]},
        {"medicationCodeableConcept": concept("http://example.org", "C03CA01")},
        {"authoredOn": None},
    ],
)
def test_a_medication_that_is_not_meant_to_be_given_sets_none(changed: dict[str, Any]) -> None:
    assert flags(request("C03CA01") | changed) == set()


def test_a_medication_may_be_written_as_r5_does_or_contained() -> None:
    r5 = request("x") | {"medication": {"concept": concept(ATC, "A02BC02")}}
    del r5["medicationCodeableConcept"]
    assert flags(r5) == {"ppi"}
    drug = {"resourceType": "Medication", "id": "m", "code": concept(ATC, "N02AA01")}
    given = {
        "resourceType": "MedicationAdministration",
        "status": "completed",
        "contained": [drug],
        "medicationReference": {"reference": "#m"},
        "effectivePeriod": {"start": "2026-11-01T12:00:00Z"},
    }
    assert flags(given) == {"opioid"}


RXNORM = "http://www.nlm.nih.gov/research/umls/rxnorm"


def ordered(code: str, **more: Any) -> dict[str, Any]:
    return request("x") | {"medicationCodeableConcept": concept(RXNORM, code)} | more


def test_a_medication_may_be_coded_by_its_ingredient() -> None:
    assert flags(ordered("4603")) == {"loop_diuretic"}
    assert flags(ordered("310429")) == set()  # a product, of which nothing else is known
    eye = {"dosageInstruction": [{"route": {"text": "Ophthalmic route"}}]}
    assert flags(ordered("8638")) == {"corticosteroid"}
    assert flags(ordered("8638", **eye)) == set()


def test_the_ingredients_of_a_contained_medication_are_read() -> None:
    def combined(*codes: str) -> dict[str, Any]:
        held = [{"itemCodeableConcept": concept(RXNORM, code)} for code in codes]
        drug = {"resourceType": "Medication", "id": "m", "ingredient": held}
        given = request("x") | {"contained": [drug], "medicationReference": {"reference": "#m"}}
        del given["medicationCodeableConcept"]
        return given

    assert flags(combined("7512")) == {"catecholamines"}
    assert flags(combined("6387", "3992")) == set()  # lidocaine with epinephrine
    assert flags(combined("7804", "161")) == {"opioid"}


@pytest.mark.parametrize(
    "reference",
    [
        "Medication/m1",
        "Medication/m1/_history/2",
        "https://ehr.example/fhir/Medication/m1",
        "urn:uuid:11111111-1111-4111-8111-111111111111",
    ],
)
def test_a_medication_may_be_another_resource_of_the_record(reference: str) -> None:
    order = request("x", medicationReference={"reference": reference})
    del order["medicationCodeableConcept"]
    drug = {"resourceType": "Medication", "id": "m1", "code": concept(ATC, "M05BA08")}
    entries = [Entry(order, ""), Entry(drug, "", reference if "urn" in reference else "")]
    found = history(entries, icu_start=ICU_START, time_zero=TIME_ZERO)
    assert [one.measurement.variable for one in found] == ["bisphosphonate"]
    other = [Entry(order, ""), Entry(drug | {"id": "m2"}, "")]
    assert history(other, icu_start=ICU_START, time_zero=TIME_ZERO) == []


def test_comfort_care_is_told_by_a_diagnosis_an_order_or_the_discharge() -> None:
    order = {"resourceType": "ServiceRequest", "status": "active"}
    assert comfort(condition("Z51.5"))
    assert not comfort(condition("Z51.5", clinicalStatus=concept("c", "resolved")))
    assert comfort(order | {"code": concept(SNOMED, "133918004")})
    assert comfort(order | {"code": {"concept": concept(SNOMED, "103735009")}})
    assert not comfort(order | {"status": "revoked", "code": concept(SNOMED, "133918004")})
    assert not comfort(order | {"code": concept(SNOMED, "1")})
    leaving = {"dischargeDisposition": concept("d", "hosp")}
    assert comfort({"resourceType": "Encounter", "hospitalization": leaving})
    assert comfort({"resourceType": "Encounter", "admission": leaving})
    assert not comfort({"resourceType": "Encounter"})
