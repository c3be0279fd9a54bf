"""The joint distribution of variables in a bundle: quantiles and correlations, no rows."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.stats import norm

from data_schema.disclosure import SMALLEST_CELL
from data_schema.variables import BELOW
from models.fitting.encoding import outer_share
from models.inference.contract import JointColumn, JointDistribution
from models.inference.matrices import level_columns, raw_matrix
from models.inference.next_best import normal_scores
from models.inference.parameters import Encoding

__all__ = ["fit_joint", "pairwise_correlation"]

MIN_MEASURED = 50
"""Fewer measured values than this give no quantiles, and fewer pairs no correlation."""

MOST_QUANTILES = 25
DIGITS = 3
LEAST_EIGENVALUE = 0.05

Floats = NDArray[np.float64]


def fit_joint(frame: pd.DataFrame, encoding: Encoding) -> JointDistribution:
    """Return a Gaussian copula of the columns that a model reads.

    Each column becomes normal scores through its own quantiles. Correlations of the scores are of
    the patients who have both values, shrunk towards independence by the intensity of [1]_.
    It holds nothing of a single patient: `SMALLEST_CELL` patients lie beyond the outermost quantile
    and between any two, quantiles are rounded to three digits, and a category that fewer patients
    have, or lack, is left out. `next_best.expected_narrowing` draws from it.

    References
    ----------
    .. [1] Schäfer & Strimmer. Stat Appl Genet Mol Biol 4 (2005) 32. doi:10.2202/1544-6115.1175
    """
    raw = raw_matrix(frame, encoding)
    named = [*((name, None) for name in encoding.numbers), *level_columns(encoding)]
    columns: list[JointColumn] = []
    standardised: list[Floats] = []
    for place, (name, level) in enumerate(named):
        values = raw[:, place]
        if name.endswith(f"__{BELOW}") or not _has_enough_patients(
            values, binary=level is not None
        ):
            continue
        quantiles, of_quantiles = _quantiles(values[~np.isnan(values)])
        if len(set(quantiles)) < 2:
            continue
        # Gaussian copula: z = Phi^-1(F(x)), F the column's own distribution function, known at its
        # quantiles. Ties and rounding leave z short of mean 0 and variance 1, so it is standardised
        # again: the correlation below is that of (z - mean) / spread.
        scores = normal_scores(values, quantiles, of_quantiles)
        mean, spread = float(np.nanmean(scores)), float(np.nanstd(scores))
        below = _below(frame, name)
        columns.append(JointColumn(name, level, of_quantiles, quantiles, mean, spread, below))
        standardised.append((scores - mean) / spread)
    return JointDistribution(tuple(columns), _lower_triangle(standardised))


def _has_enough_patients(values: Floats, *, binary: bool) -> bool:
    """Return whether enough patients have a value, and both levels of a category."""
    measured = values[~np.isnan(values)]
    if len(measured) < MIN_MEASURED:
        return False
    return not binary or SMALLEST_CELL <= measured.sum() <= len(measured) - SMALLEST_CELL


def _quantiles(measured: Floats) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Return quantiles of a column and their normal scores, as many as patients allow."""
    outer = outer_share(len(measured))
    most = int((1 - 2 * outer) * len(measured) / SMALLEST_CELL) + 1
    inner = np.array([outer, 0.01, *np.linspace(0.05, 0.95, MOST_QUANTILES - 4), 0.99, 1 - outer])
    shares = np.unique(inner[(inner >= outer) & (inner <= 1 - outer)])
    if len(shares) > most or (np.diff(shares) * len(measured) < SMALLEST_CELL).any():
        shares = np.linspace(outer, 1 - outer, max(min(most, MOST_QUANTILES), 2))
    # An observed value, not a mean of two: a flag is 0 or 1, a stage a whole number.
    values = np.quantile(measured, shares, method="inverted_cdf")
    rounded = tuple(float(f"{value:.{DIGITS}g}") for value in values)
    return rounded, tuple(norm.ppf(shares).round(4).tolist())


def _below(frame: pd.DataFrame, name: str) -> float | None:
    """Return the normal score up to which a value lies below its limit, None if hardly any does."""
    flag = f"{name}__{BELOW}"
    if flag not in frame:
        return None
    below = frame.loc[frame[name].notna(), flag].to_numpy(dtype=float) == 1
    if not SMALLEST_CELL <= below.sum() <= len(below) - SMALLEST_CELL:
        return None
    # P(z <= c) is the share of measured values below the limit, so c = Phi^-1(share).
    return float(norm.ppf(below.mean()))


def _lower_triangle(scores: Sequence[Floats]) -> tuple[tuple[float, ...], ...]:
    """Return the shrunken correlation of standardised scores, below the diagonal."""
    if len(scores) < 2:
        return ((),) * len(scores)
    correlation, pairs = _pairwise(np.column_stack(scores))
    off = ~np.eye(len(scores), dtype=bool)
    enough = off & (pairs >= MIN_MEASURED)
    correlation = np.where(enough, correlation, 0.0)
    # Shrinkage towards the identity [1 of `fit_joint`]: R* = (1 - lambda) R + lambda I with
    #   lambda = sum_{i != j} Var(r_ij) / sum_{i != j} r_ij^2,   Var(r) ~ (1 - r^2)^2 / (n_ij - 1),
    # n_ij = `pairs` the patients who have both. `correlation` has zeros on its diagonal here, so
    # that adding I completes both terms.
    noise = (1 - correlation[enough] ** 2) ** 2 / (pairs[enough] - 1)
    signal = (correlation**2).sum()
    shrinkage = min(noise.sum() / signal, 1.0) if signal > 0 else 1.0
    lifted = _positive_definite((1 - shrinkage) * correlation + np.eye(len(scores))).round(4)
    return tuple(tuple(lifted[row, :row].tolist()) for row in range(len(lifted)))


def pairwise_correlation(scores: Floats) -> tuple[Floats, Floats]:
    """Return the correlation of columns with gaps, and how many patients have each pair.

    `scores` is (n, p) with NaN where missing. Pairs of fewer than `MIN_MEASURED` patients count as
    uncorrelated; eigenvalues are lifted so that the result is positive definite.
    """
    correlation, pairs = _pairwise(scores)
    correlation = np.where(pairs >= MIN_MEASURED, correlation, 0.0)
    np.fill_diagonal(correlation, 1.0)
    return _positive_definite(correlation), pairs


def _positive_definite(correlation: Floats) -> Floats:
    """Return a correlation whose smallest eigenvalues are lifted to `LEAST_EIGENVALUE`.

    Pairwise estimates need not be positive definite together.
    """
    eigenvalues, vectors = np.linalg.eigh(correlation)
    lifted: Floats = (vectors * np.maximum(eigenvalues, LEAST_EIGENVALUE)) @ vectors.T
    spread = np.sqrt(np.diag(lifted))
    out: Floats = lifted / np.outer(spread, spread)
    return out


def _pairwise(scores: Floats) -> tuple[Floats, Floats]:
    """Return the correlation of every two columns over patients with both, and their number."""
    present = (~np.isnan(scores)).astype(float)
    # With m_ij the indicator of j measured in i and x = 0 where it is not, every sum over the
    # patients who have both a and b is a matrix product: n_ab = (m'm)_ab, and, over those patients,
    #   E[a] = (x'm)_ab / n_ab,   E[a^2] = (x^2'm)_ab / n_ab,   E[a b] = (x'x)_ab / n_ab.
    # Row a, column b of `mean` and `variance` belong to a, their transposes to b.
    filled = np.nan_to_num(scores)
    pairs = present.T @ present
    count = np.maximum(pairs, 1.0)
    mean = filled.T @ present / count
    variance = np.maximum((filled**2).T @ present / count - mean**2, 1e-12)
    covariance = filled.T @ filled / count - mean * mean.T
    return np.clip(covariance / np.sqrt(variance * variance.T), -1.0, 1.0), pairs
