"""A run that holds patients out: what is judged, what is registered, and what the report says."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

# MLflow 3.17 warns about its own code under SQLAlchemy 2.1 and pandas 3; it answers right.
pytestmark = pytest.mark.filterwarnings("ignore:::mlflow")

SETTINGS = """
simulated = true
horizons_days = [90]
max_trees = 5
interval_folds = 3
bootstrap_resamples = 50
threads = 1
"""


def trained(workplace: Any, simulated: Any, *options: str) -> dict[str, Any]:
    table = simulated(150, 3)
    table["site"] = np.where(np.arange(150) < 100, "A", "B")
    table.to_csv(workplace.folder / "cohort.csv", index=False)
    (workplace.folder / "run.toml").write_text(SETTINGS)
    answer = workplace.run(
        *("train", "cohort.csv", "--outcome", "mortality", "--config", "run.toml", "--json"),
        *options,
    )
    assert answer.code == 0, answer.err
    result: dict[str, Any] = answer.json
    return result


def texts(result: dict[str, Any]) -> tuple[str, str]:
    folder = Path(result["report"]).parent
    return (folder / "report.html").read_text(), (folder / "model_card.md").read_text()


def test_patients_held_out_on_request_are_learned_from_afterwards(
    workplace: Any, simulated: Any
) -> None:
    result = trained(workplace, simulated, "--split", "site")
    assert (result["n_train"], result["n_evaluated"]) == (150, 50)
    assert result["evaluation"] == {
        "method": "hold-out",
        "split": "site",
        "folds": 1,
        "repeats": 1,
        "refitted": True,
    }
    for text in texts(result):
        assert (
            "Performance of the procedure, in 50 patients held out by site: the last in the order "
            "of their names; the registered model learned from all 150 patients afterwards." in text
        )
        assert "was fitted to all patients, by the procedure that was evaluated" in text


def test_no_refit_registers_the_model_that_was_judged(workplace: Any, simulated: Any) -> None:
    result = trained(workplace, simulated, "--test-fraction", "0.3", "--no-refit")
    assert result["n_train"] + result["n_evaluated"] == 150
    assert result["evaluation"]["refitted"] is False
    for text in texts(result):
        assert (
            f"Performance of the registered model, in {result['n_evaluated']} patients held out at "
            f"random; it learned from the other {result['n_train']}." in text
        )
        assert "not fitted again to all patients" in text


def test_no_refit_without_a_hold_out_is_wrong_usage(workplace: Any, simulated: Any) -> None:
    simulated(60, 3).to_csv(workplace.folder / "cohort.csv", index=False)
    answer = workplace.run("train", "cohort.csv", "--outcome", "mortality", "--no-refit")
    assert answer.code == 2
    assert "refit_on_all must be true unless patients are held out" in answer.err


@pytest.mark.slow
def test_tuning_never_sees_a_patient_who_is_held_out(workplace: Any, simulated: Any) -> None:
    table = simulated(150, 3)
    table["site"] = np.where(np.arange(150) < 100, "A", "B")
    died = table["mortality_event"].to_numpy() == 1
    chosen, losses = [], []
    # In the second cohort, a marker gives the outcome away in the patients held out alone.
    for leak in (False, True):
        lactate = table["lactate"].where(table["site"].eq("A") | ~leak, np.where(died, 20.0, 0.4))
        table.assign(lactate=lactate).to_csv(workplace.folder / "cohort.csv", index=False)
        (workplace.folder / "run.toml").write_text(
            f"{SETTINGS}split = 'site'\n[tuning]\ntrials = 4\nstorage = 'sqlite:///tuning.db'\n"
        )
        answer = workplace.run(
            *("train", "cohort.csv", "--outcome", "mortality", "--config", "run.toml", "--json")
        )
        assert answer.code == 0, answer.err
        with workplace.entered():
            from models.registry.lifecycle import load
            from models.registry.tracking import connect

            contract = load(answer.json["model_uri"]).risk_model.contract
            client = connect().MlflowClient()
            run_id = Path(answer.json["report"]).parent.parent.name
            run = client.get_run(run_id)
            trials = client.search_runs(
                [run.info.experiment_id], f"tags.`mlflow.parentRunId` = '{run_id}'"
            )
        assert sorted(trial.info.run_name for trial in trials) == [f"trial {k}" for k in range(4)]
        chosen.append(contract.run["boosting"])
        losses.append(run.data.metrics["tuning/loss"])
        assert losses[-1] <= run.data.metrics["tuning/default_loss"]
    assert chosen[0] == chosen[1]
    assert losses[0] == losses[1]
