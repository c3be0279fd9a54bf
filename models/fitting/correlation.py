"""The correlation of columns with gaps, from the patients who have both of every two columns."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

__all__ = ["MIN_MEASURED", "pairwise_correlation", "shrunken_correlation"]

MIN_MEASURED = 50
"""A pair of columns that fewer patients have counts as uncorrelated."""

LEAST_EIGENVALUE = 0.05

Floats = NDArray[np.float64]


def pairwise_correlation(scores: Floats) -> tuple[Floats, Floats]:
    """Return the correlation of columns with gaps, and how many patients have each pair.

    Positive definite: the smallest eigenvalues are lifted.

    Parameters
    ----------
    scores : ndarray of float, shape (n_patients, n_columns)
        NaN where missing.

    Returns
    -------
    tuple of ndarray of float, both of shape (n_columns, n_columns)
    """
    correlation, pairs = _pairwise(scores)
    correlation = np.where(pairs >= MIN_MEASURED, correlation, 0.0)
    np.fill_diagonal(correlation, 1.0)
    return _positive_definite(correlation), pairs


def shrunken_correlation(scores: Floats) -> Floats:
    """Return that correlation shrunk towards independence, by the intensity of [1]_.

    Parameters
    ----------
    scores : ndarray of float, shape (n_patients, n_columns)
        NaN where missing.

    Returns
    -------
    ndarray of float, shape (n_columns, n_columns)
        Positive definite.

    References
    ----------
    .. [1] Schäfer & Strimmer. Stat Appl Genet Mol Biol 4 (2005) 32. doi:10.2202/1544-6115.1175
    """
    correlation, pairs = _pairwise(scores)
    enough = (pairs >= MIN_MEASURED) & ~np.eye(len(pairs), dtype=bool)
    correlation = np.where(enough, correlation, 0.0)
    # Shrinkage towards the identity: R* = (1 - lambda) R + lambda I with
    #   lambda = sum_{i != j} Var(r_ij) / sum_{i != j} r_ij^2,   Var(r) ~ (1 - r^2)^2 / (n_ij - 1),
    # n_ij = `pairs` the patients who have both. `correlation` has zeros on its diagonal here, so
    # that adding I completes both terms.
    noise = (1 - correlation[enough] ** 2) ** 2 / (pairs[enough] - 1)
    signal = (correlation**2).sum()
    intensity = min(noise.sum() / signal, 1.0) if signal > 0 else 1.0
    return _positive_definite((1 - intensity) * correlation + np.eye(len(pairs)))


def _positive_definite(correlation: Floats) -> Floats:
    """Return a correlation whose smallest eigenvalues are lifted to `LEAST_EIGENVALUE`."""
    # Pairwise estimates need not be positive definite together. Every principal submatrix of the
    # result has eigenvalues about as large (Cauchy's interlacing), and can be inverted, whatever a
    # patient has measured.
    eigenvalues, vectors = np.linalg.eigh(correlation)
    lifted: Floats = (vectors * np.maximum(eigenvalues, LEAST_EIGENVALUE)) @ vectors.T
    spread = np.sqrt(np.diag(lifted))
    out: Floats = lifted / np.outer(spread, spread)
    return out


def _pairwise(scores: Floats) -> tuple[Floats, Floats]:
    """Return the correlation of every two columns over patients with both, and their number."""
    measured = ~np.isnan(scores)
    # Columns that the same patients have, as a number and its bends, need their sums once.
    bits = np.packbits(measured, axis=0)
    _, first, at = np.unique(bits, axis=1, return_index=True, return_inverse=True)
    present = measured[:, first].astype(float)
    # With m_ij the indicator of j measured in i and x = 0 where it is not, every sum over the
    # patients who have both a and b is a matrix product: n_ab = (m'm)_ab, and, over those patients,
    #   E[a] = (x'm)_ab / n_ab,   E[a^2] = (x^2'm)_ab / n_ab,   E[a b] = (x'x)_ab / n_ab.
    # Row a, column b of `mean` and `variance` belong to a, their transposes to b.
    filled = np.where(measured, scores, 0.0)
    pairs = (present.T @ present)[np.ix_(at, at)]
    count = np.maximum(pairs, 1.0)
    mean = (filled.T @ present)[:, at] / count
    variance = np.maximum(((filled**2).T @ present)[:, at] / count - mean**2, 1e-12)
    covariance = filled.T @ filled / count - mean * mean.T
    return np.clip(covariance / np.sqrt(variance * variance.T), -1.0, 1.0), pairs
