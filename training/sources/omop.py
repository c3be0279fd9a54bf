"""OMOP CDM 5.3 and 5.4 to observations, stays and persons.

The tables come from a DuckDB file, a folder of CSV or Parquet files, or PostgreSQL
(`omop_tables.py`). Everything else is SQL, so that a table larger than memory is never held.

A record has one code. Of those it states, the first that is `mapped` (by a code map or by the
catalogue) is taken, in the order in which they are the most precise: of a measurement its standard
concept, then its source; of a condition or drug its source first, since a standard concept drops
the seventh character of ICD-10-CM. A concept is `VOCABULARY//CODE` where the table `concept` is
there, else `OMOP//CONCEPT_ID`; a source value without a concept is `SOURCE//VALUE`.

A drug that no code map names is rolled up where the table `concept_ancestor` is there: its classes
in ATC and its ingredients in RxNorm set flags of the catalogue (`data_schema/drugs.py`).

A date without a time is the last moment of its day, as the service reads it.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass

import duckdb

from data_schema.drugs import GIVEN_LOCALLY, HOLDS_MORE, drug_flags, is_given_locally
from data_schema.errors import UsageError
from training.sources.code_systems import LOCAL_NAME
from training.sources.observations import OBSERVATIONS
from training.sources.omop_tables import open_tables

__all__ = ["INTENSIVE_CARE", "Omop"]

INTENSIVE_CARE = (32037, 581379)
"""Concepts of a visit in intensive care: Intensive Care, and Inpatient Critical Care Facility."""

_INPATIENT = (9201, 262, 8717, *INTENSIVE_CARE)
"""Inpatient visit, emergency room and inpatient visit, inpatient hospital, and intensive care."""

_DIED = (4216643,)
"""Patient died, as where a visit was discharged to."""

_SEX = {8507: "male", 8532: "female"}

_COMPARATORS = {4171756: "<", 4171754: "<=", 4172704: ">", 4171755: ">="}

_UNITS = {
    8554: "%",
    8636: "g/L",
    8645: "U/L",
    8713: "g/dL",
    8749: "umol/L",
    8753: "mmol/L",
    8840: "mg/dL",
    8842: "ng/mL",
    8845: "pg/mL",
    8848: "10*3/uL",
    8876: "mm[Hg]",
}
"""UCUM of the commonest units, for a database without the table `concept`."""


@dataclass(frozen=True, slots=True)
class _Table:
    """One table of facts: the stems of its columns, and what its values are called.

    `moment` and `end` are columns without `_datetime` and `_date`; `source_first` says which of a
    record's codes is the more precise.
    """

    name: str
    concept: str
    moment: str
    number: str = ""
    unit_source: str = ""
    source_first: bool = False
    end: str = ""


_FACTS = (
    _Table("measurement", "measurement", "measurement", "value_as_number", "unit_source_value"),
    _Table("observation", "observation", "observation", "value_as_number", "unit_source_value"),
    _Table("condition_occurrence", "condition", "condition_start", source_first=True),
    _Table(
        *("procedure_occurrence", "procedure", "procedure"),
        source_first=True,
        end="procedure_end",
    ),
    _Table(
        *("drug_exposure", "drug", "drug_exposure_start", "quantity", "dose_unit_source_value"),
        source_first=True,
        end="drug_exposure_end",
    ),
    _Table(
        *("device_exposure", "device", "device_exposure_start"),
        source_first=True,
        end="device_exposure_end",
    ),
)


_COLUMNS = (
    *("subject_id", "time", "end_time", "code", "numeric_value", "text_value", "unit"),
    "comparator",
)


class Omop:
    """A database in the OMOP Common Data Model.

    Parameters
    ----------
    source : str
        A DuckDB file, a folder of CSV or Parquet files named after the tables, or the address
        `postgresql://...`; the schema in PostgreSQL is that of the connection's `search_path`.
    mapped : collection of str
        Codes that a code map names.
    intensive_care : collection of int
        Concepts of visits in intensive care, besides `INTENSIVE_CARE`.
    """

    def __init__(
        self,
        source: str,
        *,
        mapped: Collection[str] = (),
        intensive_care: Collection[int] = (),
    ) -> None:
        self._source = source
        self._mapped = frozenset(mapped)
        self._intensive_care = (*INTENSIVE_CARE, *intensive_care)

    def relations(self, db: duckdb.DuckDBPyConnection) -> Mapping[str, int]:
        """Create the three relations; return how many records were dropped, by table and reason.

        Raises
        ------
        UsageError
            If the source is none of these, or lacks `person` or `visit_occurrence`.
        OutsideError
            If the database cannot be reached.
        """
        columns = open_tables(self._source, db)
        for name in ("person", "visit_occurrence"):
            if name not in columns:
                raise UsageError(f"source must hold the OMOP table {name}; it holds none.")
        _create_concepts(db, columns)
        has_ancestors = "concept_class_id" in columns.get("concept", ()) and (
            "concept_ancestor" in columns
        )
        db.execute("CREATE TEMP TABLE omop_mapped (code VARCHAR)")
        if self._mapped:
            db.executemany("INSERT INTO omop_mapped VALUES (?)", [[c] for c in self._mapped])
        dropped: dict[str, int] = {}
        db.execute(f"CREATE TABLE observations ({OBSERVATIONS.sql_columns(_COLUMNS)})")
        for table in _FACTS:
            if table.name in columns:
                ancestors = has_ancestors and table.name == "drug_exposure"
                dropped |= _add_facts(db, table, columns[table.name], ancestors=ancestors)
        _create_stays(db, columns, self._intensive_care)
        _create_persons(db, columns)
        return dropped


def _create_concepts(db: duckdb.DuckDBPyConnection, columns: Mapping[str, frozenset[str]]) -> None:
    """Create the table that gives a concept its code, name and UCUM unit."""
    if "concept" in columns:
        kind = "concept_class_id" if "concept_class_id" in columns["concept"] else "NULL"
        db.execute(
            "CREATE TEMP TABLE omop_concepts AS SELECT CAST(concept_id AS BIGINT) AS concept_id, "
            "vocabulary_id || '//' || concept_code AS code, concept_name AS name, "
            "CASE WHEN vocabulary_id = 'UCUM' THEN concept_code END AS unit, "
            f"{kind} AS class "
            "FROM omop_concept WHERE CAST(concept_id AS BIGINT) <> 0"
        )
        return
    db.execute(
        "CREATE TEMP TABLE omop_concepts "
        "(concept_id BIGINT, code VARCHAR, name VARCHAR, unit VARCHAR, class VARCHAR)"
    )
    db.executemany("INSERT INTO omop_concepts VALUES (?, NULL, NULL, ?, NULL)", [*_UNITS.items()])


def _add_facts(
    db: duckdb.DuckDBPyConnection, table: _Table, columns: frozenset[str], *, ancestors: bool
) -> Mapping[str, int]:
    """Add one table's records to the observations; return how many were dropped, by reason.

    `ancestors` says whether what the concepts descend from is known.
    """

    def column(name: str, kind: str = "VARCHAR") -> str:
        return f"TRY_CAST({name} AS {kind})" if name in columns else f"CAST(NULL AS {kind})"

    moment = _moment(table.moment, columns)
    # A date alone is the last moment of its day, which must not lie after an end with a time.
    end = f"CASE WHEN CAST({_moment(table.end, columns)} AS DATE) = CAST({moment} AS DATE) THEN "
    end += f"greatest({_moment(table.end, columns)}, {moment}) ELSE {_moment(table.end, columns)} "
    end += "END"
    operator = column("operator_concept_id", "BIGINT")
    comparators = " ".join(f"WHEN {key} THEN '{sign}'" for key, sign in _COMPARATORS.items())
    db.execute(
        f"CREATE OR REPLACE TEMP VIEW omop_facts AS SELECT CAST(person_id AS VARCHAR) AS person, "
        f"{moment} AS time, {end} AS end_time, "
        f"nullif({column(f'{table.concept}_concept_id', 'BIGINT')}, 0) AS standard, "
        f"nullif({column(f'{table.concept}_source_concept_id', 'BIGINT')}, 0) AS source, "
        f"nullif(trim({column(f'{table.concept}_source_value')}), '') AS source_value, "
        f"{column(table.number, 'DOUBLE')} AS number, "
        f"coalesce({column('value_as_string')}, "
        f"CASE WHEN {column(table.number, 'DOUBLE')} IS NULL THEN {column('value_source_value')} "
        "END) AS words, "
        f"nullif({column('value_as_concept_id', 'BIGINT')}, 0) AS value_concept, "
        f"nullif({column('unit_concept_id', 'BIGINT')}, 0) AS unit_concept, "
        f"nullif(trim({column(table.unit_source)}), '') AS unit_source, "
        f"nullif({column('route_concept_id', 'BIGINT')}, 0) AS route, "
        f"nullif(trim({column('route_source_value')}), '') AS route_source, "
        f"CASE {operator} {comparators} END AS comparator "
        f"FROM omop_{table.name}"
    )
    db.execute(_codes(source_first=table.source_first))
    _create_drugs(db, is_drug=table.concept == "drug", ancestors=ancestors)
    # A unit whose concept is unknown is stated all the same, so that it is refused, not assumed.
    db.execute(
        "INSERT INTO observations SELECT person, time, end_time, c.code, number, "
        "coalesce(v.name, CASE WHEN value_concept IS NOT NULL THEN 'OMOP//' || value_concept END, "
        "words), coalesce(u.unit, unit_source, 'OMOP//' || unit_concept), comparator "
        "FROM omop_facts AS f SEMI JOIN omop_person AS p ON f.person = CAST(p.person_id AS VARCHAR)"
        " JOIN omop_codes AS c ON f.standard IS NOT DISTINCT FROM c.standard "
        "AND f.source IS NOT DISTINCT FROM c.source "
        "AND f.source_value IS NOT DISTINCT FROM c.source_value "
        "LEFT JOIN omop_concepts AS v ON v.concept_id = f.value_concept "
        "LEFT JOIN omop_concepts AS u ON u.concept_id = f.unit_concept "
        f"ANTI JOIN omop_drugs AS d ON {_SAME_DRUG} "
        "WHERE time IS NOT NULL AND c.code IS NOT NULL"
    )
    db.execute(
        "INSERT INTO observations SELECT person, time, end_time, "
        f"'{LOCAL_NAME}//' || d.flag, 1, NULL, NULL, NULL "
        "FROM omop_facts AS f SEMI JOIN omop_person AS p "
        "ON f.person = CAST(p.person_id AS VARCHAR) "
        f"JOIN omop_drugs AS d ON {_SAME_DRUG} WHERE time IS NOT NULL AND d.flag <> ''"
    )
    reasons = {
        "without a time": "time IS NULL",
        "without a code": "coalesce(standard, source) IS NULL AND source_value IS NULL",
        "about no person of the database": "person IS NULL OR person NOT IN "
        "(SELECT CAST(person_id AS VARCHAR) FROM omop_person)",
        **{
            reason: f"EXISTS (FROM omop_drugs AS d WHERE {_SAME_DRUG} AND d.flag = '' "
            f"AND d.is_local = {is_local})"
            for reason, is_local in ((GIVEN_LOCALLY, True), (HOLDS_MORE, False))
        },
    }
    cases = " ".join(f"WHEN {rule} THEN '{reason}'" for reason, rule in reasons.items())
    counted = db.execute(
        f"SELECT reason, count(*) FROM (SELECT CASE {cases} END AS reason FROM omop_facts AS f) "
        "WHERE reason IS NOT NULL GROUP BY reason ORDER BY reason"
    ).fetchall()
    return {f"{table.name}: {reason}": count for reason, count in counted}


_SAME_DRUG = " AND ".join(
    f"f.{name} IS NOT DISTINCT FROM d.{name}"
    for name in ("standard", "source", "source_value", "route", "route_source")
)


def _create_drugs(db: duckdb.DuckDBPyConnection, *, is_drug: bool, ancestors: bool) -> None:
    """Create `omop_drugs`: the flags of each drug by what it descends from.

    A flag is empty where an ingredient's code must not set one: the drug is given locally, or holds
    more. Drugs that a code map names are left to it.
    """
    db.execute(
        "CREATE OR REPLACE TEMP TABLE omop_drugs (standard BIGINT, source BIGINT, source_value "
        "VARCHAR, route BIGINT, route_source VARCHAR, flag VARCHAR, is_local BOOLEAN)"
    )
    if not is_drug:
        return
    above: dict[int, list[str]] = {}
    if ancestors:
        above = dict(
            db.execute(
                "SELECT descendant, list(DISTINCT code) FROM (SELECT CAST(a.descendant_concept_id "
                "AS BIGINT) AS descendant, c.code FROM omop_concept_ancestor AS a "
                "JOIN omop_concepts AS c ON c.concept_id = CAST(a.ancestor_concept_id AS BIGINT) "
                "WHERE starts_with(c.code, 'ATC//') "
                "OR (starts_with(c.code, 'RxNorm//') AND c.class = 'Ingredient')) "
                "WHERE descendant IN (SELECT standard FROM omop_facts) GROUP BY descendant"
            ).fetchall()
        )
    drugs = db.execute(
        "SELECT DISTINCT f.standard, f.source, f.source_value, f.route, f.route_source, c.code, "
        "concat_ws(' ', s.name, o.name, f.source_value, r.name, f.route_source) "
        "FROM omop_facts AS f JOIN omop_codes AS c ON f.standard IS NOT DISTINCT FROM c.standard "
        "AND f.source IS NOT DISTINCT FROM c.source "
        "AND f.source_value IS NOT DISTINCT FROM c.source_value "
        "LEFT JOIN omop_concepts AS s ON s.concept_id = f.standard "
        "LEFT JOIN omop_concepts AS o ON o.concept_id = f.source "
        "LEFT JOIN omop_concepts AS r ON r.concept_id = f.route "
        "WHERE c.code NOT IN (SELECT code FROM omop_mapped)"
    ).fetchall()
    rows: list[tuple[object, ...]] = []
    for *key, code, words in drugs:
        is_local = is_given_locally(words)
        named = [one.split("//", 1) for one in above.get(key[0], ())]
        flags = drug_flags(
            # A class in ATC is inferred from the ingredients here, and says nothing of the route.
            atc=[plain for system, plain in named if system == "ATC" and not is_local],
            ingredients=[plain for system, plain in named if system == "RxNorm"],
            words=words,
        )
        system, _, plain = code.partition("//")
        if not flags and system == "RxNorm" and drug_flags(ingredients=[plain]):
            flags = () if not (is_local or named) else ("",)
        rows += [(*key, flag, is_local) for flag in flags]
    if rows:
        db.executemany("INSERT INTO omop_drugs VALUES (?, ?, ?, ?, ?, ?, ?)", rows)


def _codes(*, source_first: bool) -> str:
    """Return the statement that chooses the code of each distinct triple of codes.

    Of a triple's codes, in order: the first that is mapped, else the first.
    """
    standard = ["s.code", "'OMOP//' || standard"]
    source = ["o.code", "'OMOP//' || source", "'SOURCE//' || source_value"]
    ordered = [*source, *standard] if source_first else [*standard, *source]
    # A plain source value says the least: it stands alone only where nothing else is stated.
    first = [code for code in ordered if "SOURCE" not in code] + ["'SOURCE//' || source_value"]
    mapped = ", ".join(
        f"CASE WHEN {code} IN (SELECT code FROM omop_mapped) THEN {code} END" for code in ordered
    )
    return (
        "CREATE OR REPLACE TEMP TABLE omop_codes AS "
        f"SELECT standard, source, source_value, coalesce({mapped}, {', '.join(first)}) AS code "
        "FROM (SELECT DISTINCT standard, source, source_value FROM omop_facts) "
        "LEFT JOIN omop_concepts AS s ON s.concept_id = standard "
        "LEFT JOIN omop_concepts AS o ON o.concept_id = source"
    )


def _moment(stem: str, columns: frozenset[str]) -> str:
    """Return the moment of a record in SQL: its time, or the last moment of its date."""
    stated = []
    if f"{stem}_datetime" in columns:
        stated.append(f"TRY_CAST({stem}_datetime AS TIMESTAMP)")
    if f"{stem}_date" in columns:
        stated.append(f"TRY_CAST({stem}_date AS DATE) + INTERVAL 1 DAY - INTERVAL 1 SECOND")
    return f"coalesce({', '.join(stated)})" if stated else "CAST(NULL AS TIMESTAMP)"


def _create_stays(
    db: duckdb.DuckDBPyConnection,
    columns: Mapping[str, frozenset[str]],
    intensive_care: Collection[int],
) -> None:
    """Create the stays: in intensive care, or in hospital where no visit is in intensive care."""
    visit = columns["visit_occurrence"]
    # 5.3 and 5.4 differ in the names of these columns.
    left_to = next(
        (n for n in ("discharged_to_concept_id", "discharge_to_concept_id") if n in visit), ""
    )
    left = f"nullif(TRY_CAST({left_to} AS BIGINT), 0)" if left_to else "CAST(NULL AS BIGINT)"
    site = "nullif(TRY_CAST(care_site_id AS VARCHAR), '0')" if "care_site_id" in visit else "NULL"
    units = ", ".join(map(str, intensive_care))
    inpatient = ", ".join(map(str, (*_INPATIENT, *intensive_care)))
    db.execute(
        "CREATE TEMP TABLE omop_deaths AS SELECT CAST(person_id AS VARCHAR) AS subject_id, "
        f"min({_moment('death', columns['death'])}) AS death_time FROM omop_death GROUP BY 1"
        if "death" in columns
        else "CREATE TEMP TABLE omop_deaths (subject_id VARCHAR, death_time TIMESTAMP)"
    )
    db.execute(
        "CREATE TEMP TABLE omop_admissions AS SELECT CAST(person_id AS VARCHAR) AS subject_id, "
        f"CAST(visit_occurrence_id AS VARCHAR) AS visit, CAST({site} AS VARCHAR) AS site, "
        f"{_start('visit_start', visit)} AS hospital_admission, "
        f"{_moment('visit_end', visit)} AS hospital_discharge, {left} AS left_to, "
        f"TRY_CAST(visit_concept_id AS BIGINT) IN ({units}) AS is_icu FROM omop_visit_occurrence "
        f"WHERE TRY_CAST(visit_concept_id AS BIGINT) IN ({inpatient})"
    )
    parts = [
        "SELECT subject_id, visit, visit AS name, hospital_admission AS begun, "
        "hospital_discharge AS ended FROM omop_admissions WHERE is_icu"
    ]
    if "visit_detail" in columns:
        detail = columns["visit_detail"]
        parts.append(
            "SELECT CAST(person_id AS VARCHAR), CAST(visit_occurrence_id AS VARCHAR), "
            f"CAST(visit_detail_id AS VARCHAR), {_moment('visit_detail_start', detail)}, "
            f"{_moment('visit_detail_end', detail)} FROM omop_visit_detail "
            f"WHERE TRY_CAST(visit_detail_concept_id AS BIGINT) IN ({units})"
        )
    # Beds that follow one another within an hour are one stay, as in data_schema/fhir/encounter.py:
    # a new stay begins where a bed starts more than an hour after every earlier one ended.
    db.execute(
        f"CREATE TEMP TABLE omop_units AS WITH beds AS ({' UNION ALL '.join(parts)}), "
        "before AS (SELECT *, max(coalesce(ended, TIMESTAMP '9999-12-31')) OVER ("
        "PARTITION BY subject_id ORDER BY begun, name ROWS BETWEEN UNBOUNDED PRECEDING "
        "AND 1 PRECEDING) AS last_end FROM beds WHERE begun IS NOT NULL), "
        "numbered AS (SELECT *, sum(CASE WHEN last_end IS NULL OR begun > last_end + "
        "INTERVAL 1 HOUR THEN 1 ELSE 0 END) OVER (PARTITION BY subject_id ORDER BY begun, name) "
        "AS number FROM before) "
        "SELECT subject_id, arg_min(visit, begun) AS visit, arg_min(name, begun) AS stay_id, "
        "min(begun) AS icu_admission, "
        "CASE WHEN bool_or(ended IS NULL) THEN NULL ELSE max(ended) END AS icu_discharge "
        "FROM numbered GROUP BY subject_id, number"
    )
    died = ", ".join(map(str, _DIED))
    outcome = (
        f"CASE WHEN left_to IN ({died}) OR "
        "CAST(death_time AS DATE) <= CAST(hospital_discharge AS DATE) THEN true "
        "WHEN left_to IS NOT NULL THEN false END AS died_in_hospital"
    )
    db.execute(
        "CREATE TABLE stays AS SELECT u.subject_id, u.stay_id, a.site, a.hospital_admission, "
        f"a.hospital_discharge, u.icu_admission, u.icu_discharge, {outcome} FROM omop_units AS u "
        "LEFT JOIN omop_admissions AS a ON a.subject_id = u.subject_id AND a.visit = u.visit "
        "LEFT JOIN omop_deaths AS d ON d.subject_id = u.subject_id "
        "UNION ALL SELECT a.subject_id, visit, site, hospital_admission, hospital_discharge, "
        f"NULL, NULL, {outcome} FROM omop_admissions AS a "
        "LEFT JOIN omop_deaths AS d ON d.subject_id = a.subject_id "
        "WHERE NOT EXISTS (FROM omop_units)"
    )


def _start(stem: str, columns: frozenset[str]) -> str:
    """Return the beginning of a visit in SQL; of a date alone the first moment of its day."""
    stated = [f"TRY_CAST({stem}_{kind} AS TIMESTAMP)" for kind in ("datetime", "date")
              if f"{stem}_{kind}" in columns]  # fmt: skip
    return f"coalesce({', '.join(stated)})" if stated else "CAST(NULL AS TIMESTAMP)"


def _create_persons(db: duckdb.DuckDBPyConnection, columns: Mapping[str, frozenset[str]]) -> None:
    """Create the persons, observed until their observation period or last record ends."""
    person = columns["person"]

    def column(name: str, kind: str) -> str:
        return f"TRY_CAST({name} AS {kind})" if name in person else f"CAST(NULL AS {kind})"

    year, month, day = (column(f"{part}_of_birth", "INTEGER") for part in ("year", "month", "day"))
    born = (
        f"coalesce(CAST({column('birth_datetime', 'TIMESTAMP')} AS DATE), "
        f"TRY_CAST(format('{{:04d}}-{{:02d}}-{{:02d}}', {year}, {month}, {day}) AS DATE))"
    )
    sexes = " ".join(f"WHEN {key} THEN '{word}'" for key, word in _SEX.items())
    if "observation_period" in columns:
        ends = (
            "SELECT CAST(person_id AS VARCHAR) AS subject_id, "
            f"{_moment('observation_period_end', columns['observation_period'])} AS moment "
            "FROM omop_observation_period"
        )
    else:
        ends = (
            "SELECT subject_id, time AS moment FROM observations UNION ALL "
            "SELECT subject_id, coalesce(hospital_discharge, hospital_admission) "
            "FROM omop_admissions"
        )
    db.execute(
        f"CREATE TABLE persons AS SELECT p.subject_id, p.sex, p.birth_date, p.birth_year, "
        "d.death_time, greatest(e.moment, d.death_time) AS observed_until FROM ("
        "SELECT CAST(person_id AS VARCHAR) AS subject_id, "
        f"CASE {column('gender_concept_id', 'BIGINT')} {sexes} END AS sex, {born} AS birth_date, "
        f"coalesce({year}, year({born})) AS birth_year FROM omop_person) AS p "
        "LEFT JOIN omop_deaths AS d ON d.subject_id = p.subject_id "
        f"LEFT JOIN (SELECT subject_id, max(moment) AS moment FROM ({ends}) GROUP BY 1) AS e "
        "ON e.subject_id = p.subject_id"
    )
