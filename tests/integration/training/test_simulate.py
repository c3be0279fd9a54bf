"""`osteon simulate` from the command line, and a model of what it wrote."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from data_schema.variables import PATHWAYS

# MLflow 3.17 warns about its own code under SQLAlchemy 2.1 and pandas 3; it answers right.
pytestmark = pytest.mark.filterwarnings("ignore:::mlflow")

TOLD = ("mortality", "fracture")
FEW = ["age", "sex", "apache2", "lactate", "albumin", "fgf23_c", "estradiol", "estradiol__below"]


def test_every_figure_of_the_evidence_sheet_is_met(workplace: Any) -> None:
    answer = workplace.run("simulate", "--check", "--patients", "20000", "--json")
    failed = [one["item"] for one in answer.json["figures"] if not one["passed"]]
    assert (answer.code, failed) == (0, [])
    rows = {one["row"] for one in answer.json["figures"]}
    assert rows == {"1", "2", "3", "4", "5", "7", "10", "11", "12", "17", "19"}
    assert len(answer.json["figures"]) > 50


def test_a_figure_that_is_not_met_fails_the_check(workplace: Any) -> None:
    # Among 2,000 patients some figure always lies outside what 20,000 meet.
    answer = workplace.run("simulate", "--check", "--patients", "2000", "--seed", "1")
    assert answer.code == 1
    assert "NO  " in answer.out
    assert "[derived]" in answer.out


def test_what_is_written_is_a_cohort_its_truth_and_its_samples(workplace: Any) -> None:
    answer = workplace.run(
        *("simulate", "--patients", "400", "--seed", "5", "--out", "c.parquet"),
        *("--truth", "t.csv", "--observations", "o.parquet", "--json"),
    )
    assert answer.code == 0, answer.err
    cohort, truth = (
        pd.read_parquet(workplace.folder / "c.parquet"),
        pd.read_csv(workplace.folder / "t.csv"),
    )
    assert answer.json["patients"] == len(cohort) == 400
    at_risk = int(cohort["fracture_event"].notna().sum())
    assert answer.json["at_risk_of_fracture"] == at_risk
    assert len(truth) == 3 * 400 + 3 * at_risk
    assert set(truth["patient_id"]) == set(cohort["patient_id"])
    assert truth[["risk_full", "risk_recorded"]].min().min() > 0
    assert truth[["risk_full", "risk_recorded"]].max().max() <= 1
    assert {f"contribution__{name}" for name in PATHWAYS} <= set(truth)
    samples = pd.read_parquet(workplace.folder / "o.parquet")
    assert set(samples["subject_id"]) == set(cohort["patient_id"])
    check = workplace.run("check", "c.parquet", "--strict", "--json")
    assert (check.code, check.json["fatal"]) == (0, [])
    never = {f["rule"]: f["count"] for f in check.json["warnings"]}
    assert never["not_at_risk"] == 400 - at_risk


def test_blanks_are_written_and_the_truth_follows_them(workplace: Any) -> None:
    truths, measured = {}, {}
    for share in ("0", "0.5"):
        answer = workplace.run(
            *("simulate", "--patients", "300", "--seed", "5", "--blank-share", share, "--json"),
            *("--out", f"c{share}.parquet", "--truth", f"t{share}.parquet"),
        )
        assert answer.code == 0, answer.err
        assert answer.json["blank_share"] == float(share)
        cohort = pd.read_parquet(workplace.folder / f"c{share}.parquet")
        measured[share] = cohort[["lactate", "creatinine", "albumin", "sodium"]].notna().sum().sum()
        truths[share] = pd.read_parquet(workplace.folder / f"t{share}.parquet")
    assert measured["0.5"] == pytest.approx(0.5 * measured["0"], rel=0.15)
    whole, half = truths["0"], truths["0.5"]
    assert (whole["risk_full"] == half["risk_full"]).all()
    assert (whole["risk_recorded"] != half["risk_recorded"]).mean() > 0.9
    error = [((t["risk_full"] - t["risk_recorded"]) ** 2).mean() for t in (whole, half)]
    assert error[0] < error[1]


def test_a_cohort_of_72_h_tells_of_those_in_the_icu(workplace: Any) -> None:
    answer = workplace.run(
        *("simulate", "--patients", "1500", "--landmark", "72h", "--out", "c.parquet", "--json")
    )
    assert answer.code == 0, answer.err
    assert 0.3 < answer.json["patients"] / 1500 < 0.8
    assert answer.json["at_risk_of_fracture"] == 0
    check = workplace.run("check", "c.parquet", "--outcome", "mortality-72h", "--strict", "--json")
    assert (check.code, check.json["fatal"]) == (0, [])


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((), "--out or --check"),
        (("--out", "c.xlsx"), "must end in .parquet or .csv"),
        (("--out", "c.csv", "--scenario", "nowhere"), "scenario must be one of"),
        (("--out", "c.csv", "--scenario", "small", "--patients", "5"), "must be 300"),
        (("--out", "c.csv", "--patients", "0"), "at least 1"),
        (("--out", "c.csv", "--landmark", "noon"), "landmark must be one of 24h, 72h"),
        (("--out", "c.csv", "--blank-share", "1"), "blank_share must be at least 0 and below 1"),
        (("--check", "--blank-share", "0.4"), "--check cannot be combined with --out"),
        (("--check", "--out", "c.csv"), "--check cannot be combined with --out"),
        (("--check", "--patients", "50"), "at least 2000"),
    ],
)
def test_wrong_usage_is_reported(workplace: Any, arguments: tuple[str, ...], message: str) -> None:
    answer = workplace.run("simulate", *arguments)
    assert answer.code == 2
    assert message in answer.err
    assert not list(Path(workplace.folder).glob("c.*"))


def test_a_model_of_a_simulated_cohort_says_so_everywhere(workplace: Any) -> None:
    workplace.run("simulate", "--patients", "900", "--seed", "2", "--out", "all.csv")
    cohort = pd.read_csv(workplace.folder / "all.csv", dtype=str)
    outcomes = [c for c in cohort if c.endswith(("_days", "_event")) and c.split("_")[0] in TOLD]
    few = cohort[["patient_id", "simulated", *FEW, *outcomes]]
    few.to_csv(workplace.folder / "c.csv", index=False)
    (workplace.folder / "run.toml").write_text(
        "horizons_days = [1826]\ninterval_folds = 3\nmax_trees = 10\n"
        "bootstrap_resamples = 50\nthreads = 1\ntest_fraction = 0.3\nrefit_on_all = false\n"
    )
    answer = workplace.run(
        *("train", "c.csv", "--outcome", "fracture", "--config", "run.toml", "--json")
    )
    assert answer.code == 0, answer.out + answer.err
    assert answer.json["model_name"] == "osteon-fracture-simulated"
    kept = Path(answer.json["report"].removeprefix("file://")).parent
    contract = json.loads((kept / "contract.json").read_text())
    assert contract["simulated"] is True
    assert answer.json["refused"] <= 0.05 * answer.json["n_evaluated"]
    assert contract["population"] == "Simulated patients (published), not real people"
    assert "simulated patients" in (kept / "model_card.md").read_text()
    listed = workplace.run("registry", "osteon-fracture-simulated", "--json")
    assert listed.json["versions"][0]["simulated"] is True
