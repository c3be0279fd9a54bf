"""`osteon score --format`: risks of a trained model in the files of other validation tools."""

from __future__ import annotations

from typing import Any

import pandas as pd
import pyarrow.parquet as pq
import pytest

# MLflow 3.17 warns about its own code under SQLAlchemy 2.1 and pandas 3; it answers right.
pytestmark = pytest.mark.filterwarnings("ignore:::mlflow")

CHAMPION = "models:/osteon-mortality-simulated@champion"


def _dated(place: Any) -> pd.DataFrame:
    table = pd.read_csv(place.folder / "others.csv")
    table["patient_id"] = range(1, len(table) + 1)
    table["time_zero"] = "2024-02-01T12:00:00+00:00"
    table.to_csv(place.folder / "dated.csv", index=False)
    return table


def _run(place: Any, model: str, output: str, out: str, *more: str) -> Any:
    return place.run(
        *("score", "dated.csv", "--model", model, "--format", output, "--out", out, *more, "--json")
    )


def test_risks_are_written_for_meds_and_for_seismometer(trained: Any) -> None:
    place, _ = trained
    table = _dated(place)
    meds = _run(place, CHAMPION, "meds", "meds.parquet", "--horizons", "90")
    assert meds.code == 0, meds.err
    written = pq.read_table(place.folder / "meds.parquet")
    known = (table["mortality_event"] == 1) | (table["mortality_days"] >= 90)
    assert meds.json["rows"] + meds.json["refused"] + meds.json["unknown_outcome"] == len(table)
    assert written.num_rows == meds.json["rows"] <= int(known.sum())
    died = (table["mortality_event"] == 1) & (table["mortality_days"] <= 90)
    by_id = dict(zip(table["patient_id"], died, strict=True))
    assert written["boolean_value"].to_pylist() == [
        by_id[i] for i in written["subject_id"].to_pylist()
    ]
    folder = _run(place, CHAMPION, "seismometer", "seismometer", "--horizons", "90")
    assert folder.code == 0, folder.err
    predictions = pd.read_parquet(place.folder / "seismometer" / "predictions.parquet")
    assert (
        predictions["risk"].astype("float32").tolist()
        == written["predicted_boolean_probability"].to_pylist()
    )
    assert {"age", "sex"} <= set(predictions)


def test_several_horizons_and_a_cohort_without_the_outcome_are_refused(trained: Any) -> None:
    place, _ = trained
    table = _dated(place)
    several = _run(place, CHAMPION, "meds", "several.parquet")
    assert several.code == 2
    assert "horizons must be one" in several.out
    table.drop(columns=["mortality_days", "mortality_event"]).to_csv(
        place.folder / "dated.csv", index=False
    )
    without = _run(place, CHAMPION, "seismometer", "none", "--horizons", "90")
    assert without.code == 2
    assert "the cohort must state mortality" in without.out
    unlabelled = _run(place, CHAMPION, "meds", "unlabelled.parquet", "--horizons", "90")
    assert unlabelled.code == 0, unlabelled.err
    assert "boolean_value" not in pq.read_table(place.folder / "unlabelled.parquet").column_names
