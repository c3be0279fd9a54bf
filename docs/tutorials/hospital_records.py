"""Write a hospital's records of simulated patients: as MEDS, as OMOP, and as three plain tables.

    python hospital_records.py simulated.parquet

`meds/` holds one shard of events, `omop/` tables of the Common Data Model 5.4 as CSV, and
`records/` the files `observations.csv`, `stays.csv` and `persons.csv`. All three hold the same
patients: each came to intensive care on some day of 2025, had blood drawn 2 and 20 hours later, and
was followed as the simulation says. FGF23 has a code of this hospital's own.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pandas as pd

_LABORATORY = {
    "lactate": ("LOINC//2524-7", "mmol/L"),
    "albumin": ("LOINC//1751-7", "g/dL"),
    "creatinine": ("LOINC//2160-0", "mg/dL"),
    "bilirubin": ("LOINC//1975-2", "mg/dL"),
    "platelets": ("LOINC//777-3", "10*3/uL"),
    "fgf23_c": ("LAB//FGF23 C-TERM", "RU/mL"),
}
_DRAWN_HOURS = (2, 20)
_INTENSIVE_CARE = 32037  # OMOP: Intensive Care
_INPATIENT = 9201  # OMOP: Inpatient Visit
_SEX = {"female": 8532, "male": 8507}  # OMOP


def main(path: str) -> None:
    """Read a simulated cohort and write the records three times."""
    patients = _patients(pd.read_parquet(path))
    results = _results(patients)
    _write_meds(patients, results, Path("meds/data"))
    _write_omop(patients, results, Path("omop"))
    _write_plain(patients, results, Path("records"))


def _patients(cohort: pd.DataFrame) -> pd.DataFrame:
    """Return one row per patient, with the moments of the stay."""
    rng = np.random.default_rng(2)
    admitted = pd.Timestamp("2025-01-01") + pd.to_timedelta(
        rng.integers(0, 365 * 24, len(cohort)), unit="h"
    )
    # The simulation counts days from 24 hours after admission.
    end = admitted + pd.Timedelta(hours=24) + pd.to_timedelta(cohort["mortality_days"], "D")
    end = end.dt.floor("s")
    died = cohort["mortality_event"] == 1
    discharged = pd.Series(admitted + pd.Timedelta(days=12), cohort.index)
    left = end.where(died & (end < discharged), discharged)
    return cohort.assign(
        subject_id=range(1, len(cohort) + 1),
        born=(admitted - pd.to_timedelta(cohort["age"] * 365.25, "D")).dt.floor("D"),
        admitted=admitted,
        left=left,
        death=end.where(died),
        observed_until=end,
    )


def _results(patients: pd.DataFrame) -> pd.DataFrame:
    """Return the laboratory's results: subject_id, time, code, numeric_value and unit."""
    rng = np.random.default_rng(3)
    parts = []
    for name, (code, unit) in _LABORATORY.items():
        for hours in _DRAWN_HOURS:
            value = patients[name].to_numpy(dtype=float) * rng.lognormal(0, 0.03, len(patients))
            parts.append(
                pd.DataFrame(
                    {
                        "subject_id": patients["subject_id"].to_numpy(),
                        "time": patients["admitted"].to_numpy() + np.timedelta64(hours, "h"),
                        "code": code,
                        "numeric_value": value.round(2),
                        "unit": unit,
                    }
                )
            )
    results = pd.concat(parts).dropna()
    dead = results["subject_id"].map(patients.set_index("subject_id")["death"])
    return results[~(dead <= results["time"])]


def _write_meds(patients: pd.DataFrame, results: pd.DataFrame, folder: Path) -> None:
    """Write one shard of events."""
    moments = {
        "MEDS_BIRTH": "born",
        "HOSPITAL_ADMISSION": "admitted",
        "ICU_ADMISSION": "admitted",
        "ICU_DISCHARGE": "left",
        "HOSPITAL_DISCHARGE": "left",
        "MEDS_DEATH": "death",
        "FOLLOW_UP": "observed_until",
    }
    events = [
        patients[["subject_id", column]].set_axis(["subject_id", "time"], axis=1).assign(code=code)
        for code, column in moments.items()
    ]
    sex = patients["sex"].map({"female": "GENDER//F", "male": "GENDER//M"})
    events.append(patients[["subject_id"]].assign(time=patients["born"], code=sex))
    written = pd.concat([*events, results.drop(columns="unit")]).dropna(subset=["time"])
    folder.mkdir(parents=True, exist_ok=True)
    written.sort_values(["subject_id", "time"]).to_parquet(folder / "0.parquet", index=False)


def _write_omop(patients: pd.DataFrame, results: pd.DataFrame, folder: Path) -> None:
    """Write the tables that `osteon landmark` reads."""
    folder.mkdir(exist_ok=True)
    person, born = patients["subject_id"], patients["born"]
    stay = {"person_id": person, "visit_occurrence_id": person}
    codes = dict.fromkeys(code for code, _ in _LABORATORY.values())
    concepts = {code: number for number, code in enumerate(codes, 1) if code.startswith("LOINC")}
    tables = {
        "person": {
            "person_id": person,
            "gender_concept_id": patients["sex"].map(_SEX),
            "year_of_birth": born.dt.year,
            "month_of_birth": born.dt.month,
            "day_of_birth": born.dt.day,
        },
        "visit_occurrence": stay
        | {
            "visit_concept_id": _INPATIENT,
            "visit_start_datetime": patients["admitted"],
            "visit_end_datetime": patients["left"],
        },
        "visit_detail": stay
        | {
            "visit_detail_id": person,
            "visit_detail_concept_id": _INTENSIVE_CARE,
            "visit_detail_start_datetime": patients["admitted"],
            "visit_detail_end_datetime": patients["left"],
        },
        "measurement": {
            "person_id": results["subject_id"],
            "measurement_concept_id": results["code"].map(concepts).fillna(0).astype(int),
            "measurement_source_value": results["code"],
            "measurement_datetime": results["time"],
            "value_as_number": results["numeric_value"],
            "unit_source_value": results["unit"],
        },
        "observation_period": {
            "person_id": person,
            "observation_period_start_date": patients["admitted"].dt.date,
            "observation_period_end_date": patients["observed_until"].dt.date,
        },
        "concept": {
            "concept_id": [*concepts.values()],
            "vocabulary_id": "LOINC",
            "concept_code": [code.removeprefix("LOINC//") for code in concepts],
            "concept_name": "",
        },
    }
    for name, columns in tables.items():
        pd.DataFrame(columns).to_csv(folder / f"{name}.csv", index=False)
    death = patients[["subject_id", "death"]].dropna()
    death.set_axis(["person_id", "death_datetime"], axis=1).assign(
        death_date=death["death"].dt.date
    ).to_csv(folder / "death.csv", index=False)


def _write_plain(patients: pd.DataFrame, results: pd.DataFrame, folder: Path) -> None:
    """Write the three tables of `--source long`."""
    folder.mkdir(exist_ok=True)
    results.to_csv(folder / "observations.csv", index=False)
    stays = patients[["subject_id", "admitted", "left"]]
    stays.set_axis(["subject_id", "icu_admission", "icu_discharge"], axis=1).assign(
        stay_id=stays["subject_id"],
        hospital_admission=stays["admitted"],
        hospital_discharge=stays["left"],
    ).to_csv(folder / "stays.csv", index=False)
    persons = patients[["subject_id", "sex", "born", "death", "observed_until"]]
    persons.set_axis(
        ["subject_id", "sex", "birth_date", "death_time", "observed_until"], axis=1
    ).to_csv(folder / "persons.csv", index=False)


if __name__ == "__main__":
    main(sys.argv[1])
