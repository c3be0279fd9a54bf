"""Predictions in the files of other validation tools: MEDS, and Epic's seismometer.

Both hold one prediction per stay at one horizon. Where the outcome is used, a stay whose outcome is
not known by the horizon is left out and counted: neither format can say "censored", and calling it
"no event" would bias every figure that the tool computes.

References
----------
MEDS: `PredictionSchema` of meds-evaluation 0.0.6 (an extension of the MEDS label schema 0.4):
`subject_id` int64, `prediction_time` timestamp[us], `boolean_value` bool (optional),
`predicted_boolean_probability` float32; no other column.
seismometer 0.5: `seismometer.configuration.model` (`OtherInfo`, `DataUsage`,
`PredictionDictionary`, `EventDictionary`). Its YAML files are written as JSON, which is YAML.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from data_schema.cohort import OutcomeData
from data_schema.errors import DataError, UsageError
from data_schema.outcomes import COMPETING, EVENT
from training.files import whole_file, whole_folder

__all__ = ["Exported", "write_meds", "write_seismometer"]

_MEDS_ID = r"0|[1-9]\d{0,18}"
_LARGEST_ID = np.iinfo(np.int64).max
_AGE_GROUPS = (50, 65, 80)


@dataclass(frozen=True, slots=True)
class Exported:
    """What was written, and how many stays were left out.

    Parameters
    ----------
    rows : int
        Stays written.
    refused : int
        Stays without a risk.
    unknown : int
        Stays whose outcome was not known by the horizon.
    """

    rows: int
    refused: int
    unknown: int


def write_meds(scored: pd.DataFrame, outcome: OutcomeData | None, path: str | Path) -> Exported:
    """Write predictions in the MEDS prediction schema, as Parquet.

    Parameters
    ----------
    scored : DataFrame
        From `training.score.score`, at one horizon: one row per stay of the cohort, in its order.
    outcome : OutcomeData or None
        What happened to the same stays; without it there is no `boolean_value`.
    path : path
        A .parquet file.

    Raises
    ------
    UsageError
        If there are several horizons, or the path does not end in .parquet.
    DataError
        If a stay has no time zero, or identifiers are not whole numbers, which MEDS requires.
    """
    if Path(path).suffix != ".parquet":
        raise UsageError(f"out must end in .parquet for MEDS; got {Path(path).name}.")
    stays, happened, exported = _selected(scored, outcome)
    columns: dict[str, pa.Array] = {
        "subject_id": pa.array(_whole_numbers(stays["patient_id"]), pa.int64()),
        "prediction_time": pa.array(_times(stays), pa.timestamp("us")),
    }
    if happened is not None:
        columns["boolean_value"] = pa.array(happened, pa.bool_())
    columns["predicted_boolean_probability"] = pa.array(stays["risk"].astype("float32"))
    with whole_file(path) as draft:
        pq.write_table(pa.table(columns), draft)
    return exported


def write_seismometer(
    scored: pd.DataFrame,
    outcome: OutcomeData,
    folder: str | Path,
    *,
    model: str,
    label: str,
    attributes: pd.DataFrame,
) -> Exported:
    """Write a folder that seismometer reads: predictions, events and their configuration.

    Parameters
    ----------
    scored : DataFrame
        From `training.score.score`, at one horizon: one row per stay of the cohort, in its order.
    outcome : OutcomeData
        What happened to the same stays.
    folder : path
        A folder that does not exist yet; `config.yml` in it is what seismometer is started with.
    model, label : str
        Name of the model, and the outcome as a clinician reads it.
    attributes : DataFrame, shape (n_stays, ...)
        What to compare groups by, such as `age` and `sex`; same rows.
    """
    stays, happened, exported = _selected(scored, outcome)
    rows = stays.index.to_numpy()
    days = float(stays["horizon_days"].iloc[0]) if len(stays) else 0.0
    target = f"{label} within {days:g} days"
    keys = ["patient_id"] if stays["stay_id"].isna().any() else ["patient_id", "stay_id"]
    identity = stays[keys].astype(str).reset_index(drop=True)
    start = pd.Series(_times(stays)).astype("datetime64[ns]")
    groups = attributes.iloc[rows].reset_index(drop=True)
    predictions = pd.concat(
        [identity.assign(prediction_time=start, risk=stays["risk"].to_numpy()), groups], axis=1
    )
    happened = np.zeros(0, bool) if happened is None else happened
    until = np.where(happened, outcome.time_days[rows], days)
    events = identity.assign(
        Type=target,
        Time=start + pd.to_timedelta(until * 24.0, unit="h"),
        Value=happened.astype(float),
    )
    with whole_folder(folder) as draft:
        predictions.to_parquet(draft / "predictions.parquet", index=False)
        events.to_parquet(draft / "events.parquet", index=False)
        for name, content in _configuration(model, target, keys, [*map(str, groups)]).items():
            text = json.dumps(content, indent=2, ensure_ascii=False) + "\n"
            (draft / name).write_text(text, encoding="utf-8")
    return exported


def _configuration(
    model: str, target: str, keys: list[str], groups: list[str]
) -> dict[str, object]:
    """Return the content of seismometer's configuration files by their names."""
    predicted = [*keys, "prediction_time", "risk", *groups]
    cohorts = [
        {"source": name, "display_name": name.capitalize()}
        | ({"splits": [*_AGE_GROUPS]} if name == "age" else {})
        for name in groups
    ]
    usage = {
        "entity_id": keys[0],
        **({"context_id": keys[1]} if len(keys) > 1 else {}),
        "primary_output": "risk",
        "primary_target": target,
        "predict_time": "prediction_time",
        "outputs": ["risk"],
        "cohorts": cohorts,
        "features": [],
        "event_table": {"type": "Type", "time": "Time", "value": "Value"},
        "events": [{"source": [target], "display_name": target, "usage": "target"}],
    }
    other = {
        "template": "binary",
        "info_dir": "outputs",
        "event_definition": "event_dictionary.yml",
        "prediction_definition": "prediction_dictionary.yml",
        "usage_config": "usage_config.yml",
        "data_dir": ".",
        "prediction_path": "predictions.parquet",
        "event_path": "events.parquet",
        "metadata_path": "metadata.json",
    }
    return {
        "config.yml": {"other_info": other},
        "usage_config.yml": {"data_usage": usage},
        "prediction_dictionary.yml": {"predictions": [{"name": name} for name in predicted]},
        "event_dictionary.yml": {"events": [{"name": target}]},
        "metadata.json": {"modelname": model, "thresholds": [0.5, 0.2]},
    }


def _selected(
    scored: pd.DataFrame, outcome: OutcomeData | None
) -> tuple[pd.DataFrame, NDArray[np.bool_] | None, Exported]:
    """Return the stays with a risk and a known outcome, whether it happened, and the counts."""
    horizons = scored["horizon_days"].unique()
    if len(horizons) > 1:
        raise UsageError(
            f"horizons must be one for this format; the model has {len(horizons)}. State one, e.g. "
            f"--horizons {horizons[0]:g}."
        )
    answered = (scored["status"] == "ok").to_numpy()
    frame = scored.reset_index(drop=True)
    if outcome is None:
        return frame[answered], None, Exported(int(answered.sum()), int((~answered).sum()), 0)
    happened, known = _by_horizon(outcome, float(horizons[0]))
    written = answered & known
    counts = Exported(int(written.sum()), int((~answered).sum()), int((answered & ~known).sum()))
    return frame[written], happened[written], counts


def _by_horizon(outcome: OutcomeData, days: float) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Return whether the outcome happened by a horizon, and whether that is known."""
    if outcome.horizon_days is not None and outcome.horizon_days != days:
        raise UsageError(
            f"horizons must be {outcome.horizon_days:g}, the only one at which the outcome is "
            f"known; got {days:g}."
        )
    by_then = outcome.time_days <= days
    happened = (outcome.event == EVENT) & by_then
    return happened, happened | ((outcome.event == COMPETING) & by_then) | (
        outcome.time_days >= days
    )


def _times(frame: pd.DataFrame) -> NDArray[np.datetime64]:
    """Return time zero in UTC, without a zone, as both formats write it."""
    times = pd.to_datetime(frame["time_zero"], utc=True, errors="coerce")
    if times.isna().any():
        raise DataError(
            f"time_zero must be stated for this format; {int(times.isna().sum())} of {len(times)} "
            "stays have none. Map a column to it in [ids]."
        )
    return np.asarray(times.dt.tz_localize(None).astype("datetime64[us]"))


def _whole_numbers(identifiers: pd.Series) -> NDArray[np.int64]:
    """Return identifiers as the 64-bit whole numbers that MEDS requires."""
    texts = identifiers.astype(str)
    unfit = ~texts.str.fullmatch(_MEDS_ID) | (texts.str.len() == 19) & (texts > str(_LARGEST_ID))
    if unfit.any():
        raise DataError(
            "patient_id must be a whole number without leading zeros for MEDS; "
            f"{int(unfit.sum())} of {len(texts)} are not. Number the patients first."
        )
    return np.asarray(texts.astype("int64"), dtype=np.int64)
