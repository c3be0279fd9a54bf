"""Metrics of `models.metrics`, one behaviour each."""

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.special import expit, logit

from data_schema.errors import DataError
from models.metrics.calibration.calibration import (
    calibration_error,
    calibration_intercept,
    calibration_slope,
    oe_ratio,
    smoothed_risk,
)
from models.metrics.comparison.net_benefit import net_benefit, net_benefit_of_all
from models.metrics.discrimination.concordance import harrell_c
from models.metrics.discrimination.delong import delong_interval, delong_test
from models.metrics.discrimination.ranking import auprc, auroc
from models.metrics.known_outcome import KnownOutcome, known_outcome
from models.metrics.overall.brier import brier, integrated_brier, ipa


def complete(happened: NDArray[np.bool_]) -> KnownOutcome:
    ones = np.ones(len(happened))
    return KnownOutcome(happened, ones, ones)


def expected_over_outcomes(log_odds: NDArray[np.float64]) -> tuple[KnownOutcome, NDArray]:
    """Every patient twice, with and without the event, weighing what the true risk says."""
    true_risk = expit(log_odds)
    weight = np.concatenate([true_risk, 1 - true_risk])
    happened = np.repeat([True, False], len(log_odds))
    return KnownOutcome(happened, weight, weight), np.tile(true_risk, 2)


LOG_ODDS = np.linspace(-3, 2, 101)


def test_true_risk_minimises_the_brier_score() -> None:
    outcome, risk = expected_over_outcomes(LOG_ODDS)

    worse = [brier(outcome, np.clip(risk + shift, 0, 1)) for shift in (-0.1, -0.01, 0.01, 0.1)]

    assert brier(outcome, risk) < min(worse)
    assert brier(outcome, risk) == pytest.approx((risk * (1 - risk) * outcome.weight).sum() / 101)


def test_true_risk_is_perfectly_calibrated() -> None:
    outcome, risk = expected_over_outcomes(LOG_ODDS)
    error = calibration_error(outcome, risk)

    assert oe_ratio(outcome, risk) == pytest.approx(1)
    assert calibration_intercept(outcome, risk) == pytest.approx(0, abs=1e-6)
    assert calibration_slope(outcome, risk) == pytest.approx(1, abs=1e-6)
    assert [error.ici, error.e50, error.e90] == pytest.approx([0, 0, 0], abs=1e-6)


def test_calibration_finds_the_shift_and_the_stretch_that_were_put_in() -> None:
    outcome, risk = expected_over_outcomes(0.5 + 0.5 * LOG_ODDS)
    stretched = expit(np.tile(LOG_ODDS, 2))
    shifted = expit(np.tile(0.5 + 0.5 * LOG_ODDS, 2) - 0.7)

    assert calibration_slope(outcome, stretched) == pytest.approx(0.5, abs=1e-6)
    assert calibration_intercept(outcome, shifted) == pytest.approx(0.7, abs=1e-6)
    np.testing.assert_allclose(smoothed_risk(outcome, stretched, stretched), risk, atol=1e-6)
    ici = np.average(np.abs(risk - stretched), weights=outcome.count)
    assert calibration_error(outcome, stretched).ici == pytest.approx(ici, abs=1e-6)


@pytest.mark.parametrize("stretch", [0.25, 10.0])
def test_calibration_slope_is_found_where_risks_are_far_too_extreme_or_too_timid(
    stretch: float,
) -> None:
    outcome, _ = expected_over_outcomes(LOG_ODDS)

    slope = calibration_slope(outcome, expit(np.tile(LOG_ODDS, 2) / stretch))

    assert slope == pytest.approx(stretch, rel=1e-6)


def test_risks_that_separate_the_outcomes_have_no_slope() -> None:
    outcome = complete(np.array([False, False, False, True, True, True]))
    risk = [0.1, 0.2, 0.3, 0.6, 0.7, 0.8]

    assert np.isnan(calibration_slope(outcome, risk))
    assert auroc(outcome, risk) == 1.0
    assert auprc(outcome, risk) == 1.0


def test_where_risk_separates_some_patients_the_curve_still_settles() -> None:
    # No patient below 0.3 has the event: the curve goes to 0 there, its coefficients without end.
    risk = np.linspace(0.05, 0.95, 91)
    outcome = complete((risk > 0.3) & (np.arange(91) % 3 > 0))

    curve = smoothed_risk(outcome, risk, [0.05, 0.3, 0.8])

    assert curve[0] == pytest.approx(0, abs=1e-3)
    assert curve[2] == pytest.approx(2 / 3, abs=0.1)
    assert np.isfinite(calibration_error(outcome, risk).ici)


def test_a_risk_equal_for_all_ranks_by_chance_and_has_no_slope() -> None:
    outcome = complete(np.array([True, False, False, True]))
    risk = np.full(4, 0.2)

    assert auroc(outcome, risk) == 0.5
    assert auprc(outcome, risk) == 0.5
    assert np.isnan(calibration_slope(outcome, risk))
    assert calibration_error(outcome, risk).e90 == pytest.approx(0.3)
    assert ipa(outcome, np.full(4, 0.5)) == 0.0


def test_where_nearly_all_risks_are_tied_the_curve_is_a_straight_line_in_log_odds() -> None:
    # 96 of 100 have the same risk, so that the four knots are one.
    outcome, risk = expected_over_outcomes(logit(np.repeat([0.2, 0.5, 0.7, 0.9], [96, 1, 1, 2])))

    curve = smoothed_risk(outcome, risk, [0.2, 0.5, 0.9])

    assert curve == pytest.approx([0.2, 0.5, 0.9], abs=1e-6)
    assert calibration_error(outcome, risk).ici == pytest.approx(0, abs=1e-6)


def test_one_class_only_leaves_ranking_and_scaling_undefined() -> None:
    outcome = complete(np.zeros(4, dtype=bool))
    risk = [0.1, 0.2, 0.3, 0.4]

    assert np.isnan([auroc(outcome, risk), auprc(outcome, risk), ipa(outcome, risk)]).all()
    assert np.isnan(calibration_intercept(outcome, risk))
    assert np.isnan(harrell_c([1, 2, 3, 4], [0, 0, 0, 0], risk))


def test_weights_make_up_for_censoring_that_does_not_depend_on_risk() -> None:
    rng = np.random.default_rng(0)
    n = 20_000
    rate = np.exp(rng.normal(size=n)) / 100
    time, lost = rng.exponential(1 / rate), rng.uniform(0, 200, n)
    risk = 1 - np.exp(-rate * 90)
    full = known_outcome(time, np.ones(n, dtype=int), 90)

    censored = known_outcome(np.minimum(time, lost), (time <= lost).astype(int), 90)

    # 37 % are censored before day 90; sampling errors at this n are about .004.
    for metric in (auroc, auprc, brier, oe_ratio):
        assert metric(censored, risk) == pytest.approx(metric(full, risk), abs=0.015)


def test_a_horizon_beyond_follow_up_is_refused() -> None:
    # The last patient is lost on day 7; no other patient represents that one on day 8.
    time, event = [2.0, 4.0, 5.0, 7.0], [1, 0, 2, 0]

    with pytest.raises(DataError, match=r"horizon_days must lie where .*; 2 of 4 rows do not"):
        known_outcome(time, event, 8)

    assert known_outcome(time, event, 7).weight.sum() == pytest.approx(4)


def test_after_the_last_event_everything_is_known() -> None:
    outcome = known_outcome([2.0, 4.0, 5.0, 7.0], [1, 0, 2, 1], 8)

    assert outcome.weight.sum() == pytest.approx(4)


def test_a_competing_event_is_a_no_and_not_a_loss() -> None:
    outcome = known_outcome([1.0, 2.0, 3.0, 30.0], [2, 1, 2, 0], 10)

    assert outcome.happened.tolist() == [False, True, False, False]
    assert outcome.weight.tolist() == [1.0] * 4
    assert outcome.event_rate == 0.25


def test_who_dies_without_fracture_is_outranked_by_every_fracture() -> None:
    # Died on day 1 with the lowest score, fracture on day 5: the pair counts, and is right.
    assert harrell_c([1.0, 5.0], [2, 1], [0.1, 0.9]) == 1.0


def test_integrated_brier_of_a_constant_brier_is_that_constant() -> None:
    time, event = [1.0, 1.0, 50.0, 50.0], [1, 1, 0, 0]

    assert integrated_brier(time, event, np.full((4, 3), 0.5), [2, 5, 40]) == pytest.approx(0.25)


@pytest.mark.parametrize("days", [[5.0], [5.0, 5.0], [9.0, 5.0]])
def test_integrated_brier_needs_an_ascending_grid(days: list[float]) -> None:
    with pytest.raises(ValueError, match="curve_days must be at least two ascending days"):
        integrated_brier([1.0, 9.0], [1, 0], np.full((2, len(days)), 0.5), days)


def test_net_benefit_of_treating_all_is_nothing_at_the_event_rate() -> None:
    outcome = complete(np.array([True, False, False, False]))

    assert net_benefit_of_all(outcome, [0.25]) == pytest.approx(0)


def test_net_benefit_of_a_perfect_model_is_the_event_rate() -> None:
    outcome = complete(np.array([True, False, False, False]))

    assert net_benefit(outcome, [1, 0, 0, 0], [0.1, 0.9]).tolist() == [0.25, 0.25]


@pytest.mark.parametrize("threshold", [0.0, 1.0, -0.1, np.nan])
def test_thresholds_lie_strictly_between_0_and_1(threshold: float) -> None:
    with pytest.raises(ValueError, match="thresholds must lie strictly between 0 and 1"):
        net_benefit(complete(np.array([True, False])), [0.9, 0.1], [threshold])


def test_delong_finds_no_difference_between_a_risk_and_its_odds() -> None:
    happened = np.array([1, 0, 1, 0, 1, 0])
    risk = np.array([0.9, 0.4, 0.3, 0.2, 0.6, 0.5])

    result = delong_test(happened, risk, risk / (1 - risk))

    assert (result.difference, result.standard_error, result.p_value) == (0.0, 0.0, 1.0)


def test_delong_needs_two_of_each() -> None:
    with pytest.raises(DataError, match="1 have it and 3 do not"):
        delong_interval([1, 0, 0, 0], [0.9, 0.1, 0.2, 0.3])
