"""Columns of the two nested linear models of a likelihood-ratio test, from a cohort's features."""

from __future__ import annotations

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from models.fitting.encoding import fit_encoding, fit_scaling
from models.inference.matrices import raw_matrix
from models.metrics.comparison.splines import curved_terms

__all__ = ["base_columns", "panel_columns"]

_Floats = NDArray[np.float64]


def base_columns(frame: pd.DataFrame, knots: int) -> _Floats:
    """Return the base: splines of numbers, levels of categories, and flags of what is missing.

    Parameters
    ----------
    frame : DataFrame, shape (n_stays, n_features)
    knots : int
        Knots of each restricted cubic spline, 3 to 5; 0 for straight lines.

    Returns
    -------
    ndarray of float, shape (n_stays, n_columns)
        Without gaps: a missing value is the mean, beside its flag.
    """
    values, n_numbers = _standardised(frame)
    curves = [curved_terms(values[:, j], knots) for j in range(n_numbers)] if knots else []
    missing = np.isnan(values).astype(np.float64)
    return np.nan_to_num(np.hstack([values, *curves, missing]))


def panel_columns(frame: pd.DataFrame) -> _Floats:
    """Return the panel: straight lines of numbers and levels, 0 where not measured.

    There is no flag of what is missing. Which tests were done belongs to the base.
    """
    return np.nan_to_num(_standardised(frame)[0])


def _standardised(frame: pd.DataFrame) -> tuple[_Floats, int]:
    """Return standardised numbers, then levels, NaN where missing; and the count of numbers.

    Of a skewed number, the logarithm is taken.
    """
    encoding = fit_encoding(frame)
    n_numbers = len(encoding.numbers)
    values = raw_matrix(frame, encoding)
    scaling = fit_scaling(values, n_numbers)
    numbers = values[:, :n_numbers]
    logged = np.where(scaling.log, np.log1p(np.where(scaling.log, numbers, 0.0)), numbers)
    clipped = np.clip(logged, scaling.low, scaling.high)
    values[:, :n_numbers] = (clipped - scaling.center) / scaling.scale
    return values, n_numbers
