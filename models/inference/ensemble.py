"""Several fitted parts that read the same patients, answered together.

Part of every bundle's `model.py`: it imports only the standard library, numpy, pandas and xgboost.
"""

import json
import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import xgboost as xgb

from models.inference.matrices import horizon_basis, linear_matrix
from models.inference.part import FittedPart, load_booster

__all__ = ["Ensemble", "joint_booster"]


class Ensemble:
    """Fitted parts whose numbers lie in one array each, and whose trees lie in one booster.

    A model and its ten fold models then take little longer for one patient than the model alone.

    Parameters
    ----------
    parts : sequence of FittedPart
        Of one encoding.
    """

    def __init__(self, parts: Sequence[FittedPart]) -> None:
        self._parts = tuple(parts)
        first = parts[0]
        self._n_numbers = first.n_numbers
        self._scaling = {
            key: np.stack([part.scaling[key] for part in parts])[:, None] for key in first.scaling
        }
        self._horizon = {
            key: np.array([part.horizon[key] for part in parts])[:, None]
            for key in ("knots", "mean", "scale")
        }
        self._coef, self._coef_log_h, self._coef_h = (
            np.stack([getattr(part, name) for part in parts])[..., None]
            for name in ("coef", "coef_log_h", "coef_h")
        )
        self._intercept, self._weight, self._slope = (
            np.array(values)[:, None, None]
            for values in (
                [part.intercept for part in parts],
                [part.weight for part in parts],
                [part.calibration["slope"] for part in parts],
            )
        )
        boosters = [part.booster for part in parts]
        threads = first.encoding["threads"]
        boosted = bool((self._weight < 1).any())
        several = boosted and len(parts) > 1
        self._booster = joint_booster(boosters, threads) if several else boosters[0]
        self._boosted_counts = boosted

    def __len__(self) -> int:
        """Return the number of parts."""
        return len(self._parts)

    def monotone(
        self, raw: np.ndarray, all_days: np.ndarray, on_grid: np.ndarray, asked: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        """Return each part's log-odds at the asked of all days, before and after the maximum.

        The maximum runs over the fixed grid and the horizon itself, never over other horizons that
        happen to be asked for, so that a risk does not depend on what else is in the request.

        Parameters
        ----------
        raw : ndarray of float, shape (n, n_columns)
            From `matrices.raw_matrix`.
        all_days : ndarray of float, shape (n_days,)
            The grid and the horizons asked for, ascending.
        on_grid : ndarray of bool, shape (n_days,)
            Which of them are of the grid.
        asked : ndarray of int, shape (h,)
            Positions of those asked for.

        Returns
        -------
        tuple of ndarray of float, each of shape (n_parts, n, h)
            The second is at least the first.
        """
        # eta*(h) = max(eta(h), max of eta(g) over g <= h in the fixed grid). Off the grid eta is
        # replaced by -inf before the running maximum, so a requested horizon counts for itself
        # alone.
        eta = self._log_odds(raw, np.log(all_days))
        highest = np.maximum.accumulate(np.where(on_grid, eta, -np.inf), axis=-1)
        return eta[..., asked], np.maximum(eta, highest)[..., asked]

    def _log_odds(self, raw: np.ndarray, log_h: np.ndarray) -> np.ndarray:
        """Return the recalibrated log-odds, (n_parts, n, h), before the running maximum."""
        # Part j: eta_j = a_j(h) + b_j (w_j eta_linear,j + (1 - w_j) eta_boosted,j), with a =
        # `shift`, b = `_slope` and w = `_weight`, as `tuning.recalibration` fitted them.
        mixed = self._weight * self._linear(raw, log_h)
        if self._boosted_counts:
            mixed = mixed + (1 - self._weight) * self._boosted(raw, log_h)
        shift = np.stack([part.shift(log_h) for part in self._parts])[:, None]
        return np.asarray(shift + self._slope * mixed)

    def _linear(self, raw: np.ndarray, log_h: np.ndarray) -> np.ndarray:
        """Return the log-odds of the linear parts, (n_parts, n, h)."""
        # alpha_j + b_j(h)'theta_j + x_j'beta_j + z_j(h) x_j'gamma_j, as in
        # `models/fitting/linear.py`. The axes are (part, patient, horizon): each part scales the
        # patients and log h by its own constants, so that x_j = `columns` and z_j = `lz` carry the
        # part's index too.
        basis, lz = horizon_basis(log_h, self._horizon)
        columns = linear_matrix(raw, self._scaling, self._n_numbers)
        at_horizon = np.swapaxes(basis @ self._coef_h, 1, 2)
        slope = (columns @ self._coef_log_h) * lz[:, None]
        return np.asarray(self._intercept + at_horizon + columns @ self._coef + slope)

    def _boosted(self, raw: np.ndarray, log_h: np.ndarray) -> np.ndarray:
        """Return the log-odds of the boosted parts, (n_parts, n, h)."""
        # Every patient at every horizon in turn; the joint booster returns one margin per part and
        # row.
        stacked = np.column_stack(
            [np.repeat(raw, len(log_h), axis=0), np.tile(log_h, len(raw))]
        ).astype(np.float32)
        margin = self._booster.inplace_predict(
            stacked, predict_type="margin", missing=np.nan, validate_features=False
        )
        by_part = np.asarray(margin, dtype=float).reshape(len(raw), len(log_h), len(self))
        return np.moveaxis(by_part, -1, 0)


def joint_booster(boosters: Sequence[xgb.Booster], threads: int) -> xgb.Booster:
    """Return one booster that gives the margins of several, side by side.

    XGBoost keeps the trees of each class of a multi-class model apart by `tree_info`; here each
    booster is a class. Margins are the very sums that the boosters give.

    Parameters
    ----------
    boosters : sequence of Booster
        `binary:logistic`, of the same columns.
    threads : int

    Returns
    -------
    Booster
        Its margins are of shape (n, n_boosters).
    """
    # XGBoost computes margin_c = base_c + sum of the leaves of the trees with `tree_info` c. With
    # class c set to booster c, and all trees in one iteration, margin_c is that booster's own
    # margin, summed in its own order.
    models = [json.loads(bytes(booster.save_raw("json"))) for booster in boosters]
    trees: list[dict[str, Any]] = []
    of_booster: list[int] = []
    base: list[np.float32] = []
    for number, model in enumerate(models):
        for tree in model["learner"]["gradient_booster"]["model"]["trees"]:
            trees.append({**tree, "id": len(trees)})
            of_booster.append(number)
        base.append(_base_margin(model["learner"]["learner_model_param"]["base_score"]))
    joint = models[0]
    learner = joint["learner"]
    forest = learner["gradient_booster"]["model"]
    forest |= {"trees": trees, "tree_info": of_booster, "iteration_indptr": [0, len(trees)]}
    forest["gbtree_model_param"]["num_trees"] = str(len(trees))
    count = str(len(boosters))
    learner["objective"] = {
        "name": "multi:softprob",
        "softmax_multiclass_param": {"num_class": count},
    }
    learner["learner_model_param"] |= {
        "num_class": count,
        "base_score": "[" + ",".join(f"{margin:.9g}" for margin in base) + "]",
    }
    return load_booster(json.dumps(joint).encode(), threads)


def _base_margin(base_score: str) -> np.float32:
    """Return the logit of a booster's base score, in XGBoost's own precision."""
    # logit(p) = -log(1 / p - 1): the order of operations in float32 is that of XGBoost's
    # `ProbToMargin`, so that the base margin is the same to the last bit.
    risk = np.float32(base_score.strip("[]"))
    odds_against = np.float32(1) / risk - np.float32(1)
    return np.float32(-math.log(float(odds_against)))
