"""Peers learn from the training cohort alone and return risks that grow with time."""

import numpy as np
import pandas as pd
import pytest

from data_schema.cohort import Cohort, OutcomeData
from data_schema.errors import DataError
from data_schema.variables import Variable
from training.benchmark.peers import FOREST, PEERS, breslow

N = 200
DAYS = [1.0, 5.0, 20.0, 1e4]


def cohort_of(seed: int, *, group: tuple[str, ...] = ("a", "b")) -> Cohort:
    """Half of the hazard comes from `x`, a third of which is missing; group b dies faster."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=N)
    kind = rng.choice(group, size=N).astype(object)
    time = rng.exponential(20 / np.exp(x + (kind == "b")))
    censored = rng.exponential(40, size=N)
    x[rng.random(N) < 1 / 3] = np.nan
    ids = np.array([f"p{i}" for i in range(N)], dtype=object)
    return Cohort(
        features=pd.DataFrame({"x": x, "skewed": np.exp(2 * rng.normal(size=N)), "group": kind}),
        variables={
            "x": Variable("x", "X", "severity"),
            "skewed": Variable("skewed", "Skewed", "severity"),
            "group": Variable("group", "Group", "person", "category"),
        },
        patient_id=ids,
        stay_id=ids,
        outcome=OutcomeData(
            "mortality", np.minimum(time, censored), (time <= censored).astype(np.int64)
        ),
    )


@pytest.fixture(scope="module")
def train() -> Cohort:
    return cohort_of(1)


@pytest.fixture(scope="module", params=PEERS)
def predict(request, train):
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(FOREST, "n_jobs", 1)
        return PEERS[request.param](train)


def test_risks_lie_in_the_unit_interval_and_never_fall_with_time(predict):
    risk = predict(cohort_of(2), DAYS)
    assert risk.shape == (N, len(DAYS))
    assert risk.min() >= 0
    assert risk.max() <= 1
    assert (np.diff(risk, axis=1) >= 0).all()


def test_higher_risk_goes_to_those_who_die_faster(predict):
    test = cohort_of(3)
    risk = predict(test, [20.0])[:, 0]
    # The true log hazard ratio between the groups is 1.
    assert risk[test.features["group"] == "b"].mean() > risk[test.features["group"] == "a"].mean()


def test_a_patient_s_risk_does_not_depend_on_who_else_is_asked_about(predict):
    test = cohort_of(4)
    alone = predict(test.take(np.arange(1)), DAYS)
    np.testing.assert_allclose(alone, predict(test, DAYS)[:1], rtol=1e-6)


def test_an_unseen_category_is_no_error(predict):
    assert np.isfinite(predict(cohort_of(5, group=("a", "new")), DAYS)).all()


def test_the_same_cohort_gives_the_same_peer(train):
    again = [PEERS["XGBoost survival:cox + Breslow"](train)(train, DAYS) for _ in range(2)]
    np.testing.assert_array_equal(*again)


def test_breslow_without_covariates_is_nelson_aalen():
    outcome = OutcomeData("mortality", np.array([1.0, 2, 2, 3]), np.array([1, 1, 0, 1]))
    hazard = breslow(outcome, np.zeros(4))
    np.testing.assert_allclose(hazard([0.5, 1, 2.5, 9]), [0, 1 / 4, 1 / 4 + 1 / 3, 1 / 4 + 4 / 3])


def test_a_cohort_without_events_is_refused(train):
    silent = OutcomeData("mortality", train.outcome.time_days, np.zeros(N, dtype=np.int64))
    nobody = Cohort(train.features, train.variables, train.patient_id, train.stay_id, silent)
    with pytest.raises(DataError, match="at least one event"):
        PEERS["Cox"](nobody)
