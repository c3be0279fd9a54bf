"""Differences over random splits get an interval that knows how far the splits overlap."""

import numpy as np
import pytest

from training.benchmark.repeated_differences import corrected_difference


def test_the_interval_is_the_published_formula():
    # Mean 0.02, s = 0.01, J = 3: t(2, .975) = 4.302653, sqrt(1/3 + 3/7) = 0.872872.
    found = corrected_difference([0.01, 0.02, 0.03], test_to_train=3 / 7)
    assert found.estimate == pytest.approx(0.02)
    assert found.high - found.estimate == pytest.approx(4.302653 * 0.872872 * 0.01, rel=1e-5)


def test_more_splits_never_narrow_it_below_what_one_test_set_allows():
    noise = np.random.default_rng(0).normal(0, 0.01, size=100_000)
    found = corrected_difference(noise, test_to_train=3 / 7)
    # 1.96 * 0.01 * sqrt(3/7), and not zero as the plain interval would be.
    assert found.high - found.low == pytest.approx(2 * 1.96 * 0.01 * np.sqrt(3 / 7), rel=0.02)


def test_one_split_has_no_interval():
    found = corrected_difference([0.02], test_to_train=3 / 7)
    assert (found.estimate, found.low, found.high) == (0.02, None, None)


def test_no_split_is_refused():
    with pytest.raises(ValueError, match="at least one split"):
        corrected_difference([], test_to_train=3 / 7)
