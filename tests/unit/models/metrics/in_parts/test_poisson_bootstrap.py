"""Bootstrap counts by hash of the patient."""

import numpy as np
from scipy.stats import chisquare, poisson

from models.metrics.in_parts.poisson_bootstrap import poisson_counts

KEYS = np.random.default_rng(0).integers(2**63, size=2000, dtype=np.uint64)


def test_counts_have_poissons_distribution() -> None:
    counts = poisson_counts(KEYS, range(50)).ravel().astype(int)
    expected = poisson.pmf(np.arange(6), 1)
    expected = np.append(expected, 1 - expected.sum()) * len(counts)
    observed = np.bincount(np.minimum(counts, 6), minlength=7)
    assert chisquare(observed, expected).pvalue > 0.001


def test_counts_of_patients_and_of_resamples_are_independent() -> None:
    # Neighbouring keys and resamples, the small keys that a sample is drawn by, and other seeds.
    close = np.arange(2000, dtype=np.uint64)
    counts = poisson_counts(close, range(40))
    other = poisson_counts(close, range(40), random_state=1)
    for first, second in (
        (counts[1:], counts[:-1]),
        (counts[:, 1:], counts[:, :-1]),
        (counts, other),
        (poisson_counts(np.sort(KEYS)[:500], range(40)), counts[:500]),
    ):
        correlation = np.corrcoef(first.ravel(), second.ravel())[0, 1]
        # Five standard errors of no correlation.
        assert abs(correlation) < 5 / np.sqrt(first.size)


def test_a_count_depends_on_patient_and_resample_alone() -> None:
    whole = poisson_counts(KEYS, range(60))
    for block in (range(13), range(13, 14), range(14, 60)):
        some = poisson_counts(KEYS[::-7], block)
        np.testing.assert_array_equal(some, whole[::-7, block.start : block.stop])
    assert poisson_counts(KEYS, range(0)).shape == (2000, 0)
