"""The recipe "add a metric": one entry of the catalogue, which every door then shows."""

from __future__ import annotations

import io
import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from places import ROOT
from source_trees import run_python

pytestmark = pytest.mark.slow
CATALOGUE = Path("models/metrics/catalogue.py")
ENTRY = """    MetricSpec(
        name="root_brier",
        label="Root Brier score",
        estimand="Root of the mean squared distance between the risk and what happened.",
        documented_by=brier,
        direction=Direction.LOWER,
        compared_with="0 is perfect",
        scale=Scale.PROPORTION,
        group=Group.OVERALL,
        function=lambda data: np.sqrt(brier(data.outcome, data.risk)),
        places=_OF_REPORT | {Place.SUBGROUPS_OF_CONSOLE, Place.POOLED, Place.MLFLOW},
        at_a_glance="Distance: root Brier score (0 perfect)",
        page=PageEntry("Typical distance of risks (root Brier)", "lower is better"),
        gate=IntervalReaches(0.0, 0.01),
    ),
"""

SETTINGS = """
horizons_days = [90]
population = "Made-up adults of a test"
simulated = true
interval_folds = 3
max_trees = 5
bootstrap_resamples = 50
threads = 1
test_fraction = 0.3
refit_on_all = false
"""

# Every command in one process, which imports the copied source once.
COMMANDS = """
import contextlib, io, json, os
from pathlib import Path
os.environ["MLFLOW_TRACKING_URI"] = "sqlite:///mlflow.db"

from osteon import app
from training.cli.main import run_command

def run(*arguments):
    out = io.StringIO()
    with contextlib.redirect_stdout(out):
        assert run_command(app, arguments) == 0, out.getvalue()
    return out.getvalue()

settings = ("--outcome", "mortality", "--config", "run.toml")
trained = json.loads(run("train", "cohort.csv", *settings, "--json"))
judged = ("evaluate", "others.csv", "--model", trained["model_uri"])
study = run("evaluate", "cohort.csv", *settings, "--internal-external", "site", "--json")

from models.metrics.metric import held_out_metrics
from models.registry.lifecycle import load
from models.registry.tracking import connect
from serving.page.facts import figures
from models.registry.gate_criteria import reasons_against

client = connect().MlflowClient()
contract = load(trained["model_uri"]).risk_model.contract
print(json.dumps({
    "trained": trained,
    "judged": json.loads(run(*judged, "--json")),
    "console": run(*judged),
    "study": json.loads(study),
    "mlflow_page": client.get_run(trained["run_id"]).data.metrics,
    "mlflow": Path(client.download_artifacts(trained["run_id"], "metrics.csv")).read_text(),
    "page": [figure.label for figure in figures(contract)],
    "gate": reasons_against(held_out_metrics(contract)),
}))
"""


def patients(n: int, seed: int) -> pd.DataFrame:
    """Adults of three sites whose risk of death rises with age and lactate."""
    rng = np.random.default_rng(seed)
    age, lactate = rng.normal(62, 14, n).clip(18.5, 95), np.exp(rng.normal(0.6, 0.6, n))
    died = rng.exponential(200 * np.exp(-0.05 * (age - 62) - 0.8 * np.log(lactate / 1.8)))
    censored = rng.uniform(300, 900, n)
    return pd.DataFrame(
        {
            "patient_id": [f"patient-{seed}-{number}" for number in range(n)],
            "site": rng.choice(["graz", "leuven", "boston"], n),
            "age": age.round(1),
            "lactate": lactate.clip(0.3, 20).round(2),
            "mortality_days": np.minimum(died, censored).clip(0.5).round(2),
            "mortality_event": (died <= censored).astype(int),
        }
    )


@pytest.fixture
def with_root_brier(source_tree: Path) -> Path:
    catalogue = source_tree / CATALOGUE
    text = catalogue.read_text()
    first = "AT_HORIZON: tuple[MetricSpec[AtHorizon], ...] = (\n"
    assert text.count(first) == 1
    catalogue.write_text(text.replace(first, first + ENTRY))
    return source_tree


@pytest.fixture
def shown(with_root_brier: Path, tmp_path: Path) -> dict[str, Any]:
    """What every door shows once the catalogue has one entry more."""
    patients(360, 7).to_csv(tmp_path / "cohort.csv", index=False)
    patients(200, 9).to_csv(tmp_path / "others.csv", index=False)
    (tmp_path / "run.toml").write_text(SETTINGS)
    return json.loads(run_python(with_root_brier, COMMANDS, cwd=tmp_path))


def by_name(metrics: list[dict[str, Any]]) -> dict[tuple[str, float | None], dict[str, Any]]:
    return {(one["metric"], one["horizon_days"]): one for one in metrics}


def test_one_entry_of_the_catalogue_is_shown_at_every_door(shown: dict[str, Any]) -> None:
    trained, judged = by_name(shown["trained"]["metrics"]), shown["judged"]
    root, brier = (trained[name, 90] for name in ("root_brier", "brier"))
    assert root["estimate"] == pytest.approx(brier["estimate"] ** 0.5)
    assert by_name(judged["metrics"])["root_brier", 90]["low"] > 0

    logged = pd.read_csv(io.StringIO(shown["mlflow"])).set_index(["metric", "horizon_days"])
    assert logged.loc[("root_brier", 90), "estimate"] == pytest.approx(root["estimate"])
    assert logged.loc[("root_brier", 90), "high"] == pytest.approx(root["high"])

    assert shown["mlflow_page"]["90d/root_brier"] == pytest.approx(root["estimate"])

    table, groups = shown["console"].split("By group")
    assert any(line.startswith("root_brier ") for line in table.splitlines())
    assert "root_brier" in groups

    report = Path(shown["trained"]["report"]).read_text()
    assert "Root Brier score: lower is better, 0 is perfect" in report
    assert "Distance: root Brier score (0 perfect)" in report
    assert '<th scope="col">Root Brier score</th>' in report
    assert f"{root['estimate']:.3f} ({root['low']:.3f} to {root['high']:.3f})" in report

    groups_of_all = [group for group in judged["subgroups"] if group["metrics"]]
    assert all(("root_brier", 90) in by_name(group["metrics"]) for group in groups_of_all)
    validation = shown["study"]["internal_external"]
    assert "root_brier" in {pooled["metric"] for pooled in validation["pooled"]}

    assert "Typical distance of risks (root Brier)" in shown["page"]
    reason = "root_brier at 90 days must have an interval that overlaps 0 to 0.01; got "
    assert any(why.startswith(reason) for why in shown["gate"])


def test_a_metric_without_a_reference_value_fails_the_test_of_all(with_root_brier: Path) -> None:
    for place in ("tests/conftest.py", "tests/reference/models/metrics"):
        copy = shutil.copytree if (ROOT / place).is_dir() else shutil.copy
        (with_root_brier / place).parent.mkdir(parents=True, exist_ok=True)
        copy(ROOT / place, with_root_brier / place)
    test = "tests/reference/models/metrics/test_catalogue.py"

    run = subprocess.run(
        [
            *(sys.executable, "-m", "pytest", "--import-mode=importlib", "--rootdir=."),
            *("-q", "-k", "own_reference_value", "-o", "pythonpath=.", test),
        ],
        cwd=with_root_brier,
        capture_output=True,
        text=True,
        check=False,
    )

    assert run.returncode == 1, run.stdout + run.stderr
    assert "Extra items in the right set:\nE         'root_brier'" in run.stdout
