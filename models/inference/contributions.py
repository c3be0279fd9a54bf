"""What each variable contributes to a risk, in log-odds that add up exactly.

Part of every bundle's `model.py`: it imports only the standard library, numpy, pandas and xgboost.
"""

import math

import numpy as np

from models.inference.matrices import ColumnGroups
from models.inference.missing import Inferred
from models.inference.part import FittedPart

__all__ = ["contributions"]


def contributions(
    main: FittedPart,
    raw: np.ndarray,
    inferred: Inferred,
    days: np.ndarray,
    total: np.ndarray,
    groups: ColumnGroups,
    booster_groups: ColumnGroups,
) -> np.ndarray:
    """Return the contributions of every variable at every horizon.

    Parameters
    ----------
    raw : ndarray of float, shape (n, n_columns)
        From `matrices.raw_matrix`.
    inferred : Inferred
        From `missing.infer`, for the same patients.
    days : ndarray of float, shape (h,)
        Horizons.
    total : ndarray of float, shape (n, h)
        What they must sum to: log-odds before the running maximum, over the base.
    groups, booster_groups : ColumnGroups
        As for `FittedPart.contributions`.

    Returns
    -------
    ndarray of float, shape (n, h, v)
    """
    phi = main.contributions(raw, inferred, [math.log(day) for day in days], groups, booster_groups)
    # XGBoost explains in float32: what rounding left over (below 1e-5) is spread over the
    # variables by size, so that sums are exact and explaining never changes a risk.
    gap = total - phi.sum(-1)
    size = np.abs(phi)
    whole = size.sum(-1, keepdims=True)
    share = np.where(whole > 0, size / np.where(whole > 0, whole, 1.0), 1 / phi.shape[-1])
    return np.asarray(phi + share * gap[..., None])
