"""A hospital's records become a cohort, and the cohort a registered model: the MIMIC-IV demo."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from places import SHARED

MIMIC = SHARED / "data" / "mimic_iv_demo_meds" / "events.parquet"

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not MIMIC.is_file(), reason="needs ../shared/data/mimic_iv_demo_meds"),
    # MLflow 3.17 warns about its own code under SQLAlchemy 2.1 and pandas 3; it answers right.
    pytest.mark.filterwarnings("ignore:::mlflow"),
]

SETTINGS = """
horizons_days = [365]
population = "Intensive care stays of the MIMIC-IV demo"
interval_folds = 3
max_trees = 5
bootstrap_resamples = 50
threads = 1
repeats = 1
"""

PREDICTORS = [
    *("age", "sex", "sofa", "apache2", "saps2", "gcs__min", "pf_ratio__min", "lactate__max"),
    *("creatinine__max", "norepinephrine_dose__max", "mechanical_ventilation"),
]


def test_the_records_of_a_hospital_become_a_registered_model(workplace: Any) -> None:
    made = workplace.run(
        *("landmark", str(MIMIC), "--source", "mimic-iv-meds", "--time-zero", "icu_admission+24h"),
        *("--out", "cohort.parquet", "--json"),
    )
    assert made.code == 0, made.err
    flow = made.json
    assert flow["stays"] == flow["stays_in_source"] - sum(flow["excluded"].values()) == 136
    cohort = pd.read_parquet(workplace.folder / "cohort.parquet")
    # Every stay's Glasgow score is charted, estimated, from before sedation, or missing as sedated.
    assert sum(flow["glasgow"].values()) == flow["stays"]
    assert cohort["gcs__min"].isna().sum() == flow["glasgow"]["sedated"]

    # All 650 columns train as well, in minutes.
    keys = ["patient_id", "stay_id", "mortality_days", "mortality_event"]
    cohort[keys + PREDICTORS].to_parquet(workplace.folder / "chosen.parquet")
    (workplace.folder / "run.toml").write_text(SETTINGS)
    trained = workplace.run(
        *("train", "chosen.parquet", "--outcome", "mortality", "--config", "run.toml", "--json")
    )
    assert trained.code == 0, trained.err
    printed = trained.json
    assert (printed["n_train"], printed["events"]) == (136, int(cohort["mortality_event"].sum()))
    # Further stays of a patient are in the same fold.
    assert printed["evaluation"]["split"] == "patient"
    (auroc,) = (metric for metric in printed["metrics"] if metric["metric"] == "auroc")
    assert auroc["low"] <= auroc["estimate"] <= auroc["high"]
    assert auroc["estimate"] > 0.5
    assert Path(printed["report"]).is_file()
