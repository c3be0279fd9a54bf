"""What every source yields: three relations, with the types and the rules of their columns.

A source writes its relations into views or tables of one DuckDB connection, so that a table larger
than memory never becomes Python objects. `typed_relations` then casts the columns, and `checked`
counts what breaks a rule. Rows that break a rule are left out with a count; a rule never stops a
whole patient, and no message holds a value.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, Protocol

import duckdb

from data_schema.errors import Finding, UsageError

__all__ = [
    "OBSERVATIONS",
    "PERSONS",
    "RELATIONS",
    "STAYS",
    "Column",
    "Relation",
    "Source",
    "checked",
    "connection",
    "typed_relations",
]

_Type = Literal["VARCHAR", "DOUBLE", "TIMESTAMP", "DATE", "BOOLEAN", "INTEGER"]


@dataclass(frozen=True, slots=True)
class Column:
    """One column of a relation: its DuckDB type, and whether every row must state it."""

    name: str
    type: _Type
    required: bool = False


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


OBSERVATIONS = Relation(
    "observations",
    (
        Column("subject_id", "VARCHAR", required=True),
        Column("stay_id", "VARCHAR"),
        Column("time", "TIMESTAMP", required=True),
        Column("available_time", "TIMESTAMP"),
        Column("code", "VARCHAR", required=True),
        Column("numeric_value", "DOUBLE"),
        Column("text_value", "VARCHAR"),
        Column("unit", "VARCHAR"),
        Column("comparator", "VARCHAR"),
        Column("specimen", "VARCHAR"),
        Column("assay", "VARCHAR"),
    ),
    {
        "comparator": "comparator IS NULL OR comparator IN ('<', '<=', '>', '>=')",
        "finite": "numeric_value IS NULL OR isfinite(numeric_value)",
    },
)
"""What was measured, given or diagnosed, one row each.

`time` is when a sample was drawn or a thing happened; `available_time` is when its result was
known, where the source records it. A diagnosis, drug, procedure or device has the code
`SYSTEM//CODE`.
"""

STAYS = Relation(
    "stays",
    (
        Column("subject_id", "VARCHAR", required=True),
        Column("stay_id", "VARCHAR", required=True),
        Column("site", "VARCHAR"),
        Column("hospital_admission", "TIMESTAMP"),
        Column("hospital_discharge", "TIMESTAMP"),
        Column("icu_admission", "TIMESTAMP"),
        Column("icu_discharge", "TIMESTAMP"),
        Column("died_in_hospital", "BOOLEAN"),
    ),
    {
        "hospital_order": "NOT coalesce(hospital_discharge < hospital_admission, false)",
        "icu_order": "NOT coalesce(icu_discharge < icu_admission, false)",
    },
)
"""Stays in intensive care (or in hospital, where the source knows no other), one row each."""

PERSONS = Relation(
    "persons",
    (
        Column("subject_id", "VARCHAR", required=True),
        Column("sex", "VARCHAR"),
        Column("birth_date", "DATE"),
        Column("birth_year", "INTEGER"),
        Column("death_time", "TIMESTAMP"),
        Column("observed_until", "TIMESTAMP"),
    ),
    {"sex": "sex IS NULL OR sex IN ('female', 'male')"},
)
"""Each person once. `observed_until` is the end of observation, where the source states one."""

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
            f'TRY_CAST("{item.name}" AS {item.type}) AS "{item.name}"'
            if item.name in held
            else f'CAST(NULL AS {item.type}) AS "{item.name}"'
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
