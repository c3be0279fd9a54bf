"""One fitted model on its own, and its trees with the horizon resolved.

Part of every bundle's `model.py`: it imports only the standard library, numpy, pandas and xgboost.
"""

import json
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from functools import lru_cache
from threading import Lock
from typing import Any

import numpy as np
import xgboost as xgb

from models.inference.matrices import horizon_basis, linear_matrix

__all__ = ["FittedPart", "booster_at_horizon", "booster_files", "load_booster"]

MAX_SLICES = 64


def booster_at_horizon(model: dict[str, Any], feature: int, log_h: float) -> dict[str, Any]:
    """Return the XGBoost JSON model whose splits on the horizon are already decided at `log_h`.

    Exact: for every patient it gives the same margin as the whole booster at that horizon, and the
    horizon then has no share of its own in the explanation. A resolved node hands its cover down,
    so the covers still add up at every node.

    Parameters
    ----------
    model : dict
        XGBoost's JSON model; it is not changed.
    feature : int
        Column of log horizon.
    log_h : float

    Returns
    -------
    dict
        The same without any split on that column.
    """
    learner = dict(model["learner"])
    forest = dict(learner["gradient_booster"])
    inner = dict(forest["model"])
    inner["trees"] = [_resolve(tree, feature, np.float32(log_h)) for tree in inner["trees"]]
    forest["model"] = inner
    learner["gradient_booster"] = forest
    return {**model, "learner": learner}


def _resolve(tree: dict[str, Any], feature: int, log_h: np.float32) -> dict[str, Any]:
    """Return one tree without its splits on the horizon; siblings stay side by side."""
    left, right = tree["left_children"], tree["right_children"]
    split, condition = tree["split_indices"], tree["split_conditions"]

    def settle(node: int) -> int:
        while left[node] >= 0 and split[node] == feature:
            node = left[node] if log_h < np.float32(condition[node]) else right[node]
        return node

    # TreeSHAP weighs the two sides of a split by their covers, as shares of the parent's. A node
    # that takes the place of a resolved one takes its cover too, and hands the ratio share = kept
    # cover / own cover down to its children.
    cover = tree["sum_hessian"]
    order, parents, kept_cover = [settle(0)], [2147483647], [cover[0]]
    children: list[tuple[int, int]] = []
    for place in range(len(split)):
        if place == len(order):
            break
        node = order[place]
        if left[node] < 0:
            children.append((-1, -1))
            continue
        children.append((len(order), len(order) + 1))
        share = kept_cover[place] / cover[node]
        for child in (left[node], right[node]):
            order.append(settle(child))
            parents.append(place)
            kept_cover.append(cover[child] * share)
    picked = {
        key: [tree[key][node] for node in order]
        for key in ("split_indices", "split_conditions", "default_left", "split_type")
    }
    picked |= {key: [tree[key][node] for node in order] for key in ("base_weights", "loss_changes")}
    return (
        tree
        | picked
        | {
            "left_children": [a for a, _ in children],
            "right_children": [b for _, b in children],
            "parents": parents,
            "sum_hessian": kept_cover,
            "tree_param": {**tree["tree_param"], "num_nodes": str(len(order))},
        }
    )


class FittedPart:
    """One fitted model on its own: scaling, linear part, booster, weight and recalibration.

    It explains; to answer is `ensemble.Ensemble`'s.

    Parameters
    ----------
    spec : mapping
        The part's plain numbers.
    encoding : mapping
        `numbers`, `levels`, and the `threads` to answer with.
    booster : Booster
    """

    def __init__(
        self, spec: Mapping[str, Any], encoding: Mapping[str, Any], booster: xgb.Booster
    ) -> None:
        self.encoding = encoding
        self.n_numbers = len(encoding["numbers"])
        self.scaling = {key: np.asarray(value) for key, value in spec["scaling"].items()}
        self.coef = np.asarray(spec["coef"])
        self.coef_log_h = np.asarray(spec["coef_log_h"])
        self.coef_h = np.asarray(spec["coef_h"])
        self.intercept = float(spec["intercept"])
        self.column_mean = np.asarray(spec["column_mean"])
        self.horizon = spec["horizon"]
        self.weight = float(spec["linear_weight"])
        self.calibration = spec["calibration"]
        self.booster = booster
        self._slices: OrderedDict[float, xgb.Booster] = OrderedDict()
        self._lock = Lock()
        self.base_log_odds = lru_cache(MAX_SLICES)(self._base_log_odds)

    def recalibrate(self, mixed: np.ndarray, log_h: np.ndarray) -> np.ndarray:
        """Return a(h) + b * mixed, before the running maximum."""
        return np.asarray(self.shift(log_h) + self.calibration["slope"] * mixed)

    def shift(self, log_h: np.ndarray) -> np.ndarray:
        """Return a(h): a broken line in log horizon, flat beyond its outer knots."""
        return np.asarray(np.interp(log_h, self.calibration["log_h"], self.calibration["shift"]))

    def at_horizon(self, log_h: float) -> xgb.Booster:
        """Return the booster resolved at a horizon; the last few are kept, they never change."""
        with self._lock:
            if log_h not in self._slices:
                model = json.loads(bytes(self.booster.save_raw("json")))
                sliced = booster_at_horizon(
                    model, int(model["learner"]["learner_model_param"]["num_feature"]) - 1, log_h
                )
                booster = xgb.Booster(model_file=bytearray(json.dumps(sliced).encode()))
                booster.set_param({"nthread": self.encoding["threads"]})
                self._slices[log_h] = booster
            self._slices.move_to_end(log_h)
            while len(self._slices) > MAX_SLICES:
                self._slices.popitem(last=False)
            return self._slices[log_h]

    def _base_log_odds(self, log_h: float) -> float:
        """Return the log-odds that contributions at a horizon start from, whoever the patient."""
        basis, coef = self._linear_at(log_h)
        mixed = self.weight * float(self.intercept + basis @ self.coef_h + self.column_mean @ coef)
        if self.weight < 1:
            nobody = np.full((1, self.booster.num_features() - 1), np.nan)
            mixed += (1 - self.weight) * float(self._tree_contributions(nobody, log_h)[0, 0, -1])
        return float(self.recalibrate(np.array([mixed]), np.array([log_h]))[0])

    def contributions(
        self,
        raw: np.ndarray,
        log_h: Sequence[float],
        groups: np.ndarray,
        booster_groups: np.ndarray,
    ) -> np.ndarray:
        """Return each variable's recalibrated contribution at each horizon, in log-odds.

        Parameters
        ----------
        raw : ndarray of float, shape (n, n_columns)
            From `matrices.raw_matrix`.
        log_h : sequence of float, length h
            Logarithms of the horizons in days.
        groups : ndarray of float, shape (n_linear_columns, v)
            1 where a column of the linear part belongs to a variable.
        booster_groups : ndarray of float, shape (n_columns + 1, v)
            The same for the booster's columns; the horizon's belongs to none.

        Returns
        -------
        ndarray of float, shape (n, h, v)
            With `base_log_odds` they sum to the log-odds before the running maximum, but for
            XGBoost's rounding to float32.
        """
        columns = linear_matrix(raw, self.scaling, self.n_numbers) - self.column_mean
        coef = np.stack([self._linear_at(at)[1] for at in log_h])
        mixed = self.weight * ((columns[:, None] * coef) @ groups)
        if self.weight < 1:
            trees = self._tree_contributions(raw, *log_h)[..., :-1] @ booster_groups
            mixed = mixed + (1 - self.weight) * trees
        return np.asarray(self.calibration["slope"] * mixed)

    def _linear_at(self, log_h: float) -> tuple[np.ndarray, np.ndarray]:
        """Return the horizon's columns and the coefficient of each other column at a horizon."""
        basis, lz = horizon_basis(np.array([log_h]), self.horizon)
        return basis[0], self.coef + self.coef_log_h * lz[0]

    def _tree_contributions(self, raw: np.ndarray, *log_h: float) -> np.ndarray:
        """Return TreeSHAP of the columns and the horizon (0), then the base, (n, h, c)."""
        # The column of the horizon is empty: no resolved booster splits on it.
        matrix = np.column_stack([raw, np.full(len(raw), np.nan)]).astype(np.float32)
        rows = xgb.DMatrix(matrix, nthread=self.encoding["threads"])
        values = [
            self.at_horizon(at).predict(rows, pred_contribs=True, validate_features=False)
            for at in log_h
        ]
        shape = (len(log_h), len(raw), matrix.shape[1] + 1)
        return np.moveaxis(np.asarray(values, dtype=float).reshape(shape), 0, 1)


def load_booster(content: bytes, threads: int) -> xgb.Booster:
    """Return a booster that answers with a stated number of threads."""
    booster = xgb.Booster(model_file=bytearray(content))
    booster.set_param({"nthread": threads})
    return booster


def booster_files(model: Mapping[str, Any]) -> list[str]:
    """Return the file of each part's booster: the main part, the folds, the competing event."""
    folds = [f"fold_{k:02d}.ubj" for k in range(len(model["folds"]))]
    return ["booster.ubj", *folds, *([] if model["competing"] is None else ["competing.ubj"])]
