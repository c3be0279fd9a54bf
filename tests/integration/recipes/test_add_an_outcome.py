"""The recipe "add an outcome": one entry in `data_schema/outcomes.py`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from source_trees import changed_files, copy_source, run_python
from training.simulation.cohort import simulate

pytestmark = pytest.mark.slow
FILE = "data_schema/outcomes.py"
BEFORE = '            Outcome(\n                name="fracture",'
ENTRY = """
            Outcome(
                name="delirium",
                endpoint="delirium",
                label="First delirium",
                event_label="deliria",
                event_singular="delirium",
                landmark=_AFTER_24_HOURS,
                time_zero="24 h after ICU admission, alive",
                horizons_days=(7, 28),
                competing_label="death without delirium",
                event_headers=("cam-icu positive",),
            ),
"""
PATIENTS = 500
COLUMNS = ["patient_id", "age", "sex", "apache2", "lactate", "mortality_days", "mortality_event"]
SETTINGS = """
population = "Made-up adults of a test"
interval_folds = 3
max_trees = 10
bootstrap_resamples = 50
threads = 1
test_fraction = 0.3
refit_on_all = false
"""

LEARN = """
import osteon
from training.cli.main import run_command

for arguments, code in (
    ("simulate --patients 300 --seed 1 --out drawn.csv --json", 0),
    ("map ward.csv --out ward.toml --json", 0),
    ("check cohort.csv --json", 0),
    ("check late.csv --json", 1),
    ("train cohort.csv --outcome delirium --landmark 24h --config run.toml --json", 0),
    ("score cohort.csv --model models:/osteon-delirium-simulated/1 --out scored.csv --json", 0),
    ("evaluate cohort.csv --model models:/osteon-delirium-simulated/1 --json", 0),
):
    assert run_command(osteon.app, arguments.split()) == code, arguments
"""

PREDICT = """
import asyncio
import json
from pathlib import Path

import httpx

from serving.app import create_app
from serving.processes.loading import load_models
from serving.settings import Settings

settings = Settings(state_dir=Path("state"), model="models:/osteon-delirium-simulated/1")
app = create_app(settings, models=load_models(settings).models)
VALUES = [("age", 60, "a"), ("apache2", 20, "{score}"), ("lactate", 2.0, "mmol/L")]
REQUEST = {
    "patient_id": "p",
    "time_zero": "2026-11-01T08:00:00+01:00",
    "asked_at": "2026-11-01T08:00:00+01:00",
    "outcomes": ["delirium"],
    "sex": "female",
    "measurements": [
        {"variable": name, "value": value, "unit": unit} for name, value, unit in VALUES
    ],
}


async def ask():
    transport = httpx.ASGITransport(app, client=("127.0.0.1", 1))
    async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1") as client:
        return {
            "prediction": (await client.post("/v1/predict", json=REQUEST)).json(),
            "document": (await client.get("/openapi.json")).text,
            "page": (await client.get("/")).text,
        }


print(json.dumps(asyncio.run(ask())))
"""


@pytest.fixture(scope="module")
def source_tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the source with one more outcome."""
    tree = copy_source(tmp_path_factory.mktemp("outcome") / "source")
    text = (tree / FILE).read_text()
    assert text.count(BEFORE) == 1
    (tree / FILE).write_text(text.replace(BEFORE, ENTRY.strip("\n") + "\n" + BEFORE))
    return tree


def _cohort() -> pd.DataFrame:
    """Return a cohort with days and events of delirium, which death ends."""
    cohort = simulate(PATIENTS, seed=3).cohort[COLUMNS]
    rng = np.random.default_rng(7)
    death = cohort["mortality_days"].to_numpy()
    delirium = rng.exponential(60 * np.exp(-0.05 * (cohort["apache2"].fillna(20).to_numpy() - 20)))
    happens = delirium < death
    days = np.minimum(delirium, death).clip(0.01).round(2)
    event = np.where(happens, 1, np.where(cohort["mortality_event"] == 1, 2, 0))
    return cohort.assign(delirium_days=days, delirium_event=event)


@pytest.fixture(scope="module")
def printed(source_tree: Path) -> list[dict[str, Any]]:
    """What simulate, map, check, train, score and evaluate printed."""
    folder, cohort = source_tree.parent, _cohort()
    cohort.to_csv(folder / "cohort.csv", index=False)
    late = cohort.assign(delirium_days=cohort["mortality_days"] + 1.0, delirium_event=1)
    late.to_csv(folder / "late.csv", index=False)
    ward = cohort[["patient_id", "age", "delirium_days", "delirium_event"]]
    ward.columns = ["patient_id", "age", "days to delirium", "CAM-ICU positive"]
    ward.to_csv(folder / "ward.csv", index=False)
    (folder / "run.toml").write_text(SETTINGS)
    lines = run_python(source_tree, LEARN, cwd=folder).splitlines()
    return [json.loads(line) for line in lines]


@pytest.fixture(scope="module")
def answers(source_tree: Path, printed: list[dict[str, Any]]) -> dict[str, Any]:
    """What a service with the model answers."""
    found: dict[str, Any] = json.loads(run_python(source_tree, PREDICT, cwd=source_tree.parent))
    return found


def test_an_outcome_takes_one_file(source_tree: Path) -> None:
    assert changed_files(source_tree) == {FILE}


def test_the_help_names_it(source_tree: Path) -> None:
    command = "import osteon; osteon.main()"
    for name in ("train", "evaluate"):
        assert "delirium" in run_python(source_tree, command, name, "--help", cwd=source_tree)


def test_headers_of_the_outcome_are_mapped(source_tree: Path, printed: list[Any]) -> None:
    drafted = (source_tree.parent / "ward.toml").read_text()
    assert '[outcome.delirium]\ndays = "days to delirium"\nevent = "CAM-ICU positive"\n' in drafted


def test_its_columns_are_checked_against_death(printed: list[dict[str, Any]]) -> None:
    _, _, checked, late, *_ = printed
    assert checked["fatal"] == []
    found = {(one["rule"], one["variable"]) for one in late["fatal"]}
    assert ("event_after_censoring", "delirium") in found


def test_it_is_learned_reported_and_scored(printed: list[dict[str, Any]]) -> None:
    *_, trained, scored, evaluated = printed
    assert trained["model_name"] == "osteon-delirium-simulated"
    report = Path(trained["report"]).read_text()
    assert "First delirium" in report
    assert "deliria" in report
    assert scored["rows"] == 2 * PATIENTS
    assert evaluated["events"] > 0


def test_it_is_answered_by_its_name(answers: dict[str, Any]) -> None:
    (answer,) = answers["prediction"]["predictions"]
    assert (answer["outcome"], answer["status"]) == ("delirium", "ok")
    first = answer["risks"][0]
    assert [risk["horizon_days"] for risk in answer["risks"]] == [7, 28]
    assert first["risk"] + first["competing_risk"] <= 1
    assert "deliria" in first["sentences"][0]
    assert '"delirium"' in answers["document"]
    assert "delirium" in answers["page"]
