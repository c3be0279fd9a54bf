"""Features of each variable before time zero.

Everything here reads only what was known at time zero: a record counts if it was available then (if
the source states when) and lies in its variable's window (`data_schema/windows.py`). What was given
or done lies in the window if any part of it does.
"""

from __future__ import annotations

import duckdb
import numpy as np
import pandas as pd

from data_schema.biomarkers import VARIABLES
from data_schema.variables import not_done_column
from training.sources.code_map import CodeMap
from training.sources.value_windows import BEGINS

__all__ = ["cohort_columns"]

_SUFFIXES = ("first", "min", "max", "mean", "slope", "count", "hours_since")


def cohort_columns(db: duckdb.DuckDBPyConnection, code_map: CodeMap) -> pd.DataFrame:
    """Return the features of every stay in `landmarks`, indexed by `stay_id`.

    `landmarks` has `subject_id, stay_id, icu_admission, time_zero`. A number has its last value and
    `__first`, `__min`, `__max`, `__mean`, `__slope` (change a day), `__count` and `__hours_since`;
    a flag and a category have their last value.

    `NAME__not_done` is 1 where the record states that a variable was not measured or not asked, and
    holds no value of it; it is there if any stay has such a record. Where nothing is recorded, the
    variable is blank: it was not entered.
    """
    # Ties of time are broken by when a value was known, then by the value, never by the row. What
    # lasts is as recent as its end, or as time zero.
    order = "(latest, known, value)"
    days = "epoch(time - time_zero) / 86400"
    every = [name for name in VARIABLES if name != "gcs"]
    named = ", ".join(f"'{name}'" for name in (*every, *map(not_done_column, VARIABLES)))
    long = db.execute(
        "WITH candidates AS (SELECT l.stay_id, l.icu_admission, l.time_zero, m.variable, m.time, "
        "m.until, m.known, m.value, m.word, m.below FROM landmarks l JOIN mapped m ON "
        f"m.subject_id = l.subject_id WHERE m.variable IN ({named}) UNION ALL "
        "SELECT l.stay_id, l.icu_admission, l.time_zero, c.variable, c.time, NULL, c.known, "
        "c.value, NULL, false FROM landmarks l JOIN combined c ON c.stay_id = l.stay_id), "
        "known AS (SELECT l.*, least(coalesce(l.until, l.time), l.time_zero) AS latest "
        "FROM candidates l JOIN windows w ON w.variable = l.variable WHERE l.time <= l.time_zero "
        f"AND l.known <= l.time_zero AND coalesce(l.until, l.time) >= {BEGINS}) "
        f"SELECT stay_id, variable, arg_max(value, {order}) AS last, "
        f"arg_min(value, {order}) AS first, min(value) AS min, max(value) AS max, "
        f"avg(value ORDER BY {order}) AS mean, "
        f"CASE WHEN count(DISTINCT time) > 1 THEN regr_slope(value, {days} ORDER BY {order}) END "
        "AS slope, count(*) AS count, epoch(any_value(time_zero) - max(latest)) / 3600 AS "
        f"hours_since, arg_max(below, {order}) AS below, arg_max(word, (latest, known, word)) "
        "AS word FROM known GROUP BY 1, 2"
    ).fetchdf()
    stays = [row[0] for row in db.execute("SELECT stay_id FROM landmarks ORDER BY 1").fetchall()]
    columns: dict[str, pd.Series] = {}
    present = {name: rows.set_index("stay_id") for name, rows in long.groupby("variable")}
    for name, entry in VARIABLES.items():
        rows = present.get(name)
        stated = present.get(not_done_column(name))
        if stated is not None:
            has_value = pd.Series(False, index=stays)
            if rows is not None:
                last = rows["word" if entry.kind == "category" else "last"]
                has_value = last.reindex(stays).notna()
            not_done = stated["last"].reindex(stays).eq(1) & ~has_value
            if not_done.any():
                columns[not_done_column(name)] = not_done.astype(float)
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
