"""The same patients give the same cohort, whichever source their records come from."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import duckdb
import pandas as pd
import pytest

from places import SHARED
from training.sources.code_map import CodeMap
from training.sources.fhir import Fhir
from training.sources.landmark import landmark
from training.sources.long import Long
from training.sources.meds import Meds
from training.sources.observations import Source, connection, typed_relations
from training.sources.omop import Omop

MIMIC = SHARED / "data" / "mimic_iv_demo_meds" / "events.parquet"
PATIENTS = 30

ITEMS = {
    "LAB//50912": ("LOINC//2160-0", "mg/dL"),
    "LAB//50813": ("LOINC//2524-7", "mmol/L"),
    "LAB//50983": ("LOINC//2951-2", "mmol/L"),
    "LAB//51265": ("LOINC//777-3", "10*3/uL"),
}
"""Creatinine, lactate, sodium and platelets of MIMIC-IV, with their LOINC codes and units."""

CODES = CodeMap()


def records_of_mimic() -> dict[str, pd.DataFrame]:
    """Return observations, diagnoses, stays and persons of 30 patients of the MIMIC-IV demo."""
    db = connection()
    Meds(MIMIC, mimic_iv=True).relations(db)
    typed_relations(db)
    # Stays an hour or less apart are one stay where beds are recorded, and two in MIMIC-IV.
    db.execute(
        "CREATE TABLE chosen AS SELECT subject_id FROM (SELECT *, lead(icu_admission) OVER "
        "(PARTITION BY subject_id ORDER BY icu_admission) - icu_discharge AS gap FROM typed_stays) "
        "GROUP BY 1 HAVING count(*) FILTER (WHERE gap <= INTERVAL 1 HOUR) = 0 "
        "AND bool_and(hospital_admission <= icu_admission AND icu_discharge <= hospital_discharge) "
        f"ORDER BY count(*) DESC, 1 LIMIT {PATIENTS}"
    )
    items = ", ".join(f"('{item}', '{code}', '{unit}')" for item, (code, unit) in ITEMS.items())
    frames = {
        "observations": "SELECT subject_id, time, m.code, numeric_value, m.unit FROM "
        f"typed_observations o JOIN (VALUES {items}) AS m(item, code, unit) ON o.code = m.item "
        "SEMI JOIN chosen USING (subject_id) WHERE numeric_value IS NOT NULL",
        "diagnoses": "SELECT subject_id, time, code FROM typed_observations SEMI JOIN chosen "
        "USING (subject_id) WHERE starts_with(code, 'ICD10CM//')",
        "stays": "SELECT * EXCLUDE (site) FROM typed_stays SEMI JOIN chosen USING (subject_id)",
        "persons": "SELECT * EXCLUDE (observed_until, birth_year) FROM typed_persons "
        "SEMI JOIN chosen USING (subject_id)",
    }
    return {
        name: db.execute(f"SELECT * FROM ({select}) ORDER BY ALL").fetchdf()
        for name, select in frames.items()
    }


@pytest.fixture(scope="module")
def records() -> dict[str, pd.DataFrame]:
    if not MIMIC.exists():
        pytest.skip("../shared/data is not here")
    return records_of_mimic()


def is_date_alone(death: pd.Series) -> pd.Series:
    """Return which deaths are stated by their date: the last moment of its day."""
    return death.dt.strftime("%H:%M:%S") == "23:59:59"


def admissions(records: dict[str, pd.DataFrame]) -> pd.DataFrame:
    """Return each admission to hospital once."""
    columns = ["subject_id", "hospital_admission", "hospital_discharge", "died_in_hospital"]
    return records["stays"][columns].drop_duplicates().reset_index(drop=True)


def as_long(records: dict[str, pd.DataFrame], folder: Path) -> Source:
    facts = pd.concat([records["observations"], records["diagnoses"]])
    facts.to_csv(folder / "observations.csv", index=False)
    records["stays"].to_csv(folder / "stays.csv", index=False)
    records["persons"].to_csv(folder / "persons.csv", index=False)
    return Long(folder)


def as_meds(records: dict[str, pd.DataFrame], folder: Path) -> Source:
    stays, persons, hospital = records["stays"], records["persons"], admissions(records)

    def events(frame: pd.DataFrame, time: str, code: pd.Series | str) -> pd.DataFrame:
        return pd.DataFrame({"subject_id": frame["subject_id"], "time": frame[time], "code": code})

    born = persons.assign(birth=pd.to_datetime(persons["birth_date"]))
    dead = persons.dropna(subset=["death_time"])
    day = dead["death_time"].dt.normalize()
    dead = dead.assign(death=day.where(is_date_alone(dead["death_time"]), dead["death_time"]))
    ended = hospital["died_in_hospital"].map({True: "DIED", False: "HOME"})
    rows = pd.concat(
        [
            records["observations"],
            records["diagnoses"],
            events(stays, "icu_admission", "ICU_ADMISSION//MICU"),
            events(stays, "icu_discharge", "ICU_DISCHARGE//MICU"),
            events(hospital, "hospital_admission", "HOSPITAL_ADMISSION//URGENT"),
            events(hospital, "hospital_discharge", "HOSPITAL_DISCHARGE//" + ended),
            events(born, "birth", "MEDS_BIRTH"),
            events(born, "birth", "GENDER//" + persons["sex"].str.upper()),
            events(dead, "death", "MEDS_DEATH"),
        ]
    )
    (folder / "data").mkdir()
    half = len(rows) // 2
    rows[:half].to_parquet(folder / "data" / "0.parquet", index=False)
    rows[half:].to_parquet(folder / "data" / "1.parquet", index=False)
    return Meds(folder)


def as_fhir(records: dict[str, pd.DataFrame], folder: Path) -> Source:
    systems = {"LOINC": "http://loinc.org", "ICD10CM": "http://hl7.org/fhir/sid/icd-10-cm"}

    def concept(code: str) -> dict[str, object]:
        system, _, plain = code.partition("//")
        return {"coding": [{"system": systems[system], "code": plain}]}

    def period(start: pd.Timestamp, end: pd.Timestamp) -> dict[str, str]:
        return {"start": f"{start.isoformat()}Z", "end": f"{end.isoformat()}Z"}

    def about(row: object) -> dict[str, object]:
        return {"subject": {"reference": f"Patient/{row.subject_id}"}}  # type: ignore[attr-defined]

    def death(time: pd.Timestamp) -> dict[str, str]:
        if pd.isna(time):
            return {}
        is_date = f"{time:%H:%M:%S}" == "23:59:59"
        return {"deceasedDateTime": f"{time:%Y-%m-%d}" if is_date else f"{time.isoformat()}Z"}

    patients = [
        {
            "resourceType": "Patient",
            "id": row.subject_id,
            "gender": row.sex,
            "birthDate": f"{row.birth_date:%Y-%m-%d}",
            **death(row.death_time),
        }
        for row in records["persons"].itertuples()
    ]
    icu_type = {"system": "http://terminology.hl7.org/CodeSystem/v3-RoleCode", "code": "ICU"}
    unit = {"resourceType": "Location", "id": "icu", "type": [{"coding": [icu_type]}]}
    encounters = []
    for i, row in enumerate(admissions(records).itertuples()):
        stays = records["stays"]
        held = stays[
            (stays["subject_id"] == row.subject_id)
            & (stays["hospital_admission"] == row.hospital_admission)
        ]
        ended = {"coding": [{"code": "exp" if row.died_in_hospital else "home"}]}
        encounters.append(
            {
                "resourceType": "Encounter",
                "id": f"e{i}",
                "status": "finished",
                "class": {"code": "IMP"},
                "period": period(row.hospital_admission, row.hospital_discharge),
                "hospitalization": {"dischargeDisposition": ended},
                "location": [
                    {
                        "location": {"reference": "Location/icu"},
                        "period": period(stay.icu_admission, stay.icu_discharge),
                    }
                    for stay in held.itertuples()
                ],
                **about(row),
            }
        )
    observations = [
        {
            "resourceType": "Observation",
            "id": f"o{i}",
            "status": "final",
            "code": concept(row.code),
            "effectiveDateTime": f"{row.time.isoformat()}Z",
            "valueQuantity": {
                "value": row.numeric_value,
                "system": "http://unitsofmeasure.org",
                "code": row.unit,
            },
            **about(row),
        }
        for i, row in enumerate(records["observations"].itertuples())
    ]
    conditions = [
        {
            "resourceType": "Condition",
            "id": f"c{i}",
            "code": concept(row.code),
            "recordedDate": f"{row.time.isoformat()}Z",
            **about(row),
        }
        for i, row in enumerate(records["diagnoses"].itertuples())
    ]
    for resources in (patients, [unit], encounters, observations, conditions):
        lines = "\n".join(json.dumps(resource) for resource in resources)
        file = folder / f"{resources[0]['resourceType']}.ndjson"
        file.write_text(f"{lines}\n", encoding="utf-8")
    return Fhir(folder)


def as_omop(records: dict[str, pd.DataFrame], folder: Path) -> Source:
    hospital = admissions(records).reset_index(names="visit_occurrence_id")
    codes = sorted({*records["observations"]["code"], *records["diagnoses"]["code"]})
    concepts = {code: 1000 + i for i, code in enumerate(codes)}
    split = [code.split("//") for code in codes]
    units = {
        unit: 10 + i for i, unit in enumerate(sorted(records["observations"]["unit"].unique()))
    }
    persons, observations = records["persons"], records["observations"]
    born = pd.to_datetime(persons["birth_date"])
    dead = persons.dropna(subset=["death_time"])
    details = records["stays"].merge(hospital, on=["subject_id", "hospital_admission"])
    tables = {
        "concept": pd.DataFrame(
            {
                "concept_id": [*concepts.values(), *units.values()],
                "vocabulary_id": [*(system for system, _ in split), *("UCUM" for _ in units)],
                "concept_code": [*(code for _, code in split), *units],
                "concept_name": [*codes, *units],
            }
        ),
        "person": pd.DataFrame(
            {
                "person_id": persons["subject_id"],
                "gender_concept_id": persons["sex"].map({"female": 8532, "male": 8507}),
                "year_of_birth": born.dt.year,
                "month_of_birth": born.dt.month,
                "day_of_birth": born.dt.day,
            }
        ),
        "death": pd.DataFrame(
            {
                "person_id": dead["subject_id"],
                "death_date": dead["death_time"].dt.date,
                "death_datetime": dead["death_time"].mask(is_date_alone(dead["death_time"])),
            }
        ),
        "visit_occurrence": pd.DataFrame(
            {
                "visit_occurrence_id": hospital["visit_occurrence_id"],
                "person_id": hospital["subject_id"],
                "visit_concept_id": 9201,
                "visit_start_datetime": hospital["hospital_admission"],
                "visit_end_datetime": hospital["hospital_discharge"],
                "discharged_to_concept_id": hospital["died_in_hospital"].map(
                    {True: 4216643, False: 8536}
                ),
            }
        ),
        "visit_detail": pd.DataFrame(
            {
                "visit_detail_id": range(len(details)),
                "person_id": details["subject_id"],
                "visit_occurrence_id": details["visit_occurrence_id"],
                "visit_detail_concept_id": 32037,
                "visit_detail_start_datetime": details["icu_admission"],
                "visit_detail_end_datetime": details["icu_discharge"],
            }
        ),
        "measurement": pd.DataFrame(
            {
                "person_id": observations["subject_id"],
                "measurement_concept_id": observations["code"].map(concepts),
                "measurement_datetime": observations["time"],
                "value_as_number": observations["numeric_value"],
                "unit_concept_id": observations["unit"].map(units),
            }
        ),
        "condition_occurrence": pd.DataFrame(
            {
                "person_id": records["diagnoses"]["subject_id"],
                "condition_concept_id": 0,
                "condition_source_concept_id": records["diagnoses"]["code"].map(concepts),
                "condition_start_datetime": records["diagnoses"]["time"],
            }
        ),
    }
    path = folder / "omop.duckdb"
    with duckdb.connect(str(path)) as db:
        for name, frame in tables.items():
            db.register("frame", frame)
            db.execute(f"CREATE TABLE {name} AS SELECT * FROM frame")
            db.unregister("frame")
    return Omop(str(path))


def cohort(source: Source) -> pd.DataFrame:
    """Return the cohort; each source numbers the stays in its own way."""
    with connection() as db:
        made = landmark(db, source, CODES, time_zero="icu_admission+24h")
    assert made.dropped == {}
    assert made.findings == ()
    return made.cohort.sort_values(["patient_id", "time_zero"]).reset_index(drop=True)


@pytest.mark.parametrize("write", [as_meds, as_fhir, as_omop])
def test_the_same_patients_are_the_same_cohort_from_every_source(
    write: Callable[[dict[str, pd.DataFrame], Path], Source],
    records: dict[str, pd.DataFrame],
    tmp_path: Path,
) -> None:
    assert len(records["persons"]) == PATIENTS
    (tmp_path / "long").mkdir()
    (tmp_path / "other").mkdir()
    expected = cohort(as_long(records, tmp_path / "long")).drop(columns="stay_id")
    assert {"creatinine__max", "lactate", "mortality_event", "in_hospital_mortality_event"} <= {
        *expected.columns
    }
    assert expected["creatinine"].notna().mean() > 0.9
    actual = cohort(write(records, tmp_path / "other")).drop(columns="stay_id")
    assert set(actual) == set(expected)
    pd.testing.assert_frame_equal(
        actual[[*expected.columns]], expected, check_exact=True, check_dtype=False
    )
