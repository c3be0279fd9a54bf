"""Features of each variable before time zero, and the severity scores of the last 24 hours.

Everything here reads only what was known at time zero: a record counts if it was available then (if
the source states when) and lies in its variable's window (`data_schema/windows.py`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta

import duckdb
import numpy as np
import pandas as pd

from data_schema.biomarkers import VARIABLES
from data_schema.derived.apache2 import APACHE2
from data_schema.derived.columns import Columns
from data_schema.derived.saps2 import SAPS2
from data_schema.derived.score import Missing
from data_schema.derived.sofa import SOFA
from data_schema.readings import category_of, flag_of
from data_schema.windows import Since
from training.sources.code_map import COMPONENTS, NO_VALUES, CodeMap, meanings, scale

__all__ = ["MappedCodes", "cohort_columns", "map_observations", "scores"]

# How long a setting of FiO2 counts for a blood gas, and the FiO2 that decides APACHE II's oxygen.
_FIO2_HOURS, _HIGH_FIO2 = 4, 50.0
_SUFFIXES = ("first", "min", "max", "mean", "slope", "count", "hours_since")


@dataclass(frozen=True, slots=True)
class MappedCodes:
    """What mapping found: distinct codes without a meaning, and values left out by variable.

    `repeated` counts records that the source holds more than once, equal in every respect; `above`
    those above a limit of their assay, which count as the limit.
    """

    unmapped_codes: int
    artefacts: Mapping[str, int]
    unreadable: Mapping[str, int]
    repeated: Mapping[str, int]
    above: Mapping[str, int]


def map_observations(db: duckdb.DuckDBPyConnection, code_map: CodeMap) -> MappedCodes:
    """Create the table `mapped` of values in canonical units; return what was left out.

    `mapped` has `subject_id, time, known, variable, value, word, below`. Codes that structure the
    record (births, admissions) have no meaning, and count among those that are not mapped.
    """
    groups = db.execute(
        "SELECT DISTINCT code, unit, specimen, assay FROM checked_observations"
    ).fetchall()
    rows: list[tuple[str, str, str, str, str, float, float, str, float | None, str | None]] = []
    without: set[str] = set()
    for code, unit, specimen, assay in groups:
        listed = meanings(code, code_map)
        if not listed:
            without.add(code)
        for meaning in listed:
            how = scale(meaning, unit or "", specimen or "", assay or "")
            number = meaning.value if isinstance(meaning.value, int | float) else None
            word = meaning.value if isinstance(meaning.value, str) else None
            rows.append(
                (
                    *(code, unit or "", specimen or "", assay or "", meaning.variable),
                    *(how.factor, how.offset, how.broken, number, word),
                )
            )
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
    _known_words(db, {str(row[4]) for row in rows})
    ranges = pd.DataFrame(
        [_range(name) for name in (*VARIABLES, *COMPONENTS, *NO_VALUES)],
        columns=["variable", "kind", "low", "high"],
    )
    db.register("ranges_frame", ranges)
    db.execute("CREATE TABLE ranges AS SELECT * FROM ranges_frame")
    db.unregister("ranges_frame")
    # A number that a laboratory prints, such as "<9.99", may be the text of a record. An FiO2 of
    # 0.2 to 1 is a fraction whatever the unit says: no percentage lies there.
    printed = "coalesce(o.numeric_value, TRY_CAST(ltrim(o.text_value, '<>= ') AS DOUBLE))"
    db.execute(
        "CREATE VIEW read_values AS SELECT o.subject_id, o.time, o.code, "
        "coalesce(o.available_time, o.time) AS known, m.variable, m.broken, r.kind, r.low, r.high, "
        "CASE WHEN r.kind = 'category' THEN NULL "
        "WHEN m.stated IS NOT NULL THEN m.stated "
        "WHEN r.kind = 'flag' THEN coalesce(w.flag, o.numeric_value) "
        f"ELSE ({printed}) * m.factor * CASE WHEN m.variable = 'fio2' AND ({printed}) * m.factor "
        "BETWEEN 0.2 AND 1 THEN 100 ELSE 1 END + m.offset_ END AS value, "
        "CASE WHEN r.kind = 'category' THEN coalesce(m.stated_word, w.category) END AS word, "
        "starts_with(coalesce(o.comparator, o.text_value, ''), '<') AS below, "
        "starts_with(coalesce(o.comparator, o.text_value, ''), '>') AS above, "
        "o.numeric_value IS NOT NULL OR o.text_value IS NOT NULL AS is_stated "
        "FROM checked_observations o JOIN code_meanings m ON m.code = o.code "
        "AND m.unit = coalesce(o.unit, '') AND m.specimen = coalesce(o.specimen, '') "
        "AND m.assay = coalesce(o.assay, '') JOIN ranges r ON r.variable = m.variable "
        "LEFT JOIN words w ON w.variable = m.variable AND w.text = o.text_value"
    )
    plausible = (
        "(value >= coalesce(low, '-inf'::DOUBLE) AND value <= coalesce(high, 'inf'::DOUBLE))"
    )
    db.execute(
        # A record that the source holds twice is one: urine would be added up twice.
        "CREATE TABLE mapped AS SELECT subject_id, time, known, variable, value, word, below "
        "FROM (SELECT DISTINCT subject_id, time, known, code, variable, value, word, below "
        f"FROM read_values WHERE broken = '' AND (word IS NOT NULL OR {plausible}))"
    )
    mapped = dict(db.execute("SELECT variable, count(*) FROM mapped GROUP BY 1").fetchall())
    _combine(db)
    left_out = db.execute(
        "SELECT variable, count(*) FILTER (WHERE broken = '' AND value IS NOT NULL AND NOT "
        f"{plausible}), count(*) FILTER (WHERE is_stated AND (broken <> '' OR (value IS NULL AND "
        "word IS NULL))), count(*) FILTER (WHERE broken = '' AND (word IS NOT NULL OR "
        f"{plausible})), count(*) FILTER (WHERE broken = '' AND above AND {plausible}) "
        "FROM read_values GROUP BY 1 ORDER BY 1"
    ).fetchall()
    return MappedCodes(
        unmapped_codes=len(without),
        artefacts={name: count for name, count, _, _, _ in left_out if count},
        unreadable={name: count for name, _, count, _, _ in left_out if count},
        repeated={
            name: count - mapped.get(name, 0)
            for name, _, _, count, _ in left_out
            if count > mapped.get(name, 0)
        },
        above={name: count for name, *_, count in left_out if count},
    )


def _range(name: str) -> tuple[str, str, float | None, float | None]:
    if name in COMPONENTS:
        _, low, high = COMPONENTS[name]
        return name, "number", low, high
    if name in NO_VALUES:
        return name, "flag", 0.0, 1.0
    entry = VARIABLES[name]
    if entry.kind == "flag":
        return name, "flag", 0.0, 1.0
    return name, entry.kind, entry.low, entry.high


def _known_words(db: duckdb.DuckDBPyConnection, mapped: set[str]) -> None:
    """Create the table `words`: what each distinct text of a flag or category means."""
    named = [
        n for n in mapped if n in NO_VALUES or (VARIABLES.get(n) and VARIABLES[n].kind != "number")
    ]
    db.execute("CREATE TABLE words (variable VARCHAR, text VARCHAR, flag DOUBLE, category VARCHAR)")
    texts = db.execute(
        "SELECT DISTINCT m.variable, o.text_value FROM checked_observations o JOIN code_meanings m "
        "ON m.code = o.code WHERE o.text_value IS NOT NULL AND list_contains(?, m.variable)",
        [named],
    ).fetchall()
    for name, text in texts:
        if name in VARIABLES and VARIABLES[name].kind == "category":
            value = category_of(VARIABLES[name], text).value
            db.execute("INSERT INTO words VALUES (?, ?, NULL, ?)", [name, text, value])
        else:
            db.execute(
                "INSERT INTO words VALUES (?, ?, ?, NULL)", [name, text, flag_of(text).value]
            )


def cohort_columns(db: duckdb.DuckDBPyConnection, code_map: CodeMap) -> pd.DataFrame:
    """Return the features of every stay in `landmarks`, indexed by `stay_id`.

    `landmarks` has `subject_id, stay_id, icu_admission, time_zero`. A number has its last value and
    `__first`, `__min`, `__max`, `__mean`, `__slope` (change a day), `__count` and `__hours_since`;
    a flag and a category have their last value.
    """
    windows = [_window(name) for name in VARIABLES]
    db.register("windows_frame", pd.DataFrame(windows, columns=["variable", "hours", "since"]))
    db.execute("CREATE OR REPLACE TABLE windows AS SELECT * FROM windows_frame")
    db.unregister("windows_frame")
    begins = (
        "CASE WHEN w.hours IS NOT NULL THEN l.time_zero - to_hours(CAST(w.hours AS BIGINT)) "
        "WHEN w.since = 'ADMISSION' THEN l.icu_admission "
        "WHEN w.since = 'STAY' THEN coalesce(l.icu_admission, l.time_zero) - INTERVAL 24 HOUR "
        "ELSE TIMESTAMP '0001-01-01' END"
    )
    # Ties of time are broken by when a value was known, then by the value, never by the row.
    order = "(m.time, m.known, m.value)"
    days = "epoch(m.time - l.time_zero) / 86400"
    long = db.execute(
        f"SELECT l.stay_id, m.variable, arg_max(m.value, {order}) AS last, "
        f"arg_min(m.value, {order}) AS first, min(m.value) AS min, max(m.value) AS max, "
        f"avg(m.value ORDER BY {order}) AS mean, "
        f"CASE WHEN count(DISTINCT m.time) > 1 THEN regr_slope(m.value, {days} ORDER BY {order}) "
        "END "
        "AS slope, count(*) AS count, epoch(any_value(l.time_zero) - max(m.time)) / 3600 AS "
        f"hours_since, arg_max(m.below, {order}) AS below, arg_max(m.word, (m.time, m.known, "
        "m.word))"
        " AS word FROM landmarks l JOIN mapped m ON m.subject_id = l.subject_id "
        "JOIN windows w ON w.variable = m.variable "
        f"WHERE m.time <= l.time_zero AND m.known <= l.time_zero AND m.time >= {begins} "
        "GROUP BY 1, 2"
    ).fetchdf()
    stays = [row[0] for row in db.execute("SELECT stay_id FROM landmarks ORDER BY 1").fetchall()]
    columns: dict[str, pd.Series] = {}
    present = {name: rows.set_index("stay_id") for name, rows in long.groupby("variable")}
    for name, entry in VARIABLES.items():
        rows = present.get(name)
        if rows is None and name not in code_map.complete:
            continue
        if entry.kind == "category":
            columns[name] = pd.Series(rows["word"] if rows is not None else None, index=stays)
            continue
        values = rows["last"].reindex(stays) if rows is not None else pd.Series(np.nan, index=stays)
        if entry.kind == "flag":
            columns[name] = values.fillna(0.0) if name in code_map.complete else values
            continue
        columns[name] = values
        assert rows is not None
        for suffix in _SUFFIXES:
            columns[f"{name}__{suffix}"] = rows[suffix].reindex(stays)
        columns[f"{name}__count"] = columns[f"{name}__count"].fillna(0)
        if rows["below"].any():
            columns[f"{name}__below"] = rows["below"].reindex(stays).astype(float)
    return pd.DataFrame(columns, index=pd.Index(stays, name="stay_id"))


def _window(name: str) -> tuple[str, float | None, str]:
    begins = VARIABLES[name].window.begins
    if isinstance(begins, timedelta):
        return name, begins.total_seconds() / 3600, ""
    return name, None, begins.name if isinstance(begins, Since) else ""


def scores(
    db: duckdb.DuckDBPyConnection, cohort: pd.DataFrame, code_map: CodeMap, *, missing: Missing
) -> pd.DataFrame:
    """Return `sofa`, `apache2`, `saps2` and `urine_output` of each stay.

    From the worst values of the 24 hours before time zero. Urine counts where the whole 24 hours
    lie in the stay.

    Parameters
    ----------
    cohort : DataFrame, shape (n_stays, n_columns)
        Indexed by `stay_id`, with `age` and the features of `cohort_columns`.
    missing : {"normal", "missing", "worst"}
        What a component that is not recorded counts.
    """
    inside = (
        "m.time <= l.time_zero AND m.known <= l.time_zero "
        "AND m.time > l.time_zero - INTERVAL 24 HOUR"
    )
    day = db.execute(
        "SELECT l.stay_id, m.variable, min(m.value) AS min, max(m.value) AS max, sum(m.value) AS "
        "sum "
        "FROM landmarks l JOIN mapped m ON m.subject_id = l.subject_id "
        f"WHERE m.value IS NOT NULL AND {inside} GROUP BY 1, 2"
    ).fetchdf()
    worst: dict[str, pd.Series] = {}
    for key, of_variable in day.groupby("variable"):
        name = str(key)
        held = of_variable.set_index("stay_id")
        worst[f"{name}__min"] = held["min"].reindex(cohort.index)
        worst[f"{name}__max"] = held["max"].reindex(cohort.index)
        if name == "urine_volume":
            worst["urine_output"] = held["sum"].reindex(cohort.index)
    whole = db.execute(
        "SELECT stay_id FROM landmarks WHERE icu_admission <= time_zero - INTERVAL 24 HOUR"
    ).fetchdf()["stay_id"]
    if "urine_output" in worst:
        worst["urine_output"] = worst["urine_output"].where(cohort.index.isin(whole))
    gases = _blood_gases(db, inside)
    for gas in gases:
        worst[str(gas)] = gases[gas].reindex(cohort.index)
    for name in code_map.complete:
        used = worst.get(f"{name}__max", pd.Series(np.nan, index=cohort.index))
        worst[f"{name}__max"] = used.fillna(0.0)
    if "pf_ratio__min" in worst and "mechanical_ventilation__max" in worst:
        ventilated = worst["mechanical_ventilation__max"] == 1
        worst["pf_ratio_supported__min"] = worst["pf_ratio__min"].where(ventilated)
    numbers = {name: held.to_numpy(dtype=float) for name, held in worst.items()}
    numbers["age"] = cohort["age"].to_numpy(dtype=float)
    words = {
        name: cohort[name].astype(object).where(cohort[name].notna(), None).to_numpy(dtype=object)
        for name in ("admission_type", "cancer")
        if name in cohort
    }
    columns = Columns(len(cohort), numbers, words)
    totals = {
        score.name: score.of(columns, missing=missing).total for score in (SOFA, APACHE2, SAPS2)
    }
    urine = {"urine_output": worst["urine_output"]} if "urine_output" in worst else {}
    return pd.DataFrame({**totals, **urine}, index=cohort.index)


def _blood_gases(db: duckdb.DuckDBPyConnection, inside: str) -> pd.DataFrame:
    """Return what APACHE II counts of oxygen: the worst of each stay, by the FiO2 in force."""
    return (
        db.execute(
            f"SELECT l.stay_id, min(pao2) FILTER (WHERE fio2 < {_HIGH_FIO2}) AS "
            "pao2_low_fio2__min, max(fio2 / 100 * (760 - 47) - paco2 / 0.8 - pao2) FILTER (WHERE "
            f"fio2 >= {_HIGH_FIO2}) AS aado2_high_fio2__max FROM landmarks l JOIN blood_gases m ON "
            f"m.subject_id = l.subject_id WHERE {inside} GROUP BY 1"
        )
        .fetchdf()
        .set_index("stay_id")
    )


def _combine(db: duckdb.DuckDBPyConnection) -> None:
    """Add to `mapped` what follows from values of one moment: the Glasgow score and PaO2/FiO2.

    The Glasgow score needs its three parts at one time. A blood gas is paired with the last FiO2 at
    or before it that is no older than four hours: a later setting may be the answer to it.
    """
    parts = ("gcs_eye", "gcs_verbal", "gcs_motor")
    lowest = [f"min(value) FILTER (WHERE variable = '{part}')" for part in parts]
    db.execute(
        "INSERT INTO mapped SELECT * FROM (SELECT subject_id, time, max(known), 'gcs', "
        f"{' + '.join(lowest)} AS total, NULL, false FROM mapped WHERE starts_with(variable, "
        "'gcs_')"
        " GROUP BY 1, 2) WHERE total IS NOT NULL"
    )
    db.execute(
        "CREATE TABLE blood_gases AS WITH fio2 AS (SELECT subject_id, time, max(value) AS fio2, "
        "max(known) AS known FROM mapped WHERE variable = 'fio2' GROUP BY 1, 2), gas AS (SELECT "
        "subject_id, time, max(known) AS known, min(value) FILTER (WHERE variable = 'pao2') AS "
        "pao2, min(value) FILTER (WHERE variable = 'paco2') AS paco2 FROM mapped WHERE variable IN "
        "('pao2', 'paco2') GROUP BY 1, 2) SELECT g.subject_id, g.time, greatest(g.known, f.known) "
        "AS known, pao2, paco2, fio2 FROM gas g ASOF JOIN fio2 f ON f.subject_id = g.subject_id "
        "AND g.time >= f.time WHERE pao2 IS NOT NULL "
        f"AND f.time >= g.time - INTERVAL {_FIO2_HOURS} HOUR"
    )
    db.execute(
        "INSERT INTO mapped SELECT subject_id, time, known, 'pf_ratio', pao2 / (fio2 / 100), NULL, "
        "false FROM blood_gases"
    )
