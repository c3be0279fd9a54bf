"""RHC by file: all given rows are learned from, and an independent script judges the others."""

import ast
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from training.benchmark import outside_judge, rhc_by_file
from training.benchmark.curves import OSTEON
from training.benchmark.outside_judge import DAYS, fit_forest, judge_risks
from training.benchmark.run_benchmark import run_benchmark
from training.cli.tables import show_benchmark
from training.datasets.registry import load_dataset


def small(name: str):
    """As many patients as a forest and Osteon fit in seconds."""
    cohort = load_dataset(name)
    rows = np.random.default_rng(0).choice(len(cohort), size=400, replace=False)
    return cohort.take(np.sort(rows))


@pytest.fixture
def few_rows(monkeypatch):
    monkeypatch.setattr(rhc_by_file, "load_dataset", small)
    monkeypatch.setattr(rhc_by_file, "LEARNED_ROWS", 280)
    monkeypatch.setitem(outside_judge.FOREST, "n_estimators", 20)
    monkeypatch.setattr("os.cpu_count", lambda: 1)


def test_every_model_learns_from_all_rows_and_is_judged_on_the_same_others(few_rows, capsys):
    result = run_benchmark("rhc-by-file", repeats=2)
    found = result.as_json()
    assert "all 280 rows of the first" in found["protocol"]
    assert "the 120 of the second" in found["protocol"]
    models = [OSTEON, "random survival forest", "XGBoost survival:cox"]
    assert [row["model"] for row in found["rows"]] == models
    for row in found["rows"]:
        assert 0.5 < row["c"] < 0.85
        assert 0.1 < row["ibs"] < 0.3
        assert list(row["auc"]) == ["30", "90", "180"]
    rows = {row["model"]: row for row in found["rows"]}
    for gap in found["differences"]:
        assert gap["low"] <= gap["estimate"] <= gap["high"]
        if gap["metric"] in ("c", "ibs"):
            difference = rows[OSTEON][gap["metric"]] - rows[gap["model"]][gap["metric"]]
            assert gap["estimate"] == pytest.approx(difference)
    show_benchmark(result)
    assert "random survival forest" in capsys.readouterr().out


def test_the_outside_script_imports_none_of_our_code():
    tree = ast.parse(Path(outside_judge.__file__).read_text())
    imported = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            imported |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            imported.add((node.module or "").split(".")[0])
    others = {"numpy", "pandas", "sklearn", "sksurv", "xgboost"}
    assert imported <= {*sys.stdlib_module_names, *others}


def test_risks_that_know_the_outcome_are_judged_as_perfect(tmp_path):
    rng = np.random.default_rng(0)
    time = np.append(np.arange(1.0, 400.0), 1000.0)
    event = np.append(np.ones(399), 0)
    rows = pd.DataFrame({"x": rng.normal(size=400), "time_days": time, "event": event})
    rows.to_csv(tmp_path / "rows.csv", index=False)
    days = np.union1d([10.5, 60.5, 300.5], DAYS)
    known = (time[:, None] <= days).astype(float)
    risks = tmp_path / "risks.csv"
    pd.DataFrame(known, columns=[repr(float(day)) for day in days]).to_csv(risks, index=False)
    perfect = judge_risks(tmp_path / "rows.csv", tmp_path / "rows.csv", risks)
    assert perfect.ibs == pytest.approx(0, abs=1e-12)
    assert all(area == pytest.approx(1) for area in perfect.auc.values())
    pd.DataFrame(1 - known, columns=[repr(float(day)) for day in days]).to_csv(risks, index=False)
    worst = judge_risks(tmp_path / "rows.csv", tmp_path / "rows.csv", risks)
    assert worst.c == pytest.approx(1 - perfect.c)
    assert worst.ibs > 0.9


def test_a_forest_s_risks_rise_with_the_days(few_rows, tmp_path):
    cohort = small("rhc")
    path = tmp_path / "rows.csv"
    cohort.features.assign(time_days=cohort.outcome.time_days, event=cohort.outcome.event).to_csv(
        path, index=False
    )
    risk = fit_forest(path, path, np.array([0.5, 30.0, 90.0, 180.0]))
    assert (risk[:, 0] == 0).all()
    assert (np.diff(risk, axis=1) >= 0).all()
