"""The area that a case mix promises, against the double sum over pairs."""

import numpy as np
import pytest

from models.metrics.case_mix import expected_auroc


@pytest.mark.parametrize("decimals", [1, 6])
def test_expected_area_is_the_double_sum_over_pairs(decimals: int) -> None:
    p = np.random.default_rng(3).uniform(0.05, 0.95, 60).round(decimals)
    pairs = p[:, None] * (1 - p[None, :])
    np.fill_diagonal(pairs, 0.0)
    above = (p[:, None] > p[None, :]) + 0.5 * (p[:, None] == p[None, :])

    assert expected_auroc(p) == pytest.approx((pairs * above).sum() / pairs.sum())


def test_alike_patients_cannot_be_ranked_and_unlike_ones_can() -> None:
    assert expected_auroc([0.49, 0.5, 0.51]) < 0.52
    assert expected_auroc([0.001, 0.999]) > 0.99
    assert np.isnan(expected_auroc([0.3]))
