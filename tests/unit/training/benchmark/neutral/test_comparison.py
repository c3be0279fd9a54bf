"""The neutral comparison on a made-up folder: ranks, resumption, failed folds and errors."""

import json

import numpy as np
import pandas as pd
import pytest

from data_schema.errors import OutsideError, UsageError
from training.benchmark.neutral.comparison import NeutralRun, compare_neutral
from training.benchmark.run_benchmark import run_benchmark
from training.cli.tables import show_benchmark

PATIENTS = 150


def table(rng, events: int | None) -> pd.DataFrame:
    """Return patients whose risk rises with x; with missing values and a rare level."""
    x = rng.normal(size=PATIENTS)
    time = rng.exponential(np.exp(-x)).clip(0.01)
    status = (rng.random(PATIENTS) < 0.8).astype(int)
    if events is not None:
        status = (np.arange(PATIENTS) < events).astype(int)
    level = np.where(np.arange(PATIENTS) == 0, "rare", rng.choice(["a", "b"], PATIENTS))
    x[::7] = np.nan
    return pd.DataFrame({"time": time, "status": status, "x": x, "level": level})


@pytest.fixture
def folder(tmp_path):
    """A set that can be fitted and one with too few events, two folds each, three learners."""
    rng = np.random.default_rng(0)
    at = tmp_path / "burk2024"
    at.mkdir()
    folds, scores = [], []
    for name, events in (("good", None), ("scarce", 3)):
        table(rng, events).to_csv(at / f"{name}.csv.gz", index=False)
        for fold in (1, 2):
            rows = np.arange(fold, PATIENTS + 1, 3)
            folds.append(pd.DataFrame({"dataset": name, "fold": fold, "row_id": rows}))
            for learner, tuned, score in (
                ("KM", "harrell_c,isbs", (0.25, 0.5)),
                ("CPH", "harrell_c,isbs", (0.24, 0.55)),
                ("ORSF", "isbs", (0.001, None)),
                ("ORSF", "harrell_c", (None, 0.56)),
            ):
                scores.append((name, learner, tuned, fold, *score))
    columns = ["task_id", "learner_id", "tune_measure", "iteration", "isbs", "harrell_c"]
    pd.concat(folds).to_csv(at / "test_rows.csv.gz", index=False)
    pd.DataFrame(scores, columns=columns).to_csv(at / "published_scores.csv.gz", index=False)
    return tmp_path


def compared(folder, **run):
    lines: list[str] = []
    run = NeutralRun(**{"jobs": 1, "results": folder / "results"} | run)
    comparison = compare_neutral(folder, run, random_state=0, progress=lines.append)
    return comparison, lines


def test_a_failed_fold_is_listed_and_scored_as_kaplan_meier(folder):
    comparison, lines = compared(folder)
    assert comparison.folds == 4
    assert [(f.dataset, f.fold) for f in comparison.failures] == [("scarce", 1), ("scarce", 2)]
    assert "DataError" in comparison.failures[0].failure
    assert sum("could not be fitted" in line for line in lines) == 2
    isbs, c = comparison.measures
    good, scarce = isbs.sets
    # Where x says when the event comes, Osteon is between the best and Cox.
    assert 0.001 < good.osteon < 0.24
    assert (good.best_learner, good.rank) == ("ORSF", 2)
    assert good.gap == pytest.approx(good.osteon - 0.001)
    assert (scarce.osteon, scarce.rank) == (0.25, 3.5)
    assert [row.osteon for row in c.sets][1] == 0.5
    assert c.sets[0].osteon > 0.7
    ours = next(rank for rank in isbs.ranks if rank.learner == "osteon")
    assert (ours.mean_rank, ours.osteon_beside) == (2.75, None)
    assert isbs.cox_difference == pytest.approx(-0.25)


def test_a_stopped_run_continues_with_the_folds_that_have_no_result(folder):
    first, _ = compared(folder, folds=1, sets=("good",))
    (file,) = (folder / "results" / "burk2024").iterdir()
    kept = file.read_text()
    assert file.stem == first.fingerprint
    whole, lines = compared(folder)
    assert lines[0].startswith("burk2024: 1 of 4 folds are in")
    assert file.read_text().startswith(kept)
    assert len(file.read_text().splitlines()) == 4
    again, lines = compared(folder)
    assert len(lines) == 1
    assert again == whole


def test_another_seed_has_results_of_its_own(folder):
    compared(folder, folds=1, sets=("good",))
    run = NeutralRun(folds=1, sets=("good",), jobs=1, results=folder / "results")
    compare_neutral(folder, run, random_state=1, progress=lambda _: None)
    assert len(list((folder / "results" / "burk2024").iterdir())) == 2


def test_the_command_s_result_prints_and_is_json(folder, capsys):
    run = NeutralRun(folds=1, jobs=1, results=folder / "results")
    result = run_benchmark("burk2024", data_dir=folder, neutral=run)
    found = result.as_json()
    assert json.loads(json.dumps(found)) == json.loads(json.dumps(found, allow_nan=False))
    assert [m["measure"] for m in found["measures"]] == ["isbs", "harrell_c"]
    show_benchmark(result)
    printed = capsys.readouterr().out
    assert "Critical difference of two mean ranks (Nemenyi, 5 %)" in printed
    assert "Folds that could not be fitted: 1 of 2." in printed
    assert found["fingerprint"] in printed


def test_absent_data_are_answered_with_what_to_do(tmp_path):
    with pytest.raises(OutsideError, match=r"burk2024/published_scores.*OSTEON_DATA_DIR"):
        run_benchmark("burk2024", data_dir=tmp_path)


def test_options_that_do_not_belong_together_are_refused(folder):
    with pytest.raises(UsageError, match="takes folds and not repeats"):
        run_benchmark("burk2024", repeats=2, data_dir=folder)
    with pytest.raises(UsageError, match="belong to burk2024; got rhc"):
        run_benchmark("rhc", neutral=NeutralRun(folds=1))
    with pytest.raises(UsageError, match="sets must be of good, scarce; got lung"):
        compared(folder, sets=("lung",))
    with pytest.raises(UsageError, match="folds must be at least 1; got 0"):
        compared(folder, folds=0)
