"""Time and memory of `osteon landmark --source omop` by number of measurements.

    python tests/benchmark/omop_speed.py EVENTS.parquet --out build/omop [--millions 5 20 50]

Builds an OMOP database (DuckDB) of the MIMIC-IV demo in MEDS, as often as needed with new ids:
persons, visits, stays in intensive care, measurements, infusions as drug exposures, deaths and
observation periods, with the code map that reads them. Runs the command in a process of its own
and adds one line of JSON a size to `results.jsonl`; a size that has a line is not run again, and a
database that was built is used again. 5 million take about a minute, 50 million about ten.
"""

import argparse
import csv
import json
import os
import resource
import subprocess
import sys
import time
from pathlib import Path

import duckdb

from training.sources.code_map import mimic_iv_map
from training.sources.meds import Meds

STEP = 100_000_000
_OUTPUTS = "SUBJECT_FLUID_OUTPUT//"
_TABLES = {
    "person": "SELECT CAST(subject_id AS BIGINT) + {step} AS person_id, "
    "CASE sex WHEN 'female' THEN 8532 WHEN 'male' THEN 8507 END AS gender_concept_id, "
    "year(birth_date) AS year_of_birth, month(birth_date) AS month_of_birth, "
    "day(birth_date) AS day_of_birth FROM persons",
    "death": "SELECT CAST(subject_id AS BIGINT) + {step} AS person_id, "
    "CAST(death_time AS DATE) AS death_date FROM persons WHERE death_time IS NOT NULL",
    "observation_period": "SELECT CAST(subject_id AS BIGINT) + {step} AS person_id, "
    "CAST(observed_until AS DATE) AS observation_period_end_date FROM persons",
    "visit_occurrence": "SELECT number + {step} AS visit_occurrence_id, "
    "CAST(subject_id AS BIGINT) + {step} AS person_id, 9201 AS visit_concept_id, "
    "hospital_admission AS visit_start_datetime, hospital_discharge AS visit_end_datetime, "
    "CASE WHEN died_in_hospital THEN 4216643 ELSE 8536 END AS discharged_to_concept_id "
    "FROM admissions",
    "visit_detail": "SELECT row_number() OVER (ORDER BY s.stay_id) + {step} AS visit_detail_id, "
    "CAST(s.subject_id AS BIGINT) + {step} AS person_id, a.number + {step} AS visit_occurrence_id, "
    "32037 AS visit_detail_concept_id, icu_admission AS visit_detail_start_datetime, "
    "icu_discharge AS visit_detail_end_datetime FROM stays AS s JOIN admissions AS a "
    "ON a.subject_id = s.subject_id AND a.hospital_admission = s.hospital_admission",
    "measurement": "SELECT CAST(subject_id AS BIGINT) + {step} AS person_id, "
    "0 AS measurement_concept_id, time AS measurement_datetime, numeric_value AS value_as_number, "
    "text_value AS value_source_value, unit AS unit_source_value, "
    "code AS measurement_source_value FROM observations "
    f"WHERE starts_with(code, 'LAB//') OR starts_with(code, '{_OUTPUTS}')",
    "drug_exposure": "SELECT CAST(subject_id AS BIGINT) + {step} AS person_id, "
    "0 AS drug_concept_id, time AS drug_exposure_start_datetime, numeric_value AS quantity, "
    "code AS drug_source_value FROM observations WHERE starts_with(code, 'INFUSION_START//')",
}


def database(events: Path, out: Path, millions: float) -> Path:
    """Return the OMOP database of so many measurements, built unless it is there."""
    file = out / f"omop_{millions:g}.duckdb"
    if file.exists():
        return file
    unfinished = out / "unfinished.duckdb"
    unfinished.unlink(missing_ok=True)
    with duckdb.connect(str(unfinished)) as db:
        db.execute("SET memory_limit = '1GB'")
        db.execute("SET preserve_insertion_order = false")
        db.execute("CREATE SCHEMA work")
        db.execute("USE work")
        Meds(events, mimic_iv=True).relations(db)
        db.execute(
            "CREATE TABLE admissions AS SELECT *, row_number() OVER (ORDER BY subject_id, "
            "hospital_admission) AS number FROM (SELECT DISTINCT subject_id, hospital_admission, "
            "hospital_discharge, died_in_hospital FROM stays WHERE hospital_admission IS NOT NULL)"
        )
        (rows,) = db.execute(
            f"SELECT count(*) FROM ({_TABLES['measurement'].format(step=0)})"
        ).fetchone() or (1,)
        times = max(1, round(millions * 1e6 / rows))
        for copy in range(times):
            for name, select in _TABLES.items():
                what = select.format(step=copy * STEP)
                verb = f"CREATE TABLE main.{name} AS" if not copy else f"INSERT INTO main.{name}"
                db.execute(f"{verb} {what}")
            print(f"\rcopy {copy + 1} of {times}", end="", file=sys.stderr)
        db.execute("USE main")
        db.execute("DROP SCHEMA work CASCADE")
    print(file=sys.stderr)
    return unfinished.rename(file)


def code_map(out: Path) -> Path:
    """Return the code map of MIMIC-IV, of the codes as source values."""
    file = out / "codes.csv"
    mapped = mimic_iv_map()
    with file.open("w", encoding="utf-8", newline="") as lines:
        rows = csv.writer(lines)
        rows.writerow(["code", "variable", "unit", "specimen", "value"])
        for code, listed in mapped.codes.items():
            for one in listed:
                value = "" if one.value is None else one.value
                rows.writerow([f"SOURCE//{code}", one.variable, one.unit, one.specimen, value])
    return file


def measured(source: Path, codes: Path, out: Path, memory: str) -> dict[str, float]:
    """Return seconds and the most memory of one run of the command."""
    began = time.monotonic()
    command = [sys.executable, "-m", "osteon", "landmark", str(source), "--source", "omop"]
    command += ["--codes", str(codes), "--time-zero", "icu_admission+24h", "--json"]
    command += ["--memory", memory, "--out", str(out / "cohort.parquet")]
    answer = subprocess.run(command, check=True, stdout=subprocess.PIPE, env=os.environ)
    most = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024**2
    return {
        "seconds": time.monotonic() - began,
        "gigabytes": most,
        "stays": json.loads(answer.stdout)["stays"],
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("events", type=Path)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--millions", type=float, nargs="+", default=[5, 20, 50])
    parser.add_argument("--memory", default="2GB")
    arguments = parser.parse_args()
    arguments.out.mkdir(parents=True, exist_ok=True)
    results = arguments.out / "results.jsonl"
    lines = results.read_text().splitlines() if results.exists() else []
    done = {json.loads(line)["millions"] for line in lines}
    codes = code_map(arguments.out)
    # Memory is the largest of all children so far: sizes run in ascending order.
    for millions in sorted(set(arguments.millions) - done):
        source = database(arguments.events, arguments.out, millions)
        figures = measured(source, codes, arguments.out, arguments.memory)
        line = {"millions": millions, **figures}
        with results.open("a") as file:
            print(json.dumps(line), file=file)
        print(json.dumps(line), flush=True)


if __name__ == "__main__":
    main()
