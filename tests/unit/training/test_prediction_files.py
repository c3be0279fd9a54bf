"""Predictions load in MEDS and in seismometer, and unknown outcomes are left out and counted."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from data_schema.cohort import OutcomeData
from data_schema.errors import DataError, UsageError
from training.prediction_files import Exported, write_meds, write_seismometer

# Known at 28 days: died on day 5, alive on day 90, discharged first on day 9; not: lost on day 20.
OUTCOME = OutcomeData(
    "mortality", np.array([5.0, 90.0, 20.0, 9.0, 40.0]), np.array([1, 0, 0, 2, 1])
)


def scored(**changes: object) -> pd.DataFrame:
    """Return five stays at 28 days, of which the last is refused."""
    table = pd.DataFrame(
        {
            "patient_id": ["11", "12", "13", "14", "15"],
            "stay_id": ["1", "1", "1", "1", "1"],
            "time_zero": pd.Timestamp("2024-02-01T12:00:00+01:00"),
            "horizon_days": 28.0,
            "status": ["ok"] * 4 + ["refused"],
            "risk": [0.8, 0.1, 0.3, 0.2, np.nan],
        }
    )
    return table.assign(**changes)


def test_meds_holds_its_schema_and_only_known_outcomes(tmp_path: Path) -> None:
    exported = write_meds(scored(), OUTCOME, tmp_path / "p.parquet")
    assert exported == Exported(rows=3, refused=1, unknown=1)
    table = pq.read_table(tmp_path / "p.parquet")
    assert table.schema.remove_metadata() == pa.schema(
        [
            ("subject_id", pa.int64()),
            ("prediction_time", pa.timestamp("us")),
            ("boolean_value", pa.bool_()),
            ("predicted_boolean_probability", pa.float32()),
        ]
    )
    assert table["subject_id"].to_pylist() == [11, 12, 14]
    assert table["boolean_value"].to_pylist() == [True, False, False]
    assert str(table["prediction_time"][0]) == "2024-02-01 11:00:00"


def test_meds_without_an_outcome_has_every_prediction_and_no_label(tmp_path: Path) -> None:
    exported = write_meds(scored(), None, tmp_path / "p.parquet")
    assert exported == Exported(rows=4, refused=1, unknown=0)
    assert "boolean_value" not in pq.read_table(tmp_path / "p.parquet").column_names


def test_meds_evaluation_accepts_the_file(tmp_path: Path) -> None:
    schema = pytest.importorskip("meds_evaluation.schema", reason="meds-evaluation is not there")
    write_meds(scored(), OUTCOME, tmp_path / "p.parquet")
    schema.PredictionSchema.validate(pq.read_table(tmp_path / "p.parquet"))


@pytest.mark.parametrize("identifier", ["007", "A12", "1.0", "-3", "99999999999999999999"])
def test_meds_refuses_identifiers_that_are_no_whole_numbers_by_count(
    tmp_path: Path, identifier: str
) -> None:
    table = scored(patient_id=[identifier, "12", "13", "14", "15"])
    with pytest.raises(DataError, match="1 of 4 are not") as refused:
        write_meds(table, None, tmp_path / "p.parquet")
    assert identifier not in str(refused.value)
    assert not (tmp_path / "p.parquet").exists()


def test_a_missing_time_zero_and_several_horizons_are_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="4 of 4 stays have none"):
        write_meds(scored(time_zero=None), None, tmp_path / "p.parquet")
    two = pd.concat([scored(), scored(horizon_days=90.0)])
    with pytest.raises(UsageError, match="horizons must be one"):
        write_meds(two, None, tmp_path / "p.parquet")
    with pytest.raises(UsageError, match=r"must end in \.parquet"):
        write_meds(scored(), None, tmp_path / "p.csv")


def _folder(tmp_path: Path) -> Path:
    folder = tmp_path / "seismometer"
    attributes = pd.DataFrame({"age": [40.0, 50, 60, 70, 80], "sex": list("fmfmf")})
    exported = write_seismometer(
        scored(), OUTCOME, folder, model="demo", label="Death", attributes=attributes
    )
    assert exported == Exported(rows=3, refused=1, unknown=1)
    return folder


def test_seismometer_s_files_hold_risks_and_dated_outcomes(tmp_path: Path) -> None:
    folder = _folder(tmp_path)
    predictions = pd.read_parquet(folder / "predictions.parquet")
    events = pd.read_parquet(folder / "events.parquet")
    assert predictions["patient_id"].tolist() == ["11", "12", "14"]
    assert predictions["age"].tolist() == [40, 50, 70]
    assert events["Value"].tolist() == [1.0, 0.0, 0.0]
    days = (events["Time"] - predictions["prediction_time"]) / pd.Timedelta(days=1)
    assert days.tolist() == [5.0, 28.0, 28.0]
    usage = json.loads((folder / "usage_config.yml").read_text())["data_usage"]
    assert usage["primary_target"] == events["Type"].iloc[0] == "Death within 28 days"
    other = json.loads((folder / "config.yml").read_text())["other_info"]
    for key in ("event_definition", "prediction_definition", "usage_config", "prediction_path"):
        assert (folder / other[key]).is_file()
    dictionary = json.loads((folder / "prediction_dictionary.yml").read_text())["predictions"]
    assert [item["name"] for item in dictionary] == list(predictions.columns)


def test_seismometer_loads_the_folder(tmp_path: Path) -> None:
    config = pytest.importorskip("seismometer.configuration", reason="seismometer is not there")
    folder = _folder(tmp_path)
    provider = config.ConfigProvider(folder / "config.yml", data_dir=folder)
    assert provider.output == "risk"
    assert provider.target == "Death within 28 days"
    assert pd.read_parquet(provider.prediction_path).shape[0] == 3
    assert pd.read_parquet(provider.event_path).shape[0] == 3


def test_an_outcome_known_at_another_horizon_is_refused(tmp_path: Path) -> None:
    at_30 = OutcomeData("x", np.full(5, 30.0), np.array([1, 0, 0, 0, 1]), horizon_days=30.0)
    with pytest.raises(UsageError, match="must be 30, the only one"):
        write_meds(scored(), at_30, tmp_path / "p.parquet")
