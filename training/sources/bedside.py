"""What follows from several records of one moment: the Glasgow score, and PaO2 with its FiO2.

SQL pairs the records of each stay, and `data_schema/derived/` does the arithmetic. A score under
sedation or with a tube, and a blood gas under ventilation, are recognised by what was given or done
at that moment, as far as it was known at time zero.
"""

from __future__ import annotations

import duckdb
import numpy as np
import pandas as pd

from data_schema.derived.consciousness import SEDATION_WANES, STATE_IN_FORCE, gcs_charted
from data_schema.derived.oxygenation import (
    FIO2_IN_FORCE,
    fio2_in_force,
    fio2_of_the_gas,
    pf_ratio,
)
from training.sources.code_map import GLASGOW, NONINVASIVE_VENTILATION, SEDATION, CodeMap
from training.sources.mapped_values import TUBE

__all__ = ["combine"]

VENTILATION = "mechanical_ventilation"

_KNOWN = "m.time <= l.time_zero AND m.known <= l.time_zero"
_OF_STAY = "m.time >= coalesce(l.icu_admission, l.time_zero) - INTERVAL 24 HOUR"


def combine(db: duckdb.DuckDBPyConnection, code_map: CodeMap) -> None:
    """Create `glasgow`, `blood_gases` and, from both, `combined` of each stay in `landmarks`.

    `glasgow` has `stay_id, time, known, score, origin, before`: each charting, what it is worth
    (`GlasgowOrigin`), and the last score before it that says something. `blood_gases` has
    `stay_id, time, known, pao2, paco2, fio2, fio2_in_force, supported`; `fio2` is missing where
    PaO2 rules the setting in force out. `combined` has `stay_id, time, known, variable, value`:
    `gcs` and `pf_ratio`, which features are made of.
    """
    _create_states(db)
    _create_glasgow(db, sedation_is_recorded=SEDATION in code_map.complete)
    _create_blood_gases(db, ventilation_is_recorded=VENTILATION in code_map.complete)
    db.execute(
        "CREATE TABLE combined AS SELECT stay_id, time, known, 'gcs' AS variable, score AS value "
        "FROM glasgow WHERE score IS NOT NULL UNION ALL SELECT stay_id, time, known, 'pf_ratio', "
        "pf_ratio FROM blood_gases WHERE pf_ratio IS NOT NULL"
    )


def _create_states(db: duckdb.DuckDBPyConnection) -> None:
    """Create the table `states`: from when to when a patient was ventilated or sedated."""
    wanes, in_force = (
        f"INTERVAL {round(one.total_seconds())} SECOND" for one in (SEDATION_WANES, STATE_IN_FORCE)
    )
    # A record without an end counts until the next of its kind, which may say that it is over.
    db.execute(
        "CREATE TABLE states AS WITH following AS (SELECT *, lead(time) OVER (PARTITION BY "
        "subject_id, variable ORDER BY time, value) AS next FROM mapped WHERE variable IN "
        f"('{VENTILATION}', '{NONINVASIVE_VENTILATION}', '{SEDATION}')) "
        "SELECT subject_id, variable, time AS begun, known, CASE WHEN until IS NULL THEN "
        f"least(time + {in_force}, next) WHEN variable = '{SEDATION}' THEN "
        f"least(until, TIMESTAMP '9999-01-01') + {wanes} ELSE until END AS ended FROM following "
        "WHERE value = 1"
    )


def _in_force(variable: str) -> str:
    """Return in SQL whether a state was in force at the time of a row `p` of a landmark `l`."""
    return f"coalesce(bool_or(s.variable = '{variable}'), false)"


_WITH_STATES = (
    "JOIN landmarks l ON l.stay_id = p.stay_id LEFT JOIN states s ON s.subject_id = l.subject_id "
    "AND s.begun <= p.time AND s.ended >= p.time AND s.known <= l.time_zero"
)


def _create_glasgow(db: duckdb.DuckDBPyConnection, *, sedation_is_recorded: bool) -> None:
    parts = ", ".join(
        f"min(m.value) FILTER (WHERE m.variable = '{name}') AS {name}" for name in (*GLASGOW, "gcs")
    )
    names = ", ".join(f"'{name}'" for name in (*GLASGOW, "gcs"))
    chartings = db.execute(
        f"WITH parts AS (SELECT l.stay_id, m.time, max(m.known) AS known, {parts}, "
        f"coalesce(bool_or(m.word = '{TUBE}'), false) AS tube FROM landmarks l JOIN mapped m ON "
        f"m.subject_id = l.subject_id WHERE m.variable IN ({names}) AND {_KNOWN} AND {_OF_STAY} "
        "GROUP BY 1, 2) SELECT p.* EXCLUDE (tube), "
        f"bool_or(p.tube) OR {_in_force(VENTILATION)} AS intubated, "
        f"{_in_force(SEDATION)} AS sedated FROM parts p {_WITH_STATES} GROUP BY ALL "
        "ORDER BY p.stay_id, p.time"
    ).fetchdf()
    chartings = chartings.astype({"stay_id": str})
    sedated = chartings["sedated"].to_numpy(dtype=float)
    charted = gcs_charted(
        total=chartings["gcs"].to_numpy(dtype=float),
        eye=chartings["gcs_eye"].to_numpy(dtype=float),
        verbal=chartings["gcs_verbal"].to_numpy(dtype=float),
        motor=chartings["gcs_motor"].to_numpy(dtype=float),
        intubated=chartings["intubated"].to_numpy(dtype=float),
        sedated=np.where((sedated == 0.0) & (not sedation_is_recorded), np.nan, sedated),
    )
    glasgow = chartings[["stay_id", "time", "known"]].assign(
        score=charted.score, origin=charted.origin.astype(str)
    )
    usable = glasgow.loc[glasgow["score"].notna(), ["stay_id", "time", "score"]]
    before = pd.merge_asof(
        glasgow[["stay_id", "time"]].reset_index().sort_values("time", kind="stable"),
        usable.rename(columns={"score": "before"}).sort_values("time", kind="stable"),
        on="time",
        by="stay_id",
        allow_exact_matches=False,
    )
    glasgow["before"] = before.set_index("index")["before"].reindex(glasgow.index)
    _store(db, "glasgow", glasgow, texts=("stay_id", "origin"))


def _create_blood_gases(db: duckdb.DuckDBPyConnection, *, ventilation_is_recorded: bool) -> None:
    gases = db.execute(
        "WITH gas AS (SELECT l.stay_id, m.time, max(m.known) AS known, "
        "min(m.value) FILTER (WHERE m.variable = 'pao2') AS pao2, "
        "min(m.value) FILTER (WHERE m.variable = 'paco2') AS paco2 FROM landmarks l JOIN mapped m "
        f"ON m.subject_id = l.subject_id WHERE m.variable IN ('pao2', 'paco2') AND {_KNOWN} AND "
        f"{_OF_STAY} GROUP BY 1, 2) SELECT p.*, {_in_force(VENTILATION)} OR "
        f"{_in_force(NONINVASIVE_VENTILATION)} AS supported FROM gas p {_WITH_STATES} "
        "WHERE p.pao2 IS NOT NULL GROUP BY ALL ORDER BY p.stay_id, p.time"
    ).fetchdf()
    hours = FIO2_IN_FORCE.total_seconds() / 3600
    settings = db.execute(
        "SELECT l.stay_id, m.time, max(m.value) AS fio2, max(m.known) AS set_known FROM landmarks "
        f"l JOIN mapped m ON m.subject_id = l.subject_id WHERE m.variable = 'fio2' AND {_KNOWN} "
        f"AND m.time >= coalesce(l.icu_admission, l.time_zero) - INTERVAL {24 + round(hours)} HOUR "
        "GROUP BY 1, 2"
    ).fetchdf()
    paired = fio2_in_force(gases, settings)
    supported = gases["supported"].to_numpy(dtype=float)
    pao2, in_force = (held.to_numpy(dtype=float) for held in (gases["pao2"], paired["fio2"]))
    gases = gases.assign(
        fio2=fio2_of_the_gas(pao2, in_force),
        fio2_in_force=in_force,
        known=np.fmax(gases["known"], paired["set_known"]),
        pf_ratio=pf_ratio(pao2, in_force),
        supported=np.where((supported == 0.0) & (not ventilation_is_recorded), np.nan, supported),
    )
    _store(db, "blood_gases", gases, texts=("stay_id",))


def _store(
    db: duckdb.DuckDBPyConnection, name: str, frame: pd.DataFrame, *, texts: tuple[str, ...]
) -> None:
    """Create a table from a frame, whose types an empty frame does not show."""
    times = ("time", "known")
    cells = ", ".join(
        f"CAST({one} AS VARCHAR) AS {one}" if one in texts else
        f"CAST({one} AS TIMESTAMP) AS {one}" if one in times else
        # Missing numbers of a frame are NaN.
        f"CASE WHEN isnan(CAST({one} AS DOUBLE)) THEN NULL ELSE CAST({one} AS DOUBLE) END AS {one}"
        for one in frame.columns
    )  # fmt: skip
    db.register("stored_frame", frame)
    db.execute(f"CREATE TABLE {name} AS SELECT {cells} FROM stored_frame")
    db.unregister("stored_frame")
