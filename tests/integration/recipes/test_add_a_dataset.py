"""The recipe "add a data set": one file in `training/datasets/`, its line in the registry, rows."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest

from places import ROOT
from source_trees import run_python

ADAPTER = '''"""Ward study: deaths after transfer from intensive care to a ward (made up)."""

from __future__ import annotations

import numpy as np

from data_schema.biomarkers import VARIABLES
from data_schema.cohort import Cohort, OutcomeData
from training.datasets.columns import Column, adapt_table
from training.datasets.dataset import Dataset, Raw, read_folder

__all__ = ["DATASET"]

_COLUMNS = (
    Column("years", VARIABLES["age"]),
    Column("gender", VARIABLES["sex"], codes={1: "male", 2: "female"}),
    Column("crea_umol", VARIABLES["creatinine"], unit="umol/L"),
)

_DROPPED = {"ward_days": "length of the stay: known only after time zero"}


def adapt(raw: Raw) -> Cohort:
    """Return the ward study as a cohort with time zero at the transfer."""
    return adapt_table(
        raw,
        _COLUMNS,
        identifiers=("id", "days", "died"),
        dropped=_DROPPED,
        patient_id=raw["id"],
        outcome=OutcomeData(
            name="mortality",
            time_days=raw["days"].to_numpy(dtype=np.float64),
            event=raw["died"].to_numpy(dtype=np.int64),
        ),
        name="ward_study",
        population="Made-up adults who left intensive care alive",
    )


DATASET = Dataset(
    name="ward_study",
    read=lambda folder: read_folder(folder, "ward_study/ward.csv"),
    adapt=adapt,
    outcome="mortality",
    time_zero="transfer to the ward",
    source="a test",
    needs_folder=True,
)
'''

ROWS = pd.DataFrame(
    {
        "id": range(10),
        "years": [41, 78, 66, 59, 83, 70, 35, 62, 91, 55],
        "gender": [1, 2] * 5,
        # The last is not a creatinine: no laboratory prints 88 mmol/L.
        "crea_umol": [88.0, 132.6, 70.0, 61.0, 210.0, 95.0, 77.0, 101.0, 120.0, 88_000.0],
        "ward_days": [3, 9, 4, 2, 14, 6, 2, 5, 11, 3],
        "days": [400.0, 12.0, 90.5, 700.0, 3.0, 365.0, 800.0, 250.0, 31.0, 610.0],
        "died": [0, 1, 1, 0, 1, 0, 0, 1, 1, 0],
    }
)

REGISTRY = Path("training/datasets/registry.py")

COMMAND = "import osteon; osteon.main()"

LOAD = """
import json
from training.datasets.registry import load_dataset

cohort = load_dataset("ward_study")
print(json.dumps({
    "features": cohort.features.astype(object).where(cohort.features.notna(), None).to_dict("list"),
    "events": cohort.outcome.event.tolist(),
    "dropped": cohort.dropped,
}))
"""


@pytest.fixture
def with_ward_study(source_tree: Path) -> Path:
    (source_tree / "training/datasets/ward_study.py").write_text(ADAPTER)
    registry = source_tree / REGISTRY
    text = registry.read_text()
    for before, after in (
        ("    support2,\n)", "    support2,\n    ward_study,\n)"),
        (
            '    "mgus2": mgus2.DATASET,\n',
            '    "mgus2": mgus2.DATASET,\n    "ward_study": ward_study.DATASET,\n',
        ),
    ):
        assert text.count(before) == 1
        text = text.replace(before, after)
    registry.write_text(text)
    return source_tree


@pytest.fixture
def data_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A data folder that holds the study's file."""
    folder = tmp_path / "data"
    (folder / "ward_study").mkdir(parents=True)
    ROWS.to_csv(folder / "ward_study" / "ward.csv", index=False)
    monkeypatch.setenv("OSTEON_DATA_DIR", str(folder))
    return folder


def test_the_new_data_set_is_listed(with_ward_study, tmp_path):
    printed = run_python(with_ward_study, COMMAND, "datasets", "--json", cwd=tmp_path)

    listed = {one["name"]: one for one in json.loads(printed)["datasets"]}
    assert listed["ward_study"]["time_zero"] == "transfer to the ward"
    assert listed["ward_study"]["needs_folder"]


def test_the_new_data_set_is_loaded_in_canonical_units(with_ward_study, data_folder, tmp_path):
    cohort = json.loads(run_python(with_ward_study, LOAD, cwd=tmp_path))

    creatinine = cohort["features"]["creatinine"]
    assert creatinine[:2] == pytest.approx([88 / 88.42, 132.6 / 88.42], rel=1e-3)
    assert creatinine[-1] is None
    assert cohort["features"]["sex"][:2] == ["male", "female"]
    assert cohort["events"] == ROWS["died"].tolist()
    assert list(cohort["dropped"]) == ["ward_days"]


def test_the_tests_of_every_data_set_take_in_the_new_one(with_ward_study):
    for place in ("tests/support/places.py", "tests/unit/training/datasets/test_adapters.py"):
        (with_ward_study / place).parent.mkdir(parents=True)
        shutil.copy(ROOT / place, with_ward_study / place)
    fixtures = with_ward_study / "tests/data/datasets"
    shutil.copytree(ROOT / "tests/data/datasets", fixtures)
    ROWS.to_csv(fixtures / "ward_study.csv", index=False)
    arguments = ["-q", "-k", "ward_study", "-o", "pythonpath=. tests/support", "tests/unit"]

    run = subprocess.run(
        [sys.executable, "-m", "pytest", "--import-mode=importlib", "--rootdir=.", *arguments],
        cwd=with_ward_study,
        capture_output=True,
        text=True,
        check=False,
    )

    assert run.returncode == 0, run.stdout
    passed = int(run.stdout.split(" passed")[0].split()[-1])
    assert passed >= 8
