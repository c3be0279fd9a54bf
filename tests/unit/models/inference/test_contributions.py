"""Contributions of a read model: they add up, and say what was measured."""

from __future__ import annotations

import numpy as np
import pandas as pd
from scipy.special import logit

from models.estimator import CumulativeIncidenceModel
from models.targets import survival_target
from read_model import assert_sums_hold, codes, rebuilt

# Explanation


def test_explaining_changes_no_risk(risk_model, patients) -> None:
    plain, explained = (risk_model.predict(patients, explain=e) for e in (False, True))

    assert plain.log_odds is None
    assert plain.points is None
    np.testing.assert_array_equal(plain.adjustment_points, explained.adjustment_points)
    np.testing.assert_array_equal(plain.risk, explained.risk)
    np.testing.assert_array_equal(plain.base_log_odds, explained.base_log_odds)


def test_contributions_add_up_to_the_risk(risk_model, fracture, patients) -> None:
    for model in (risk_model, fracture.loaded.risk_model, risk_model.part(0), risk_model.part(1)):
        assert_sums_hold(model.predict(patients, [4.0, 28.0, 33.3, 200.0], explain=True))


def test_baseline_depends_on_the_horizon_only(risk_model, patients) -> None:
    two, others = risk_model.predict(patients.head(2)), risk_model.predict(patients.tail(5))

    np.testing.assert_array_equal(two.base_log_odds, others.base_log_odds)
    np.testing.assert_allclose(logit(two.baseline_risk), two.base_log_odds)
    assert two.baseline_risk[0] != two.baseline_risk[1]


def test_a_risk_that_would_fall_is_held_by_the_monotone_adjustment(risk_model, patients) -> None:
    falling = rebuilt(risk_model, linear_weight=1.0, coef_h=[-1.0, 0.0, 0.0])
    grid = falling.contract.grid_days

    prediction = falling.predict(patients, [grid[0], 40.0, grid[-1]], explain=True)

    rows = np.array(prediction.status) == "ok"
    assert (prediction.monotone_adjustment[rows, 0] == 0).all()
    assert (prediction.monotone_adjustment[rows, 2] > 0.5).mean() > 0.5
    assert (np.diff(prediction.risk[rows], axis=1) >= 0).all()
    assert (np.abs(prediction.adjustment_points[rows, 2]) > 1).any()
    assert_sums_hold(prediction)


def test_a_duplicated_feature_shares_its_contribution_about_equally() -> None:
    rng = np.random.default_rng(5)
    x = rng.normal(size=200)
    frame = pd.DataFrame({"x": x, "x_again": x, "other": rng.normal(size=200)})
    died = rng.random(200) < 1 / (1 + np.exp(-x))
    target = survival_target(np.full(200, 30.0), died.astype(int))
    model = CumulativeIncidenceModel(
        horizons_days=(30.0,), fixed_horizon=True, max_trees=1, tuning_folds=2, interval_folds=0,
        n_jobs=1,
    )  # fmt: skip

    linear = model.fit(frame, target).risk_model_.part(1.0).predict(frame, explain=True)

    answered = np.array(linear.status) == "ok"
    # Not exactly: each is blanked on its own in training.
    np.testing.assert_allclose(
        linear.log_odds[answered, :, 0], linear.log_odds[answered, :, 1], atol=0.2
    )
    assert np.abs(linear.log_odds[answered, :, 0]).max() > 0.5


def test_a_limit_flag_is_explained_with_its_variable(risk_model) -> None:
    assert "fgf23_c__below" in risk_model.features
    assert "fgf23_c__below" not in risk_model.variables
    assert risk_model.variables.count("fgf23_c") == 1


# What was not measured


def test_what_was_not_measured_is_flagged(risk_model, ordinary) -> None:
    ordinary["lactate"] = np.nan
    ordinary["sex"] = None

    measured = risk_model.predict(ordinary).measured[0]

    unmeasured = set(np.array(risk_model.variables)[~measured])
    assert unmeasured == {"lactate", "sex"}


def test_a_limit_flag_alone_is_no_measurement(risk_model, ordinary) -> None:
    ordinary["fgf23_c"] = np.nan
    ordinary["fgf23_c__below"] = 1.0

    measured = risk_model.predict(ordinary).measured[0]

    assert not measured[risk_model.variables.index("fgf23_c")]


def test_a_category_never_seen_counts_as_not_measured_and_is_warned_of(
    risk_model, ordinary
) -> None:
    missing, unseen = (
        risk_model.predict(ordinary.assign(dzgroup=group), explain=True)
        for group in (None, "Never seen")
    )

    assert codes(unseen.warnings[0]) == ["unknown_category"]
    assert unseen.warnings[0][0].variables == ("dzgroup",)
    assert missing.warnings == [[]]
    for name in ("risk", "risk_low", "risk_high", "log_odds", "measured"):
        np.testing.assert_array_equal(getattr(unseen, name), getattr(missing, name))
