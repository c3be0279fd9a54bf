from __future__ import annotations

import numpy as np
import pytest

from models.monitoring.expected import events_to_show, expected_performance


def promised(risk: np.ndarray) -> dict[str, float]:
    return {one.metric: one.estimate for one in expected_performance(risk[:, None], [28.0])}


def test_the_area_that_risks_promise_is_that_of_every_pair() -> None:
    risk = np.random.default_rng(0).beta(1, 3, 400)
    # P(case outranks non-case) with weights p_i (1 - p_j) over all pairs.
    pairs = np.outer(risk, 1 - risk)
    exact = (pairs * (risk[:, None] > risk)).sum() + (pairs * (risk[:, None] == risk)).sum() / 2
    assert promised(risk)["auroc"] == pytest.approx(exact / pairs.sum(), abs=0.01)


def test_the_brier_score_that_risks_promise_is_their_mean_variance() -> None:
    risk = np.random.default_rng(1).beta(2, 2, 2_000)
    assert promised(risk)["brier"] == pytest.approx((risk * (1 - risk)).mean(), abs=0.01)


def test_outcomes_drawn_from_the_risks_lie_within_what_is_promised() -> None:
    rng = np.random.default_rng(2)
    covered = 0
    for number in range(60):
        risk = rng.beta(1, 3, 300)
        (_, brier) = expected_performance(risk[:, None], [28.0], random_state=number)
        score = ((risk - (rng.random(300) < risk)) ** 2).mean()
        covered += brier.low <= score <= brier.high
    assert covered >= 54


def test_few_risks_promise_nothing() -> None:
    assert expected_performance(np.full((19, 1), 0.2), [28.0]) == []


def test_events_to_show_a_ratio_follow_the_formula() -> None:
    # (1.95996 + 0.84162)^2 / ln(1.25)^2 = 157.6
    assert events_to_show(1.25) == 158
    assert events_to_show(1.5) == 48
    assert events_to_show(1.25) == pytest.approx(events_to_show(0.8), abs=1)
