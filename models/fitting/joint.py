"""The joint distribution of variables in a bundle: quantiles and correlations, no rows."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.stats import norm

from data_schema.disclosure import SMALLEST_CELL
from data_schema.variables import BELOW
from models.fitting.correlation import MIN_MEASURED, shrunken_correlation
from models.fitting.encoding import outer_share
from models.inference.contract import JointColumn, JointDistribution
from models.inference.matrices import level_columns, raw_matrix
from models.inference.next_best import normal_scores
from models.inference.parameters import Encoding

__all__ = ["fit_joint"]

MOST_QUANTILES = 25
DIGITS = 3

Floats = NDArray[np.float64]


def fit_joint(frame: pd.DataFrame, encoding: Encoding) -> JointDistribution:
    """Return a Gaussian copula of the columns that a model reads.

    Each column becomes normal scores through its own quantiles. Correlations of the scores are of
    the patients who have both values, shrunk towards independence by the intensity of [1]_.
    It holds nothing of a single patient: `SMALLEST_CELL` patients lie beyond the outermost quantile
    and between any two, quantiles are rounded to three digits, and a category that fewer patients
    have, or lack, is left out. `next_best.expected_changes` draws from it.

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
    lifted = shrunken_correlation(np.column_stack(scores)).round(4)
    return tuple(tuple(lifted[row, :row].tolist()) for row in range(len(lifted)))
