"""The benchmark puts every model on the same patients and reports what the contract names."""

import json
import shutil

import numpy as np
import pandas as pd
import pytest

from data_schema.errors import DataError, UsageError
from training.benchmark import at_one_horizon as compare_auroc
from training.benchmark import run_benchmark as benchmark
from training.benchmark.competing_peers import COMPETING_FOREST, COMPETING_PEERS
from training.benchmark.curves import OSTEON, PARTS, evaluation_grid
from training.benchmark.peers import FOREST, PEERS
from training.benchmark.run_benchmark import COMPARATORS, machine, run_benchmark
from training.cli.tables import show_benchmark
from training.datasets.registry import load_dataset

SMALL = 200


def small(name: str, *_):
    """A few hundred patients, so that two splits of every model take seconds."""
    cohort = load_dataset(name)
    rows = np.random.default_rng(0).choice(len(cohort), size=SMALL, replace=False)
    return cohort.take(np.sort(rows))


@pytest.fixture(scope="module", autouse=True)
def one_thread():
    """Threads that wait for each other on a busy machine turn seconds into minutes."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("os.cpu_count", lambda: 1)
        patch.setitem(FOREST, "n_jobs", 1)
        patch.setitem(COMPETING_FOREST, "n_jobs", 1)
        yield


@pytest.fixture(scope="module")
def result(one_thread):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(benchmark, "load_dataset", small)
        progress: list[str] = []
        found = run_benchmark("framingham", repeats=2, progress=progress.append).as_json()
    return found, progress


def test_every_model_has_a_row_with_what_the_contract_names(result):
    found, _ = result
    assert list(found) == ["dataset", "protocol", "repeats", "machine", "rows", "differences"]
    assert [r["model"] for r in found["rows"]] == [OSTEON, *PARTS.values(), *PEERS]
    quartiles = evaluation_grid(small("framingham").outcome).quartiles
    for row in found["rows"]:
        assert 0.5 < row["c"] < 1
        assert 0 < row["ibs"] < 0.25
        assert list(row["auc"]) == list(row["ipa"]) == [f"{day:g}" for day in quartiles]
        assert row["fit_seconds"] > 0
    assert found["rows"][0]["fold_fit_seconds"] > 0
    assert found["rows"][0]["explain_rows_per_second"] > 0


def test_a_difference_is_osteon_minus_the_other_with_an_interval(result):
    found, _ = result
    rows = {row["model"]: row for row in found["rows"]}
    for d in found["differences"]:
        if d["metric"] in ("c", "ibs"):
            gap = rows[OSTEON][d["metric"]] - rows[d["model"]][d["metric"]]
            assert d["estimate"] == pytest.approx(gap, abs=1e-12)
        assert d["low"] <= d["estimate"] <= d["high"]
    assert {d["model"] for d in found["differences"]} == set(rows) - {OSTEON}


def test_the_result_is_json_and_the_protocol_says_what_was_done(result):
    found, _ = result
    assert json.loads(json.dumps(found, allow_nan=False)) == found
    assert found["protocol"].startswith("2 random splits")


def test_progress_is_told_in_one_line_per_fit(result):
    _, progress = result
    assert progress[0] == "split 1 of 2: osteon"
    assert len(progress) == 2 * (1 + len(PEERS))


def test_the_machine_is_described_without_the_name_of_a_host(monkeypatch):
    monkeypatch.setattr("platform.node", lambda: "a-host")
    monkeypatch.setattr("socket.gethostname", lambda: "a-host")
    assert "a-host" not in json.dumps(machine())
    assert machine()["cores"] >= 1


def test_no_split_at_all_is_refused():
    with pytest.raises(UsageError, match="at least 1"):
        run_benchmark("support2", repeats=0)


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("Rscript") is None, reason="R is not installed")
def test_with_a_competing_event_each_event_is_judged_by_peers_that_know_of_both(
    monkeypatch, capsys
):
    cohort = load_dataset("mgus2")
    events = np.flatnonzero(cohort.outcome.event == 1)
    monkeypatch.setattr(
        benchmark, "load_dataset", lambda *_: cohort.take(np.union1d(events, np.arange(300)))
    )
    monkeypatch.setattr("training.benchmark.curves.FOLDS", 2)
    result = run_benchmark("mgus2", repeats=1)
    found = result.as_json()
    models = [OSTEON, *PARTS.values(), *COMPETING_PEERS]
    assert [(r["outcome"], r["model"]) for r in found["rows"]] == [
        (outcome, model)
        for outcome in ("progression", "death without progression")
        for model in models
    ]
    assert "progression: 1 times 2 folds of patients" in found["protocol"]
    show_benchmark(result)
    printed = capsys.readouterr().out
    assert "\nprogression:\n" in printed
    assert "\ndeath without progression:\n" in printed
    assert {gap["outcome"] for gap in found["differences"]} == {r["outcome"] for r in found["rows"]}
    # Death is the outcome of most, so its days come earlier and its risks are higher.
    (progression, *_), (death, *_) = found["rows"][:6], found["rows"][6:]
    assert list(progression["auc"]) != list(death["auc"])
    assert death["c"] > 0.6
    for row in found["rows"][:6]:
        assert list(row["brier"]) == list(row["auc"])
        assert all(0 < brier < 0.3 for brier in row["brier"].values())
        assert 0.5 < row["c"] < 0.8
        assert 0.4 < row["c_td"] < 0.85
        assert -0.2 < row["ipa_over_time"] < 0.2
        assert list(row["c_ipcw"]) == list(row["auc"])
        assert all(0.4 < c < 0.85 for c in row["c_ipcw"].values())
        # Better than no model in none of them by much, worse in none of them by much.
        assert all(-0.2 < ipa < 0.2 for ipa in row["ipa"].values())


@pytest.fixture
def physicians_of_a_few(monkeypatch):
    """SUPPORT2's first patients with made-up estimates, a third of them unrecorded."""
    cohort = small("support2")
    rng = np.random.default_rng(1)
    estimates = rng.random((SMALL, 2))
    estimates[rng.random(SMALL) < 1 / 3, 1] = np.nan
    beside = pd.DataFrame(estimates, columns=["surv6m", "prg6m"]).assign(aps=40.0)
    monkeypatch.setattr(compare_auroc, "load_dataset", lambda name: cohort)
    monkeypatch.setattr(compare_auroc, "support2_comparators", lambda folder: beside)
    return cohort, beside


def test_osteon_and_the_physicians_are_judged_on_the_same_patients(
    physicians_of_a_few, monkeypatch
):
    _, beside = physicians_of_a_few
    monkeypatch.setattr(compare_auroc, "FOLDS", 3)
    found = run_benchmark(COMPARATORS).as_json()
    ours, model, physicians = found["rows"]
    assert f"Judged on the {beside.notna().all(axis=1).sum()} patients" in found["protocol"]
    # Random estimates rank nobody; Osteon, out of fold, does.
    assert ours["auroc"] > 0.65 > max(model["auroc"], physicians["auroc"])
    for d, row in zip(found["differences"], (model, physicians), strict=True):
        assert d["estimate"] == pytest.approx(ours["auroc"] - row["auroc"])
        assert d["low"] < d["estimate"] < d["high"]


def test_an_outcome_unknown_at_six_months_is_refused(physicians_of_a_few):
    cohort, _ = physicians_of_a_few
    cohort.outcome.event[0], cohort.outcome.time_days[0] = 0, 10.0
    with pytest.raises(DataError, match="1 of 200 are not"):
        run_benchmark(COMPARATORS)


def test_an_outcome_at_one_horizon_is_compared_by_area_with_scores_beside(monkeypatch):
    rng = np.random.default_rng(2)
    table = pd.read_csv("tests/data/datasets/glow.csv").sample(150, replace=True, random_state=0)
    table = table.reset_index(drop=True).assign(
        sub_id=range(150),
        age=rng.normal(70, 8, 150).round(),
        fracscore=rng.integers(0, 11, 150),
        fracture=rng.permutation(["Yes"] * 40 + ["No"] * 110),
    )
    monkeypatch.setattr("training.datasets.glow.read_folder", lambda folder, file: table)
    found = run_benchmark("glow", repeats=1).as_json()
    models = [row["model"] for row in found["rows"]]
    assert models == [OSTEON, *PARTS.values(), "logistic regression", "fracscore"]
    assert 0 <= found["rows"][0]["linear_weight"] <= 1
    # A fracture that is drawn by lot is not predictable: nothing leaks from train to test.
    assert all(0.3 < row["auroc"] < 0.7 for row in found["rows"])


def test_a_slip_in_a_name_is_answered_with_every_name():
    with pytest.raises(UsageError, match=r"flchain-xgbse.*Did you mean support2-dsm"):
        run_benchmark("suport2-dsm")
