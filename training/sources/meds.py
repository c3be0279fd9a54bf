"""MEDS shards to observations, stays and persons, and MIMIC-IV's own codes in MEDS.

A folder of Parquet shards, or one file, with `subject_id, time, code, numeric_value, text_value`.
`codes.parquet` under `metadata/` may give a code's parent codes, as `LOINC/2160-0`: the first that
the catalogue knows stands for a code that neither a code map nor the catalogue names. Stays are
the codes `HOSPITAL_ADMISSION`, `HOSPITAL_DISCHARGE`, `ICU_ADMISSION` and `ICU_DISCHARGE`, in the
order of their times; what follows `//` says which unit, or where the patient went.

What was given or done lasts from its code with `START//` to the one with `END//` or `STOP//`: the
n-th beginning of a code belongs to its n-th end. One without an end had not ended; where a source
has no ends of a kind at all, its beginnings are moments.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from pathlib import Path

import duckdb

from data_schema.errors import UsageError
from training.sources.code_map import CodeMap, meanings

__all__ = ["MIMIC_FOLLOW_UP_DAYS", "Meds"]

MIMIC_FOLLOW_UP_DAYS = 365
"""MIMIC-IV records deaths until a year after the last discharge from hospital.

Johnson et al. Sci Data 10 (2023) 1. doi:10.1038/s41597-022-01899-x
"""


class Meds:
    """A MEDS folder or file; with `mimic_iv`, the unit is part of the code.

    `mapped` are the codes that a code map names.
    """

    def __init__(self, path: Path, *, mimic_iv: bool = False, mapped: Collection[str] = ()) -> None:
        self._path = path
        self._mimic_iv = mimic_iv
        self._mapped = frozenset(mapped)

    def relations(self, db: duckdb.DuckDBPyConnection) -> Mapping[str, int]:
        """Create the three relations; return how many events were dropped, by reason."""
        held = _events(db, self._path)
        number = next((name for name in ("numeric_value", "value") if name in held), None)
        if number is None:
            raise UsageError("events must have the column numeric_value; the source has none.")
        text = "text_value" if "text_value" in held else "NULL"
        available = "available_time" if "available_time" in held else "NULL"
        unit, code = ("unit" if "unit" in held else "NULL"), "code"
        if self._mimic_iv:
            # LAB//50912//mg/dL: the unit follows the item, and may hold slashes of its own.
            with_unit = (
                r"regexp_matches(code, '^(LAB|SUBJECT_FLUID_OUTPUT|SUBJECT_WEIGHT_AT_INFUSION)//')"
            )
            unit = (
                f"CASE WHEN {with_unit} THEN nullif(regexp_extract(code, '^[^/]+//[^/]+//(.*)$', 1)"
                ", 'UNK') END"
            )
            # Words that are not units of the catalogue. MCHC in percent is that in g/dL.
            unit = (
                f"CASE WHEN {unit} = 'insp/min' THEN '{{breaths}}/min' WHEN {unit} = 'units' "
                f"THEN NULL WHEN {unit} = '#/uL' THEN '/uL' "
                f"WHEN code = 'LAB//51249//%' THEN 'g/dL' ELSE {unit} END"
            )
            code = (
                f"CASE WHEN {with_unit} THEN regexp_extract(code, '^([^/]+//[^/]+)', 1) "
                "WHEN starts_with(code, 'DIAGNOSIS//ICD//10//') "
                "THEN 'ICD10CM//' || substr(code, 21) WHEN starts_with(code, "
                "'DIAGNOSIS//ICD//9//') "
                "THEN 'ICD9CM//' || substr(code, 20) WHEN starts_with(code, "
                "'HOSPITAL_ADMISSION//') "
                "THEN regexp_extract(code, '^([^/]+//[^/]+)', 1) ELSE code END"
            )
        self._parents(db, code)
        db.execute(
            "CREATE VIEW meds_records AS SELECT CAST(subject_id AS VARCHAR) AS subject_id, time, "
            f"{available} AS available_time, code AS event, coalesce(parent, {code}) AS code, "
            f"CAST({number} AS DOUBLE) AS numeric_value, {text} AS text_value, {unit} AS unit "
            "FROM events LEFT JOIN meds_parents USING (code) WHERE time IS NOT NULL"
        )
        db.execute(_PERIODS)
        specimen, joined = "NULL", ""
        if self._mimic_iv and "text_value" in held:
            db.execute(_SPECIMENS)
            specimen, joined = "s.specimen", _WITH_SPECIMEN
        db.execute(
            f"CREATE VIEW observations AS SELECT r.* EXCLUDE (event), {specimen} AS specimen, "
            "CAST(NULL AS TIMESTAMP) AS end_time, false AS is_ongoing FROM meds_records r "
            f"{joined} WHERE NOT contains(event, 'START//') UNION ALL BY NAME FROM meds_periods"
        )
        self._persons(db)
        _stays(db, "BIDMC" if self._mimic_iv else None)
        row = db.execute(
            "SELECT count(*) FROM events WHERE time IS NULL AND NOT starts_with(code, 'GENDER')"
        ).fetchone()
        return {"no_time": row[0]} if row and row[0] else {}

    def _parents(self, db: duckdb.DuckDBPyConnection, code: str) -> None:
        """Create `meds_parents`: the parent that stands for a code of the events, if one does.

        `code` is the SQL of what an observation calls an event's code.
        """
        db.execute("CREATE TEMP TABLE meds_parents (code VARCHAR, parent VARCHAR)")
        file = next(iter(sorted(self._path.rglob("codes.parquet"))), None)
        if file is None:
            return
        codes = db.read_parquet(str(file))
        if not {"code", "parent_codes"} <= {*codes.columns}:
            return
        stated = db.execute(
            f"SELECT code, {code}, parent_codes FROM codes WHERE parent_codes IS NOT NULL"
        ).fetchall()
        rows = []
        for raw, own, parents in stated:
            if own in self._mapped or meanings(own, CodeMap()):
                continue
            named = (parent.replace("/", "//", 1) for parent in parents if parent)
            known = next((parent for parent in named if meanings(parent, CodeMap())), None)
            rows += [(raw, known)] if known else []
        if rows:
            db.executemany("INSERT INTO meds_parents VALUES (?, ?)", rows)

    def _persons(self, db: duckdb.DuckDBPyConnection) -> None:
        # A death that is a date alone is the last moment of its day.
        death = "min(time) FILTER (WHERE code = 'MEDS_DEATH')"
        end = (
            f"max(time) FILTER (WHERE starts_with(code, 'HOSPITAL_DISCHARGE')) "
            f"+ INTERVAL {MIMIC_FOLLOW_UP_DAYS} DAY"
            if self._mimic_iv
            else "CAST(NULL AS TIMESTAMP)"
        )
        db.execute(
            "CREATE TABLE persons AS SELECT subject_id, sex, birth_date, "
            "CASE WHEN death = date_trunc('day', death) THEN death + INTERVAL 1 DAY - INTERVAL 1 "
            "SECOND ELSE death END AS death_time, observed_until FROM ("
            "SELECT CAST(subject_id AS VARCHAR) AS subject_id, "
            "max(CASE WHEN code IN ('GENDER//F', 'GENDER//FEMALE') THEN 'female' "
            "WHEN code IN ('GENDER//M', 'GENDER//MALE') THEN 'male' END) AS sex, "
            "CAST(min(time) FILTER (WHERE code = 'MEDS_BIRTH') AS DATE) AS birth_date, "
            f"{death} AS death, {end} AS observed_until FROM events GROUP BY 1)"
        )


# Of a blood gas that the chart holds as arterial, the specimen that the laboratory states counts.
_SPECIMENS = """
CREATE TABLE meds_specimens AS
SELECT subject_id, time, string_agg(DISTINCT text_value, ', ') AS specimen
FROM meds_records WHERE code = 'LAB//52033' AND text_value IS NOT NULL GROUP BY ALL
"""
_WITH_SPECIMEN = (
    "LEFT JOIN meds_specimens s ON s.subject_id = r.subject_id AND s.time = r.time AND r.code IN "
    "('LAB//220224', 'LAB//220235', 'LAB//223830', 'LAB//50821', 'LAB//50818', 'LAB//50820')"
)

_PERIODS = """
CREATE TABLE meds_periods AS
WITH moments AS (
    SELECT *, regexp_matches(event, '(^|[_/])START//') AS begins,
        regexp_replace(event, '(^|[_/])(START|END|STOP)//', '\\1//') AS thing
    FROM meds_records
    WHERE contains(event, 'START//') OR contains(event, 'END//') OR contains(event, 'STOP//')
), numbered AS (
    SELECT *, regexp_extract(thing, '^(.*?)//', 1) AS kind,
        row_number() OVER (PARTITION BY subject_id, thing, begins ORDER BY time) AS number
    FROM moments
), ended_kinds AS (
    SELECT DISTINCT kind FROM numbered WHERE NOT begins AND thing <> event
)
SELECT b.* EXCLUDE (event, begins, thing, kind, number),
    CASE WHEN e.time >= b.time THEN e.time END AS end_time,
    k.kind IS NOT NULL AND end_time IS NULL AS is_ongoing
FROM numbered b
LEFT JOIN numbered e ON e.subject_id = b.subject_id AND e.thing = b.thing
    AND e.number = b.number AND NOT e.begins AND e.thing <> e.event
LEFT JOIN ended_kinds k ON k.kind = b.kind
WHERE contains(b.event, 'START//')
"""


def _events(db: duckdb.DuckDBPyConnection, path: Path) -> set[str]:
    """Create the view `events` over the shards; return its columns."""
    if path.is_file():
        files = [path]
    else:
        shards = (path / "data") if (path / "data").is_dir() else path
        files = sorted(p for p in shards.rglob("*.parquet") if p.name != "codes.parquet")
    if not files:
        raise UsageError(f"source must hold Parquet shards; {path} holds none.")
    listed = ", ".join("'" + str(file).replace("'", "''") + "'" for file in files)
    try:
        db.execute(f"CREATE VIEW events AS SELECT * FROM read_parquet([{listed}])")
        held = {row[0] for row in db.execute("DESCRIBE events").fetchall()}
    except duckdb.Error:
        raise UsageError(f"source must be Parquet; {path} is not.") from None
    missing = {"subject_id", "time", "code"} - held
    if missing:
        raise UsageError(
            f"events must have the columns {', '.join(sorted(missing))}; the source has none of "
            "that name."
        )
    return held


def _stays(db: duckdb.DuckDBPyConnection, site: str | None) -> None:
    """Pair admissions with discharges, in the order of time, and find each stay's hospital."""
    for kind in ("ICU", "HOSPITAL"):
        db.execute(
            f"CREATE TEMP TABLE {kind}_periods AS WITH moments AS ("
            "SELECT CAST(subject_id AS VARCHAR) AS subject_id, time, code, "
            f"starts_with(code, '{kind}_ADMISSION') AS begins, row_number() OVER (PARTITION BY "
            f"subject_id, starts_with(code, '{kind}_ADMISSION') ORDER BY time) AS number "
            f"FROM events WHERE starts_with(code, '{kind}_ADMISSION') "
            f"OR starts_with(code, '{kind}_DISCHARGE')) "
            "SELECT b.subject_id, b.number, b.time AS begun, e.time AS ended, e.code AS end_code "
            "FROM moments b LEFT JOIN moments e ON e.subject_id = b.subject_id "
            "AND e.number = b.number AND NOT e.begins WHERE b.begins"
        )
    db.execute(
        "CREATE TABLE stays AS SELECT i.subject_id, i.subject_id || '-' || i.number AS stay_id, "
        f"{'NULL' if site is None else repr(site)} AS site, h.begun AS hospital_admission, "
        "h.ended AS hospital_discharge, i.begun AS icu_admission, i.ended AS icu_discharge, "
        "h.end_code ILIKE 'HOSPITAL_DISCHARGE//DIED%' OR h.end_code ILIKE "
        "'HOSPITAL_DISCHARGE//EXPIRED%' AS died_in_hospital "
        "FROM ICU_periods i LEFT JOIN HOSPITAL_periods h ON h.subject_id = i.subject_id "
        "AND h.begun <= i.begun + INTERVAL 1 DAY AND coalesce(h.ended, i.begun) >= i.begun "
        "QUALIFY row_number() OVER (PARTITION BY i.subject_id, i.number ORDER BY h.begun DESC) = 1"
    )
