"""TreeSHAP of many patients at a time, by woodelf-explainer where that pays; else by XGBoost.

The results are those of XGBoost, within `TOLERANCE`: every row whose contributions do not add up to
the booster's own margin is computed again by XGBoost.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Sequence

import numpy as np
import pandas as pd
import xgboost as xgb
from numpy.typing import NDArray

from models.inference.trees import booster_depth, tree_contributions

__all__ = ["LEAST_ROWS", "MOST_ROWS", "TOLERANCE", "bulk_tree_contributions", "is_available"]

LEAST_ROWS = 2_500
"""With fewer rows XGBoost is faster: woodelf-explainer first works on every leaf of every tree."""

MOST_ROWS = 25_000
"""Rows to explain at a time: memory grows with them, and time per row hardly falls any more."""

TOLERANCE = 1e-5
"""Log-odds by which contributions and base may miss the booster's margin."""

_MOST_DEPTH = 10
"""woodelf-explainer holds two to this power of numbers for each leaf and column."""

Floats = NDArray[np.float64]


def is_available() -> bool:
    """Return whether woodelf-explainer (the extra `bulk`) is installed."""
    return importlib.util.find_spec("woodelf") is not None


def bulk_tree_contributions(
    boosters: Sequence[xgb.Booster], columns: NDArray[np.float32], threads: int
) -> Floats:
    """Return what `models.inference.trees.tree_contributions` returns, faster for many rows.

    WOODELF [1]_ computes path-dependent Shapley values in time that grows with the rows by one
    look-up per leaf, after work on every leaf that does not depend on the rows.

    Parameters
    ----------
    boosters : sequence of Booster, length k
        Of one margin each; splits on numbers only.
    columns : ndarray of float32, shape (n, c)
        NaN where not measured.
    threads : int
        Threads of XGBoost; woodelf-explainer uses one.

    Returns
    -------
    ndarray of float, shape (k, n, c + 1)
        Log-odds; the last column is the base.

    References
    ----------
    .. [1] Nadel & Wettenstein. From Decision Trees to Boolean Logic: A Fast and Unified SHAP
       Algorithm. Proc AAAI 40 (2026) 24476-24485. doi:10.1609/aaai.v40i29.39630
    """
    if (
        len(columns) < LEAST_ROWS
        or not is_available()
        or any(booster_depth(booster) > _MOST_DEPTH for booster in boosters)
    ):
        return tree_contributions(boosters, columns, threads)
    out = np.empty((len(boosters), len(columns), columns.shape[1] + 1), dtype=np.float32)
    slices = np.array_split(np.arange(len(columns)), -(-len(columns) // MOST_ROWS))
    for place, booster in enumerate(boosters):
        for rows in slices:
            out[place, rows] = _of_one(booster, columns[rows], threads)
    return np.asarray(out)


def _of_one(
    booster: xgb.Booster, columns: NDArray[np.float32], threads: int
) -> NDArray[np.float32]:
    """Return the contributions and the base of one booster, (n, c + 1)."""
    from woodelf.explainer import WoodelfExplainer

    # woodelf-explainer names columns by their labels, so that each must have its own.
    frame = pd.DataFrame(columns)
    explainer = WoodelfExplainer(booster, feature_perturbation="tree_path_dependent")
    values = np.asarray(explainer.shap_values(frame, verbose=False), dtype=np.float32)
    # The base does not depend on the row.
    (base,) = tree_contributions([booster], columns[:1], threads)[:, 0, -1]
    margin = booster.inplace_predict(
        columns, predict_type="margin", missing=np.nan, validate_features=False
    )
    out = np.column_stack([values, np.full(len(columns), base, dtype=np.float32)])
    missed = np.flatnonzero(~(np.abs(out.sum(1, dtype=np.float64) - margin) <= TOLERANCE))
    if len(missed):
        out[missed] = tree_contributions([booster], columns[missed], threads)[0]
    return out
