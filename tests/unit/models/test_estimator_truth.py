"""Known truths recovered, and outcomes that are known, compete or could not be observed."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy.special import expit
from sklearn.base import clone

from data_schema.errors import DataError
from linear_truth import (
    HORIZONS,
    SMALL,
    odds_of_linear_truth,
    small_cohort,
    times_of_linear_truth,
    true_risk,
)
from models.estimator import CumulativeIncidenceModel
from models.fitting import censoring_strata
from models.inference.risk_model import InferenceError
from models.targets import survival_target


def test_a_known_linear_truth_is_recovered() -> None:
    frame, eta = odds_of_linear_truth(1_000, seed=10)
    time = times_of_linear_truth(eta, seed=11)
    censored = np.random.default_rng(12).uniform(20, 500, len(eta))
    y = survival_target(np.minimum(time, censored), (time <= censored).astype(int))

    model = CumulativeIncidenceModel(horizons_days=HORIZONS, **SMALL).fit(frame, y)

    new, eta_new = odds_of_linear_truth(500, seed=13)
    error = np.abs(model.predict_risk(new) - true_risk(eta_new, HORIZONS))
    # A logistic regression of 1,000 known outcomes has a standard error of about .02 here.
    assert error.mean() < 0.03


def test_a_known_truth_is_recovered_where_another_event_competes() -> None:
    frame, eta = odds_of_linear_truth(1_000, seed=20)
    time = times_of_linear_truth(eta, seed=21)
    rng = np.random.default_rng(22)
    # A patient with the event due after day 365 dies of another cause before.
    competing = time > 365
    time = np.where(competing, rng.uniform(1, 365, len(eta)), time)
    censored = rng.uniform(20, 700, len(eta))
    event = np.where(time > censored, 0, np.where(competing, 2, 1))
    y = survival_target(np.minimum(time, censored), event)

    model = CumulativeIncidenceModel(horizons_days=HORIZONS, **SMALL).fit(frame, y)

    new, eta_new = odds_of_linear_truth(500, seed=23)
    error = np.abs(model.predict_risk(new) - true_risk(eta_new, HORIZONS))
    assert error.mean() < 0.03  # as above
    assert model.risk_model_.contract.competing == "death"


def test_a_competing_event_counts_as_known_never_to_have_the_event() -> None:
    frame, _ = odds_of_linear_truth(400, seed=30)
    event = np.repeat([1, 2], [120, 280])
    time = np.random.default_rng(31).permutation(np.linspace(1, 100, 400))

    model = CumulativeIncidenceModel(horizons_days=(50.0, 100.0), **SMALL)
    model.fit(frame, survival_target(time, event))

    # 120 of 400; counting the others as censored would give a risk near 1.
    assert model.predict_risk(frame, [100.0]).mean() == pytest.approx(0.3, abs=0.02)


def test_survivors_censored_exactly_at_a_horizon_do_not_push_its_risk_to_one() -> None:
    frame, eta = odds_of_linear_truth(400, seed=40)
    time = times_of_linear_truth(eta, seed=41)
    y = survival_target(np.minimum(time, 180.0), (time <= 180).astype(int))

    model = CumulativeIncidenceModel(horizons_days=HORIZONS, **SMALL).fit(frame, y)

    risk = model.predict_risk(frame, [170.0, 180.0]).mean(0)
    # Affine recalibration with a free intercept reproduces the share out of fold, not exactly here.
    assert risk[1] == pytest.approx((time <= 180).mean(), abs=0.02)
    assert risk[1] - risk[0] < 0.02


def test_an_outcome_known_at_one_horizon_gives_that_horizon_alone() -> None:
    frame, eta = odds_of_linear_truth(300, seed=50)
    died = np.random.default_rng(51).random(300) < expit(eta)
    y = survival_target(np.full(300, 180.0), died.astype(int))

    model = CumulativeIncidenceModel(horizons_days=(180.0,), fixed_horizon=True, **SMALL)
    model.fit(frame, y)

    risk = model.predict_risk(frame)
    assert model.risk_model_.contract.grid_days == (180.0,)
    assert np.abs(risk[:, 0] - expit(eta)).mean() < 0.06  # 300 known outcomes, standard error .03
    with pytest.raises(InferenceError, match="must lie in 180-180 days"):
        model.predict_risk(frame, [90.0])


def test_a_horizon_that_too_few_were_observed_for_is_refused() -> None:
    frame, _ = odds_of_linear_truth(200, seed=60)
    time = np.linspace(1, 200, 200)
    y = survival_target(time, np.arange(200) % 4 == 0)  # G is about the share left to the 3/4

    with pytest.raises(DataError, match=r"at least 5% of patients; 199\.9, 300 days are not"):
        CumulativeIncidenceModel(horizons_days=(50.0, 199.9, 300.0), **SMALL).fit(frame, y)


def test_fewer_than_ten_patients_with_the_event_are_refused() -> None:
    frame, y = small_cohort()
    rare = y.copy()
    rare["event"] = 0
    rare["event"][:9] = 1

    with pytest.raises(DataError, match=r"at least 10 patients with the event .*; got 9 and 11\d"):
        CumulativeIncidenceModel(horizons_days=HORIZONS, **SMALL).fit(frame, rare)


def test_ten_events_of_one_patient_are_one_patient_with_the_event() -> None:
    frame, y = small_cohort()
    rare = y.copy()
    rare["event"] = 0
    rare["event"][:20] = 1
    groups = np.arange(len(y))
    groups[:20] = 0

    with pytest.raises(DataError, match=r"got 1 and 10\d"):
        CumulativeIncidenceModel(horizons_days=HORIZONS, **SMALL).fit(frame, rare, groups=groups)


def late_comers() -> tuple[pd.DataFrame, np.ndarray, np.ndarray]:
    """Return two groups, of which that of higher risk was followed up for less time."""
    rng = np.random.default_rng(100)
    early = np.repeat([True, False], 400)
    eta = np.where(early, 0.5, -1.0)
    time = times_of_linear_truth(eta, 101)
    censored = rng.uniform(1, np.where(early, 120, 1_500))
    y = survival_target(np.minimum(time, censored), (time <= censored).astype(int))
    return pd.DataFrame({"early": early.astype(float)}), y, true_risk(eta, (90.0,))


def test_follow_up_that_differs_by_site_is_weighed_by_site(monkeypatch) -> None:
    frame, y, truth = late_comers()
    model = CumulativeIncidenceModel(horizons_days=(90.0,), **SMALL)
    sites = np.where(frame["early"] == 1, "a", "b")
    monkeypatch.setattr(censoring_strata, "MIN_CHI_SQUARE", 1e9)

    by_site = model.fit(frame, y, sites=sites).predict_risk(frame)
    pooled = clone(model).fit(frame, y).predict_risk(frame)

    assert np.abs(by_site - truth).mean() < 0.05  # 400 patients a site, standard error .03
    assert np.abs(pooled - truth).mean() > 0.07


@pytest.mark.parametrize("n_sites", [None, 60])
def test_follow_up_that_differs_by_what_is_known_is_found_and_weighed(n_sites) -> None:
    frame, y, truth = late_comers()
    sites = None if n_sites is None else (np.arange(len(y)) % n_sites).astype(str)

    model = CumulativeIncidenceModel(horizons_days=(90.0,), **SMALL).fit(frame, y, sites=sites)

    assert np.abs(model.predict_risk(frame) - truth).mean() < 0.05  # as by site
    assert model.risk_model_.contract.training.follow_up.strata == 2


def test_patients_who_could_not_be_observed_so_long_do_not_get_the_risk_of_those_who_died() -> None:
    rng = np.random.default_rng(110)
    n = 1_500
    late = rng.random(n) < 0.5
    sick = rng.normal(size=n)
    time = rng.exponential(300 * np.exp(-0.5 * sick))
    # The study ended on one day: late comers were seen for at most 100 days, the others for 400.
    end = rng.uniform(np.where(late, 50, 350), np.where(late, 100, 400))
    y = survival_target(np.minimum(time, end), (time <= end).astype(int))
    frame = pd.DataFrame({"late": late.astype(float), "sick": sick})

    model = CumulativeIncidenceModel(horizons_days=(90.0, 300.0), **SMALL).fit(frame, y)

    truth = 1 - np.exp(-300 * np.exp(0.5 * sick) / 300)
    risk = model.predict_risk(frame, [300.0])[:, 0]
    # Of late comers only deaths are known at 300 days, which alone would give them a risk of .97.
    # It is read off the others instead; how they differ is known up to day 100 only.
    assert risk[late].mean() == pytest.approx(truth[late].mean(), abs=0.1)
    assert risk[~late].mean() == pytest.approx(truth[~late].mean(), abs=0.05)
    follow_up = model.risk_model_.contract.training.follow_up
    assert follow_up.not_observed_so_long[1] == pytest.approx(late.mean(), abs=0.01)
