"""From records to values of variables in canonical units, and what became of each record.

Every record counts for each of the variables that its code stands for. What is not used is counted
by variable and reason, so that the reasons and the values used add up to what was read.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields

import duckdb
import pandas as pd

from data_schema.biomarkers import VARIABLES
from data_schema.derived.consciousness import names_tube
from data_schema.derived.oxygenation import FIO2_FRACTIONS
from data_schema.readings import category_of, flag_of
from data_schema.variables import not_done_column
from training.sources.code_map import COMPONENTS, NO_VALUES, CodeMap, meanings, scale
from training.sources.value_windows import BEGINS

__all__ = ["TUBE", "MappedCodes", "ValueFlow", "map_observations"]

TUBE = "tube"
"""The word of a Glasgow score, verbal or total, whose text says that a tube prevents speech."""

_WITH_TUBE = ("gcs_verbal", "gcs")


@dataclass(frozen=True, slots=True)
class ValueFlow:
    """What became of the records of one variable; the other numbers add up to `read`.

    Parameters
    ----------
    read : int
        Records whose code stands for the variable.
    without_value : int
        With neither a number nor a text.
    unit, specimen, assay : int
        Refused, since the unit is unknown, the specimen another one or (of a blood gas) not stated
        as arterial, or the assay that of another variable.
    unreadable : int
        With a text that means no value.
    artefacts : int
        Outside the plausible range.
    repeated : int
        Held more than once by the source, equal in every respect.
    not_in_window : int
        Of no stay's window: after time zero, not known by then, or too long before.
    used : int
        Values of at least one stay.
    """

    read: int
    without_value: int
    unit: int
    specimen: int
    assay: int
    unreadable: int
    artefacts: int
    repeated: int
    not_in_window: int
    used: int


@dataclass(frozen=True, slots=True)
class MappedCodes:
    """What became of the records of a source.

    Parameters
    ----------
    records : int
        Records that meet the rules of the schema.
    unmapped_codes, unmapped_records : int
        Distinct codes without a meaning, and their records.
    values : mapping of str to ValueFlow
        By variable.
    above : mapping of str to int
        Values above a limit of their assay, which count as the limit.
    """

    records: int
    unmapped_codes: int
    unmapped_records: int
    values: Mapping[str, ValueFlow]
    above: Mapping[str, int]

    def left_out(self) -> Mapping[str, Mapping[str, int]]:
        """Return how many records are not used, by reason and variable."""
        reasons = [one.name for one in fields(ValueFlow) if one.name not in ("read", "used")]
        counts = {
            reason: {
                name: getattr(flow, reason)
                for name, flow in self.values.items()
                if getattr(flow, reason)
            }
            for reason in reasons
        }
        return {reason: by_variable for reason, by_variable in counts.items() if by_variable}


def map_observations(db: duckdb.DuckDBPyConnection, code_map: CodeMap) -> MappedCodes:
    """Create the table `mapped` of values in canonical units; return what became of the records.

    `mapped` has `subject_id, time, until, known, variable, value, word, below`: what was given or
    done lasts until `until`, which is null for a moment. Needs `landmarks` and `windows`. Codes
    that structure the record (births, admissions) have no meaning, and count among those that are
    not mapped.
    """
    groups = db.execute(
        "SELECT code, unit, specimen, assay, count(*) FROM checked_observations GROUP BY ALL"
    ).fetchall()
    rows: list[tuple[str, str, str, str, str, float, float, str, float | None, str | None]] = []
    without: dict[str, int] = {}
    for code, unit, specimen, assay, count in groups:
        listed = meanings(code, code_map)
        if not listed:
            without[code] = without.get(code, 0) + count
        for meaning in listed:
            how = scale(meaning, unit or "", specimen or "", assay or "")
            number = meaning.value if isinstance(meaning.value, int | float) else None
            word = meaning.value if isinstance(meaning.value, str) else None
            rows.append(
                (
                    *(code, unit or "", specimen or "", assay or "", how.variable),
                    *(how.factor, how.offset, how.broken, number, word),
                )
            )
    _create_meanings(db, rows)
    _known_words(db, {row[4] for row in rows})
    db.execute(_read_values())
    db.execute(_MAPPED)
    _cap_ongoing(db)
    values, above = _flow(db)
    return MappedCodes(
        records=sum(count for *_, count in groups),
        unmapped_codes=len(without),
        unmapped_records=sum(without.values()),
        values=values,
        above=above,
    )


def _create_meanings(
    db: duckdb.DuckDBPyConnection,
    rows: list[tuple[str, str, str, str, str, float, float, str, float | None, str | None]],
) -> None:
    """Create the tables of what each code means in each unit, and of the plausible ranges."""
    names = [
        *("code", "unit", "specimen", "assay", "variable"),
        *("factor", "offset_", "broken", "stated", "stated_word"),
    ]
    frame = pd.DataFrame(rows, columns=names).astype(
        {**dict.fromkeys(("factor", "offset_", "stated"), float)}
    )
    db.register("meanings_frame", frame)
    db.execute(
        "CREATE TABLE code_meanings AS SELECT * REPLACE (CAST(broken AS VARCHAR) AS broken, "
        "CAST(stated_word AS VARCHAR) AS stated_word) FROM meanings_frame"
    )
    db.unregister("meanings_frame")
    ranges = pd.DataFrame(
        [
            *(_range(name) for name in (*VARIABLES, *COMPONENTS, *NO_VALUES)),
            *((not_done_column(name), "flag", 0.0, 1.0) for name in VARIABLES),
        ],
        columns=["variable", "kind", "low", "high"],
    )
    db.register("ranges_frame", ranges)
    db.execute("CREATE TABLE ranges AS SELECT * FROM ranges_frame")
    db.unregister("ranges_frame")


def _range(name: str) -> tuple[str, str, float | None, float | None]:
    if name in COMPONENTS:
        return name, "number", *COMPONENTS[name]
    if name in NO_VALUES:
        return name, "flag", 0.0, 1.0
    entry = VARIABLES[name]
    if entry.kind == "flag":
        return name, "flag", 0.0, 1.0
    return name, entry.kind, entry.low, entry.high


def _known_words(db: duckdb.DuckDBPyConnection, mapped: set[str]) -> None:
    """Create the table `words`: what each distinct text of a flag or category means."""
    named = [
        name
        for name in mapped
        if name in (*NO_VALUES, *_WITH_TUBE)
        or (name in VARIABLES and VARIABLES[name].kind != "number")
    ]
    db.execute("CREATE TABLE words (variable VARCHAR, text VARCHAR, flag DOUBLE, category VARCHAR)")
    texts = db.execute(
        "SELECT DISTINCT m.variable, o.text_value FROM checked_observations o JOIN code_meanings m "
        "ON m.code = o.code WHERE o.text_value IS NOT NULL AND list_contains(?, m.variable)",
        [named],
    ).fetchall()
    for name, text in texts:
        flag: float | str | None = None
        category: float | str | None = None
        if name in _WITH_TUBE:
            category = TUBE if names_tube(text) else None
        elif name in VARIABLES and VARIABLES[name].kind == "category":
            category = category_of(VARIABLES[name], text).value
        else:
            flag = flag_of(text).value
        db.execute("INSERT INTO words VALUES (?, ?, ?, ?)", [name, text, flag, category])


def _read_values() -> str:
    """Return the statement that reads the value of each record."""
    # A number that a laboratory prints, such as "<9.99", may be the text of a record. An FiO2 in
    # the range of a fraction is one, whatever its unit says: no percentage lies there.
    printed = "coalesce(o.numeric_value, TRY_CAST(ltrim(o.text_value, '<>= ') AS DOUBLE))"
    low, high = FIO2_FRACTIONS
    return (
        "CREATE VIEW read_values AS SELECT o.subject_id, o.time, o.code, "
        "coalesce(o.available_time, o.time) AS known, m.variable, m.broken, r.kind, r.low, r.high, "
        "coalesce(o.end_time, CASE WHEN o.is_ongoing THEN TIMESTAMP '9999-12-31' END) AS until, "
        "CASE WHEN r.kind = 'category' THEN NULL "
        "WHEN m.stated IS NOT NULL THEN m.stated "
        "WHEN r.kind = 'flag' THEN coalesce(w.flag, o.numeric_value) "
        f"ELSE ({printed}) * m.factor * CASE WHEN m.variable = 'fio2' AND ({printed}) * m.factor "
        f"BETWEEN {low} AND {high} THEN 100 ELSE 1 END + m.offset_ END AS value, "
        "coalesce(CASE WHEN r.kind = 'category' THEN m.stated_word END, w.category) AS word, "
        "starts_with(coalesce(o.comparator, o.text_value, ''), '<') AS below, "
        "starts_with(coalesce(o.comparator, o.text_value, ''), '>') AS above, "
        "o.numeric_value IS NOT NULL OR o.text_value IS NOT NULL OR m.stated IS NOT NULL "
        "OR m.stated_word IS NOT NULL AS is_stated "
        "FROM checked_observations o JOIN code_meanings m ON m.code = o.code "
        "AND m.unit = coalesce(o.unit, '') AND m.specimen = coalesce(o.specimen, '') "
        "AND m.assay = coalesce(o.assay, '') JOIN ranges r ON r.variable = m.variable "
        "LEFT JOIN words w ON w.variable = m.variable AND w.text = o.text_value"
    )


_PLAUSIBLE = "(value >= coalesce(low, '-inf'::DOUBLE) AND value <= coalesce(high, 'inf'::DOUBLE))"
_READABLE = f"broken = '' AND (word IS NOT NULL OR {_PLAUSIBLE})"

# A record that the source holds twice is one: urine would be added up twice.
_MAPPED = (
    "CREATE TABLE mapped AS SELECT subject_id, time, until, known, variable, value, word, below "
    "FROM (SELECT DISTINCT subject_id, time, until, known, code, variable, value, word, below "
    f"FROM read_values WHERE {_READABLE})"
)


def _cap_ongoing(db: duckdb.DuckDBPyConnection) -> None:
    """End what has no end with the first discharge after it began."""
    discharge = "min(s.{0}_discharge) FILTER (WHERE s.{0}_discharge >= m.time)"
    db.execute(
        "UPDATE mapped SET until = coalesce(ended, until) FROM (SELECT m.rowid AS row, "
        f"least({discharge.format('icu')}, {discharge.format('hospital')}) AS ended "
        "FROM mapped m JOIN checked_stays s ON s.subject_id = m.subject_id "
        "WHERE m.until = TIMESTAMP '9999-12-31' GROUP BY 1) e WHERE mapped.rowid = e.row"
    )


def _flow(db: duckdb.DuckDBPyConnection) -> tuple[Mapping[str, ValueFlow], Mapping[str, int]]:
    """Return what became of the records of each variable, and the values above a limit."""
    refused = ", ".join(
        f"count(*) FILTER (WHERE is_stated AND broken = '{rule}')"
        for rule in ("unit", "specimen", "assay")
    )
    stated = "is_stated AND broken = ''"
    read = db.execute(
        f"SELECT variable, count(*), count(*) FILTER (WHERE NOT is_stated), {refused}, "
        f"count(*) FILTER (WHERE {stated} AND value IS NULL AND word IS NULL), "
        f"count(*) FILTER (WHERE {stated} AND word IS NULL AND NOT {_PLAUSIBLE}), "
        f"count(*) FILTER (WHERE {_READABLE}), count(*) FILTER (WHERE above AND {_READABLE}) "
        "FROM read_values GROUP BY 1 ORDER BY 1"
    ).fetchall()
    mapped = dict(db.execute("SELECT variable, count(*) FROM mapped GROUP BY 1").fetchall())
    used = dict(
        db.execute(
            "SELECT variable, count(*) FROM mapped m SEMI JOIN (SELECT l.subject_id, l.time_zero, "
            f"w.variable AS name, {BEGINS} AS begins FROM landmarks l, windows w) w "
            "ON w.subject_id = m.subject_id AND w.name = m.variable AND m.time <= w.time_zero "
            "AND m.known <= w.time_zero AND coalesce(m.until, m.time) >= w.begins GROUP BY 1"
        ).fetchall()
    )
    values = {}
    for name, n_read, *reasons, readable, _ in read:
        distinct = mapped.get(name, 0)
        # What an outcome reads lies after time zero.
        n_used = distinct if name in NO_VALUES else used.get(name, 0)
        values[name] = ValueFlow(
            *(n_read, *reasons, readable - distinct, distinct - n_used, n_used)
        )
    return values, {name: count for name, *_, count in read if count}
