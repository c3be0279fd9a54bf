"""What a bundle stores of its training cohort to recognise a patient unlike it: no rows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray
from scipy.stats import norm

from models.fitting.encoding import outer_share
from models.inference.contract import Novelty
from models.inference.guard import novelty_score

__all__ = ["fit_novelty"]

MIN_MEASURED = 50
MIN_DISTINCT = 20
SHRINKAGE = 0.1
REFUSE_SHARE, WARN_SHARE = 0.999, 0.99


def fit_novelty(raw: NDArray[np.float64], numbers: Sequence[str]) -> Novelty:
    """Return quantiles, their normal scores, a correlation and the two thresholds.

    Continuous variables become normal scores through their own quantiles (a Gaussian copula); the
    correlation is pairwise and shrunk towards independence by `SHRINKAGE`, so that it can be
    inverted for any set of measured variables. A patient further out than 99.9 % of the training
    cohort is refused; one further out than 99 % gets a warning. `numbers` are the names of the
    leading columns of `raw`, (n_patients, n_columns).
    """
    columns = [
        j
        for j, name in enumerate(numbers)
        if not name.endswith("__below")
        and np.isfinite(raw[:, j]).sum() >= MIN_MEASURED
        and len(np.unique(raw[np.isfinite(raw[:, j]), j])) > MIN_DISTINCT
    ]
    values = raw[:, columns]
    shares = _shares(values)
    normal = norm.ppf(shares)
    quantiles = [
        np.maximum.accumulate(np.nanquantile(values[:, j], shares)) for j in range(len(columns))
    ]
    novelty = Novelty(
        columns=tuple(columns),
        normal_scores=tuple(normal.tolist()),
        quantiles=tuple(tuple(q.tolist()) for q in quantiles),
    )
    if not columns:
        return novelty
    correlation = _correlation(values, quantiles, normal).tolist()
    novelty = replace(novelty, correlation=tuple(map(tuple, correlation)))
    score = novelty_score(values, novelty)
    return replace(
        novelty,
        refuse_above=float(np.quantile(score, REFUSE_SHARE)),
        warn_above=float(np.quantile(score, WARN_SHARE)),
    )


def _shares(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the shares of the quantiles: `SMALLEST_CELL` patients lie beyond the outermost."""
    measured = np.isfinite(values).sum(0)
    outer = outer_share(int(measured.min(initial=len(values))))
    inner = np.array([0.01, *np.linspace(0.05, 0.95, 19), 0.99])
    shares: NDArray[np.float64] = np.array(
        [outer, *inner[(inner > outer) & (inner < 1 - outer)], 1 - outer]
    )
    return shares


def _correlation(
    values: NDArray[np.float64],
    quantiles: Sequence[NDArray[np.float64]],
    normal: NDArray[np.float64],
) -> NDArray[np.float64]:
    """Return the shrunken correlation of normal scores, missing values at their mean."""
    scores = np.column_stack([np.interp(values[:, j], q, normal) for j, q in enumerate(quantiles)])
    present = np.isfinite(values)
    scores = np.where(present, scores, 0.0)
    pairs = np.maximum(present.T.astype(float) @ present, 1.0)
    # Normal scores have mean 0, and 0 stands for what is missing: (s's)_ab / n_ab over the n_ab
    # patients who have both is their covariance.
    covariance = scores.T @ scores / pairs
    spread = np.sqrt(np.diag(covariance))
    correlation = covariance / np.outer(spread, spread)
    # Pairwise estimates need not be positive definite together: lift the smallest eigenvalues.
    eigenvalues, vectors = np.linalg.eigh(correlation)
    lifted = (vectors * np.maximum(eigenvalues, 0.0)) @ vectors.T
    # R* = (1 - a) R + a I, a = `SHRINKAGE`. With no negative eigenvalue in R, every one of R* is at
    # least a, and so is every one of any of its principal submatrices (Cauchy's interlacing): the
    # submatrix of whatever a patient has measured can be inverted.
    shrunk: NDArray[np.float64] = (1 - SHRINKAGE) * lifted + SHRINKAGE * np.eye(len(lifted))
    return shrunk
