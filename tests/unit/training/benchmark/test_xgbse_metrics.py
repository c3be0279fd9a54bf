"""xgbse's metrics, by hand on a few patients."""

import numpy as np
import pytest

from data_schema.cohort import OutcomeData
from training.benchmark.xgbse_metrics import approximate_brier, strict_c, time_bins

OUTCOME = OutcomeData("mortality", np.array([1.0, 2, 3, 3, 5]), np.array([1, 0, 1, 0, 1]))


def test_bins_are_whole_days_between_the_first_and_last_of_both_kinds():
    # The first censored leaves on day 2 and the last on day 3: from 2 + 1 to 3 - 1.
    assert time_bins(OUTCOME, size=2).tolist() == [3, 2]


def test_a_pair_of_equal_times_is_left_out():
    # The death on day 1 precedes four, the death on day 3 one; only one pair is in the wrong order.
    score = np.array([5.0, 4, 1, 3, 2])
    assert strict_c(OUTCOME, score) == pytest.approx(4 / 5)


def test_equal_scores_count_one_half():
    assert strict_c(OUTCOME, np.zeros(5)) == pytest.approx(0.5)


def test_the_brier_score_weighs_an_event_by_the_day_after_it():
    # Censoring: 1 of 4 on day 2, then 1 of 3 on day 3, so G is 3/4 from day 2 and 1/2 from day 3.
    days = np.array([2.0, 4.0])
    risk = np.full((5, 2), [0.2, 0.6])
    on_day_2 = 0.8**2 / (3 / 4) + 3 * 0.2**2 / (3 / 4)
    on_day_4 = 0.4**2 / (3 / 4) + 0.4**2 / (1 / 2) + 0.6**2 / (1 / 2)
    assert approximate_brier(OUTCOME, risk, days) == pytest.approx((on_day_2 + on_day_4) / 10)
