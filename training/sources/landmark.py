"""From a source to a cohort at time zero: one row per stay, and the flow of exclusions."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

import duckdb
import pandas as pd

from data_schema.derived.score import Missing
from data_schema.errors import DataError, Finding, UsageError
from training.sources.bedside import combine
from training.sources.code_map import CodeMap
from training.sources.features import cohort_columns
from training.sources.mapped_values import MappedCodes, map_observations
from training.sources.observations import Source, checked, typed_relations
from training.sources.outcomes import outcome_columns
from training.sources.severity import Severity, severity
from training.sources.value_windows import create_windows

__all__ = ["EXCLUSIONS", "Landmarked", "landmark"]

EXCLUSIONS: Mapping[str, str] = {
    "no_person": "p.subject_id IS NULL",
    "no_time_zero": "time_zero IS NULL",
    "died_before_time_zero": "p.death_time <= time_zero",
    "left_hospital_before_time_zero": "s.hospital_discharge <= time_zero",
    "not_observed_at_time_zero": "p.observed_until <= time_zero",
}
"""Why a stay is left out, in the order of the flow: each is counted for its first reason.

A patient who is dead, or gone, or no longer observed at time zero could not have had the outcome
after it: counted as a survivor until then, the time would be immortal.
"""

_TIME_ZERO = re.compile(r"(?P<column>[A-Za-z_]\w*)(\+(?P<hours>\d+)h)?")


@dataclass(frozen=True, slots=True)
class Landmarked:
    """A cohort, and what became of everything that the source holds.

    Parameters
    ----------
    cohort : DataFrame
        One row per stay that is at risk at time zero.
    stays_in_source, patients, stays : int
        Stays in the source; patients and stays in the cohort.
    excluded : mapping of str to int
        Stays by the first of `EXCLUSIONS` that applies. With `stays` they add up to all.
    codes : MappedCodes
        What became of each record.
    severity : Severity
        What decided the severity scores; the scores themselves are in `cohort`.
    dropped : mapping of str to int
        Records that the source could not turn into rows.
    findings : tuple of Finding
        Rows that broke a rule of the schema.
    """

    cohort: pd.DataFrame
    stays_in_source: int
    patients: int
    stays: int
    excluded: Mapping[str, int]
    codes: MappedCodes
    severity: Severity
    dropped: Mapping[str, int]
    findings: tuple[Finding, ...]


def landmark(
    db: duckdb.DuckDBPyConnection,
    source: Source,
    code_map: CodeMap,
    *,
    time_zero: str,
    missing_component: Missing = "normal",
) -> Landmarked:
    """Return the cohort of a source at a time zero.

    Parameters
    ----------
    db : DuckDBPyConnection
        An empty database (`observations.connection`).
    time_zero : str
        A column of times in `stays`, such as `icu_discharge`, and hours after it:
        `icu_admission+24h`.
    missing_component : {"normal", "missing", "worst"}
        What a component of a severity score counts that is not recorded.

    Raises
    ------
    UsageError
        If `time_zero` names no column of times, or the source lacks a column.
    DataError
        If no stay is left.
    """
    dropped = source.relations(db)
    typed_relations(db)
    findings = checked(db)
    _observation_ends(db)
    flow = _landmarks(db, time_zero)
    if not flow.get("", 0):
        reasons = ", ".join(f"{reason} {count}" for reason, count in flow.items() if reason)
        raise DataError(
            f"source must hold a stay that is at risk at time zero; it holds none "
            f"({reasons or 'no stays'}). Choose another time zero."
        )
    create_windows(db)
    codes = map_observations(db, code_map)
    combine(db, code_map)
    cohort = _identities(db).set_index("stay_id", drop=False)
    cohort.index.name = None
    cohort = cohort.join(cohort_columns(db, code_map))
    scored = severity(db, cohort, code_map, missing=missing_component)
    cohort = cohort.drop(columns=[name for name in scored.scores if name in cohort])
    cohort = cohort.join(scored.scores)
    cohort = cohort.join(outcome_columns(db)).reset_index(drop=True)
    return Landmarked(
        cohort=cohort,
        stays_in_source=sum(flow.values()),
        patients=int(cohort["patient_id"].nunique()),
        stays=len(cohort),
        excluded={reason: count for reason, count in flow.items() if reason},
        codes=codes,
        severity=scored,
        dropped=dropped,
        findings=findings,
    )


def _observation_ends(db: duckdb.DuckDBPyConnection) -> None:
    """Create `people`: the end of observation is the source's, or else the last contact."""
    db.execute(
        "CREATE TABLE people AS WITH contact AS (SELECT subject_id, max(time) AS last FROM "
        "(SELECT subject_id, time FROM checked_observations UNION ALL SELECT subject_id, "
        "unnest([hospital_discharge, icu_discharge, hospital_admission, icu_admission]) FROM "
        "checked_stays) GROUP BY 1) SELECT p.* REPLACE (CASE WHEN p.observed_until IS NOT NULL "
        "THEN greatest(p.observed_until, p.death_time) ELSE greatest(c.last, p.death_time) END AS "
        "observed_until) FROM checked_persons p LEFT JOIN contact c USING (subject_id)"
    )


def _landmarks(db: duckdb.DuckDBPyConnection, time_zero: str) -> dict[str, int]:
    """Create `landmarks`, the stays at risk; return the stays by reason, "" for those at risk."""
    stated = _TIME_ZERO.fullmatch(time_zero)
    held = {row[0] for row in db.execute("DESCRIBE stays").fetchall()}
    if stated is None or stated["column"] not in held:
        raise UsageError(
            f"time zero must be a column of times of stays, and hours after it, such as "
            f"icu_admission+24h; got {time_zero!r}. Columns: {', '.join(sorted(held))}."
        )
    moment = f'TRY_CAST(t."{stated["column"]}" AS TIMESTAMP)'
    if stated["hours"]:
        moment += f" + to_hours({int(stated['hours'])})"
    reason = " ".join(f"WHEN {rule} THEN '{name}'" for name, rule in EXCLUSIONS.items())
    db.execute(
        "CREATE TABLE at_time_zero AS WITH timed AS (SELECT CAST(t.stay_id AS VARCHAR) AS stay_id, "
        f"{moment} AS time_zero FROM stays t) SELECT s.*, p.* EXCLUDE (subject_id), time_zero, "
        f"CASE {reason} ELSE '' END AS reason FROM checked_stays s "
        "JOIN timed t USING (stay_id) LEFT JOIN people p ON p.subject_id = s.subject_id"
    )
    db.execute("CREATE TABLE landmarks AS SELECT * FROM at_time_zero WHERE reason = ''")
    counts = db.execute(
        "SELECT reason, count(*) FROM at_time_zero GROUP BY 1 ORDER BY 1"
    ).fetchall()
    return {str(name): int(count) for name, count in counts}


def _identities(db: duckdb.DuckDBPyConnection) -> pd.DataFrame:
    return db.execute(
        "SELECT subject_id AS patient_id, stay_id, site, time_zero, "
        "CASE WHEN birth_date IS NOT NULL THEN date_diff('day', birth_date, CAST(time_zero AS "
        "DATE)) "
        "/ 365.25 WHEN birth_year IS NOT NULL THEN CAST(year(time_zero) - birth_year AS DOUBLE) "
        "END "
        "AS age, sex FROM landmarks ORDER BY stay_id"
    ).fetchdf()
