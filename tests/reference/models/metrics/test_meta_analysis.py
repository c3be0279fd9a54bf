"""Random-effects meta-analysis, against R's metafor (REML, Hartung-Knapp, Q-profile)."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from models.metrics.pooling import between_variance, between_variance_at, random_effects

EXAMPLES = ("bcg", "sites", "alike", "unequal")


def stored(example: str) -> dict[str, float]:
    """Return what metafor says of an example, and its estimates and variances."""
    table = pd.read_csv(Path(__file__).parent / "meta_analysis.csv")
    rows = table[table["cohort"] == example]
    return dict(zip(rows["metric"], rows["value"], strict=True))


def inputs(values: dict[str, float]) -> tuple[list[float], np.ndarray]:
    """Return estimates and standard errors."""
    count = sum(name.startswith("y") for name in values)
    y = [values[f"y{i}"] for i in range(1, count + 1)]
    return y, np.sqrt([values[f"v{i}"] for i in range(1, count + 1)])


@pytest.mark.parametrize("example", EXAMPLES)
def test_pooled_mean_and_intervals_are_those_of_metafor(example: str) -> None:
    expected = stored(example)

    pooled = random_effects(*inputs(expected))

    assert between_variance(*inputs(expected)) == pytest.approx(expected["tau2"], abs=1e-9)
    got = (pooled.mean, pooled.error, pooled.low, pooled.high)
    names = ("mean", "se", "low", "high")
    assert got == pytest.approx([expected[name] for name in names], abs=1e-8)


@pytest.mark.parametrize("example", EXAMPLES)
def test_the_variance_between_clusters_has_metafors_interval(example: str) -> None:
    expected = stored(example)

    ends = between_variance_at(*inputs(expected), [0.025, 0.975])

    assert ends == pytest.approx([expected["tau2_low"], expected["tau2_high"]], rel=1e-5, abs=1e-6)


@pytest.mark.parametrize("example", EXAMPLES)
def test_the_prediction_interval_is_that_of_a_sum_over_the_distribution(example: str) -> None:
    expected = stored(example)

    pooled = random_effects(*inputs(expected))

    # R sums over 2,000 equal parts; here are 64 nodes.
    got = (pooled.next_low, pooled.next_high)
    assert got == pytest.approx([expected["next_low"], expected["next_high"]], rel=2e-3)


def test_the_error_is_hartung_and_knapps_own_unless_clusters_agree_by_chance() -> None:
    differs, agrees = stored("bcg"), stored("alike")

    assert differs["se"] == pytest.approx(differs["se_knha"])
    assert agrees["se"] > 10 * agrees["se_knha"]


def test_the_bcg_trials_have_the_published_heterogeneity() -> None:
    # Viechtbauer, J Stat Softw 36 (2010) 3, section 3.1: tau^2 = 0.3132, mean = -0.7145.
    pooled = random_effects(*inputs(stored("bcg")))

    assert pooled.tau**2 == pytest.approx(0.3132, abs=5e-5)
    assert pooled.mean == pytest.approx(-0.7145, abs=5e-5)


def test_clusters_of_equal_error_have_the_closed_form() -> None:
    # With equal v, REML is s^2 - v (at least 0) and the mean is the plain one.
    y = [0.2, 0.9, 1.4, 0.4]

    assert between_variance(y, [0.3] * 4) == pytest.approx(np.var(y, ddof=1) - 0.09)
