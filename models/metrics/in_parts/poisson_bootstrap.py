"""Bootstrap counts that depend on the patient and the resample alone, not on the other rows."""

from __future__ import annotations

from math import exp, factorial

import numpy as np
from numpy.typing import NDArray

__all__ = ["poisson_counts"]

_LEVELS = 2**16
_PER_NUMBER = 4
"""Draws of 16 bits in one number of 64."""

_CUMULATIVE = np.cumsum([exp(-1) / factorial(count) for count in range(12)])
_COUNT_OF_DRAW = np.searchsorted(_CUMULATIVE, (np.arange(_LEVELS) + 0.5) / _LEVELS).astype(np.uint8)
_GOLDEN = 0x9E3779B97F4A7C15


def poisson_counts(
    patient: NDArray[np.uint64], resamples: range, *, random_state: int = 0
) -> NDArray[np.float64]:
    """Return how often each row occurs in each bootstrap resample of the patients.

    Parameters
    ----------
    patient : ndarray of uint64, shape (n_stays,)
        Hash of the patient of each stay, whose stays are drawn together.
    resamples : range
        Numbers of the resamples, from 0, with a step of 1.
    random_state : int
        Seed.

    Returns
    -------
    ndarray of float, shape (n_stays, n_resamples)
        Independent Poisson draws with mean 1. A count is a function of seed, patient and number of
        the resample: it is the same whatever the other rows, their order, and how rows and
        resamples are divided.

    Notes
    -----
    With many patients the counts of a bootstrap are close to independent Poisson draws [1]_. A draw
    is 16 bits of SplitMix64 [2]_, keyed by patient and resample, turned into a count by the inverse
    of the distribution; each probability is right to 1 in 65,536.

    References
    ----------
    .. [1] Chamandy, Muralidharan, Najmi & Naidu. Estimating uncertainty for massive data streams.
       Google (2012). https://research.google/pubs/pub43157/
    .. [2] Steele, Lea & Flood. OOPSLA 2014, 453-472. doi:10.1145/2660193.2660195

    Examples
    --------
    >>> patient = np.array([7, 3, 7], dtype=np.uint64)
    >>> counts = poisson_counts(patient, range(1000))
    >>> bool((counts[0] == counts[2]).all()), bool((counts[0] == counts[1]).all())
    (True, False)
    >>> bool((poisson_counts(patient[:1], range(400, 410)) == counts[0, 400:410]).all())
    True
    """
    if not len(resamples):
        return np.zeros((len(patient), 0))
    first, last = resamples[0] // _PER_NUMBER, resamples[-1] // _PER_NUMBER + 1
    seed = np.uint64((random_state * _GOLDEN) % 2**64)
    of_patient = _mixed(np.asarray(patient, dtype=np.uint64) ^ seed)
    of_resample = _mixed(np.arange(first + 1, last + 1, dtype=np.uint64) * np.uint64(_GOLDEN))
    drawn = _mixed(of_patient[:, None] + of_resample).astype("<u8").view("<u2")
    skipped = resamples[0] - first * _PER_NUMBER
    drawn = drawn[:, skipped : skipped + len(resamples)]
    counts: NDArray[np.float64] = _COUNT_OF_DRAW[drawn].astype(np.float64)
    return counts


def _mixed(number: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """Return the finaliser of SplitMix64 of each number."""
    mixed = number
    for shift, factor in ((30, 0xBF58476D1CE4E5B9), (27, 0x94D049BB133111EB)):
        mixed = (mixed ^ (mixed >> np.uint64(shift))) * np.uint64(factor)
    return mixed ^ (mixed >> np.uint64(31))
