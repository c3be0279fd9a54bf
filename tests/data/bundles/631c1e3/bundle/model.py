"""Osteon's inference, standing alone: written by `models.bundle`, do not edit."""

from __future__ import annotations


from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

import numpy as np
import pandas as pd



class Table(NamedTuple):
    """Patients column by column, as plain arrays: for one patient far quicker than a frame.

    Attributes
    ----------
    rows : int
        Number of patients.
    numbers : mapping of str to ndarray of float, shape (rows,)
        NaN where not measured.
    texts : mapping of str to ndarray of object, shape (rows,)
        None where not measured.
    """

    rows: int
    numbers: Mapping[str, np.ndarray]
    texts: Mapping[str, np.ndarray]

    def number(self, column: str) -> np.ndarray:
        """Return a column of numbers, NaN where there is no such column."""
        found = self.numbers.get(column)
        return np.full(self.rows, np.nan) if found is None else found


def table_of(frame: pd.DataFrame, *, numbers: Iterable[str], texts: Iterable[str]) -> Table:
    """Return the named columns of a frame, where it has them."""
    return Table(
        len(frame),
        {name: numbers_of(frame, name) for name in numbers if name in frame},
        {name: texts_of(frame, name) for name in texts if name in frame},
    )


def raw_matrix(patients: pd.DataFrame | Table, encoding: Mapping[str, Any]) -> np.ndarray:
    """Return numbers and flags, then one column per category level; not measured is NaN.

    The levels of a category are NaN together when it is not measured or was never seen in training.

    Parameters
    ----------
    patients : DataFrame or Table
        With every column that the encoding names.
    encoding : mapping
        `numbers` and `levels`, from `encoding.fit_encoding`.

    Returns
    -------
    ndarray of float, shape (n_patients, n_columns)
    """
    numbers: list[str] = encoding["numbers"]
    levels: list[tuple[str, list[str]]] = encoding["levels"]
    table = (
        table_of(patients, numbers=numbers, texts=[name for name, _ in levels])
        if isinstance(patients, pd.DataFrame)
        else patients
    )
    out = np.empty((table.rows, len(numbers) + sum(len(known) for _, known in levels)))
    for j, name in enumerate(numbers):
        out[:, j] = table.number(name)
    j = len(numbers)
    for name, known in levels:
        text = table.texts[name]
        shown = known[1:] if len(known) == 2 else known
        unseen = np.array([one not in known for one in text], dtype=bool)
        for level in shown:
            out[:, j] = np.where(unseen, np.nan, text == level)
            j += 1
    return out[:, :j]


def level_columns(encoding: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Return (feature, level) of the one-hot columns, in order; two levels need one column."""
    return [
        (name, level)
        for name, known in encoding["levels"]
        for level in (known[1:] if len(known) == 2 else known)
    ]


def spline_basis(x: np.ndarray, knots: np.ndarray) -> np.ndarray:
    """Return the two curved terms of a restricted cubic spline with four knots [1]_.

    Parameters
    ----------
    x : ndarray of float
    knots : ndarray of float, shape (*x.shape, 4), or one that broadcasts to it
        Ascending; where all four coincide both terms are 0, a straight line.

    Returns
    -------
    ndarray of float, shape (*x.shape, 2)
        Linear beyond the outer knots.

    References
    ----------
    .. [1] Harrell. Regression Modeling Strategies, 2nd ed. Springer (2015), section 2.4.5.
    """

    def cube(knot: np.ndarray) -> np.ndarray:
        return np.asarray(np.maximum(x - knot, 0.0) ** 3)

    k0, k1, k2, k3 = np.moveaxis(knots, -1, 0)
    curved = k3 > k2
    span = np.where(curved, k3 - k0, 1.0)
    tail = np.where(curved, k3 - k2, 1.0)
    terms = [
        (cube(k) - cube(k2) * (k3 - k) / tail + cube(k3) * (k2 - k) / tail) / span**2
        for k in (k0, k1)
    ]
    return np.where(curved[..., None], np.stack(terms, axis=-1), 0.0)


def linear_matrix(raw: np.ndarray, scaling: Mapping[str, np.ndarray], n_numbers: int) -> np.ndarray:
    """Return the columns of the linear part.

    Parameters
    ----------
    raw : ndarray of float, shape (n_patients, n_columns)
        From `raw_matrix`.
    scaling : mapping of str to ndarray
        From `encoding.fit_scaling`; or those of several parts, stacked on a first axis of n_parts
        and a second one of 1.
    n_numbers : int
        How many leading columns of `raw` are numbers.

    Returns
    -------
    ndarray of float, shape (n_patients, n_linear_columns), or (n_parts, ...) of that
        Standardised values, their splines (twice), levels, then one flag per column of `raw` for
        "not measured"; what was not measured is 0 elsewhere, the mean.
    """
    x = raw[:, :n_numbers]
    missing = np.isnan(raw)
    with np.errstate(invalid="ignore"):
        x = np.where(scaling["log"], np.log1p(np.maximum(x, 0.0)), x)
        z = (np.clip(x, scaling["low"], scaling["high"]) - scaling["center"]) / scaling["scale"]
    z = np.where(missing[:, :n_numbers], 0.0, z)
    # Without a number there is no knot either, nor a shape to read four of them from.
    splines = spline_basis(z, scaling["knots"]) if n_numbers else np.zeros((*z.shape, 2))
    splines = np.where(missing[:, :n_numbers, None], 0.0, splines)
    levels = np.where(missing[:, n_numbers:], 0.0, raw[:, n_numbers:])
    shared = np.hstack([levels, missing.astype(float)])
    shared = np.broadcast_to(shared, (*z.shape[:-1], shared.shape[1]))
    return np.concatenate([z, splines[..., 0], splines[..., 1], shared], axis=-1)


def linear_column_features(encoding: Mapping[str, Any]) -> list[str]:
    """Return the feature that each column of `linear_matrix` belongs to."""
    numbers = list(encoding["numbers"])
    levels = [feature for feature, _ in level_columns(encoding)]
    return numbers * 3 + levels + numbers + levels


def horizon_basis(log_h: np.ndarray, horizon: Mapping[str, Any]) -> tuple[np.ndarray, np.ndarray]:
    """Return the standardised spline of log horizon.

    Parameters
    ----------
    log_h : ndarray of float, shape (n,)
    horizon : mapping
        From `linear.fit_horizon_basis`; or those of several parts, stacked as for `linear_matrix`.

    Returns
    -------
    tuple of ndarray of float, shapes (n, 3) and (n,), or (n_parts, ...) of those
        All three terms, and the linear one alone.
    """
    curved = spline_basis(log_h, np.asarray(horizon["knots"]))
    straight = np.broadcast_to(log_h, curved.shape[:-1])[..., None]
    basis = np.concatenate([straight, curved], axis=-1)
    basis = (basis - np.asarray(horizon["mean"])) / np.asarray(horizon["scale"])
    return basis, basis[..., 0]


def numbers_of(frame: pd.DataFrame, column: str) -> np.ndarray:
    """Return a column as float, NaN where absent or not a number."""
    if column not in frame:
        return np.full(len(frame), np.nan)
    return pd.to_numeric(frame[column], errors="coerce").to_numpy(dtype=float, na_value=np.nan)


def texts_of(frame: pd.DataFrame, column: str) -> np.ndarray:
    """Return a column as text, None where not measured."""
    texts = frame[column].map(str).to_numpy(dtype=object, copy=True)
    texts[frame[column].isna().to_numpy()] = None
    return texts


def no_text(values: pd.Series) -> pd.Series:
    """Say which rows of a column can be no category: neither text, nor yes or no, nor nothing."""
    is_text = values.map(lambda value: isinstance(value, str | bool | np.bool_)).astype(bool)
    return values.notna() & ~is_text


def expit(x: np.ndarray) -> np.ndarray:
    """Return the inverse logit without overflow."""
    return 0.5 * (1.0 + np.tanh(0.5 * np.asarray(x, dtype=float)))


import json
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from functools import lru_cache
from threading import Lock
from typing import Any

import numpy as np
import xgboost as xgb



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


import json
import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import xgboost as xgb




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
        eta = self._log_odds(raw, np.log(all_days))
        highest = np.maximum.accumulate(np.where(on_grid, eta, -np.inf), axis=-1)
        return eta[..., asked], np.maximum(eta, highest)[..., asked]

    def _log_odds(self, raw: np.ndarray, log_h: np.ndarray) -> np.ndarray:
        """Return the recalibrated log-odds, (n_parts, n, h), before the running maximum."""
        mixed = self._weight * self._linear(raw, log_h)
        if self._boosted_counts:
            mixed = mixed + (1 - self._weight) * self._boosted(raw, log_h)
        shift = np.stack([part.shift(log_h) for part in self._parts])[:, None]
        return np.asarray(shift + self._slope * mixed)

    def _linear(self, raw: np.ndarray, log_h: np.ndarray) -> np.ndarray:
        """Return the log-odds of the linear parts, (n_parts, n, h)."""
        basis, lz = horizon_basis(log_h, self._horizon)
        columns = linear_matrix(raw, self._scaling, self._n_numbers)
        at_horizon = np.swapaxes(basis @ self._coef_h, 1, 2)
        slope = (columns @ self._coef_log_h) * lz[:, None]
        return np.asarray(self._intercept + at_horizon + columns @ self._coef + slope)

    def _boosted(self, raw: np.ndarray, log_h: np.ndarray) -> np.ndarray:
        """Return the log-odds of the boosted parts, (n_parts, n, h)."""
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
    risk = np.float32(base_score.strip("[]"))
    odds_against = np.float32(1) / risk - np.float32(1)
    return np.float32(-math.log(float(odds_against)))


import math

import numpy as np




def contributions(
    main: FittedPart,
    raw: np.ndarray,
    days: np.ndarray,
    total: np.ndarray,
    groups: np.ndarray,
    booster_groups: np.ndarray,
) -> np.ndarray:
    """Return the contributions of every variable at every horizon.

    Parameters
    ----------
    main : FittedPart
    raw : ndarray of float, shape (n, n_columns)
        From `matrices.raw_matrix`.
    days : ndarray of float, shape (h,)
        Horizons.
    total : ndarray of float, shape (n, h)
        What they must sum to: log-odds before the running maximum, over the base.
    groups, booster_groups : ndarray of float
        As for `FittedPart.contributions`.

    Returns
    -------
    ndarray of float, shape (n, h, v)
    """
    phi = main.contributions(raw, [math.log(day) for day in days], groups, booster_groups)
    # XGBoost explains in float32: what rounding left over (below 1e-5) goes back to the
    # variables by size, so that sums are exact and explaining never changes a risk.
    gap = total - phi.sum(-1)
    size = np.abs(phi)
    whole = size.sum(-1, keepdims=True)
    share = np.where(whole > 0, size / np.where(whole > 0, whole, 1.0), 1 / phi.shape[-1])
    return np.asarray(phi + share * gap[..., None])


from typing import Any, NamedTuple

import numpy as np
import pandas as pd




class Prediction(NamedTuple):
    """Risks of n patients at h horizons, explained by v variables; refused patients hold NaN.

    Contributions are in log-odds (`log_odds`) and in points of risk (`points`, percent), such that
    `base_log_odds + log_odds.sum(-1) + monotone_adjustment` is the logit of `risk` and
    `points.sum(-1) + adjustment_points` is `100 * (risk - baseline_risk)`.

    Attributes
    ----------
    horizons_days : ndarray of float, shape (h,)
        Days from time zero.
    risk : ndarray of float, shape (n, h)
        Cumulative incidence, in [0, 1]; higher is riskier.
    risk_low, risk_high : ndarray of float, shape (n, h)
        The interval's ends; NaN without one.
    baseline_risk : ndarray of float, shape (h,)
        Inverse logit of `base_log_odds`: a reference, not the average patient.
    cohort_risk : ndarray of float, shape (h,)
        Mean risk of the training cohort.
    competing_risk : ndarray of float, shape (n, h), or None
        Risk that the competing event comes first, at most `1 - risk`; None without such a curve.
    base_log_odds : ndarray of float, shape (h,)
        What contributions start from.
    monotone_adjustment : ndarray of float, shape (n, h)
        Log-odds added by the running maximum, >= 0.
    outcome : str
        Name of the event.
    variables, pathways : tuple of str, length v
        What contributions are told of, and the pathway of each.
    measured : ndarray of bool, shape (n, v)
        Whether the patient has a value of the variable.
    log_odds, points : ndarray of float, shape (n, h, v), or None
        Contributions, where explained; those of pathways are sums of their variables'.
    adjustment_points : ndarray of float, shape (n, h)
        Points of the adjustment.
    status : list of str, length n
        `ok` or `refused`.
    refusals, warnings : list of list of dict, length n
        `code`, `message` (without a value) and `variables` of each.
    """

    horizons_days: np.ndarray
    risk: np.ndarray
    risk_low: np.ndarray
    risk_high: np.ndarray
    baseline_risk: np.ndarray
    cohort_risk: np.ndarray
    competing_risk: np.ndarray | None
    base_log_odds: np.ndarray
    monotone_adjustment: np.ndarray
    outcome: str
    variables: tuple[str, ...]
    pathways: tuple[str, ...]
    measured: np.ndarray
    log_odds: np.ndarray | None
    points: np.ndarray | None
    adjustment_points: np.ndarray
    status: list[str]
    refusals: list[list[dict[str, Any]]]
    warnings: list[list[dict[str, Any]]]

    def to_frame(self, frame: pd.DataFrame) -> pd.DataFrame:
        """Return one row per patient and horizon.

        Parameters
        ----------
        frame : DataFrame, shape (n, ...)
            What was predicted; `patient_id`, `stay_id` and `time_zero` are taken from it.

        Returns
        -------
        DataFrame, shape (n * h, ...)
            Refusal codes are joined by ";"; where an event competes, there is `competing_risk`;
            where explained, one `contribution__<variable>` (log-odds) and one `points__<variable>`
            each.
        """
        n, h = self.risk.shape

        def per_row(column: str) -> np.ndarray:
            values = frame[column] if column in frame else pd.Series([None] * n, dtype=object)
            return np.repeat(values.to_numpy(dtype=object), h)

        codes = [";".join(r["code"] for r in refusals) for refusals in self.refusals]
        columns: dict[str, Any] = {
            "patient_id": per_row("patient_id"),
            "stay_id": per_row("stay_id"),
            "outcome": self.outcome,
            "time_zero": per_row("time_zero"),
            "horizon_days": np.tile(self.horizons_days, n),
            "status": np.repeat(self.status, h),
            "refusal_code": np.repeat(codes, h),
            "risk": self.risk.ravel(),
            "risk_low": self.risk_low.ravel(),
            "risk_high": self.risk_high.ravel(),
            "baseline_risk": np.tile(self.baseline_risk, n),
            "cohort_risk": np.tile(self.cohort_risk, n),
            "base_log_odds": np.tile(self.base_log_odds, n),
            "monotone_adjustment": self.monotone_adjustment.ravel(),
        }
        if self.competing_risk is not None:
            columns["competing_risk"] = self.competing_risk.ravel()
        if self.log_odds is not None and self.points is not None:
            for j, name in enumerate(self.variables):
                columns[f"contribution__{name}"] = self.log_odds[:, :, j].ravel()
            for j, name in enumerate(self.variables):
                columns[f"points__{name}"] = self.points[:, :, j].ravel()
        return pd.DataFrame(columns)


class Curve(NamedTuple):
    """Risks of n patients over g days, of every patient, refused or not.

    Attributes
    ----------
    days : ndarray of float, shape (g,)
    risk, risk_low, risk_high : ndarray of float, shape (n, g)
    cohort_risk : ndarray of float, shape (g,)
    competing_risk : ndarray of float, shape (n, g), or None
        All as in `Prediction`.
    """

    days: np.ndarray
    risk: np.ndarray
    risk_low: np.ndarray
    risk_high: np.ndarray
    cohort_risk: np.ndarray
    competing_risk: np.ndarray | None


def points_per_log_odds(log_odds: np.ndarray, base: np.ndarray) -> np.ndarray:
    """Return points of risk (percent) per unit of log-odds between baseline and patient.

    Parameters
    ----------
    log_odds : ndarray of float, shape (n, h)
        Logit of the risk.
    base : ndarray of float, shape (h,)
        Logit of the baseline risk.

    Returns
    -------
    ndarray of float, shape (n, h)
        The slope of the chord of the inverse logit; of its tangent where the two coincide.
    """
    p0, p = expit(base), expit(log_odds)
    step = log_odds - base
    near = np.abs(step) < 1e-6
    slope: np.ndarray = np.where(near, p0 * (1 - p0), (p - p0) / np.where(near, 1.0, step))
    return 100 * slope


from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike



CHUNK_ROWS = 4_000


class GridDays(NamedTuple):
    """The days of a model's grid and those asked for, as `Ensemble.monotone` takes them.

    Attributes
    ----------
    all_days : ndarray of float, shape (n_days,)
        Ascending.
    on_grid : ndarray of bool, shape (n_days,)
        Which of them are of the grid.
    asked : ndarray of int, shape (h,)
        Positions of those asked for, in the order asked.
    """

    all_days: np.ndarray
    on_grid: np.ndarray
    asked: np.ndarray


class IntervalWidth(NamedTuple):
    """How far the interval reaches on the logit scale at the h days asked for.

    Attributes
    ----------
    t : float
        Standard errors from the estimate to an end.
    squared_bias : ndarray of float, shape (h,)
        What shrinkage is allowed for, on average over the training cohort.
    center, spread : ndarray of float, shape (h,)
        Mean and variance of the log-odds in the training cohort.
    """

    t: float
    squared_bias: np.ndarray
    center: np.ndarray
    spread: np.ndarray

    @classmethod
    def of(cls, contract: Mapping[str, Any], days: np.ndarray) -> "IntervalWidth":
        """Return what a model's contract says of the days asked for."""
        interval, grid = contract["interval"], np.log(contract["grid_days"])
        names = ("squared_bias", "center", "spread")
        return cls(interval["t"], *(np.interp(np.log(days), grid, interval[n]) for n in names))

    def half(self, log_odds: np.ndarray, variance: np.ndarray) -> np.ndarray:
        """Return half the interval of patients, shape (n, h), from their variance."""
        apart = (log_odds - self.center) ** 2 / np.maximum(self.spread, 1e-12)
        bias = self.squared_bias * 0.5 * (1.0 + apart)
        return np.asarray(self.t * np.sqrt(variance + bias))


class Course(NamedTuple):
    """What is predicted of n patients at h days, before anybody is refused.

    Attributes
    ----------
    days : ndarray of float, shape (h,)
    log_odds, adjustment, low, high : ndarray of float, shape (n, h)
        As `log_odds_with_interval` gives them.
    cohort_risk : ndarray of float, shape (h,)
    competing_risk : ndarray of float, shape (n, h), or None
    """

    days: np.ndarray
    log_odds: np.ndarray
    adjustment: np.ndarray
    low: np.ndarray
    high: np.ndarray
    cohort_risk: np.ndarray
    competing_risk: np.ndarray | None

    def at(self, days: slice) -> "Course":
        """Return the same at some of the days."""
        beside = None if self.competing_risk is None else self.competing_risk[:, days]
        return Course._make([*(part[..., days] for part in self[:-1]), beside])

    def curve(self) -> Curve:
        """Return it as risks."""
        low, high = expit(self.low), expit(self.high)
        risk = expit(self.log_odds)
        return Curve(self.days, risk, low, high, self.cohort_risk, self.competing_risk)


def grid_days(grid: ArrayLike, days: np.ndarray) -> GridDays:
    """Return the days asked for among those of the grid."""
    of_grid = np.asarray(grid, dtype=float)
    all_days, place = np.unique(np.concatenate([of_grid, days]), return_inverse=True)
    return GridDays(all_days, np.isin(all_days, of_grid), place[len(of_grid) :])


def log_odds_with_interval(
    parts: Ensemble, raw: np.ndarray, days: GridDays, width: IntervalWidth
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Return log-odds, what the running maximum added, and the ends of the interval.

    The interval reaches t times the root of two terms on the logit scale. One is the variance among
    the fold models, each fitted on a random half of the patients [1]_. The other allows for
    squared bias, which such a variance does not see. On average over the training cohort it is as
    large as the variance, since a fit that is tuned to err least gives up, by order of magnitude,
    as much to the one as to the other, plus what the penalty of the linear part is expected to
    cost [2]_. Half of it is the same for everybody, half in proportion to how far the patient's
    log-odds are (squared, in units of their variance) from the mean, to which shrinkage draws.

    Parameters
    ----------
    parts : Ensemble
        The model, then those fitted on a half each; without them there is no interval.
    raw : ndarray of float, shape (n, n_columns)
        From `matrices.raw_matrix`.
    days : GridDays
    width : IntervalWidth
        At the days asked for.

    Returns
    -------
    tuple of four ndarray of float, each of shape (n, h)
        The last two hold NaN without folds.

    References
    ----------
    .. [1] Shao & Wu. A general theory for jackknife variance estimation. Ann Stat 17 (1989)
       1176-1197. doi:10.1214/aos/1176347263
    .. [2] Nychka. Bayesian confidence intervals for smoothing splines. JASA 83 (1988) 1134-1143.
       doi:10.1080/01621459.1988.10478711
    """
    eta, adjustment, low, high = (np.full((len(raw), len(days.asked)), np.nan) for _ in range(4))
    k = len(parts) - 1
    for rows in _chunks(len(raw), len(parts)):
        before, after = parts.monotone(raw[rows], *days)
        eta[rows], adjustment[rows] = after[0], after[0] - before[0]
        if k:
            variance = after[1:].var(0, ddof=1)
            half = width.half(after[0], variance)
            low[rows], high[rows] = after[0] - half, after[0] + half
    return eta, adjustment, low, high


def competing_risk(
    competing: Ensemble, raw: np.ndarray, days: GridDays, eta: np.ndarray
) -> np.ndarray:
    """Return the risk that the competing event comes first, at most what the outcome leaves.

    Parameters
    ----------
    competing : Ensemble
        One part, fitted to the competing event.
    raw : ndarray of float, shape (n, n_columns)
        From `matrices.raw_matrix`.
    days : GridDays
    eta : ndarray of float, shape (n, h)
        Log-odds of the outcome, which are not altered.

    Returns
    -------
    ndarray of float, shape (n, h)
        In [0, 1 - risk].
    """
    out = np.empty(eta.shape)
    for rows in _chunks(len(raw), 1):
        alone = expit(competing.monotone(raw[rows], *days)[1][0])
        out[rows] = np.minimum(alone, expit(-eta[rows]))
    return out


def _chunks(n_rows: int, n_parts: int) -> list[slice]:
    """Return slices of rows, so that memory does not grow with the patients."""
    rows = max(1, CHUNK_ROWS // n_parts)
    return [slice(start, start + rows) for start in range(0, n_rows, rows)]


import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np



TAIL = 3


class Verdicts:
    """Refusals and warnings, one list per patient; a message holds no value."""

    def __init__(self, patients: int) -> None:
        self.refusals: list[list[dict[str, Any]]] = [[] for _ in range(patients)]
        self.warnings: list[list[dict[str, Any]]] = [[] for _ in range(patients)]

    @property
    def status(self) -> list[str]:
        """`ok` or `refused` for each patient."""
        return ["refused" if refusals else "ok" for refusals in self.refusals]

    def refuse(self, rows: np.ndarray, code: str, message: str, *variables: str) -> None:
        """Refuse the given patients."""
        for i in np.flatnonzero(rows):
            self.refusals[i].append(
                {"code": code, "message": message, "variables": list(variables)}
            )

    def warn(self, rows: np.ndarray, code: str, message: str, *variables: str) -> None:
        """Warn about the given patients."""
        for i in np.flatnonzero(rows):
            self.warnings[i].append(
                {"code": code, "message": message, "variables": list(variables)}
            )


def guard(
    contract: Mapping[str, Any],
    table: Table,
    raw: np.ndarray,
    measured: np.ndarray,
    variables: Sequence[str],
) -> Verdicts:
    """Return the verdicts on each patient.

    Parameters
    ----------
    contract : mapping
        The bundle's contract.
    table : Table
        Feature columns, and guard columns (`age`, `pregnant`, `rrt`, ...) where they are known.
    raw : ndarray of float, shape (n_patients, n_columns)
        From `raw_matrix`.
    measured : ndarray of bool, shape (n_patients, n_variables)
    variables : sequence of str, length n_variables

    Returns
    -------
    Verdicts
    """
    verdicts = Verdicts(table.rows)
    _judge_person(verdicts, table, "age" in variables)
    for feature in contract["features"]:
        if feature["kind"] == "category":
            _judge_category(verdicts, table, feature)
        else:
            _judge_number(verdicts, table, feature)
    rules = contract["guard"]
    _judge_information(verdicts, measured, variables, rules)
    _judge_novelty(verdicts, raw, rules["novelty"])
    for case in rules["special"]:
        _judge_special(verdicts, table, case, variables)
    return verdicts


def _judge_person(verdicts: Verdicts, table: Table, age_matters: bool) -> None:
    """Refuse children and pregnancy; say when age is not known."""
    age = table.number("age")
    pregnant = table.number("pregnant") == 1
    verdicts.refuse(
        age < 18, "under_18", "The model is for adults; the patient is under 18.", "age"
    )
    verdicts.refuse(pregnant, "pregnant", "The model was not made for pregnancy.", "pregnant")
    verdicts.warn(
        np.isnan(age) & age_matters,
        "age_unknown",
        "Age is not given: that the patient is an adult was not checked.",
        "age",
    )


def _judge_category(verdicts: Verdicts, table: Table, feature: Mapping[str, Any]) -> None:
    """Warn of a category that training never showed, or too few patients of."""
    known = {None, *feature["categories"]}
    verdicts.warn(
        np.array([text not in known for text in table.texts[feature["name"]]], dtype=bool),
        "unknown_category",
        f"{feature['label']}: this category was not in the training cohort, or too rare there to "
        "learn from; it counts as not measured.",
        feature["variable"],
    )


def _judge_number(verdicts: Verdicts, table: Table, feature: Mapping[str, Any]) -> None:
    """Refuse an impossible value; warn of one that training hardly showed."""
    value, name = table.number(feature["name"]), feature["variable"]
    low = -math.inf if feature["low"] is None else feature["low"]
    high = math.inf if feature["high"] is None else feature["high"]
    impossible = (value < low) | (value > high)
    message = f"{feature['label']} lies outside its plausible range."
    verdicts.refuse(impossible, "out_of_range", message, name)
    if "seen" in feature and feature["kind"] == "number":
        least, most = feature["seen"]
        verdicts.warn(
            ~impossible & ((value < least) | (value > most)),
            "beyond_training",
            f"{feature['label']} lies further out than nearly all of the training cohort.",
            name,
        )


def _judge_information(
    verdicts: Verdicts, measured: np.ndarray, variables: Sequence[str], rules: Mapping[str, Any]
) -> None:
    """Refuse when the measured variables carry too little of what the model usually uses."""
    share = measured @ np.array([rules["information"][name] for name in variables])
    verdicts.refuse(
        share < rules["min_information"],
        "too_little_measured",
        f"The values given carry less than {100 * rules['min_information']:.0f} % "
        "of what the model uses.",
    )


def _judge_novelty(verdicts: Verdicts, raw: np.ndarray, novelty: Mapping[str, Any]) -> None:
    """Refuse a combination of values unlike any in training; warn of a rare one."""
    if not novelty["columns"]:
        return
    score = novelty_score(raw[:, novelty["columns"]], novelty)
    unlike = score > novelty["refuse_above"]
    verdicts.refuse(
        unlike,
        "unlike_training_cohort",
        "The combination of values is unlike the patients the model learned from.",
    )
    verdicts.warn(
        ~unlike & (score > novelty["warn_above"]),
        "unusual_combination",
        "The combination of values was rare in the training cohort.",
    )


def _judge_special(
    verdicts: Verdicts, table: Table, case: Mapping[str, Any], variables: Sequence[str]
) -> None:
    """Warn of renal replacement or AKI, hormones, biotin, and CTX taken fed or late."""
    touched = [name for name in case["variables"] if name in variables]
    if case["variables"] and not touched:
        return
    applies = np.zeros(table.rows, dtype=bool)
    for column, low, high in case["when"]:
        value = table.number(column)
        applies |= (value >= low) & (value <= high)
    verdicts.warn(applies, case["code"], case["message"], *touched)


def novelty_score(values: np.ndarray, novelty: Mapping[str, Any]) -> np.ndarray:
    """Return how far each row lies from the training cohort, as a standard normal deviate.

    Values become normal scores through the cohort's quantiles; the Mahalanobis distance over what
    is measured is compared with its chi-square law by Wilson and Hilferty's cube root, so that
    patients with different numbers of measurements share one scale.

    Parameters
    ----------
    values : ndarray of float, shape (n_patients, n_columns)
        The columns that `novelty` speaks of; NaN where not measured.
    novelty : mapping
        From `novelty.fit_novelty`.

    Returns
    -------
    ndarray of float, shape (n_patients,)
        Higher is further; minus infinity where nothing is measured.
    """
    normal = np.asarray(novelty["normal_scores"])
    scores = np.column_stack(
        [
            _normal_score(values[:, j], np.asarray(quantiles), normal)
            for j, quantiles in enumerate(novelty["quantiles"])
        ]
    )
    correlation = np.asarray(novelty["correlation"])
    out = np.full(len(values), -np.inf)
    patterns, which = np.unique(~np.isnan(scores), axis=0, return_inverse=True)
    for i, pattern in enumerate(patterns):
        k = int(pattern.sum())
        if k == 0:
            continue
        rows = np.flatnonzero(which.ravel() == i)
        z = scores[np.ix_(rows, np.flatnonzero(pattern))]
        distance = (z * np.linalg.solve(correlation[np.ix_(pattern, pattern)], z.T).T).sum(1)
        spread = 2 / (9 * k)
        out[rows] = (np.cbrt(distance / k) - (1 - spread)) / math.sqrt(spread)
    return out


def _normal_score(value: np.ndarray, quantiles: np.ndarray, normal: np.ndarray) -> np.ndarray:
    """Return a variable's values as normal deviates; NaN stays NaN.

    Beyond the outer quantiles each tail goes on as steeply as it came, since most markers are
    skewed: one scale for both would find everything high novel and nothing low.
    """
    score = np.interp(value, quantiles, normal)
    whole = max(quantiles[-1] - quantiles[0], 1e-12) / (normal[-1] - normal[0])
    for end, inside, beyond in ((0, TAIL, np.minimum), (-1, -1 - TAIL, np.maximum)):
        tail = (quantiles[end] - quantiles[inside]) / (normal[end] - normal[inside])
        score = score + beyond(value - quantiles[end], 0.0) / (tail if tail > 0 else whole)
    return np.where(np.isnan(value), np.nan, score)


from collections.abc import Mapping
from typing import Any



def guard_columns(contract: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the columns that decide whom a model does not answer, and what it warns of.

    Parameters
    ----------
    contract : mapping
        The bundle's contract.

    Returns
    -------
    tuple of str
        All of them numbers, none of them required.
    """
    special = [column for rule in contract["guard"]["special"] for column, *_ in rule["when"]]
    return tuple(dict.fromkeys(("age", "pregnant", *special)))


def columns_read(contract: Mapping[str, Any]) -> dict[str, str]:
    """Return what a model reads of a frame: column -> "numbers", "text" or "identifiers".

    Parameters
    ----------
    contract : mapping
        The bundle's contract.

    Returns
    -------
    dict of str to str
        Identifiers, then the guard's columns, then the features; only the features are required.
    """
    identifiers = dict.fromkeys(("patient_id", "stay_id", "time_zero"), "identifiers")
    guard = dict.fromkeys(guard_columns(contract), "numbers")
    features = {
        feature["name"]: "text" if feature["kind"] == "category" else "numbers"
        for feature in contract["features"]
    }
    return identifiers | guard | features


from collections.abc import Iterable, Mapping
from decimal import Decimal
from numbers import Real
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike




class InferenceError(ValueError):
    """The request cannot be answered; the message names columns and rules, never a value."""


def asked_days(contract: Mapping[str, Any], horizons_days: ArrayLike | None) -> np.ndarray:
    """Return the horizons asked for, or the default ones; as `RiskModel.horizons`."""
    asked = contract["default_horizons_days"] if horizons_days is None else horizons_days
    days = np.asarray(asked, dtype=float).ravel()
    if not len(days):
        raise InferenceError("horizons_days must name at least one horizon.")
    low, high = contract["min_horizon_days"], contract["max_horizon_days"]
    inside = (days >= low) & (days <= high)
    if not inside.all():
        raise InferenceError(
            f"horizons_days must lie in {low:g}-{high:g} days; {int((~inside).sum())} of "
            f"{len(days)} do not."
        )
    return days


def asked_table(contract: Mapping[str, Any], patients: pd.DataFrame | Table) -> Table:
    """Return the columns that a model reads of patients.

    Parameters
    ----------
    contract : mapping
        The bundle's contract.
    patients : DataFrame or Table
        A table is taken as it is: whoever made it knows the model.

    Returns
    -------
    Table

    Raises
    ------
    InferenceError
        If a feature column is missing, a column of numbers holds anything else, or a category
        holds anything but text.
    """
    if isinstance(patients, Table):
        return patients
    features = [feature["name"] for feature in contract["features"]]
    missing = [name for name in features if name not in patients]
    if missing:
        raise InferenceError(
            f"frame must have every feature column; missing: {', '.join(missing)}."
        )
    kinds = columns_read(contract)
    numbers, texts = ([c for c, k in kinds.items() if k == kind] for kind in ("numbers", "text"))
    for name in texts:
        refuse_kind(name, "text", no_text(patients[name]))
    return table_of(
        patients.assign(**checked_numbers(patients, numbers)), numbers=numbers, texts=texts
    )


def checked_numbers(frame: pd.DataFrame, names: Iterable[str]) -> dict[str, pd.Series]:
    """Return the named columns that a frame has as float64, or refuse text and dates in them.

    Raises
    ------
    InferenceError
        With the column and the number of rows.
    """
    numbers = {}
    for name in names:
        if name not in frame:
            continue
        values = told = frame[name]
        if not pd.api.types.is_numeric_dtype(values) or values.dtype.kind == "c":
            # Pandas makes numbers of text and of dates, and of a missing date the lowest of all.
            real = [v if isinstance(v, Real | Decimal | np.bool_) else np.nan for v in values]
            told = pd.Series(real, index=values.index, dtype=object)
        numbers[name] = pd.to_numeric(told, errors="coerce").astype("float64")
        refuse_kind(name, "numbers", values.notna() & numbers[name].isna())
    return numbers


def refuse_kind(name: str, kind: str, bad: pd.Series) -> None:
    """Raise if any row of a column holds what is not of its kind."""
    if bad.any():
        raise InferenceError(
            f"{name} must hold {kind} or null; {int(bad.sum())} of {len(bad)} rows are not. "
            "Convert the column before asking."
        )


import json
import math
from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike



BUNDLE_FORMAT = 3


class RiskModel:
    """A fitted model ready to answer: its parts, and the contract that says what it is.

    Immutable once built, so that requests can share it.

    Parameters
    ----------
    contract : dict
        What the model is, what it reads and what it refuses; shown to whoever asks.
    model : dict
        `encoding`, the `main` part, the `folds` and the `competing` part or None, as plain numbers.
    boosters : sequence of bytes
        UBJSON of the booster of each part, in that order.
    threads : int
        Threads to answer with; the numbers do not depend on it.

    Attributes
    ----------
    contract : dict
        As given.
    features : tuple of str
        Columns that a frame must have.
    variables : tuple of str
        What contributions are told of: a variable and its other features are one.
    pathways : tuple of str
        Pathway of each variable.

    Raises
    ------
    InferenceError
        If the contract is of another format.
    """

    def __init__(
        self,
        contract: dict[str, Any],
        model: dict[str, Any],
        boosters: Sequence[bytes],
        *,
        threads: int = 1,
    ) -> None:
        if contract.get("bundle_format") != BUNDLE_FORMAT:
            raise InferenceError(
                f"bundle_format must be {BUNDLE_FORMAT}. Load it with the version that wrote it."
            )
        self.contract = contract
        self._model = model
        self._boosters = [bytes(b) for b in boosters]
        self._encoding = {**model["encoding"], "threads": threads}
        specs = [model["main"], *model["folds"]]
        if model["competing"] is not None:
            specs.append(model["competing"])
        parts = [
            FittedPart(spec, self._encoding, load_booster(booster, threads))
            for spec, booster in zip(specs, self._boosters, strict=True)
        ]
        self._main, self._alone = parts[0], Ensemble(parts[:1])
        self._with_folds = parts[: 1 + len(model["folds"])]
        self._competing_part = None if model["competing"] is None else Ensemble(parts[-1:])
        self.features: tuple[str, ...] = tuple(f["name"] for f in contract["features"])
        variable_of = {f["name"]: f["variable"] for f in contract["features"]}
        pathway_of = {f["variable"]: f["pathway"] for f in contract["features"]}
        self.variables: tuple[str, ...] = tuple(dict.fromkeys(variable_of.values()))
        self.pathways: tuple[str, ...] = tuple(pathway_of[v] for v in self.variables)
        self._variable_of = variable_of
        self._groups = self._indicator(
            [variable_of[f] for f in linear_column_features(self._encoding)]
        )
        self._raw_features = [
            *self._encoding["numbers"],
            *(f for f, _ in level_columns(self._encoding)),
        ]
        self._booster_groups = np.vstack(
            [
                self._indicator([variable_of[f] for f in self._raw_features]),
                np.zeros(len(self.variables)),
            ]
        )

    @cached_property
    def _together(self) -> Ensemble:
        """The model and its fold models; joined when first asked for an interval."""
        return Ensemble(self._with_folds)

    @classmethod
    def from_files(cls, files: Mapping[str, bytes], *, threads: int = 1) -> "RiskModel":
        """Build from the content of the files.

        Parameters
        ----------
        files : mapping of str to bytes
            File name -> content, as written by `files`; further files are ignored.
        threads : int
            Threads to answer with.

        Returns
        -------
        RiskModel
            The model that wrote them.

        Raises
        ------
        KeyError
            If a file is missing.
        InferenceError
            If the files are of another format.
        """
        model = json.loads(files["model.json"])
        boosters = [files[name] for name in booster_files(model)]
        return cls(json.loads(files["contract.json"]), model, boosters, threads=threads)

    @classmethod
    def from_directory(cls, directory: str | Path, *, threads: int = 1) -> "RiskModel":
        """Build from a bundle's directory; otherwise as `from_files`."""
        wanted = [p for p in Path(directory).iterdir() if p.suffix in {".json", ".ubj"}]
        return cls.from_files({p.name: p.read_bytes() for p in wanted}, threads=threads)

    def files(self) -> dict[str, bytes]:
        """Return the bundle's files by name: JSON and UBJSON only, no pickle and no patient."""
        out = {"contract.json": _canonical(self.contract), "model.json": _canonical(self._model)}
        return out | dict(zip(booster_files(self._model), self._boosters, strict=True))

    def with_contract(self, **changes: Any) -> "RiskModel":
        """Return the same model under a contract with the given entries replaced."""
        return RiskModel(
            {**self.contract, **changes},
            self._model,
            self._boosters,
            threads=self._encoding["threads"],
        )

    def with_threads(self, threads: int) -> "RiskModel":
        """Return the same model answering with so many threads; numbers do not change."""
        return RiskModel(self.contract, self._model, self._boosters, threads=threads)

    def part(self, linear_weight: float) -> "RiskModel":
        """Return the model with only its linear (1) or boosted (0) part, without an interval."""
        main = {**self._model["main"], "linear_weight": linear_weight}
        return RiskModel(
            self.contract,
            {**self._model, "main": main, "folds": [], "competing": None},
            self._boosters[:1],
            threads=self._encoding["threads"],
        )

    def _indicator(self, names: Sequence[str]) -> np.ndarray:
        """Return the 0/1 matrix that sums columns into variables."""
        return np.array([[float(name == v) for v in self.variables] for name in names])

    def horizons(self, horizons_days: ArrayLike | None) -> np.ndarray:
        """Return the horizons asked for, or the default ones.

        Parameters
        ----------
        horizons_days : array-like of float, shape (n_horizons,), or None
            Days from time zero.

        Returns
        -------
        ndarray of float, shape (n_horizons,)
            In the order asked.

        Raises
        ------
        InferenceError
            If there is none, or one lies outside the model's range.
        """
        return asked_days(self.contract, horizons_days)

    def predict(
        self,
        frame: pd.DataFrame | Table,
        horizons_days: ArrayLike | None = None,
        *,
        explain: bool = False,
        interval: bool = True,
    ) -> Prediction:
        """Return risks, intervals, refusals and, if asked, contributions.

        Parameters
        ----------
        frame : DataFrame, shape (n_patients, ...), or Table
            The model's feature columns in canonical units, NaN or None where not measured; further
            columns are read only to guard (`age`, `pregnant`, ...) or to identify (`patient_id`).
        horizons_days : array-like of float, shape (n_horizons,), optional
            Days from time zero; the model's default horizons if not given.
        explain : bool
            Whether to compute contributions.
        interval : bool
            Whether to compute the interval.

        Returns
        -------
        Prediction
            Refused patients hold NaN.

        Raises
        ------
        InferenceError
            If a feature column is missing, a number is infinite, or a horizon lies outside the
            model's range.
        """
        days, table = self.horizons(horizons_days), asked_table(self.contract, frame)
        raw = self._raw(table)
        return self._prediction(table, raw, self._course(raw, days, interval), explain)

    def predict_with_curve(
        self,
        frame: pd.DataFrame | Table,
        horizons_days: ArrayLike | None = None,
        *,
        explain: bool = False,
    ) -> tuple[Prediction, Curve]:
        """Return what `predict` returns, and the risk over the model's whole grid of days.

        Parameters and errors are those of `predict`; both take hardly longer than one.

        Returns
        -------
        tuple of Prediction and Curve
        """
        days, table = self.horizons(horizons_days), asked_table(self.contract, frame)
        raw, grid = self._raw(table), np.asarray(self.contract["grid_days"], dtype=float)
        course = self._course(raw, np.concatenate([days, grid]), True)
        h = len(days)
        return self._prediction(table, raw, course.at(slice(h)), explain), course.at(
            slice(h, None)
        ).curve()

    def _course(self, raw: np.ndarray, days: np.ndarray, interval: bool) -> Course:
        """Return what is predicted at the days, of every patient."""
        parts = self._together if interval else self._alone
        at = grid_days(self.contract["grid_days"], days)
        width = IntervalWidth.of(self.contract, days)
        eta, adjustment, low, high = log_odds_with_interval(parts, raw, at, width)
        rival = self._competing_part
        beside = None if rival is None else competing_risk(rival, raw, at, eta)
        return Course(days, eta, adjustment, low, high, self.cohort_risk(days), beside)

    def _prediction(
        self, table: Table, raw: np.ndarray, course: Course, explain: bool
    ) -> Prediction:
        days, eta, adjustment, low, high, cohort_risk, beside = course
        measured = self._measured(raw)
        verdicts = guard(self.contract, table, raw, measured, self.variables)
        base = np.array([self._main.base_log_odds(math.log(h)) for h in days])
        gain = points_per_log_odds(eta, base)
        adjustment_points, log_odds, points = adjustment * gain, None, None
        if explain:
            total, groups = eta - adjustment - base, (self._groups, self._booster_groups)
            log_odds = contributions(self._main, raw, days, total, *groups)
            points = log_odds * gain[..., None]
        refused = np.array([status != "ok" for status in verdicts.status], dtype=bool)
        for values in (eta, adjustment, low, high, beside, log_odds, points, adjustment_points):
            if values is not None:
                values[refused] = np.nan
        return Prediction(
            horizons_days=days,
            risk=expit(eta),
            risk_low=expit(low),
            risk_high=expit(high),
            baseline_risk=expit(base),
            cohort_risk=cohort_risk,
            competing_risk=beside,
            base_log_odds=base,
            monotone_adjustment=adjustment,
            outcome=self.contract["outcome"],
            variables=self.variables,
            pathways=self.pathways,
            measured=measured,
            log_odds=log_odds,
            points=points,
            adjustment_points=adjustment_points,
            status=verdicts.status,
            refusals=verdicts.refusals,
            warnings=verdicts.warnings,
        )

    def risk(self, frame: pd.DataFrame, horizons_days: ArrayLike | None = None) -> np.ndarray:
        """Return the risk alone, of every patient, refused or not: for evaluation.

        Parameters
        ----------
        frame : DataFrame, shape (n_patients, ...)
            As for `predict`.
        horizons_days : array-like of float, shape (n_horizons,), optional
            As for `predict`.

        Returns
        -------
        ndarray of float, shape (n_patients, n_horizons)
            In [0, 1], higher is riskier.

        Raises
        ------
        InferenceError
            As `predict`.
        """
        raw = self._raw(asked_table(self.contract, frame))
        return expit(self._course(raw, self.horizons(horizons_days), False).log_odds)

    def competing_risk(
        self, frame: pd.DataFrame, horizons_days: ArrayLike | None = None
    ) -> np.ndarray | None:
        """Return the risk that the competing event comes first, of every patient, refused or not.

        Parameters
        ----------
        frame : DataFrame, shape (n_patients, ...)
            As for `predict`.
        horizons_days : array-like of float, shape (n_horizons,), optional
            As for `predict`.

        Returns
        -------
        ndarray of float, shape (n_patients, n_horizons), or None
            In [0, 1], at most one minus the risk, which it never alters; None where nothing
            competes or too few patients had it to learn from.

        Raises
        ------
        InferenceError
            As `predict`.
        """
        raw = self._raw(asked_table(self.contract, frame))
        return self._course(raw, self.horizons(horizons_days), False).competing_risk

    def cohort_risk(self, horizons_days: ArrayLike | None = None) -> np.ndarray:
        """Return the training cohort's mean risk at each horizon, interpolated in log days."""
        grid = np.log(np.asarray(self.contract["grid_days"], dtype=float))
        days = np.log(self.horizons(horizons_days))
        return np.asarray(np.interp(days, grid, self.contract["cohort_risk"]))

    def _raw(self, table: Table) -> np.ndarray:
        """Return the matrix that both parts read."""
        raw = raw_matrix(table, self._encoding)
        if np.isinf(raw).any():
            raise InferenceError("numbers must be finite; make what was not measured NaN.")
        return raw

    def _measured(self, raw: np.ndarray) -> np.ndarray:
        """Return whether each variable has a value, (n, v); a limit flag alone is none."""
        counts = np.array(
            [not name.endswith("__below") for name in self._raw_features], dtype=float
        )
        present = ~np.isnan(raw) * counts
        return np.asarray(present @ self._booster_groups[:-1] > 0)


def _canonical(value: Any) -> bytes:
    """Return JSON that is the same for the same content."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()


import hashlib
from collections.abc import Mapping, Sequence
from statistics import NormalDist
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike



WORTH_POINTS = 2.0

STRATA = 32
DRAWS_PER_STRATUM = 2
LEAST_ANSWERED = 0.5

OF_ONE_MEASUREMENT = ("first", "max", "min")


class Narrowing(NamedTuple):
    """What is to be expected of the interval at one horizon once one more variable is known.

    Attributes
    ----------
    variable : str
    horizon_days : float
    low, high : float
        Expected ends of the interval, in [0, 1].
    narrowing_points : float
        Width now minus expected width, in points of risk; negative where it would widen.
    error_points : float
        Standard error of it, which only the finite number of draws leaves.
    change_points : float
        Expected absolute change of the risk itself, in points.
    """

    variable: str
    horizon_days: float
    low: float
    high: float
    narrowing_points: float
    error_points: float
    change_points: float


def expected_narrowing(
    risk_model: RiskModel,
    frame: pd.DataFrame | Table,
    variables: Sequence[str],
    horizons_days: ArrayLike | None = None,
) -> list[Narrowing]:
    """Return, for each variable not measured yet, what its value is expected to do.

    Values are drawn from the bundle's joint distribution given what is measured, two from each of
    32 equally probable strata; each is put beside the patient's other values, and the model answers
    with its interval. The draws depend on the patient and the variable alone.

    Parameters
    ----------
    risk_model : RiskModel
    frame : DataFrame, shape (1, ...), or Table
        One patient, as for `RiskModel.predict`.
    variables : sequence of str
        Candidates; those that are measured, that the model does not read as a number, or that too
        few patients had in training are left out.
    horizons_days : array-like of float, shape (n_horizons,), optional
        As for `RiskModel.predict`.

    Returns
    -------
    list of Narrowing
        One per variable and horizon; the largest narrowing first.

    Raises
    ------
    InferenceError
        As `RiskModel.predict`.
    """
    patient = asked_table(risk_model.contract, frame)
    joint = risk_model.contract.get("joint") or {"columns": []}
    places = {c["feature"]: at for at, c in enumerate(joint["columns"]) if c["level"] is None}
    unknown = [v for v in dict.fromkeys(variables) if v in places and _unmeasured(v, patient)]
    if not unknown:
        return []
    known = _Known(risk_model.contract, patient)
    days = risk_model.horizons(horizons_days)
    now = risk_model.predict(patient, days)
    found = []
    for name in unknown:
        column = joint["columns"][places[name]]
        values, below = known.draws(places[name])
        then = risk_model.predict(_with_values(patient, column["feature"], values, below), days)
        found += _narrowings(name, now, then)
    return sorted(found, key=lambda one: (-one.narrowing_points, one.variable, one.horizon_days))


def _narrowings(variable: str, now: Prediction, then: Prediction) -> list[Narrowing]:
    """Return what the draws of a variable do at each horizon; draws that are refused say nothing.

    Nothing is returned where the model refuses the patient, or most of the draws.
    """
    answered = np.array([status == "ok" for status in then.status])
    if now.status[0] != "ok" or answered.mean() < LEAST_ANSWERED:
        return []
    width = then.risk_high - then.risk_low
    pairs = width.reshape(STRATA, DRAWS_PER_STRATUM, -1)
    apart = np.nan_to_num(pairs[:, 0] - pairs[:, 1])
    error = np.sqrt((apart**2).sum(0)) / (2 * STRATA)
    now_width = now.risk_high[0] - now.risk_low[0]
    change = np.abs(then.risk - now.risk[0])[answered].mean(0)
    return [
        Narrowing(
            variable=variable,
            horizon_days=float(day),
            low=float(then.risk_low[answered, h].mean()),
            high=float(then.risk_high[answered, h].mean()),
            narrowing_points=float(100 * (now_width[h] - width[answered, h].mean())),
            error_points=float(100 * error[h]),
            change_points=float(100 * change[h]),
        )
        for h, day in enumerate(now.horizons_days)
    ]


def normal_scores(values: np.ndarray, column: Mapping[str, Any]) -> np.ndarray:
    """Return the normal score of each value of a column; NaN stays NaN.

    Equal quantiles share the middle of their scores, and what lies beyond the outer ones gets
    theirs: nothing is known of it.

    Parameters
    ----------
    values : ndarray of float, shape (n,)
    column : mapping
        `scores` and `values` of the column's quantiles.

    Returns
    -------
    ndarray of float, shape (n,)
    """
    quantiles, scores = np.asarray(column["values"]), np.asarray(column["scores"])
    at, place = np.unique(quantiles, return_inverse=True)
    first = np.full(len(at), np.inf)
    last = np.full(len(at), -np.inf)
    np.minimum.at(first, place, scores)
    np.maximum.at(last, place, scores)
    found = np.interp(values, at, (first + last) / 2)
    return np.where(np.isnan(values), np.nan, found)


class _Known:
    """The joint distribution given one patient's values."""

    def __init__(self, contract: Mapping[str, Any], patient: Table) -> None:
        joint = contract["joint"]
        self._columns = joint["columns"]
        self._correlation = np.eye(len(self._columns))
        for row, values in enumerate(joint["correlation"]):
            self._correlation[row, :row] = self._correlation[:row, row] = values
        learned = {feature["name"]: feature["categories"] for feature in contract["features"]}
        scores = np.array([_score(patient, column, learned) for column in self._columns])
        self._measured = np.flatnonzero(~np.isnan(scores))
        self._scores = scores[self._measured]

    def draws(self, place: int) -> tuple[np.ndarray, np.ndarray]:
        """Return values of a column given what is measured, and whether each is below its limit.

        In the order of their strata, `DRAWS_PER_STRATUM` from each.
        """
        column, measured = self._columns[place], self._measured
        beside = self._correlation[place, measured]
        among = self._correlation[np.ix_(measured, measured)]
        weights = np.linalg.solve(among, beside) if len(measured) else np.zeros(0)
        mean, left = weights @ self._scores, 1 - weights @ beside
        digest = hashlib.sha256(column["feature"].encode() + measured.tobytes())
        digest.update(self._scores.tobytes())
        random = np.random.default_rng(int.from_bytes(digest.digest()))
        within = random.random((STRATA, DRAWS_PER_STRATUM))
        shares = (np.arange(STRATA)[:, None] + within).ravel() / STRATA
        normal = np.array([NormalDist().inv_cdf(min(max(s, 1e-12), 1 - 1e-12)) for s in shares])
        scores = column["mean"] + column["spread"] * (mean + np.sqrt(left) * normal)
        limit = -np.inf if column["below"] is None else column["below"]
        return np.interp(scores, column["scores"], column["values"]), scores <= limit


def _score(
    patient: Table, column: Mapping[str, Any], learned: Mapping[str, Sequence[str]]
) -> float:
    """Return the patient's standardised score of a column, NaN where not measured or learned."""
    name, level = column["feature"], column["level"]
    if level is None:
        value = patient.number(name)
    else:
        text = patient.texts[name][0]
        value = np.array([float(text == level) if text in learned[name] else np.nan])
    return float((normal_scores(value, column)[0] - column["mean"]) / column["spread"])


def _unmeasured(variable: str, patient: Table) -> bool:
    """Say whether a patient has no value of a variable and no other feature of it."""
    own = [variable, *(f"{variable}__{suffix}" for suffix in (*OF_ONE_MEASUREMENT, "slope"))]
    return all(bool(np.isnan(patient.number(name)[0])) for name in own)


def _with_values(patient: Table, variable: str, values: np.ndarray, below: np.ndarray) -> Table:
    """Return the patient once for each drawn value, as if it had been measured once."""
    rows = len(values)
    numbers = {name: np.repeat(column, rows) for name, column in patient.numbers.items()}
    texts = {name: np.repeat(column, rows) for name, column in patient.texts.items()}
    given = {variable: values, f"{variable}__count": np.ones(rows)}
    given[f"{variable}__below"] = below.astype(float)
    given |= {f"{variable}__{suffix}": values for suffix in OF_ONE_MEASUREMENT}
    return Table(rows, numbers | {n: v for n, v in given.items() if n in numbers}, texts)


from typing import Any

import pandas as pd
from mlflow.pyfunc import PythonModel




class OsteonModel(PythonModel):  # type: ignore[misc]  # mypy does not follow mlflow
    """Risks of a frame of patients, one row per patient and horizon."""

    def load_context(self, context: Any) -> None:
        """Read the bundle that the model version carries.

        Parameters
        ----------
        context : PythonModelContext
            MLflow's, with the path of the bundle.
        """
        self.risk_model = RiskModel.from_directory(context.artifacts["bundle"])

    def predict(
        self,
        context: Any,
        model_input: pd.DataFrame,
        params: dict[str, Any] | None = None,
    ) -> pd.DataFrame:
        """Return risks with intervals and, with `explain`, contributions.

        Parameters
        ----------
        context : PythonModelContext
            Not used: the bundle was read once, by `load_context`.
        model_input : DataFrame
            One row per patient, the bundle's feature columns in canonical units, null where not
            measured; identifiers and the columns that the refusal rules read are optional.
        params : dict
            `horizons_days`, a list of days, and `explain`, whether to add contributions.

        Returns
        -------
        DataFrame
            One row per patient and horizon.
        """
        chosen = params or {}
        # MLflow's own check of a typed column refuses integers, and its message prints the
        # patients' values: the signature leaves every type open, and the model checks them.
        prediction = self.risk_model.predict(
            model_input, chosen.get("horizons_days"), explain=chosen.get("explain", False)
        )
        return prediction.to_frame(model_input)


from mlflow.models import set_model

set_model(OsteonModel())
