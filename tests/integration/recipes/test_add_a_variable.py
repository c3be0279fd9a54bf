"""The recipe "add a variable": one entry in the catalogue's file of its pathway."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from data_schema.table.simulated_marks import with_marks
from source_trees import changed_files, copy_source, run_python
from training.simulation.cohort import simulate

pytestmark = pytest.mark.slow
FILE = "data_schema/catalogue/resorption.py"
FIRST = "ENTRIES: tuple[Variable, ...] = (\n"
ENTRY = """
    Variable(
        name="cathepsin_k",
        label="Cathepsin K",
        pathway="resorption",
        origin=BONE_IMMUNOASSAY,
        unit="pg/mL",
        units={"pg/mL": 1.0, "ng/mL": 1000.0},
        low=0.1,
        high=1000.0,
        synonyms=("ctsk", "cat k"),
        caution="For cathepsin K, kits disagree.",
    ),
"""
PATIENTS = 500
COLUMNS = ["patient_id", "age", "sex", "apache2", "lactate", "cathepsin_k", "simulated"]
SETTINGS = """
horizons_days = [90, 365]
interval_folds = 3
max_trees = 10
bootstrap_resamples = 50
threads = 1
test_fraction = 0.3
refit_on_all = false
"""

SIMULATE = "import osteon; osteon.main()"

LEARN = """
import osteon
from training.cli.main import run_command

for arguments in (
    "map laboratory.csv --out laboratory.toml --json",
    "check cohort.csv --json",
    "train cohort.csv --outcome mortality --config run.toml --json",
    "score cohort.csv --model models:/osteon-mortality-simulated/1 --out scored.csv --explain "
    "--json",
):
    assert run_command(osteon.app, arguments.split()) == 0, arguments
"""

PREDICT = """
import asyncio
import json
from pathlib import Path

import httpx

from serving.app import create_app
from serving.processes.loading import load_models
from serving.settings import Settings

MODEL = "models:/osteon-mortality-simulated/1"
VALUES = [("age", 70, "a"), ("apache2", 20, "{score}"), ("cathepsin_k", 0.0925, "ng/mL")]
REQUEST = {
    "patient_id": "p",
    "time_zero": "2026-11-01T08:00:00+01:00",
    "asked_at": "2026-11-01T08:00:00+01:00",
    "outcomes": ["mortality"],
    "sex": "female",
    "measurements": [
        *({"variable": name, "value": value, "unit": unit} for name, value, unit in VALUES),
        {"variable": "biotin", "value": True},
    ],
}
settings = Settings(state_dir=Path("state"), model=MODEL, menu=("cathepsin_k",))
app = create_app(settings, models=load_models(settings).models)


wrong = [{"variable": "cathepsin_k", "value": 2.0, "unit": "mg/dL"}]


async def ask():
    transport = httpx.ASGITransport(app, client=("127.0.0.1", 1))
    async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1") as client:
        refused = await client.post("/v1/predict", json=REQUEST | {"measurements": wrong})
        return {
            "prediction": (await client.post("/v1/predict", json=REQUEST)).json(),
            "refused": refused.json()["errors"],
            "variables": (await client.get("/v1/variables")).json()["variables"],
            "page": (await client.get("/")).text,
        }


print(json.dumps(asyncio.run(ask())))
"""


@pytest.fixture(scope="module")
def source_tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the source with one more variable."""
    tree = copy_source(tmp_path_factory.mktemp("variable") / "source")
    text = (tree / FILE).read_text()
    assert text.count(FIRST) == 1
    (tree / FILE).write_text(text.replace(FIRST, FIRST + ENTRY))
    return tree


@pytest.fixture(scope="module")
def folder(source_tree: Path) -> Path:
    """Where the commands ran: a simulated cohort, and a model that learned the new variable."""
    folder = source_tree.parent
    arguments = f"simulate --patients {PATIENTS} --seed 3 --out drawn.csv".split()
    run_python(source_tree, SIMULATE, *arguments, cwd=folder)
    cohort = pd.read_csv(folder / "drawn.csv")
    died = cohort["mortality_event"].to_numpy()
    noise = np.random.default_rng(5).normal(size=len(cohort))
    cohort["cathepsin_k"] = np.exp(4 + 0.3 * died + 0.5 * noise).round(1)
    cohort[[*COLUMNS, "mortality_days", "mortality_event"]].to_csv(
        folder / "cohort.csv", index=False
    )
    laboratory = cohort[["patient_id", "cathepsin_k"]]
    laboratory.columns = ["patient_id", "CTSK (pg/mL)"]
    laboratory.to_csv(folder / "laboratory.csv", index=False)
    (folder / "run.toml").write_text(SETTINGS)
    (folder / "printed.jsonl").write_text(run_python(source_tree, LEARN, cwd=folder))
    return folder


@pytest.fixture(scope="module")
def printed(folder: Path) -> list[dict[str, Any]]:
    """What map, check, train and score printed."""
    return [json.loads(line) for line in (folder / "printed.jsonl").read_text().splitlines()]


@pytest.fixture(scope="module")
def answers(source_tree: Path, folder: Path) -> dict[str, Any]:
    """What a service with the model answers."""
    found: dict[str, Any] = json.loads(run_python(source_tree, PREDICT, cwd=folder))
    return found


def test_a_variable_takes_one_file(source_tree: Path) -> None:
    assert changed_files(source_tree) == {FILE}


def test_it_is_simulated_as_missing_and_moves_no_other_column(folder: Path) -> None:
    drawn = pd.read_csv(folder / "drawn.csv")
    assert drawn.pop("cathepsin_k").isna().all()
    before = with_marks(simulate(PATIENTS, seed=3).cohort, "published")
    before.to_csv(folder / "before.csv", index=False)
    pd.testing.assert_frame_equal(drawn, pd.read_csv(folder / "before.csv"))


def test_a_header_that_its_synonyms_explain_is_mapped(folder: Path) -> None:
    drafted = (folder / "laboratory.toml").read_text()
    assert '[columns."CTSK (pg/mL)"]\nvariable = "cathepsin_k"\nunit = "pg/mL"\n' in drafted


def test_it_is_checked_learned_and_reported(printed: list[dict[str, Any]], folder: Path) -> None:
    _, checked, trained, scored = printed
    assert checked["fatal"] == []
    assert scored["rows"] == 2 * PATIENTS
    assert "Cathepsin K" in Path(trained["report"]).read_text()
    explained = pd.read_csv(folder / "scored.csv")
    assert any("cathepsin_k" in column for column in explained)


def test_it_is_answered_with_its_unit_its_warning_and_its_caution(answers: dict[str, Any]) -> None:
    (answer,) = answers["prediction"]["predictions"]
    (moved,) = [c for c in answer["risks"][0]["contributions"] if c["variable"] == "cathepsin_k"]
    assert (moved["value"], moved["unit"]) == (pytest.approx(92.5), "pg/mL")
    assert "For cathepsin K, kits disagree." in answer["risks"][0]["sentences"]
    warnings = {one["code"]: one["variables"] for one in answer["warnings"]}
    assert warnings["biotin"] == ["cathepsin_k"]
    assert [(one["field"], one["rule"]) for one in answers["refused"]] == [
        ("measurements[0].unit", "unit")
    ]


def test_it_is_listed_and_can_be_entered(answers: dict[str, Any]) -> None:
    (listed,) = [one for one in answers["variables"] if one["name"] == "cathepsin_k"]
    assert listed["codes"][0]["code"] == "cathepsin_k"
    assert listed["window"] == "last value at or before time zero"
    assert "Cathepsin K" in answers["page"]
