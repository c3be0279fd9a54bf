"""What is chosen on out-of-fold predictions."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.special import expit

from models.fitting.tuning import (
    best_evaluation,
    choose_linear_weight,
    log_loss,
    recalibration,
    simplest_within_one_error,
)
from models.targets import Pairs

KNOTS = np.array([10.0, 60.0, 300.0])
SETTLED = np.zeros((1_900, 2))
"""No value is missing."""


@pytest.fixture(scope="module")
def truth():
    """Return the true log-odds of 1,900 patients at two horizons, and pairs drawn from them."""
    rng = np.random.default_rng(0)
    horizon = rng.uniform(10, 300, (1_900, 2))
    log_odds = rng.normal(size=(1_900, 1)) + 0.7 * np.log(horizon / 60)
    outcome = (rng.random(horizon.shape) < expit(log_odds)).astype(float)
    return log_odds, Pairs(horizon, outcome, rng.uniform(1, 2, horizon.shape))


def test_loss_is_the_weighted_mean_of_the_log_loss() -> None:
    pairs = Pairs(np.ones((2, 1)), np.array([[1.0], [0.0]]), np.array([[3.0], [1.0]]))

    # Both risks are 1/2 and 4/5: -(3 log 1/2 + 1 log 1/5) / 4.
    loss = log_loss(np.array([[0.0], [np.log(4)]]), pairs)

    assert loss == pytest.approx((3 * np.log(2) + np.log(5)) / 4)


def test_an_unknown_outcome_costs_nothing() -> None:
    pairs = Pairs(np.ones((2, 1)), np.array([[1.0], [0.0]]), np.array([[1.0], [0.0]]))

    assert log_loss(np.array([[0.0], [50.0]]), pairs) == pytest.approx(np.log(2))


def test_the_look_has_the_lowest_loss_of_all_folds_together() -> None:
    falling_late = np.array([0.9, 0.8, 0.7, 0.6])
    stopped = np.array([0.5, 0.4])  # keeps 0.4

    assert best_evaluation([falling_late, stopped], [1.0, 1.0]) == 4
    assert best_evaluation([np.array([0.5, 0.6]), falling_late], [9.0, 1.0]) == 1
    assert best_evaluation([np.array([0.7])], [1.0]) == 1


def test_the_better_part_gets_the_weight(truth) -> None:
    log_odds, pairs = truth
    noise = 2 * np.random.default_rng(1).normal(size=log_odds.shape)

    assert choose_linear_weight(log_odds, noise, pairs, np.arange(len(log_odds))) >= 0.95
    assert choose_linear_weight(noise, log_odds, pairs, np.arange(len(noise))) <= 0.05


def test_two_parts_with_errors_of_their_own_are_mixed(truth) -> None:
    log_odds, pairs = truth
    rng = np.random.default_rng(2)
    one, other = (log_odds + rng.normal(size=log_odds.shape) for _ in range(2))

    assert 0.3 < choose_linear_weight(one, other, pairs, np.arange(len(one))) < 0.8


def test_where_the_boosted_part_is_no_better_the_linear_one_stands_alone(truth) -> None:
    log_odds, pairs = truth

    assert choose_linear_weight(log_odds, log_odds, pairs, np.arange(len(log_odds))) == 1.0


def test_the_simplest_of_equals_is_chosen_and_a_worse_one_is_not(truth) -> None:
    log_odds, pairs = truth
    nothing = np.zeros_like(log_odds)

    rows = np.arange(len(log_odds))
    assert simplest_within_one_error([log_odds, log_odds + 1e-6], pairs, rows) == 0
    assert simplest_within_one_error([nothing, log_odds], pairs, rows) == 1


def test_rows_of_the_same_patients_are_no_more_evidence(truth) -> None:
    log_odds, pairs = truth
    rng = np.random.default_rng(4)
    few, patients, four = pairs.take(np.arange(60)), np.arange(60), np.tile(np.arange(60), 4)
    for _ in range(20):
        one, other = (log_odds[:60] + rng.normal(0, 0.3, log_odds[:60].shape) for _ in range(2))
        once = simplest_within_one_error([one, other], few, patients)
        again = simplest_within_one_error([one[four], other[four]], few.take(four), four)
        assert again == once


def test_recalibration_undoes_a_distortion(truth) -> None:
    log_odds, pairs = truth
    distorted = (log_odds - 0.4 - 0.3 * np.log(pairs.horizon_days)) / 2

    calibration = recalibration(distorted, SETTLED, pairs, knots_days=KNOTS)

    again = calibration.log_odds(distorted, 0.0, np.log(pairs.horizon_days))
    assert calibration.slope == pytest.approx(2.0, abs=0.2)  # standard error about 0.1
    assert np.abs(again - log_odds).mean() < 0.1
    assert log_loss(again, pairs) <= log_loss(log_odds, pairs)


def test_recalibrated_risks_sum_to_the_events(truth) -> None:
    log_odds, pairs = truth

    calibration = recalibration(0.5 * log_odds - 1, SETTLED, pairs, knots_days=KNOTS)

    expected = expit(calibration.log_odds(0.5 * log_odds - 1, 0.0, np.log(pairs.horizon_days)))
    assert (pairs.weight * expected).sum() == pytest.approx((pairs.weight * pairs.outcome).sum())


def test_predictions_against_the_truth_keep_a_positive_slope(truth) -> None:
    log_odds, pairs = truth

    calibration = recalibration(-log_odds, SETTLED, pairs, knots_days=KNOTS)

    assert calibration.slope == 0.05
    expected = expit(calibration.log_odds(-log_odds, 0.0, np.log(pairs.horizon_days)))
    assert (pairs.weight * expected).sum() == pytest.approx((pairs.weight * pairs.outcome).sum())


def test_a_shift_that_no_line_follows_is_undone_at_each_knot(truth) -> None:
    log_odds, pairs = truth
    bent = log_odds - 0.6 * (np.abs(np.log(pairs.horizon_days / 60)) < 0.7)

    calibration = recalibration(
        bent,
        SETTLED,
        pairs,
        knots_days=np.array([10.0, 30.0, 60.0, 120.0, 300.0]),
    )

    risk = expit(calibration.log_odds(bent, 0.0, np.log(pairs.horizon_days)))
    for low, high in ((10, 45), (45, 90), (90, 300)):
        there = pairs.weight * ((pairs.horizon_days >= low) & (pairs.horizon_days < high))
        # A broken line is no step: within two standard errors of some 700 pairs.
        assert (there * (risk - pairs.outcome)).sum() / there.sum() == pytest.approx(0, abs=0.03)


def test_a_knot_without_an_event_leans_on_its_neighbour() -> None:
    rng = np.random.default_rng(3)
    horizon = np.repeat([[1.0, 30.0]], 200, axis=0)
    outcome = np.column_stack([np.zeros(200), rng.random(200) < 0.3]).astype(float)
    pairs = Pairs(horizon, outcome, np.ones_like(horizon))

    calibration = recalibration(
        np.zeros_like(horizon),
        np.zeros_like(horizon),
        pairs,
        knots_days=np.array([1.0, 30.0]),
    )

    # Without the penalty the first shift would run away to minus infinity.
    assert -8 < calibration.shift[0] < -3
    assert calibration.shift[1] == pytest.approx(
        np.log(outcome[:, 1].mean() / (1 - outcome[:, 1].mean())), abs=0.1
    )


def test_beyond_the_horizons_it_was_fitted_on_the_shift_stands_still(truth) -> None:
    log_odds, pairs = truth
    calibration = recalibration(log_odds, SETTLED, pairs, knots_days=KNOTS)

    shift = calibration.log_odds(np.zeros(4), 0.0, np.log([1.0, 5.0, 400.0, 4_000.0]))

    assert shift[0] == shift[1]
    assert shift[2] == shift[3]


def test_a_mean_that_differs_where_values_are_missing_is_recovered(truth) -> None:
    log_odds, pairs = truth
    unsettled = np.random.default_rng(4).random((len(log_odds), 1)) * np.ones_like(log_odds)

    calibration = recalibration(log_odds - 0.8 * unsettled, unsettled, pairs, knots_days=KNOTS)

    assert np.mean(calibration.gap) == pytest.approx(0.8, abs=0.5)  # standard error about 0.2
