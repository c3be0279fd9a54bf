"""The scores of the neutral comparison are those that its authors published."""

import numpy as np
import pandas as pd
import pytest

from data_schema.errors import OutsideError
from training.benchmark.neutral.data import COX, KAPLAN_MEIER, NeutralData
from training.benchmark.neutral.scores import SurvivalTimes, kaplan_meier_isbs, ordered_c
from training.datasets.registry import data_folder


@pytest.fixture(scope="module")
def neutral():
    try:
        return NeutralData.read(data_folder())
    except OutsideError as absent:
        pytest.skip(str(absent))


def of_fold(neutral, name, fold):
    data = neutral.load(name)
    held_out = np.zeros(len(data.features), dtype=bool)
    held_out[data.test_rows[fold]] = True
    return data, held_out


# Days, months and years; gbsg, metabric and wbc1 have times of more than 15 digits.
@pytest.mark.parametrize("name", ["veteran", "grace", "wa_churn", "gbsg", "metabric", "wbc1"])
@pytest.mark.parametrize("fold", [1, 2, 5])
def test_kaplan_meier_s_score_is_the_published_one_in_all_six_decimals(neutral, name, fold):
    data, held_out = of_fold(neutral, name, fold)
    ours = kaplan_meier_isbs(data.outcome.take(~held_out), data.outcome.take(held_out))
    published = neutral.published_by_fold("isbs").loc[(name, fold), KAPLAN_MEIER]
    assert round(ours, 6) == published


# liver and wbc1: a test patient is censored at the time of another's event.
@pytest.mark.parametrize(
    ("name", "fold"), [("veteran", 1), ("veteran", 2), ("veteran", 3), ("liver", 2), ("wbc1", 1)]
)
def test_harrell_s_c_of_an_unpenalised_cox_model_is_the_published_one(neutral, name, fold):
    from sksurv.linear_model import CoxPHSurvivalAnalysis

    data, held_out = of_fold(neutral, name, fold)
    x = pd.get_dummies(data.features, drop_first=True, dtype=float)
    y = np.array(
        list(zip(data.outcome.event == 1, data.outcome.time, strict=True)),
        dtype=[("event", bool), ("time", float)],
    )
    cox = CoxPHSurvivalAnalysis(ties="efron").fit(x[~held_out], y[~held_out])
    ours = ordered_c(data.outcome.take(held_out), cox.predict(x[held_out]))
    published = neutral.published_by_fold("harrell_c").loc[(name, fold), COX]
    assert round(ours, 6) == published


def test_harrell_s_c_agrees_with_a_double_sum_with_ties_in_time_and_in_score():
    rng = np.random.default_rng(0)
    time, score = rng.integers(1, 15, 80).astype(float), rng.integers(0, 6, 80).astype(float)
    event = rng.integers(0, 2, 80)
    pairs = [(i, j) for i in range(80) for j in range(80) if event[i] and time[i] < time[j]]
    agree = [1.0 * (score[i] > score[j]) + 0.5 * (score[i] == score[j]) for i, j in pairs]
    assert ordered_c(SurvivalTimes(time, event), score) == pytest.approx(np.mean(agree), abs=1e-12)


@pytest.mark.parametrize("name", ["e1684", "mgus"])
def test_harrell_s_c_agrees_with_scikit_survival_where_no_censoring_ties_with_an_event(
    neutral, name
):
    from sksurv.metrics import concordance_index_censored

    data, _ = of_fold(neutral, name, 1)
    outcome, score = data.outcome, data.features.iloc[:, 0].to_numpy().round(-1)
    at_events = np.isin(outcome.time, outcome.time[outcome.event == 1]) & (outcome.event == 0)
    outcome, score = outcome.take(~at_events), score[~at_events]
    theirs = concordance_index_censored(outcome.event == 1, outcome.time, score)[0]
    assert ordered_c(outcome, score) == pytest.approx(theirs, abs=1e-12)


def test_every_learner_has_a_score_on_every_fold_of_every_set(neutral):
    isbs, c = (neutral.published_by_fold(measure) for measure in ("isbs", "harrell_c"))
    assert (isbs.shape, c.shape) == ((516, 17), (516, 21))
    assert not isbs.isna().any(axis=None)
    assert not c.isna().any(axis=None)
    folds = {(name, fold) for name, rows in neutral.rows.items() for fold in rows}
    assert set(isbs.index) == set(c.index) == folds
    assert len(neutral.sets()) == 23
