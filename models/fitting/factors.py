"""The factor model from which the linear part infers what was not measured."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import eigh

from models.fitting.correlation import pairwise_correlation
from models.inference.parameters import Factors

__all__ = ["fit_factors"]

MOST_FACTORS = 40
LEAST_UNIQUE = 0.05
"""Smallest share of a column's variance that the factors leave unexplained."""

STEPS = 25
DIGITS = 5

Floats = NDArray[np.float64]


def fit_factors(columns: Floats, *, informs: NDArray[np.bool_]) -> Factors:
    """Fit a factor model to columns with gaps.

    The correlation of every two columns is that of the patients with both. The factors are those of
    maximum likelihood [1]_, up to `MOST_FACTORS` of them; a factor that cannot be told from noise
    is left out, and the others are shrunk for the noise in them [2]_.

    Parameters
    ----------
    columns : ndarray of float, shape (n_patients, n_linear_columns)
        From `matrices.linear_matrix`, NaN where not measured.
    informs : ndarray of bool, shape (n_linear_columns,)
        Columns that others may be inferred from.

    References
    ----------
    .. [1] Lawley & Maxwell. Factor Analysis as a Statistical Method, 2nd ed. Butterworths (1971).
    .. [2] Donoho, Gavish & Johnstone. Optimal shrinkage of eigenvalues in the spiked covariance
       model. Ann Stat 46 (2018) 1742-1778. doi:10.1214/17-AOS1601
    """
    measured = ~np.isnan(columns)
    count = np.maximum(measured.sum(0), 1)
    mean = np.where(measured, columns, 0.0).sum(0) / count
    centred = columns - mean
    deviation = np.where(measured, centred, 0.0)
    variance = np.einsum("nj,nj->j", deviation, deviation) / count
    varies = variance > 1e-12
    scale = np.where(varies, np.sqrt(np.where(varies, variance, 1.0)), 1.0)
    used = np.flatnonzero(varies)
    loadings = np.zeros((columns.shape[1], 1))
    unique = np.ones(columns.shape[1])
    if len(used) > 1:
        correlation, pairs = pairwise_correlation(centred[:, used] / scale[used])
        own, left = _maximum_likelihood(correlation, float(max(pairs.mean(), 1.0)))
        loadings = np.zeros((columns.shape[1], own.shape[1]))
        loadings[used], unique[used] = own, left
    return Factors(
        mean=mean,
        scale=scale,
        loadings=loadings.round(DIGITS),
        unique=unique.round(DIGITS),
        informs=informs & varies,
    )


def _maximum_likelihood(correlation: Floats, patients: float) -> tuple[Floats, Floats]:
    """Return loadings and unique variances, by alternating between the two."""
    # Given the unique variances U, the maximum-likelihood loadings are U^1/2 V (T - I)^1/2, with V
    # and T the leading eigenvectors and eigenvalues of U^-1/2 R U^-1/2; given the loadings,
    # U = diag(R - L L').
    p = len(correlation)
    most = min(MOST_FACTORS, p - 1)
    unique = np.clip(1 / np.diag(np.linalg.inv(correlation)), LEAST_UNIQUE, 1.0)
    loadings = np.zeros((p, most))
    for _ in range(STEPS):
        root = np.sqrt(unique)
        values, vectors = eigh(
            correlation / np.outer(root, root), subset_by_index=(p - most, p - 1)
        )
        excess = _excess(values, p / patients)
        loadings = root[:, None] * vectors * np.sqrt(excess)
        common = (loadings**2).sum(1)
        # A column explained beyond 1 - `LEAST_UNIQUE` has its loadings scaled back to that.
        loadings *= np.sqrt(np.minimum(1.0, (1 - LEAST_UNIQUE) / np.maximum(common, 1e-12)))[
            :, None
        ]
        before, unique = unique, 1 - (loadings**2).sum(1)
        if np.abs(unique - before).max() < 1e-3:
            break
    return loadings[:, excess > 0] if (excess > 0).any() else loadings[:, :1], unique


def _excess(values: Floats, ratio: float) -> Floats:
    """Return by how much eigenvalues of pure noise plus factors exceed 1, without the noise."""
    # With p columns and n patients, g = p / n, noise alone has eigenvalues up to (1 + sqrt(g))^2.
    # A factor of true eigenvalue l > 1 + sqrt(g) is seen at t = l (1 + g / (l - 1)), and its
    # direction with squared cosine c^2 = (1 - g / (l - 1)^2) / (1 + g / (l - 1)). Of least expected
    # squared error is 1 + (l - 1) c^2.
    seen = values > (1 + np.sqrt(ratio)) ** 2
    t = np.where(seen, values, (1 + np.sqrt(ratio)) ** 2)
    half = t + 1 - ratio
    true = (half + np.sqrt(np.maximum(half**2 - 4 * t, 0.0))) / 2
    over = np.maximum(true - 1, 1e-12)
    cosine = (1 - ratio / over**2) / (1 + ratio / over)
    return np.where(seen, np.maximum(over * cosine, 0.0), 0.0)
