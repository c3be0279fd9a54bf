"""How unlike a cohort a patient is, against SciPy's Mahalanobis distance and regression."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.spatial.distance import mahalanobis
from scipy.stats import lognorm, norm

from models.inference.novelty_scores import NoveltyScale, normal_deviates, raw_deviations


def some_correlation(columns: int, rng: np.random.Generator) -> np.ndarray:
    return np.corrcoef(rng.normal(size=(columns, 4 * columns)))


@pytest.mark.parametrize("missing", [0, 1, 3, 4])
def test_together_is_the_mahalanobis_distance_for_the_length_of_the_scores(missing: int) -> None:
    rng = np.random.default_rng(missing)
    correlation = some_correlation(7, rng)
    scores = rng.uniform(-3, 3, (20, 7))
    for row in scores:
        row[rng.permutation(7)[:missing]] = np.nan

    found = raw_deviations(scores, correlation, np.linalg.inv(correlation))

    for row, together in zip(scores, found.together, strict=True):
        own = ~np.isnan(row)
        z, inverse = row[own], np.linalg.inv(correlation[np.ix_(own, own)])
        distance = mahalanobis(z, np.zeros(len(z)), inverse) ** 2
        assert together**2 == pytest.approx(distance / np.sqrt((z @ z) / len(z)))


def test_single_is_the_largest_of_values_and_residuals_on_the_other_values() -> None:
    rng = np.random.default_rng(9)
    correlation = some_correlation(6, rng)
    scores = rng.uniform(-3, 3, (30, 6))
    scores[:10, 2] = np.nan

    found = raw_deviations(scores, correlation, np.linalg.inv(correlation))

    for row, single, column in zip(scores, found.single, found.column, strict=True):
        own = np.flatnonzero(~np.isnan(row))
        size = np.full(6, -np.inf)
        for j in own:
            rest = own[own != j]
            slopes = np.linalg.solve(correlation[np.ix_(rest, rest)], correlation[rest, j])
            variance = 1 - correlation[j, rest] @ slopes
            size[j] = max(abs(row[j] - slopes @ row[rest]) / np.sqrt(variance), abs(row[j]))
        largest = max(size.max() ** 2 - 2 * np.log(2 * len(own)), 0.0)
        assert single == pytest.approx(np.sqrt(largest))
        assert column == size.argmax()


@pytest.mark.parametrize("z", [-6.0, -3.0, -1.0, 0.0, 0.4, 2.2, 5.0])
def test_a_deviate_is_the_law_s_own_within_and_beyond_the_quantiles(z: float) -> None:
    normal = norm.ppf([0.02, *np.linspace(0.05, 0.95, 19), 0.98])
    law = lognorm(0.5, scale=7)
    quantiles = np.vstack([100 + 15 * normal, law.ppf(norm.cdf(normal))])
    scale = NoveltyScale.of(quantiles, normal, np.array([False, True]))

    deviate = normal_deviates(np.array([[100 + 15 * z, 7 * np.exp(0.5 * z)]]), scale)

    # A straight line between quantiles of a straight line has no error.
    assert deviate[0] == pytest.approx([z, z], abs=1e-6)


@pytest.mark.parametrize("z", [3.0, 4.0, 5.0])
def test_a_tail_that_grows_goes_on_growing(z: float) -> None:
    # A log-normal law on its own scale, as if its logarithm could not be taken.
    normal = norm.ppf([0.001, 0.01, *np.linspace(0.05, 0.95, 19), 0.99, 0.999])
    scale = NoveltyScale.of(np.exp(0.2 * normal)[None], normal, np.array([False]))
    value = np.array([[np.exp(0.2 * z)]])

    (deviate,) = normal_deviates(value, scale)[0]

    straight = normal[-1] + (value[0, 0] - np.exp(0.2 * normal[-1])) / (
        0.2 * np.exp(0.2 * normal[-1])
    )
    assert deviate == pytest.approx(z, abs=0.1)
    assert deviate <= straight
