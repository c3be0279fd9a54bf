"""What every source yields: three relations, with the types and the rules of their columns.

A source writes its relations into views or tables of one DuckDB connection, so that a table larger
than memory never becomes Python objects. `typed_relations` then casts the columns, and `checked`
counts what breaks a rule. Rows that break a rule are left out with a count; a rule never stops a
whole patient, and no message holds a value.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Protocol, TypedDict, get_args, get_type_hints

import duckdb
import pyarrow as pa

from data_schema.errors import Finding, UsageError

__all__ = [
    "OBSERVATIONS",
    "PERSONS",
    "RELATIONS",
    "STAYS",
    "Column",
    "ObservationRow",
    "PersonRow",
    "Relation",
    "Source",
    "StayRow",
    "checked",
    "connection",
    "typed_relations",
]


class ObservationRow(TypedDict, total=False):
    """What was measured, given or diagnosed.

    `time` is when a sample was drawn or a thing began, and `end_time` when what was given or done
    ended; without it a row is a moment, unless it `is_ongoing`: it had begun, and no end is
    recorded. `available_time` is when a result was known, where the source records it. A diagnosis,
    drug, procedure or device has the code `SYSTEM//CODE`.
    """

    subject_id: str
    stay_id: str | None
    time: datetime
    end_time: datetime | None
    is_ongoing: bool | None
    available_time: datetime | None
    code: str
    numeric_value: float | None
    text_value: str | None
    unit: str | None
    comparator: str | None
    specimen: str | None
    assay: str | None


class StayRow(TypedDict, total=False):
    """A stay in intensive care, or in hospital where the source knows no other."""

    subject_id: str
    stay_id: str
    site: str | None
    hospital_admission: datetime | None
    hospital_discharge: datetime | None
    icu_admission: datetime | None
    icu_discharge: datetime | None
    died_in_hospital: bool | None


class PersonRow(TypedDict, total=False):
    """A person. `observed_until` is the end of observation, where the source states one."""

    subject_id: str
    sex: str | None
    birth_date: date | None
    birth_year: int | None
    death_time: datetime | None
    observed_until: datetime | None


@dataclass(frozen=True, slots=True)
class Column:
    """One column of a relation: its types in DuckDB and Arrow, and whether every row states it."""

    name: str
    sql: str
    arrow: pa.DataType
    required: bool = False


_TYPES: Mapping[type, tuple[str, pa.DataType]] = {
    str: ("VARCHAR", pa.string()),
    float: ("DOUBLE", pa.float64()),
    datetime: ("TIMESTAMP", pa.timestamp("us")),
    date: ("DATE", pa.date32()),
    bool: ("BOOLEAN", pa.bool_()),
    int: ("INTEGER", pa.int32()),
}


@dataclass(frozen=True, slots=True)
class Relation:
    """One relation that a source yields, by the name of its view or table.

    `rules` are the conditions, in SQL, that a row must meet: rule name -> condition.
    """

    name: str
    columns: tuple[Column, ...]
    rules: Mapping[str, str]

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the columns, in order."""
        return tuple(column.name for column in self.columns)

    @property
    def schema(self) -> pa.Schema:
        """The columns as Arrow has them."""
        return pa.schema([(column.name, column.arrow) for column in self.columns])

    def sql_columns(self, names: Sequence[str]) -> str:
        """Return some of the columns with their types, for CREATE TABLE."""
        types = {column.name: column.sql for column in self.columns}
        return ", ".join(f"{name} {types[name]}" for name in names)


def _columns(row: type, required: Sequence[str]) -> tuple[Column, ...]:
    """Return the columns of a relation from the type of its rows."""
    columns = []
    for name, hint in get_type_hints(row).items():
        stated = next(iter(set(get_args(hint)) - {type(None)}), hint)
        columns.append(Column(name, *_TYPES[stated], required=name in required))
    return tuple(columns)


OBSERVATIONS = Relation(
    "observations",
    _columns(ObservationRow, ("subject_id", "time", "code")),
    {
        "comparator": "comparator IS NULL OR comparator IN ('<', '<=', '>', '>=')",
        "finite": "numeric_value IS NULL OR isfinite(numeric_value)",
        "end_order": "NOT coalesce(end_time < time, false)",
    },
)
STAYS = Relation(
    "stays",
    _columns(StayRow, ("subject_id", "stay_id")),
    {
        "hospital_order": "NOT coalesce(hospital_discharge < hospital_admission, false)",
        "icu_order": "NOT coalesce(icu_discharge < icu_admission, false)",
    },
)
PERSONS = Relation(
    "persons",
    _columns(PersonRow, ("subject_id",)),
    {"sex": "sex IS NULL OR sex IN ('female', 'male')"},
)
RELATIONS = (OBSERVATIONS, STAYS, PERSONS)


class Source(Protocol):
    """A source of records: it creates the three relations, and reports what it left out."""

    def relations(self, db: duckdb.DuckDBPyConnection) -> Mapping[str, int]:
        """Create `observations`, `stays` and `persons` in `db`; return what was dropped, by reason.

        Columns that the source does not hold may be left out; `typed_relations` adds them as null.
        """


def connection(
    *, memory: str = "2GB", threads: int = 2, spill: str | None = None
) -> duckdb.DuckDBPyConnection:
    """Return a connection that spills to disk beyond a limit of memory.

    Parameters
    ----------
    memory : str
        Limit of memory in DuckDB's words, such as `2GB`.
    threads : int
        Most threads at once.
    spill : str, optional
        Folder for what does not fit; default: DuckDB's own.
    """
    db = duckdb.connect()
    db.execute(f"SET memory_limit = '{memory}'")
    db.execute(f"SET threads = {threads}")
    db.execute("SET preserve_insertion_order = false")
    db.execute("SET enable_progress_bar = false")
    if spill is not None:
        db.execute("SET temp_directory = ?", [spill])
    return db


def typed_relations(db: duckdb.DuckDBPyConnection) -> None:
    """Give each relation its columns and types, as a view `typed_<name>`.

    A cell that cannot be read as its type becomes null. `UsageError` if a required column is
    missing.
    """
    for relation in RELATIONS:
        held = {row[0] for row in db.execute(f"DESCRIBE {relation.name}").fetchall()}
        missing = [
            item.name for item in relation.columns if item.required and item.name not in held
        ]
        if missing:
            raise UsageError(
                f"{relation.name} must have the columns {', '.join(missing)}; the source has none "
                "of that name. Name them in its mapping file."
            )
        cells = ", ".join(
            f'TRY_CAST("{item.name}" AS {item.sql}) AS "{item.name}"'
            if item.name in held
            else f'CAST(NULL AS {item.sql}) AS "{item.name}"'
            for item in relation.columns
        )
        db.execute(
            f"CREATE OR REPLACE VIEW typed_{relation.name} AS SELECT {cells} FROM {relation.name}"
        )


def checked(db: duckdb.DuckDBPyConnection) -> tuple[Finding, ...]:
    """Return the rules that rows break, by number of rows, and leave those rows out.

    The rows that meet every rule form the views `checked_<name>`. A person or a stay that is stated
    twice is fatal: `UsageError`.
    """
    findings: list[Finding] = []
    for relation in RELATIONS:
        rules = {
            **{f"{item.name}_stated": f'"{item.name}" IS NOT NULL' for item in relation.columns
               if item.required},
            **relation.rules,
        }  # fmt: skip
        counts = ", ".join(f"count(*) FILTER (WHERE NOT ({rule}))" for rule in rules.values())
        row = db.execute(f"SELECT count(*), {counts} FROM typed_{relation.name}").fetchone()
        assert row is not None
        for rule, count in zip(rules, row[1:], strict=True):
            if count:
                message = (
                    f"{relation.name} must meet the rule {rule}; {count} of {row[0]} rows do not "
                    "and are left out. Correct them in the source."
                )
                findings.append(Finding(rule, relation.name, count, message))
        kept = " AND ".join(f"({rule})" for rule in rules.values())
        db.execute(
            f"CREATE OR REPLACE VIEW checked_{relation.name} AS "
            f"SELECT * FROM typed_{relation.name} WHERE {kept}"
        )
    for name, key in (("persons", "subject_id"), ("stays", "stay_id")):
        twice = db.execute(
            f"SELECT count(*) FROM (SELECT {key} FROM checked_{name} GROUP BY 1 "
            "HAVING count(*) > 1)"
        ).fetchone()
        if twice and twice[0]:
            raise UsageError(f"{name} must state each {key} once; {twice[0]} occur more than once.")
    return tuple(findings)
