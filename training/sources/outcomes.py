"""Outcomes from the record: days from time zero to the first event, or to the end of observation.

Observation ends where the source says so, or at the last contact: nothing is claimed of the time
after it. Death competes with fracture, and discharge alive with death in hospital.
"""

from __future__ import annotations

from collections.abc import Mapping

import duckdb
import pandas as pd

from data_schema.catalogue.fracture_codes import CodeSystem, is_incident_fracture
from data_schema.mapping.rules import TREATMENT_LIMITED, TREATMENT_LIMITED_DAYS
from data_schema.outcomes import CENSORED, COMPETING, EVENT

__all__ = ["outcome_columns"]

_SYSTEMS: Mapping[str, CodeSystem] = {
    **dict.fromkeys(("ICD10", "ICD10CM", "ICD10GM"), "icd10"),
    "ICD9CM": "icd9",
    "SNOMED": "snomed",
}


def outcome_columns(db: duckdb.DuckDBPyConnection) -> pd.DataFrame:
    """Return `<outcome>_days` and `<outcome>_event` of each stay in `landmarks`, by `stay_id`.

    Days are at least a second. Death in hospital is left out where a source never states it, and
    fracture where it records no diagnosis by ICD or SNOMED CT: without such codes nothing says that
    there was none. An order to limit treatment is read where the code map names one.
    """
    db.execute("CREATE TABLE fracture_codes (code VARCHAR)")
    codes = [
        row[0] for row in db.execute("SELECT DISTINCT code FROM checked_observations").fetchall()
    ]
    parts = [(code, _SYSTEMS.get(code.rpartition("//")[0].upper())) for code in codes]
    diagnoses = [(code, system) for code, system in parts if system is not None]
    incident = [
        code for code, system in diagnoses if is_incident_fracture(system, code.rpartition("//")[2])
    ]
    db.execute("INSERT INTO fracture_codes SELECT unnest(?::VARCHAR[])", [incident])
    days = "greatest(epoch({} - l.time_zero), 1) / 86400"
    # Codes that bear the date of the discharge say what the stay was for: the patient may have come
    # with the fracture, so that it is no event after time zero.
    frame = db.execute(
        "WITH fractures AS (SELECT l.stay_id, min(o.time) AS fractured FROM landmarks l JOIN "
        "checked_observations o ON o.subject_id = l.subject_id AND o.time > l.time_zero "
        "AND CAST(o.time AS DATE) IS DISTINCT FROM CAST(l.hospital_discharge AS DATE) "
        "JOIN fracture_codes f ON f.code = o.code GROUP BY 1) "
        "SELECT l.stay_id, "
        f"{days.format('least(l.death_time, l.observed_until)')} AS mortality_days, "
        f"CASE WHEN l.death_time IS NOT NULL THEN {EVENT} ELSE {CENSORED} END AS mortality_event, "
        f"{days.format('coalesce(l.hospital_discharge, l.death_time, l.observed_until)')} "
        "AS in_hospital_mortality_days, "
        "CASE WHEN l.hospital_discharge IS NULL THEN CASE WHEN l.death_time IS NULL THEN "
        f"{CENSORED} "
        f"ELSE {EVENT} END WHEN coalesce(l.died_in_hospital, l.death_time <= l.hospital_discharge, "
        f"false) THEN {EVENT} ELSE {COMPETING} END AS in_hospital_mortality_event, "
        f"{days.format('least(f.fractured, l.death_time, l.observed_until)')} AS fracture_days, "
        "CASE WHEN f.fractured <= coalesce(l.death_time, l.observed_until) THEN "
        f"{EVENT} WHEN l.death_time IS NOT NULL THEN {COMPETING} ELSE {CENSORED} END "
        "AS fracture_event FROM landmarks l LEFT JOIN fractures f USING (stay_id)"
    ).fetchdf()
    frame = frame.set_index("stay_id")
    states = db.execute(
        "SELECT count(died_in_hospital), count(hospital_discharge) FROM landmarks"
    ).fetchone()
    if states is None or not states[0] or not states[1]:
        frame = frame.drop(columns=["in_hospital_mortality_days", "in_hospital_mortality_event"])
    if not diagnoses:
        frame = frame.drop(columns=["fracture_days", "fracture_event"])
    return frame.join(_treatment_limits(db))


def _treatment_limits(db: duckdb.DuckDBPyConnection) -> pd.DataFrame:
    """Return the first order to limit treatment, where the code map names its codes."""
    mapped = db.execute(
        "SELECT count(*) FROM code_meanings WHERE variable = ?", [TREATMENT_LIMITED]
    ).fetchone()
    if mapped is None or not mapped[0]:
        return pd.DataFrame()
    rows = db.execute(
        "SELECT l.stay_id, epoch(min(m.time) - any_value(l.time_zero)) / 86400 AS days FROM "
        "landmarks l "
        "JOIN mapped m ON m.subject_id = l.subject_id AND m.variable = ? AND m.value = 1 "
        "AND m.time >= coalesce(l.hospital_admission, l.icu_admission) AND m.time <= "
        "l.observed_until "
        "GROUP BY 1",
        [TREATMENT_LIMITED],
    ).fetchdf()
    every = db.execute("SELECT stay_id FROM landmarks").fetchdf().set_index("stay_id")
    days = rows.set_index("stay_id")["days"].reindex(every.index)
    return pd.DataFrame({TREATMENT_LIMITED: days.notna().astype(int), TREATMENT_LIMITED_DAYS: days})
