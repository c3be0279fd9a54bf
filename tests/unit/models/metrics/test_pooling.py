"""Pooling of metrics over sites."""

import numpy as np
import pytest

from models.metrics.metric import Metric
from models.metrics.pooling import pool_metric, random_effects


def test_clusters_that_agree_more_than_by_chance_are_no_surer_than_a_fixed_effect() -> None:
    estimates, errors = [1.38, 1.40, 1.35, 1.45], [0.15, 0.20, 0.10, 0.18]

    pooled = random_effects(estimates, errors)

    # metafor 3.8, test = "adhoc"; test = "knha" gives 1.313308 to 1.443302.
    assert (pooled.low, pooled.high) == pytest.approx((1.153446, 1.603165), abs=1e-6)


def test_sites_with_the_same_area_still_have_an_interval() -> None:
    found = pool_metric([Metric("auroc", 28.0, 0.80, 0.75, 0.84)] * 3)

    assert found is not None
    assert found.low < 0.76 < 0.84 < found.high


def test_a_site_whose_interval_ends_at_the_largest_area_is_pooled() -> None:
    others = [Metric("auroc", 28.0, area, area - 0.05, area + 0.04) for area in (0.80, 0.85, 0.82)]

    found = pool_metric([*others, Metric("auroc", 28.0, 0.97, 0.90, 1.0)])

    assert found is not None
    assert found.clusters == 4


def test_six_clusters_that_differ_as_much_as_their_errors_hold_a_new_one() -> None:
    # The estimate of tau alone, with t on k - 2 degrees of freedom, holds 89.7 % of 1,000.
    rng = np.random.default_rng(2017)
    held = []
    for _ in range(400):
        error = rng.uniform(0.06, 0.15, 6)
        pooled = random_effects(rng.normal(0, 0.09, 6) + rng.normal(0, error), error)
        held.append(pooled.next_low <= rng.normal(0, 0.09) <= pooled.next_high)

    # 94.5 % of 1,000; four standard errors of 400.
    assert np.mean(held) > 0.945 - 4 * (0.945 * 0.055 / 400) ** 0.5


def test_the_prediction_interval_is_wider_than_that_of_the_mean() -> None:
    alike = random_effects([1.0, 1.0, 1.0, 1.0], [0.1, 0.2, 0.3, 0.2])

    assert alike.next_low < 0.9 < 1.1 < alike.next_high


def test_equal_clusters_have_no_spread() -> None:
    assert random_effects([1.0, 1.0, 1.0], [0.1, 0.2, 0.3]).tau == 0


def test_clusters_are_pooled_on_the_scale_on_which_the_metric_is_symmetric() -> None:
    metrics = [Metric("oe_ratio", 28.0, o, o / 1.2, o * 1.2) for o in (0.5, 1.0, 2.0)]

    found = pool_metric(metrics)

    assert found is not None
    assert found.estimate == pytest.approx(1.0)
    assert found.low * found.high == pytest.approx(1.0)
    assert pool_metric(metrics[:2]) is None
