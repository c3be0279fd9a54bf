"""A FHIR export becomes observations, stays and persons, by the rules of the service."""

from __future__ import annotations

import gzip
import json
from collections import Counter
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from data_schema.errors import DataError, UsageError
from data_schema.fhir.observations import read_record
from data_schema.fhir.resources import entries_of
from training.sources.fhir import Fhir
from training.sources.observations import checked, connection, typed_relations

CASES = Path(__file__).parents[5] / "shared/cases"
SYNTHEA = Path(__file__).parents[5] / "shared/data/synthea_r4"
needs_synthea = pytest.mark.skipif(not SYNTHEA.exists(), reason="../shared/data is not here")

NOT_GIVEN = "not ordered, not given, stopped, or changed by an unknown extension"
UCUM = "http://unitsofmeasure.org"
ICU = {"system": "http://terminology.hl7.org/CodeSystem/v3-RoleCode", "code": "ICU"}
PATIENT = {"resourceType": "Patient", "id": "p1", "gender": "female", "birthDate": "1958-03-02"}
ADMISSION = {
    "resourceType": "Encounter",
    "id": "e1",
    "status": "finished",
    "class": {"code": "IMP"},
    "subject": {"reference": "Patient/p1"},
    "serviceProvider": {"reference": "Organization/north"},
    "period": {"start": "2026-11-01T00:00:00Z", "end": "2026-11-09T12:00:00Z"},
    "location": [
        {
            "location": {"reference": "Location/l1"},
            "period": {"start": "2026-11-01T06:00:00+01:00", "end": "2026-11-03T05:00:00Z"},
        }
    ],
}
UNIT = {"resourceType": "Location", "id": "l1", "type": [{"coding": [ICU]}]}


def lactate(**more: Any) -> dict[str, Any]:
    return {
        "resourceType": "Observation",
        "id": "o1",
        "status": "final",
        "code": {"coding": [{"system": "http://loinc.org", "code": "2524-7"}]},
        "subject": {"reference": "Patient/p1"},
        "effectiveDateTime": "2026-11-01T06:00:00Z",
        "valueQuantity": {"value": 2.5, "system": UCUM, "code": "mmol/L"},
    } | more


def export(folder: Path, *resources: dict[str, Any]) -> Path:
    """Write one NDJSON file for each type, as a bulk export has them."""
    for kind in {str(resource.get("resourceType")) for resource in resources}:
        lines = [json.dumps(one) for one in resources if str(one.get("resourceType")) == kind]
        (folder / f"{kind}.000.ndjson").write_text("\n".join(lines) + "\n", encoding="utf-8")
    return folder


class Read:
    """What a source yields, as lists of rows."""

    def __init__(self, path: Path, **options: Any) -> None:
        db = connection()
        self.dropped = dict(Fhir(path, **options).relations(db))
        typed_relations(db)
        assert checked(db) == ()
        self.observations, self.stays, self.persons = (
            db.execute(f"SELECT * FROM checked_{name} ORDER BY ALL").fetchdf().to_dict("records")
            for name in ("observations", "stays", "persons")
        )


@needs_synthea
def test_every_synthea_patient_is_read_alike_as_ndjson_and_as_bundles(tmp_path: Path) -> None:
    bundles = [
        json.loads(gzip.decompress(path.read_bytes())) for path in sorted(SYNTHEA.glob("*.json.gz"))
    ]
    resources = [entry["resource"] for bundle in bundles for entry in bundle["entry"]]
    lines = Read(export(tmp_path, *resources))
    documents = Read(SYNTHEA)
    assert len(lines.persons) == 14
    assert repr(lines.persons) == repr(documents.persons)
    assert repr(lines.observations) == repr(documents.observations)
    assert repr(lines.stays) == repr(documents.stays)
    kinds = Counter(resource["resourceType"] for resource in resources)
    unread = ("CarePlan", "Claim", "DiagnosticReport", "ExplanationOfBenefit", "Goal")
    unread = (*unread, "ImagingStudy", "Immunization")
    assert lines.dropped == {
        **{f"{kind}: of a type that is not read": kinds[kind] for kind in unread},
        f"MedicationRequest: {NOT_GIVEN}": 26,
        # One clinic and its doctor occur in the Bundles of several patients.
        "Organization: of a type that is not read": 14,
        "Organization: superseded by another version": 3,
        "Practitioner: of a type that is not read": 14,
        "Practitioner: superseded by another version": 3,
    }


@needs_synthea
def test_what_the_service_reads_of_a_bundle_is_what_the_source_yields() -> None:
    for path in sorted(SYNTHEA.glob("*.json.gz"))[:4]:
        entries = entries_of(json.loads(gzip.decompress(path.read_bytes())))
        service = [
            (
                f"LOINC//{one.measurement.loinc}",
                one.measurement.value,
                one.measurement.unit,
                one.time,
            )
            for one in read_record(entries, own={}).observations
        ]
        assert service
        source = Counter(
            (row["code"], row["numeric_value"], row["unit"], row["time"].tz_localize(UTC))
            for row in Read(path).observations
        )
        assert not Counter(service) - source


def test_an_observation_keeps_its_time_of_issue_unit_comparator_and_specimen(
    tmp_path: Path,
) -> None:
    specimen = {"resourceType": "Specimen", "id": "s1", "type": {"text": "Arterial blood"}}
    quantity = {"value": 9.9, "comparator": "<", "system": UCUM, "code": "pg/mL"}
    estradiol = lactate(
        id="o2",
        code={"coding": [{"system": "http://loinc.org", "code": "2243-4"}]},
        issued="2026-11-01T09:30:00+02:00",
        valueQuantity=quantity,
        method={"text": "LC-MS/MS"},
    )
    site = lactate(
        id="o3",
        code={"coding": [{"system": "urn:site", "code": "LAC"}]},
        specimen={"reference": "Specimen/s1"},
    )
    read = Read(export(tmp_path, PATIENT, specimen, estradiol, site))
    first, second = read.observations
    assert read.dropped == {}
    assert (first["code"], first["numeric_value"], first["unit"]) == ("LOINC//2243-4", 9.9, "pg/mL")
    assert (first["comparator"], first["assay"]) == ("<", "LC-MS/MS")
    assert first["available_time"] == datetime(2026, 11, 1, 7, 30)
    assert first["time"] == datetime(2026, 11, 1, 6)
    assert (second["code"], second["specimen"]) == ("urn:site//LAC", "Arterial blood")


def test_each_component_is_an_observation(tmp_path: Path) -> None:
    codes = ("8480-6", "8462-4")
    pressure = lactate(
        code={"coding": [{"system": "http://loinc.org", "code": "85354-9"}]},
        component=[
            {
                "code": {"coding": [{"system": "http://loinc.org", "code": code}]},
                "valueQuantity": {"value": value, "system": UCUM, "code": "mm[Hg]"},
            }
            for code, value in zip(codes, (120, 70), strict=True)
        ],
    )
    del pressure["valueQuantity"]
    read = Read(export(tmp_path, PATIENT, pressure))
    assert [(row["code"], row["numeric_value"]) for row in read.observations] == [
        ("LOINC//8462-4", 70.0),
        ("LOINC//8480-6", 120.0),
    ]


def test_the_newest_version_of_a_resource_counts_whatever_it_says(tmp_path: Path) -> None:
    old = lactate(meta={"lastUpdated": "2026-11-01T08:00:00Z"})
    withdrawn = lactate(status="entered-in-error", meta={"lastUpdated": "2026-11-02T08:00:00Z"})
    read = Read(export(tmp_path, PATIENT, withdrawn, old))
    assert read.observations == []
    assert read.dropped == {
        "Observation: not final, amended or corrected": 1,
        "Observation: superseded by another version": 1,
    }


def test_a_stay_in_intensive_care_lies_within_its_admission(tmp_path: Path) -> None:
    ended = {"dischargeDisposition": {"coding": [{"code": "exp"}]}}
    read = Read(export(tmp_path, PATIENT, ADMISSION | {"hospitalization": ended}, UNIT))
    (stay,) = read.stays
    assert stay == {
        "subject_id": "p1",
        "stay_id": "e1",
        "site": "north",
        "hospital_admission": datetime(2026, 11, 1),
        "hospital_discharge": datetime(2026, 11, 9, 12),
        "icu_admission": datetime(2026, 11, 1, 5),
        "icu_discharge": datetime(2026, 11, 3, 5),
        "died_in_hospital": True,
    }


def test_r5_encounters_are_read_like_r4(tmp_path: Path) -> None:
    r5 = dict(ADMISSION)
    r5["actualPeriod"] = r5.pop("period")
    r5["class"] = [{"coding": [{"code": "IMP"}]}]
    r5["admission"] = {"dischargeDisposition": {"coding": [{"code": "home"}]}}
    (stay,) = Read(export(tmp_path, PATIENT, r5, UNIT)).stays
    assert stay["hospital_discharge"] == datetime(2026, 11, 9, 12)
    assert stay["died_in_hospital"] is False


def test_a_site_may_name_its_intensive_care_units(tmp_path: Path) -> None:
    source = export(tmp_path, PATIENT, ADMISSION)
    (ward,) = Read(source).stays
    assert pd.isna(ward["icu_admission"])
    (stay,) = Read(source, icu_locations=["Location/l1"]).stays
    assert stay["icu_admission"] == datetime(2026, 11, 1, 5)


def test_drugs_diagnoses_and_procedures_are_observations(tmp_path: Path) -> None:
    about = {"subject": {"reference": "Patient/p1"}}
    drug = {"resourceType": "Medication", "id": "m1"}
    drug["code"] = {"coding": [{"system": "http://www.whocc.no/atc", "code": "C01CA03"}]}  # type: ignore[assignment]
    given = {
        "resourceType": "MedicationAdministration",
        "id": "a1",
        "status": "completed",
        "medicationReference": {"reference": "Medication/m1"},
        "effectivePeriod": {"start": "2026-11-01T07:00:00Z", "end": "2026-11-03T07:00:00Z"},
        "dosage": {"rateQuantity": {"value": 0.1, "code": "ug/kg/min"}},
    } | about
    fracture = {
        "resourceType": "Condition",
        "id": "c1",
        "code": {
            "coding": [{"system": "http://hl7.org/fhir/sid/icd-10-cm", "code": "S72.001A"}],
            "text": "Fracture of neck of femur",
        },
        "encounter": {"reference": "Encounter/e1"},
    } | about
    refuted = fracture | {"id": "c2", "verificationStatus": {"coding": [{"code": "refuted"}]}}
    surgery = {
        "resourceType": "Procedure",
        "id": "x1",
        "status": "completed",
        "code": {"coding": [{"system": "http://snomed.info/sct", "code": "52734007"}]},
        "occurrencePeriod": {"start": "2026-11-02T08:00:00Z"},
    } | about
    ventilated = surgery | {"id": "x2", "status": "in-progress"}
    ventilated["code"] = {"coding": [{"system": "http://snomed.info/sct", "code": "40617009"}]}
    dopamine = given | {"id": "a2", "status": "in-progress"}
    dopamine["medicationReference"] = {"reference": "Medication/m2"}
    dopamine["effectivePeriod"] = {"start": "2026-11-01"}
    ratio = {"numerator": {"value": 24, "code": "mg"}, "denominator": {"value": 2, "code": "h"}}
    dopamine["dosage"] = {"rateRatio": ratio}
    other = drug | {"id": "m2"}
    other["code"] = {"coding": [{"system": "http://www.whocc.no/atc", "code": "C01CA04"}]}  # type: ignore[assignment]
    facts = (drug, given, fracture, refuted, surgery, ventilated, other, dopamine)
    read = Read(export(tmp_path, PATIENT, ADMISSION, *facts))
    rows = {row["code"]: row for row in read.observations}
    assert rows.keys() == {
        *("ATC//C01CA03", "ATC//C01CA04", "ICD10CM//S72.001A"),
        *("SNOMED//52734007", "SNOMED//40617009"),
    }
    # What was given or done lasts until its end, or had not ended yet.
    assert rows["ATC//C01CA03"]["end_time"] == datetime(2026, 11, 3, 7)
    assert pd.isna(rows["SNOMED//52734007"]["end_time"])
    assert rows["SNOMED//40617009"]["is_ongoing"]
    assert rows["ATC//C01CA04"]["is_ongoing"]
    assert (rows["ATC//C01CA04"]["numeric_value"], rows["ATC//C01CA04"]["unit"]) == (12.0, "mg/h")
    assert rows["ATC//C01CA03"]["numeric_value"] == 0.1
    assert rows["ATC//C01CA03"]["unit"] == "ug/kg/min"
    # A diagnosis without a time of its own is known when its encounter ends.
    assert rows["ICD10CM//S72.001A"]["time"] == datetime(2026, 11, 9, 12)
    assert rows["ICD10CM//S72.001A"]["text_value"] == "Fracture of neck of femur"
    assert rows["SNOMED//52734007"]["time"] == datetime(2026, 11, 2, 8)
    reason = "refuted, not confirmed, or changed by an unknown extension"
    assert read.dropped == {f"Condition: {reason}": 1}


def test_ingredients_of_drugs_set_flags_unless_given_locally(tmp_path: Path) -> None:
    rxnorm = "http://www.nlm.nih.gov/research/umls/rxnorm"

    def given(name: str, *codes: str, route: str = "") -> dict[str, Any]:
        return {
            "resourceType": "MedicationAdministration",
            "id": name,
            "status": "completed",
            "subject": {"reference": "Patient/p1"},
            "medicationCodeableConcept": {
                "coding": [{"system": rxnorm, "code": code} for code in codes]
            },
            "effectiveDateTime": "2026-11-01T07:00:00Z",
            "dosage": {"route": {"text": route}},
        }

    drug = {
        "resourceType": "Medication",
        "id": "m1",
        "code": {"coding": [{"system": "urn:site:drugs", "code": "NOR-1"}]},
        "ingredient": [{"itemCodeableConcept": {"coding": [{"system": rxnorm, "code": "7512"}]}}],
    }
    mixed = drug | {"id": "m2", "ingredient": [*drug["ingredient"], *drug["ingredient"]]}
    mixed["ingredient"][0] = {
        "itemCodeableConcept": {"coding": [{"system": rxnorm, "code": "6387"}]}
    }
    referred = given("a3") | {"medicationReference": {"reference": "Medication/m1"}}
    blended = given("a4") | {"medicationReference": {"reference": "Medication/m2"}}
    for one in (referred, blended):
        del one["medicationCodeableConcept"]
    read = Read(
        export(
            *(tmp_path, PATIENT, ADMISSION, drug, mixed, referred, blended),
            given("a1", "5492", "208680"),
            given("a2", "5492", route="Ophthalmic"),
        )
    )
    assert sorted(row["code"] for row in read.observations) == [
        *("RxNorm//208680", "RxNorm//5492", "RxNorm//7512"),
        *("urn:site:drugs//NOR-1", "urn:site:drugs//NOR-1"),
    ]
    assert read.dropped == {
        "MedicationAdministration: given locally: to eye, ear, nose, mouth, lung, skin or rectum": 1
    }


def test_what_was_not_done_is_an_observation_of_its_own(tmp_path: Path) -> None:
    about = {"subject": {"reference": "Patient/p1"}}
    reason = {"system": "http://terminology.hl7.org/CodeSystem/data-absent-reason"}
    absent = lactate(dataAbsentReason={"coding": [reason | {"code": "not-performed"}]})
    unknown = absent | {"id": "o2"}
    unknown["dataAbsentReason"] = {"coding": [reason | {"code": "unknown"}]}
    for one in (absent, unknown):
        del one["valueQuantity"]
    drug = {"coding": [{"system": "http://www.whocc.no/atc", "code": "C01CA03"}]}
    withheld = {
        "resourceType": "MedicationAdministration",
        "id": "a1",
        "status": "not-done",
        "medicationCodeableConcept": drug,
        "effectiveDateTime": "2026-11-01T07:00:00Z",
    } | about
    stopped = withheld | {"id": "a2", "status": "entered-in-error"}
    dialysis = {
        "resourceType": "Procedure",
        "id": "x1",
        "status": "not-done",
        "code": {"coding": [{"system": "http://snomed.info/sct", "code": "302497006"}]},
        "performedDateTime": "2026-11-01T08:00:00Z",
    } | about
    surgery = dialysis | {"id": "x2", "code": {"coding": [{"code": "52734007"}]}}
    read = Read(
        export(tmp_path, PATIENT, ADMISSION, absent, unknown, withheld, stopped, dialysis, surgery)
    )
    assert sorted((row["code"], row["numeric_value"]) for row in read.observations) == [
        ("OSTEON//catecholamines__not_done", 1),
        ("OSTEON//lactate__not_done", 1),
        ("OSTEON//rrt__not_done", 1),
    ]
    assert sum(read.dropped.values()) == 3


@pytest.mark.skipif(not CASES.is_dir(), reason="needs ../shared/cases")
def test_loinc_by_its_object_identifier_is_loinc(tmp_path: Path) -> None:
    base, by_oid = (Read(CASES / f"fhir-{name}.json") for name in ("base", "loinc-by-oid"))
    assert len(base.observations) > 10
    assert repr(by_oid.observations) == repr(base.observations)


def test_what_concerns_no_exported_patient_is_counted(tmp_path: Path) -> None:
    other = lactate(subject={"reference": "Patient/p2"})
    read = Read(export(tmp_path, PATIENT, other))
    assert read.dropped == {"Observation: about no patient of the export": 1}


def test_a_patient_may_be_referred_to_by_address_or_identifier(tmp_path: Path) -> None:
    named = PATIENT | {"identifier": [{"system": "urn:mrn", "value": "77"}]}
    subjects: list[dict[str, Any]] = [
        {"reference": "https://ehr.example/fhir/Patient/p1"},
        {"identifier": {"system": "urn:mrn", "value": "77"}},
        {"reference": "Patient/p1/_history/3"},
    ]
    observations = [lactate(id=f"o{i}", subject=one) for i, one in enumerate(subjects)]
    assert len(Read(export(tmp_path, named, *observations)).observations) == 3


def test_one_id_at_two_servers_is_refused(tmp_path: Path) -> None:
    for host in ("a", "b"):
        entry = {"fullUrl": f"https://{host}/fhir/Patient/p1", "resource": PATIENT}
        bundle = {"resourceType": "Bundle", "type": "collection", "entry": [entry]}
        (tmp_path / f"{host}.json").write_text(json.dumps(bundle), encoding="utf-8")
    with pytest.raises(DataError, match="Patient ids must come from one server; 1 occur at two"):
        Fhir(tmp_path).relations(connection())


def test_a_file_that_ends_early_is_refused_by_line_and_without_its_content(tmp_path: Path) -> None:
    source = export(tmp_path, PATIENT)
    with (source / "Patient.000.ndjson").open("a", encoding="utf-8") as stream:
        stream.write('{"resourceType": "Patient", "id": "secret')
    with pytest.raises(
        DataError, match=r"line 2 of Patient\.000\.ndjson must be one JSON"
    ) as raised:
        Fhir(source).relations(connection())
    assert "secret" not in str(raised.value)


def test_an_export_without_files_or_patients_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"source must hold \.ndjson or \.json files"):
        Fhir(tmp_path).relations(connection())
    with pytest.raises(DataError, match="source must hold Patient resources"):
        Fhir(export(tmp_path, lactate())).relations(connection())


def test_persons_are_observed_until_their_last_contact(tmp_path: Path) -> None:
    dead = PATIENT | {"birthDate": "1958", "deceasedDateTime": "2027-01-05"}
    (person,) = Read(export(tmp_path, dead, ADMISSION, UNIT)).persons
    assert person["birth_year"] == 1958
    assert person["death_time"] == person["observed_until"] == datetime(2027, 1, 5, 23, 59, 59)
    (person,) = Read(export(tmp_path, PATIENT, ADMISSION, UNIT)).persons
    assert person["observed_until"] == datetime(2026, 11, 9, 12)


def test_a_code_that_needs_its_body_site_is_read_by_the_name_of_its_variable(
    tmp_path: Path,
) -> None:
    femur = lactate(
        code={"coding": [{"system": "http://loinc.org", "code": "38263-0"}]},
        valueQuantity={"value": -2.5, "system": UCUM, "code": "{T-score}"},
    )
    neck = femur | {"id": "o2", "bodySite": {"text": "Femoral neck, left"}}
    read = Read(export(tmp_path, PATIENT, femur, neck))
    assert [row["code"] for row in read.observations] == ["OSTEON//t_fn"]
    assert list(read.dropped.values()) == [1]
