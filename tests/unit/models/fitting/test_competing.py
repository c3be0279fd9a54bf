"""The curve of the event that competes: what it estimates, and that it alters nothing beside it."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy.special import expit
from sksurv.nonparametric import cumulative_incidence_competing_risks

from models.estimator import CumulativeIncidenceModel
from models.inference.risk_model import RiskModel
from models.targets import survival_target

HORIZONS = (100.0, 300.0)
SMALL = {"max_trees": 5, "max_depth": 3, "tuning_folds": 2, "interval_folds": 2, "n_jobs": 1}


def cohort(n: int, seed: int) -> tuple[pd.DataFrame, np.ndarray, np.ndarray]:
    """Return patients where `frail` ones die and the others fracture, with the true risks."""
    rng = np.random.default_rng(seed)
    frail = rng.normal(size=n)
    dies = rng.random(n) < expit(2 * frail)
    time = rng.exponential(200, n)
    censored = rng.uniform(50, 900, n)
    event = np.where(time > censored, 0, np.where(dies, 2, 1))
    frame = pd.DataFrame({"frail": frail, "noise": rng.normal(size=n)})
    by_horizon = 1 - np.exp(-np.array(HORIZONS) / 200)
    truth = expit(2 * frail)[:, None] * by_horizon
    return frame, survival_target(np.minimum(time, censored), event), truth


@pytest.fixture(scope="module")
def model() -> RiskModel:
    frame, y, _ = cohort(1_000, 1)
    return CumulativeIncidenceModel(horizons_days=HORIZONS, **SMALL).fit(frame, y).risk_model_


def test_the_risk_of_dying_first_is_recovered(model) -> None:
    frame, _, truth = cohort(500, 2)

    found = model.predict(frame).competing_risk

    # A logistic regression of 1,000 known outcomes has a standard error of about .02 here.
    assert np.abs(found - truth).mean() < 0.035


def test_its_mean_is_the_aalen_johansen_estimate(model) -> None:
    frame, y, _ = cohort(1_000, 1)
    days, incidence = cumulative_incidence_competing_risks(y["event"], y["time_days"])

    found = model.competing_risk(frame).mean(axis=0)

    expected = [incidence[2][days <= h][-1] for h in HORIZONS]
    # A smooth curve recalibrated out of fold: within one and a half standard errors of 1,000
    # patients. One minus Kaplan-Meier would be .03 and .14 above.
    np.testing.assert_allclose(found, expected, atol=0.025)


def test_both_causes_together_never_exceed_one(model) -> None:
    wild = pd.DataFrame({"frail": np.linspace(-9, 9, 101), "noise": 0.0})

    risk, competing = model.risk(wild, [300.0]), model.competing_risk(wild, [300.0])

    assert (competing >= 0).all()
    assert (risk + competing <= 1 + 1e-12).all()


def test_too_few_competing_events_give_no_curve_in_the_contract() -> None:
    frame, y, _ = cohort(1_000, 1)
    kept = np.setdiff1d(np.arange(len(y)), np.flatnonzero(y["event"] == 2)[5:])

    few = CumulativeIncidenceModel(horizons_days=HORIZONS, **SMALL).fit(frame.iloc[kept], y[kept])

    contract = few.risk_model_.contract
    assert (contract.competing, contract.competing_curve) == ("death", None)
    assert few.risk_model_.competing_risk(frame) is None
    assert "competing_risk" not in few.risk_model_.predict(frame).to_frame(frame)


def test_deaths_after_the_longest_horizon_give_no_curve() -> None:
    frame, y, _ = cohort(400, 4)
    y = y[y["event"] != 2]
    y["event"][:15], y["time_days"][:15] = 2, np.linspace(5_000, 6_000, 15)

    few = CumulativeIncidenceModel(horizons_days=HORIZONS, **SMALL).fit(frame.iloc[: len(y)], y)

    assert few.risk_model_.contract.competing_curve is None


def test_it_is_kept_in_the_bundle_and_left_out_for_the_refused(model) -> None:
    frame, _, _ = cohort(3, 3)
    read = RiskModel.from_files(model.files())
    refused = frame.assign(pregnant=[0, 1, 0])

    answer = read.predict(refused)

    assert "competing.ubj" in model.files()
    np.testing.assert_array_equal(np.isnan(answer.competing_risk).all(axis=1), [False, True, False])
    np.testing.assert_allclose(
        answer.to_frame(refused)["competing_risk"].to_numpy()[:2],
        model.competing_risk(frame)[0],
        rtol=1e-12,
    )
