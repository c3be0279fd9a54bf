"""The search for settings of the boosted part."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import optuna
import pandas as pd
import pytest

from data_schema.biomarkers import VARIABLES
from data_schema.cohort import Cohort, OutcomeData
from data_schema.errors import OutsideError
from training.config import RunConfig, Tuning
from training.tuning import Trial, Tuned, tune

CONFIG = RunConfig(test_fraction=0.3, max_trees=5, threads=1)
TRIALS = 2


@pytest.fixture(scope="module")
def cohort(patients: pd.DataFrame) -> Cohort:
    """150 patients; those with much lactate die early."""
    features = patients[["age", "lactate", "albumin"]].head(150).reset_index(drop=True)
    rng = np.random.default_rng(2)
    rate = np.exp(features["lactate"].fillna(1.6).to_numpy()) / 400
    days = rng.exponential(1 / rate).clip(0.5, 400).round(1)
    identifiers = np.array([f"p{n}" for n in range(150)], dtype=object)
    return Cohort(
        features=features,
        not_done=None,
        variables={name: VARIABLES[name] for name in features},
        patient_id=identifiers,
        stay_id=identifiers,
        outcome=OutcomeData("mortality", days, (days < 400).astype(np.int64), None),
        site=None,
        time_zero=None,
        dropped={},
    )


def search(cohort: Cohort, storage: Path, stop_after: int | None = None) -> Tuned:
    def stop(task: str, done: int, _: int) -> None:
        if task == "tuning" and done == stop_after:
            raise KeyboardInterrupt

    tuning = Tuning(TRIALS, f"sqlite:///{storage}")
    return tune(cohort, (28.0, 90.0), CONFIG, tuning, progress=stop)


@pytest.fixture(scope="module")
def undisturbed(cohort: Cohort, tmp_path_factory: pytest.TempPathFactory) -> Tuned:
    return search(cohort, tmp_path_factory.mktemp("tuning") / "undisturbed.db")


def test_the_defaults_stay_unless_others_have_a_lower_loss(undisturbed):
    assert undisturbed.trials[0].boosting == CONFIG.boosting
    assert undisturbed.loss <= undisturbed.default_loss
    assert (undisturbed.loss == undisturbed.default_loss) == (
        undisturbed.boosting == CONFIG.boosting
    )
    assert len({trial.boosting for trial in undisturbed.trials}) == TRIALS


def test_a_search_that_was_killed_ends_like_another(cohort, undisturbed, tmp_path):
    storage = tmp_path / "killed.db"
    with pytest.raises(KeyboardInterrupt):
        search(cohort, storage, stop_after=1)
    # What a kill in mid-trial leaves behind.
    (summary,) = optuna.get_all_study_summaries(f"sqlite:///{storage}")
    study = optuna.load_study(study_name=summary.study_name, storage=f"sqlite:///{storage}")
    study.ask()
    reported: list[Trial] = []

    resumed = tune(
        cohort,
        (28.0, 90.0),
        CONFIG,
        Tuning(TRIALS, f"sqlite:///{storage}"),
        on_trial=reported.append,
    )

    assert resumed == undisturbed
    assert reported == [*resumed.trials]


def test_a_search_of_other_patients_is_not_continued(cohort, tmp_path):
    storage = tmp_path / "both.db"
    for patients in (cohort, cohort.take(np.arange(120))):
        with pytest.raises(KeyboardInterrupt):
            search(patients, storage, stop_after=1)

    studies = optuna.get_all_study_summaries(f"sqlite:///{storage}")

    assert sorted(study.n_trials for study in studies) == [1, 1]
    assert studies[0].study_name != studies[1].study_name


def test_a_storage_that_cannot_be_opened_is_named(cohort, tmp_path):
    with pytest.raises(OutsideError, match=r"tuning.storage could not be opened"):
        search(cohort, tmp_path / "no folder" / "x.db")
