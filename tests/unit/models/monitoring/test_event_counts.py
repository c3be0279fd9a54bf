from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import norm

from models.monitoring.event_counts import EventCount


def exact(risk: np.ndarray) -> np.ndarray:
    """Return the probability of each number of events, by convolution."""
    probability = np.ones(1)
    for one in risk:
        probability = np.convolve(probability, [1 - one, one])
    return probability


@pytest.mark.parametrize(("patients", "mean"), [(60, 5), (80, 12), (400, 60)])
def test_deviates_are_those_of_the_exact_tail(patients: int, mean: float) -> None:
    risk = np.random.default_rng(patients).beta(1, 9, patients)
    count = EventCount(risk, np.ones(patients)).with_mean(mean)
    assert count.mean == pytest.approx(mean, abs=1e-3)
    probability = exact(count.risk)
    for events in range(int(mean), int(mean + 5 * np.sqrt(mean))):
        tail = probability[events + 1 :].sum() + probability[events] / 2
        if tail < 1e-6:
            break
        assert count.deviate(events) == pytest.approx(norm.isf(tail), abs=0.05)


def test_a_normal_limit_is_too_narrow_where_few_are_expected() -> None:
    risk = np.full(100, 0.05)
    count = EventCount(risk, np.ones(100))
    as_normal = 10 / np.sqrt(100 * 0.05 * 0.95)
    assert count.deviate(15) < 0.85 * as_normal


@given(st.integers(5, 200), st.floats(0.02, 0.6), st.floats(-3.5, 3.5), st.integers(0, 99))
def test_a_quantile_is_the_count_at_its_deviate(
    patients: int, mean: float, deviate: float, seed: int
) -> None:
    rng = np.random.default_rng(seed)
    count = EventCount(rng.uniform(mean / 2, mean * 1.5, patients), rng.uniform(1, 3, patients))
    events = count.quantile(deviate)
    if 0 < events < count.weight.sum():
        assert count.deviate(events) == pytest.approx(deviate, abs=1e-3)


def test_no_event_and_nothing_but_events_have_finite_deviates() -> None:
    count = EventCount(np.full(30, 0.3), np.ones(30))
    assert -6 < count.deviate(0) < -3.5
    assert 5 < count.deviate(30) < 12
    assert EventCount(np.full(10, 0.1), np.ones(10)).quantile(-3.5) == 0
