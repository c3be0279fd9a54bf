"""The novelty score against SciPy's chi-square, normal and Mahalanobis."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.spatial.distance import mahalanobis
from scipy.stats import chi2, norm

from models.inference.contract import Novelty
from models.inference.guard import novelty_score

SHARES = np.array([0.01, 0.05, *np.linspace(0.1, 0.9, 17), 0.95, 0.99])


def standard_normal(correlation: np.ndarray) -> Novelty:
    """Return the novelty of a cohort whose variables are standard normal already."""
    scores = tuple(norm.ppf(SHARES).tolist())
    return Novelty(
        columns=tuple(range(len(correlation))),
        normal_scores=scores,
        quantiles=(scores,) * len(correlation),
        correlation=tuple(map(tuple, correlation.tolist())),
    )


def distance_of(score: np.ndarray, k: int) -> np.ndarray:
    """Undo Wilson and Hilferty's cube root."""
    spread = 2 / (9 * k)
    return k * (score * np.sqrt(spread) + 1 - spread) ** 3


def test_it_is_the_mahalanobis_distance_of_what_is_measured() -> None:
    rng = np.random.default_rng(0)
    correlation = np.corrcoef(rng.normal(size=(4, 30)))
    # Twice as far out as any quantile: beyond them the scale goes on in a straight line.
    values = rng.uniform(-4, 4, (20, 4))
    values[5:10, 1] = np.nan
    values[10:15, :2] = np.nan

    score = novelty_score(values, standard_normal(correlation))

    for row, got in zip(values, score, strict=True):
        there = ~np.isnan(row)
        inverse = np.linalg.inv(correlation[np.ix_(there, there)])
        expected = mahalanobis(row[there], np.zeros(there.sum()), inverse) ** 2
        assert distance_of(got, int(there.sum())) == pytest.approx(expected, rel=0.02)


@pytest.mark.parametrize("k", [3, 10, 40])
@pytest.mark.parametrize("share", [0.5, 0.9, 0.99, 0.999])
def test_its_scale_is_the_normal_deviate_of_the_chi_square_law(k, share) -> None:
    distance = chi2.ppf(share, k)
    values = np.full((1, k), np.sqrt(distance / k))

    score = novelty_score(values, standard_normal(np.eye(k)))

    # Wilson and Hilferty's error, and that of a straight line between quantiles.
    assert score[0] == pytest.approx(norm.ppf(share), abs=0.05)
