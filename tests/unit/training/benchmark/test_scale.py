"""`osteon benchmark --scale` measures each figure once, and goes on where it was stopped."""

from __future__ import annotations

import ast
from dataclasses import replace
from pathlib import Path

import pytest

from data_schema.errors import UsageError
from places import ROOT
from training.benchmark.scale import (
    STUDIES,
    ScaleRow,
    Study,
    machine_of_scale,
    measure_scale,
    processor,
)
from training.benchmark.stored_results import ResultFile

SCRIPT = """
import json, sys
with open(sys.argv[1], "a") as file:
    file.write("run\\n")
reached = int(sys.argv[2]) < 100
print(json.dumps({"machine": "any", "rows": int(sys.argv[2]), "reached": reached}))
sys.exit(0 if reached else 1)
"""


@pytest.fixture
def runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a file that gets a line whenever the script of the test runs."""
    (tmp_path / "script.py").write_text(SCRIPT)
    monkeypatch.setattr("training.benchmark.scale._SCRIPTS", tmp_path)
    return tmp_path / "runs"


def study(runs: Path, patients: int) -> Study:
    return Study("any", "script", (str(runs), "{patients}"), patients, "under 100", ("rows",))


def test_a_figure_is_measured_once_and_a_missed_target_is_shown(runs: Path, tmp_path: Path) -> None:
    studies = (study(runs, 50), study(runs, 200))
    first = measure_scale(tmp_path / "results", studies=studies)
    again = measure_scale(tmp_path / "results", studies=studies)
    assert [(row.patients, row.reached) for row in first] == [(50, True), (200, False)]
    assert again == first
    assert runs.read_text() == "run\n" * 2


def test_a_smaller_size_is_another_figure(runs: Path, tmp_path: Path) -> None:
    (whole,) = measure_scale(tmp_path / "results", studies=(study(runs, 200),))
    (part,) = measure_scale(tmp_path / "results", studies=(study(runs, 200),), size=0.1)
    assert (whole.measured["rows"], part.measured["rows"]) == (200, 20)
    assert part.reached
    assert runs.read_text() == "run\n" * 2


def test_a_trial_run_has_as_many_patients_as_the_script_needs(runs: Path, tmp_path: Path) -> None:
    few = replace(study(runs, 200), fewest=30)
    (row,) = measure_scale(tmp_path / "results", studies=(few,), size=0.1)
    assert row.patients == row.measured["rows"] == 30


def test_a_script_that_fails_is_no_figure_and_ends_no_other(runs: Path, tmp_path: Path) -> None:
    broken = Study("any", "script", (str(runs),), 0, "", ("rows",))
    studies = (broken, study(runs, 50))

    failed, other = measure_scale(tmp_path / "results", studies=studies)

    assert (failed.failed, failed.reached) == (True, False)
    assert (other.failed, other.reached) == (False, True)
    assert failed.in_words() == "not measured: script ended with 1; run the command again"
    assert [row["command"] for row in ResultFile(*(tmp_path / "results").iterdir()).read()] == [
        ["script", str(runs), "50"]
    ]


@pytest.mark.parametrize("size", [0.0, 1.5])
def test_a_size_must_be_a_share(runs: Path, tmp_path: Path, size: float) -> None:
    with pytest.raises(UsageError, match="size must be above 0"):
        measure_scale(tmp_path, size=size)


def test_scripts_and_what_is_shown_of_them_exist() -> None:
    for figure in STUDIES:
        path = ROOT / "tests" / "benchmark" / f"{figure.script}.py"
        text = path.read_text()
        assert figure.arguments[0] in text
        keys = {
            node.value
            for node in ast.walk(ast.parse(text))
            if isinstance(node, ast.Constant) and isinstance(node.value, str)
        }
        assert {*figure.shown, "reached"} <= keys


def test_the_machine_is_named() -> None:
    machine = machine_of_scale()
    assert {"processor", "cores", "memory_gib", "python", "xgboost"} <= set(machine)
    assert machine["processor"] == processor() != ""


def test_figures_are_shown_to_three_digits() -> None:
    measured = {"times": 1.08843883, "gained": [0.00183, 0.00501], "kills": 2, "runs": "not shown"}
    row = ScaleRow("any", "under 100", 0, True, measured, ("times", "gained", "kills"))
    assert row.in_words() == "times 1.09; gained 0.00183 0.00501; kills 2"
