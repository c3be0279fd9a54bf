"""An OMOP database becomes observations, stays and persons, whatever it is stored in."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, datetime
from pathlib import Path
from typing import Any

import duckdb
import pandas as pd
import pytest

from data_schema.errors import OutsideError, UsageError
from training.sources.observations import checked, connection, typed_relations
from training.sources.omop import Omop

Tables = Mapping[str, str]

TABLES: Tables = {
    "person": "SELECT 1 AS person_id, 8532 AS gender_concept_id, 1958 AS year_of_birth, "
    "3 AS month_of_birth, 2 AS day_of_birth",
    "visit_occurrence": "SELECT 10 AS visit_occurrence_id, 1 AS person_id, "
    "9201 AS visit_concept_id, DATE '2026-11-01' AS visit_start_date, "
    "TIMESTAMP '2026-11-01 00:30:00' AS visit_start_datetime, DATE '2026-11-09' AS visit_end_date, "
    "TIMESTAMP '2026-11-09 12:00:00' AS visit_end_datetime, 7 AS care_site_id, "
    "4216643 AS discharged_to_concept_id",
    "visit_detail": "SELECT * FROM (VALUES (21, 1, 10, 32037, TIMESTAMP '2026-11-01 06:00:00', "
    "TIMESTAMP '2026-11-02 06:00:00'), (22, 1, 10, 32037, TIMESTAMP '2026-11-02 06:20:00', "
    "TIMESTAMP '2026-11-03 05:00:00'), (23, 1, 10, 32037, TIMESTAMP '2026-11-05 05:00:00', NULL), "
    "(24, 1, 10, 9203, TIMESTAMP '2026-11-01 00:30:00', TIMESTAMP '2026-11-01 06:00:00')) "
    "AS t(visit_detail_id, person_id, visit_occurrence_id, visit_detail_concept_id, "
    "visit_detail_start_datetime, visit_detail_end_datetime)",
    "measurement": "SELECT * FROM (VALUES "
    "(1, 3016723, TIMESTAMP '2026-11-01 07:00:00', DATE '2026-11-01', 1.9, 8840, 'mg/dL', "
    "4171756, 'CREA', 0), "
    "(1, 0, NULL, DATE '2026-11-02', 2.5, 0, 'mmol/L', 0, 'LAC', 0), "
    "(1, 0, NULL, NULL, 1, 0, NULL, 0, 'LAC', 0), "
    "(1, 0, NULL, DATE '2026-11-02', 1, 0, NULL, 0, NULL, 0), "
    "(9, 3016723, NULL, DATE '2026-11-02', 1, 8840, NULL, 0, NULL, 0)) "
    "AS t(person_id, measurement_concept_id, measurement_datetime, measurement_date, "
    "value_as_number, unit_concept_id, unit_source_value, operator_concept_id, "
    "measurement_source_value, measurement_source_concept_id)",
    "condition_occurrence": "SELECT 1 AS person_id, 4230399 AS condition_concept_id, "
    "DATE '2026-11-09' AS condition_start_date, 'S72.001A' AS condition_source_value, "
    "45600000 AS condition_source_concept_id",
    "death": "SELECT 1 AS person_id, DATE '2026-11-09' AS death_date",
    "concept": "SELECT * FROM (VALUES (3016723, 'LOINC', '2160-0', 'Creatinine'), "
    "(8840, 'UCUM', 'mg/dL', 'milligram per deciliter'), "
    "(45600000, 'ICD10CM', 'S72.001A', 'Fracture'), (4230399, 'SNOMED', '5913000', 'Fracture')) "
    "AS t(concept_id, vocabulary_id, concept_code, concept_name)",
}


def write(kind: str, folder: Path, tables: Tables = TABLES) -> str:
    """Write the tables as a DuckDB file, or as a folder of CSV or Parquet files."""
    if kind == "duckdb":
        path = folder / "omop.duckdb"
        with duckdb.connect(str(path)) as db:
            db.execute("CREATE SCHEMA cdm")
            for name, select in tables.items():
                db.execute(f"CREATE TABLE cdm.{name} AS {select}")
        return str(path)
    with duckdb.connect() as db:
        for name, select in tables.items():
            file = folder / f"{name.upper() if kind == 'csv' else name}.{kind}"
            db.execute(f"COPY ({select}) TO '{file}'")
    return str(folder)


class Read:
    """What a source yields, as lists of rows."""

    def __init__(self, source: str, **options: Any) -> None:
        db = connection()
        self.dropped = dict(Omop(source, **options).relations(db))
        typed_relations(db)
        self.findings = checked(db)
        self.observations, self.stays, self.persons = (
            db.execute(f"SELECT * FROM checked_{name} ORDER BY ALL").fetchdf().to_dict("records")
            for name in ("observations", "stays", "persons")
        )


@pytest.mark.parametrize("kind", ["duckdb", "csv", "parquet"])
def test_a_database_is_read_alike_from_duckdb_csv_and_parquet(kind: str, tmp_path: Path) -> None:
    read = Read(write(kind, tmp_path))
    assert read.findings == ()
    assert [(row["code"], row["time"]) for row in read.observations] == [
        ("LOINC//2160-0", datetime(2026, 11, 1, 7)),
        ("SOURCE//LAC", datetime(2026, 11, 2, 23, 59, 59)),
        ("ICD10CM//S72.001A", datetime(2026, 11, 9, 23, 59, 59)),
    ]
    creatinine = read.observations[0]
    assert (creatinine["numeric_value"], creatinine["unit"], creatinine["comparator"]) == (
        *(1.9, "mg/dL", "<"),
    )
    assert read.dropped == {
        "measurement: about no person of the database": 1,
        "measurement: without a code": 1,
        "measurement: without a time": 1,
    }
    (person,) = read.persons
    assert (person["sex"], person["birth_date"]) == ("female", pd.Timestamp(date(1958, 3, 2)))
    assert person["death_time"] == datetime(2026, 11, 9, 23, 59, 59)


def test_beds_that_follow_one_another_are_one_stay(tmp_path: Path) -> None:
    first, second = Read(write("parquet", tmp_path)).stays
    assert first == {
        "subject_id": "1",
        "stay_id": "21",
        "site": "7",
        "hospital_admission": datetime(2026, 11, 1, 0, 30),
        "hospital_discharge": datetime(2026, 11, 9, 12),
        "icu_admission": datetime(2026, 11, 1, 6),
        "icu_discharge": datetime(2026, 11, 3, 5),
        "died_in_hospital": True,
    }
    assert (second["stay_id"], second["icu_admission"]) == ("23", datetime(2026, 11, 5, 5))
    assert pd.isna(second["icu_discharge"])


def test_cdm_5_3_names_the_discharge_in_its_own_way(tmp_path: Path) -> None:
    older = TABLES | {
        "visit_occurrence": TABLES["visit_occurrence"].replace("discharged_to", "discharge_to")
    }
    del older["death"]
    assert {stay["died_in_hospital"] for stay in Read(write("csv", tmp_path, older)).stays} == {
        True
    }


def test_a_mapped_code_is_preferred_and_a_plain_source_value_comes_last(tmp_path: Path) -> None:
    source = write("parquet", tmp_path)
    for mapped, code in (
        ((), "LOINC//2160-0"),
        (("SOURCE//CREA",), "SOURCE//CREA"),
        (("OMOP//3016723", "SOURCE//CREA"), "OMOP//3016723"),
    ):
        assert Read(source, mapped=mapped).observations[0]["code"] == code


DRUGS: Tables = {
    "drug_exposure": "SELECT * FROM (VALUES "
    "(1, 100, 30, 'IV', 'NOREPI 4MG/250'), (1, 101, 30, 'IV', 'HC CREAM'), "
    "(1, 102, 30, 'PO', 'PERCOCET'), (1, 103, 30, 'SC', 'LIDO-EPI'), (1, 2, 30, 'PO', 'HC'), "
    "(1, 2, 30, 'topical', 'HC'), (1, 104, 30, 'PO', 'ACETAMINOPHEN')) "
    "AS t(person_id, drug_concept_id, quantity, route_source_value, drug_source_value), "
    "(SELECT TIMESTAMP '2026-11-01 08:00:00' AS drug_exposure_start_datetime)",
    "concept": "SELECT * FROM (VALUES (1, 'RxNorm', '7512', 'norepinephrine', 'Ingredient'), "
    "(2, 'RxNorm', '5492', 'hydrocortisone', 'Ingredient'), "
    "(3, 'RxNorm', '7804', 'oxycodone', 'Ingredient'), "
    "(4, 'RxNorm', '161', 'acetaminophen', 'Ingredient'), "
    "(5, 'RxNorm', '6387', 'lidocaine', 'Ingredient'), "
    "(6, 'RxNorm', '3992', 'epinephrine', 'Ingredient'), "
    "(7, 'ATC', 'C01CA03', 'norepinephrine', 'ATC 5th'), "
    "(8, 'ATC', 'H02AB09', 'hydrocortisone', 'ATC 5th'), "
    "(100, 'RxNorm', '1745276', 'norepinephrine Injection', 'Clinical Drug Form'), "
    "(101, 'RxNorm', '371500', 'hydrocortisone Topical Cream', 'Clinical Drug Form'), "
    "(102, 'RxNorm', '370618', 'acetaminophen / oxycodone Oral Tablet', 'Clinical Drug Form'), "
    "(103, 'RxNorm', '377143', 'epinephrine / lidocaine Injection', 'Clinical Drug Form'), "
    "(104, 'RxNorm', '369097', 'acetaminophen Oral Tablet', 'Clinical Drug Form')) "
    "AS t(concept_id, vocabulary_id, concept_code, concept_name, concept_class_id)",
    "concept_ancestor": "SELECT * FROM (VALUES (1, 100), (7, 100), (2, 101), (8, 101), (3, 102), "
    "(4, 102), (5, 103), (6, 103), (2, 2), (8, 2), (4, 104), (100, 100)) "
    "AS t(ancestor_concept_id, descendant_concept_id)",
}


@pytest.mark.parametrize("kind", ["duckdb", "csv", "parquet"])
def test_drugs_are_rolled_up_to_the_flags_of_the_catalogue(kind: str, tmp_path: Path) -> None:
    tables = {name: TABLES[name] for name in ("person", "visit_occurrence")} | DRUGS
    source = write(kind, tmp_path, tables)
    read = Read(source)
    assert [(row["code"], row["numeric_value"]) for row in read.observations] == [
        *(("OSTEON//catecholamines", 1), ("OSTEON//corticosteroid", 1), ("OSTEON//opioid", 1)),
        # An ointment, a local anaesthetic and acetaminophen are what the record calls them.
        *(("RxNorm//369097", 30), ("RxNorm//371500", 30), ("RxNorm//377143", 30)),
    ]
    reason = "drug_exposure: given locally: to eye, ear, nose, mouth, lung, skin or rectum"
    assert read.dropped == {reason: 1}
    # What a code map names is left to it.
    mapped = Read(source, mapped=["SOURCE//NOREPI 4MG/250"])
    assert "OSTEON//catecholamines" not in {row["code"] for row in mapped.observations}


def test_without_ancestors_an_ingredient_counts_by_its_own_code(tmp_path: Path) -> None:
    tables = {name: TABLES[name] for name in ("person", "visit_occurrence")} | DRUGS
    del tables["concept_ancestor"]
    codes = [row["code"] for row in Read(write("parquet", tmp_path, tables)).observations]
    assert codes.count("RxNorm//5492") == 1
    assert not [code for code in codes if code.startswith("OSTEON")]


def test_without_concepts_codes_are_concept_ids_and_common_units_are_known(tmp_path: Path) -> None:
    bare = {name: select for name, select in TABLES.items() if name != "concept"}
    bare["measurement"] = TABLES["measurement"].replace("8840, 'mg/dL'", "9999, NULL")
    read = Read(write("parquet", tmp_path, bare))
    assert read.observations[0]["code"] == "OMOP//3016723"
    # Never read as if it had the variable's own unit.
    assert read.observations[0]["unit"] == "OMOP//9999"
    known = bare | {"measurement": TABLES["measurement"].replace("'mg/dL'", "NULL")}
    other = tmp_path / "known"
    other.mkdir()
    assert Read(write("parquet", other, known)).observations[0]["unit"] == "mg/dL"


def test_what_was_given_lasts_until_its_end(tmp_path: Path) -> None:
    given = {
        "drug_exposure": "SELECT 1 AS person_id, 0 AS drug_concept_id, 'NOR' AS drug_source_value, "
        "TIMESTAMP '2026-11-01 07:00:00' AS drug_exposure_start_datetime, "
        "TIMESTAMP '2026-11-03 07:00:00' AS drug_exposure_end_datetime",
        # Of a date alone the last moment counts, which lies after an end with a time.
        "device_exposure": "SELECT 1 AS person_id, 0 AS device_concept_id, 'VENT' AS "
        "device_source_value, DATE '2026-11-02' AS device_exposure_start_date, "
        "TIMESTAMP '2026-11-02 09:00:00' AS device_exposure_end_datetime",
    }
    read = Read(write("parquet", tmp_path, {**TABLES, **given}))
    assert read.findings == ()
    ends = {row["code"]: row["end_time"] for row in read.observations}
    assert ends["SOURCE//NOR"] == datetime(2026, 11, 3, 7)
    assert ends["SOURCE//VENT"] == datetime(2026, 11, 2, 23, 59, 59)
    assert pd.isna(ends["LOINC//2160-0"])


def test_without_intensive_care_a_stay_is_an_admission_to_hospital(tmp_path: Path) -> None:
    ward = {name: select for name, select in TABLES.items() if name != "visit_detail"}
    (stay,) = Read(write("parquet", tmp_path, ward)).stays
    assert stay["stay_id"] == "10"
    assert pd.isna(stay["icu_admission"])


def test_what_is_no_omop_database_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="source must hold the OMOP table person"):
        Omop(str(tmp_path)).relations(connection())
    with pytest.raises(UsageError, match="source must be a DuckDB file, a folder"):
        Omop(str(tmp_path / "none")).relations(connection())
    text = tmp_path / "notes.txt"
    text.write_text("not a database", encoding="utf-8")
    with pytest.raises(UsageError, match=r"source must be a DuckDB file; notes\.txt is not"):
        Omop(str(text)).relations(connection())


def test_a_database_that_cannot_be_reached_is_an_outside_error_without_the_password() -> None:
    pytest.importorskip("psycopg")
    address = "postgresql://osteon:secret@127.0.0.1:1/none"
    with pytest.raises(OutsideError, match="PostgreSQL could not be read") as raised:
        Omop(address).relations(connection())
    assert "secret" not in str(raised.value)
