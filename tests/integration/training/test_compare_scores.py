"""A score that tells of the outcome is found to add; the data sets are asked without leaks."""

import numpy as np
import pandas as pd
import pytest

from data_schema.cohort import Cohort
from data_schema.leakage.linter import FATAL_LEAKS, find_leaks
from data_schema.variables import Variable
from training.benchmark.curves import OSTEON, PARTS
from training.benchmark.score_questions import SCORE_QUESTIONS, ScoreQuestion
from training.benchmark.scores import WITHOUT, compare_scores, verdict
from training.datasets.columns import known_at
from training.datasets.registry import data_folder

N = 240


def question() -> ScoreQuestion:
    """The outcome follows `x` and the score, which knows nothing of `x`."""
    rng = np.random.default_rng(3)
    x, score = rng.normal(size=(2, N))
    happened = rng.random(N) < 1 / (1 + np.exp(-3 * (x + score)))
    ids = np.array([f"p{i}" for i in range(N)], dtype=object)
    features = pd.DataFrame({"x": x, "score": score})
    cohort = Cohort(
        features=features,
        variables={name: Variable(name, name, "severity") for name in features},
        patient_id=ids,
        stay_id=ids,
        outcome=known_at("death", pd.Series(happened), 28.0),
    )
    return ScoreQuestion(cohort, ("score",), "Deaths by lot.")


@pytest.fixture(scope="module", autouse=True)
def few_fits_on_one_thread():
    """Threads that wait for each other on a busy machine turn seconds into minutes."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("os.cpu_count", lambda: 1)
        patch.setattr("training.benchmark.scores.FOLDS", 3)
        yield


@pytest.fixture(scope="module")
def telling(few_fits_on_one_thread):
    return compare_scores(question(), repeats=1, random_state=0, progress=lambda _: None)


def test_every_model_has_a_row_with_an_interval(telling):
    models = [row.model for row in telling.rows]
    assert models == [
        OSTEON,
        *PARTS.values(),
        WITHOUT,
        "logistic regression",
        "logistic on score alone",
    ]
    areas = [row.figures for row in telling.rows]
    assert all(area["low"] < area["auroc"] < area["high"] for area in areas)
    assert 0 <= areas[0]["linear_weight"] <= 1
    assert telling.protocol.startswith("Deaths by lot. 1 times 3 folds")


def test_a_score_that_tells_adds(telling):
    (found,) = [one for one in telling.differences if one.verdict]
    assert found.model == WITHOUT
    # Half of what decides is hidden without it.
    assert found.estimate > 0.05
    assert found.verdict == "the scores add"


def test_a_wide_interval_decides_nothing():
    assert verdict(-0.02, 0.02) == "inconclusive"


def test_rhc_is_asked_without_the_columns_that_leak():
    asked = SCORE_QUESTIONS["rhc-score"](None)
    assert asked.scores == ("apache3_aps",)
    assert "5,727 patients of RHC (8 lost" in asked.words
    leaks = find_leaks(
        asked.cohort.features,
        asked.cohort.outcome,
        known_at_time_zero=asked.cohort.features.columns,
    )
    assert not [leak for leak in leaks if leak.rule in FATAL_LEAKS]


@pytest.mark.parametrize("name", ["support2-score", "glow-score"])
def test_scores_of_a_file_stand_beside_the_other_columns(name):
    folder = data_folder()
    if folder is None:
        pytest.skip("no data folder on this machine")
    asked = SCORE_QUESTIONS[name](folder)
    assert set(asked.scores) < set(asked.cohort.features)
    # One patient of SUPPORT2 has no score.
    assert asked.cohort.features[list(asked.scores)].isna().any(axis=1).sum() <= 1
