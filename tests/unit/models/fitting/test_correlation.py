"""The correlation of columns with gaps."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from models.fitting.correlation import MIN_MEASURED, pairwise_correlation, shrunken_correlation


@pytest.fixture(scope="module")
def scores() -> np.ndarray:
    rng = np.random.default_rng(3)
    shared = rng.normal(size=(400, 1))
    scores = 0.7 * shared + rng.normal(size=(400, 5))
    scores[rng.random(scores.shape) < 0.3] = np.nan
    return scores


def test_it_is_that_of_the_patients_with_both(scores: np.ndarray) -> None:
    correlation, pairs = pairwise_correlation(scores)
    np.testing.assert_allclose(correlation, pd.DataFrame(scores).corr(), atol=1e-12)
    both = ~np.isnan(scores[:, 0]) & ~np.isnan(scores[:, 1])
    assert pairs[0, 1] == both.sum()


def test_every_pair_is_shrunk_by_the_same_share(scores: np.ndarray) -> None:
    off = np.triu_indices(5, 1)
    share = shrunken_correlation(scores)[off] / pairwise_correlation(scores)[0][off]
    np.testing.assert_allclose(share, share[0])
    assert 0.8 < share[0] < 1
    few = shrunken_correlation(scores[:120])[off] / pairwise_correlation(scores[:120])[0][off]
    assert few[0] < share[0]


def test_pairs_of_too_few_patients_count_as_uncorrelated(scores: np.ndarray) -> None:
    apart = scores.copy()
    shared = np.flatnonzero(~np.isnan(apart[:, 0]) & ~np.isnan(apart[:, 1]))
    apart[shared[MIN_MEASURED - 1 :], 0] = np.nan
    for correlation in (pairwise_correlation(apart)[0], shrunken_correlation(apart)):
        assert correlation[0, 1] == pytest.approx(0, abs=1e-12)


def test_pairs_that_contradict_each_other_leave_a_matrix_that_can_be_inverted() -> None:
    rng = np.random.default_rng(0)
    a, b, c = rng.normal(size=(3, 300))
    nan = np.full(300, np.nan)
    # Each pair is measured in other patients: r = .99, .99 and -.99, which no distribution has.
    scores = np.vstack(
        [
            np.column_stack([a, a + 0.1 * rng.normal(size=300), nan]),
            np.column_stack([nan, b, b + 0.1 * rng.normal(size=300)]),
            np.column_stack([c, nan, -c + 0.1 * rng.normal(size=300)]),
        ]
    )
    for correlation in (pairwise_correlation(scores)[0], shrunken_correlation(scores)):
        np.testing.assert_allclose(np.diag(correlation), 1)
        assert np.linalg.eigvalsh(correlation).min() > 0.01
