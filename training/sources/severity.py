"""Severity scores of each stay, from the worst values of the 24 hours before time zero."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, get_args

import duckdb
import numpy as np
import pandas as pd
from numpy.typing import NDArray

from data_schema.derived.apache2 import APACHE2
from data_schema.derived.columns import Columns
from data_schema.derived.consciousness import GlasgowOrigin, gcs_for_severity
from data_schema.derived.oxygenation import HIGH_FIO2, alveolar_arterial_difference
from data_schema.derived.saps2 import SAPS2
from data_schema.derived.score import Missing
from data_schema.derived.sofa import SOFA
from data_schema.derived.vasopressors import LEAST_HOURS, dose_per_kg
from training.sources.code_map import DOSES, CodeMap, per_minute
from training.sources.value_windows import SCORED_HOURS

__all__ = ["GlasgowSource", "Severity", "severity"]

GlasgowSource = Literal[
    "charted", "verbal_estimated", "before_sedation", "sedated", "verbal_unknown", "not_recorded"
]
"""Where the Glasgow score of a stay comes from: as charted; with the verbal score estimated, with a
tube in place; from before sedation. The last three have none: sedated or with a tube throughout,
or nothing charted."""

_CATECHOLAMINES = "catecholamines"
_INSIDE = (
    "m.time <= l.time_zero AND m.known <= l.time_zero "
    f"AND coalesce(m.until, m.time) > l.time_zero - INTERVAL {SCORED_HOURS} HOUR"
)


@dataclass(frozen=True, slots=True)
class Severity:
    """Scores, and what decided them.

    Parameters
    ----------
    scores : DataFrame, shape (n_stays, n_scores)
        `sofa`, `apache2`, `saps2` and, where urine is recorded, `urine_output`; by `stay_id`.
    glasgow : mapping of GlasgowSource to int
        Stays by where their Glasgow score comes from.
    chartings : mapping of GlasgowOrigin to int
        Chartings of the Glasgow score in the stay, by what they are worth.
    doses_without_weight, doses_under_an_hour : int
        Stays with a catecholamine that could not count, for want of a weight, or since it ran for
        less than an hour.
    gases_without_fio2 : int
        Blood gases of the 24 hours without an FiO2 in force.
    gases_ruling_out_fio2 : int
        Blood gases of the 24 hours whose PaO2 is more than the FiO2 in force can give.
    """

    scores: pd.DataFrame
    glasgow: Mapping[GlasgowSource, int]
    chartings: Mapping[GlasgowOrigin, int]
    doses_without_weight: int
    doses_under_an_hour: int
    gases_without_fio2: int
    gases_ruling_out_fio2: int


def severity(
    db: duckdb.DuckDBPyConnection, cohort: pd.DataFrame, code_map: CodeMap, *, missing: Missing
) -> Severity:
    """Return the severity scores of each stay.

    From the worst values of the 24 hours before time zero. Urine counts where the whole 24 hours
    lie in the stay.

    Parameters
    ----------
    cohort : DataFrame, shape (n_stays, n_columns)
        Indexed by `stay_id`, with `age` and the features of `cohort_columns`.
    missing : {"normal", "missing", "worst"}
        What a component that is not recorded counts.
    """
    worst, hours = _worst(db, cohort.index)
    if "urine_output" in worst:
        whole = db.execute(
            "SELECT stay_id FROM landmarks WHERE icu_admission <= time_zero - INTERVAL "
            f"{SCORED_HOURS} HOUR"
        ).fetchdf()["stay_id"]
        worst["urine_output"] = worst["urine_output"].where(cohort.index.isin(whole))
    glasgow, sources = _glasgow(db, cohort.index)
    worst["gcs__min"] = glasgow
    gases = _blood_gases(db)
    for name in ("pf_ratio", "pf_ratio_supported", "pf_ratio_unsupported", "pao2_low_fio2"):
        worst[f"{name}__min"] = gases.groupby("stay_id")[name].min().reindex(cohort.index)
    worst["aado2_high_fio2__max"] = (
        gases.groupby("stay_id")["aado2_high_fio2"].max().reindex(cohort.index)
    )
    for name in code_map.complete:
        used = worst.get(f"{name}__max", pd.Series(np.nan, index=cohort.index))
        worst[f"{name}__max"] = used.fillna(0.0)
    without_weight, short = _count_doses(worst, hours, cohort)
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
    return Severity(
        scores=pd.DataFrame({**totals, **urine}, index=cohort.index),
        glasgow=sources,
        chartings=dict(
            db.execute("SELECT origin, count(*) FROM glasgow GROUP BY 1 ORDER BY 1").fetchall()
        ),
        doses_without_weight=without_weight,
        doses_under_an_hour=short,
        gases_without_fio2=int(gases["fio2_in_force"].isna().sum()),
        gases_ruling_out_fio2=int((gases["fio2_in_force"].notna() & gases["fio2"].isna()).sum()),
    )


def _worst(
    db: duckdb.DuckDBPyConnection, stays: pd.Index
) -> tuple[dict[str, pd.Series], dict[str, pd.Series]]:
    """Return the worst values of each variable, and how long what was given ran, in hours."""
    begins = f"l.time_zero - INTERVAL {SCORED_HOURS} HOUR"
    day = db.execute(
        "SELECT l.stay_id, m.variable, min(m.value) AS min, max(m.value) AS max, sum(m.value) AS "
        f"sum, sum(epoch(least(m.until, l.time_zero) - greatest(m.time, {begins}))) / 3600 AS "
        "hours, count(*) - count(m.until) AS moments "
        "FROM landmarks l JOIN mapped m ON m.subject_id = l.subject_id "
        f"WHERE m.value IS NOT NULL AND m.variable <> 'gcs' AND {_INSIDE} GROUP BY 1, 2"
    ).fetchdf()
    worst: dict[str, pd.Series] = {}
    hours: dict[str, pd.Series] = {}
    for key, of_variable in day.groupby("variable"):
        name = str(key)
        held = of_variable.set_index("stay_id")
        worst[f"{name}__min"] = held["min"].reindex(stays)
        worst[f"{name}__max"] = held["max"].reindex(stays)
        # How long it ran is known only where every record of it has an end.
        hours[name] = held["hours"].where(held["moments"] == 0).reindex(stays)
        if name == "urine_volume":
            worst["urine_output"] = held["sum"].reindex(stays)
    return worst, hours


def _count_doses(
    worst: dict[str, pd.Series], hours: Mapping[str, pd.Series], cohort: pd.DataFrame
) -> tuple[int, int]:
    """Put the doses that count into `worst`; return the stays with one that cannot, by reason."""
    none = pd.Series(np.nan, index=cohort.index)
    weight = cohort.get("weight", none)
    without_weight, short = pd.Series(False, index=cohort.index), none.eq(0.0)
    for name in (*DOSES, _CATECHOLAMINES):
        rates = f"{per_minute(name)}__max"
        if rates in worst:
            rate, kilograms = (np.asarray(one, dtype=np.float64) for one in (worst[rates], weight))
            by_weight = pd.Series(dose_per_kg(rate, "ug/min", kilograms), index=cohort.index)
            without_weight |= worst[rates].notna() & by_weight.isna()
            worst[f"{name}__max"] = by_weight.combine(worst.get(f"{name}__max", none), np.fmax)
        if f"{name}__max" not in worst:
            continue
        ran = [hours[one] for one in (name, per_minute(name)) if one in hours]
        total = pd.concat(ran, axis=1).sum(axis=1, min_count=1) if ran else none
        brief = (total < LEAST_HOURS) & (worst[f"{name}__max"] > 0)
        short |= brief
        counted = 0.0 if name == _CATECHOLAMINES else np.nan
        worst[f"{name}__max"] = worst[f"{name}__max"].mask(brief, counted)
        worst.pop(f"{name}__min", None)
    return int(without_weight.sum()), int(short.sum())


def _glasgow(
    db: duckdb.DuckDBPyConnection, stays: pd.Index
) -> tuple[pd.Series, Mapping[GlasgowSource, int]]:
    """Return the lowest Glasgow score that counts, and the stays by where it comes from."""
    rows = db.execute(
        "SELECT g.* FROM glasgow g JOIN landmarks l USING (stay_id) WHERE g.time > l.time_zero - "
        f"INTERVAL {SCORED_HOURS} HOUR AND g.origin <> 'incomplete' ORDER BY g.stay_id, g.time"
    ).fetchdf()
    hidden = rows["score"].isna().to_numpy()
    scores = gcs_for_severity(
        rows["score"].to_numpy(dtype=float),
        hidden.astype(float),
        rows["before"].to_numpy(dtype=float),
    )
    counted = rows.assign(score=scores, source=_source(rows["origin"], hidden, scores))
    # The lowest score decides; of equal ones the first; without any, why there is none.
    deciding = counted.sort_values(["score", "time"], kind="stable").drop_duplicates("stay_id")
    first = deciding.set_index("stay_id")
    by_stay = first["source"].reindex(stays).fillna("not_recorded")
    names: tuple[GlasgowSource, ...] = get_args(GlasgowSource)
    counts = {name: int((by_stay == name).sum()) for name in names}
    return first["score"].reindex(stays), {name: count for name, count in counts.items() if count}


def _source(
    origin: pd.Series, hidden: NDArray[np.bool_], scores: NDArray[np.float64]
) -> NDArray[np.object_]:
    return np.where(hidden & ~np.isnan(scores), "before_sedation", origin.to_numpy(dtype=object))


def _blood_gases(db: duckdb.DuckDBPyConnection) -> pd.DataFrame:
    """Return what each blood gas of the 24 hours counts for, by FiO2 and respiratory support."""
    gases = db.execute(
        "SELECT g.* FROM blood_gases g JOIN landmarks l USING (stay_id) WHERE g.known <= "
        f"l.time_zero AND g.time > l.time_zero - INTERVAL {SCORED_HOURS} HOUR"
    ).fetchdf()
    pao2, fio2, paco2 = (gases[name].to_numpy(dtype=float) for name in ("pao2", "fio2", "paco2"))
    ratio, supported = gases["pf_ratio"], gases["supported"]
    return gases.assign(
        pf_ratio=ratio.where(supported.isna()),
        pf_ratio_supported=ratio.where(supported == 1.0),
        pf_ratio_unsupported=ratio.where(supported == 0.0),
        pao2_low_fio2=np.where(fio2 < HIGH_FIO2, pao2, np.nan),
        aado2_high_fio2=np.where(
            fio2 >= HIGH_FIO2, alveolar_arterial_difference(pao2, fio2, paco2), np.nan
        ),
    )
