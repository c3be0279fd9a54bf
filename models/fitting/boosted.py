"""The boosted part: gradient-boosted trees on variables and log horizon, monotone in the latter."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import xgboost as xgb
from numpy.typing import NDArray

from models.fitting.blanking import RECORDED_SHARE, Blanking
from models.targets import Pairs

__all__ = [
    "EVALUATE_EVERY_ROUNDS",
    "BoostingSettings",
    "HeldOutPairs",
    "boosted_log_odds",
    "fit_booster",
    "fit_booster_watched",
]

PATIENCE_ROUNDS = 25
EVALUATE_EVERY_ROUNDS = 5
"""The held-out loss costs more than a tree to compute, and hardly changes within five trees."""

CHUNK_PAIRS = 100_000

MIN_COLUMNS = 4
"""A tree sees at least this many columns, so that it can combine two of them with the horizon."""


class HeldOutPairs(NamedTuple):
    """The raw matrix and the pairs of patients that a booster does not learn from."""

    raw: NDArray[np.float64]
    pairs: Pairs


@dataclass(frozen=True, slots=True)
class BoostingSettings:
    """Settings shared by the boosted fits of one model; one of `directions` per raw column."""

    learning_rate: float
    max_depth: int
    min_patients: float
    column_share: float
    row_share: float
    penalty: float
    directions: tuple[int, ...]
    seed: int
    threads: int

    def parameters(self, weight_per_patient: float) -> dict[str, object]:
        """Return XGBoost's parameters; `min_patients` is turned into its sum of Hessians."""
        # XGBoost [Chen & Guestrin, KDD 2016, doi:10.1145/2939672.2939785] adds, in each leaf, the
        # step
        #   -`eta` * G / (H + `lambda`),   G = sum w (p - y),   H = sum w p (1 - p)
        # over the leaf's pairs, and splits only where both children have H >= `min_child_weight`.
        # The pairs of m patients, of mean total weight W, have H <= m W / 4, reached at p = 1/2:
        # this bound is the threshold, so a leaf holds at least about m = `min_patients`, and more
        # where risks are extreme.
        columns = len(self.directions) + 1
        return {
            "objective": "binary:logistic",
            "eval_metric": "logloss",
            "tree_method": "hist",
            "max_bin": 128,
            "eta": self.learning_rate,
            "max_depth": self.max_depth,
            "min_child_weight": self.min_patients * weight_per_patient / 4,
            "colsample_bytree": min(1.0, max(self.column_share, MIN_COLUMNS / columns)),
            "subsample": self.row_share,
            "lambda": self.penalty,
            # The last column is log horizon: a cumulative incidence never falls with it.
            "monotone_constraints": (*self.directions, 1),
            "seed": self.seed,
            "nthread": self.threads,
        }


def _matrix(
    raw: NDArray[np.float64],
    pairs: Pairs,
    blanking: Blanking,
    *,
    settings: BoostingSettings,
    seed: int,
    watched: bool = False,
) -> xgb.DMatrix:
    """Return pairs whose outcome is known, one row each, with log horizon as the last column.

    The share `RECORDED_SHARE` of them is as recorded; the others have blanks of their own. Pairs
    that are only watched are stored by value: the same trees read them seven times faster than by
    quantile.
    """
    # Pair (i, p) with w > 0 becomes the row (x_i, log h_ip) with label 1{T_i <= h_ip, event = 1}
    # and weight w_ip: the booster regresses the indicator directly, as the linear part does.
    patient, place = np.nonzero(pairs.weight)
    rng = np.random.default_rng((settings.seed, seed))
    columns = np.empty((len(patient), raw.shape[1] + 1), dtype=np.float32)
    columns[:, -1] = np.log(pairs.horizon_days[patient, place])
    for start in range(0, len(patient), CHUNK_PAIRS):
        rows = patient[start : start + CHUNK_PAIRS]
        blank = blanking.draw(len(rows), rng) & (rng.random((len(rows), 1)) >= RECORDED_SHARE)
        columns[start : start + CHUNK_PAIRS, :-1] = blanking.apply(raw[rows], blank)
    outcome, weight = pairs.outcome[patient, place], pairs.weight[patient, place]
    if watched:
        return xgb.DMatrix(columns, label=outcome, weight=weight, nthread=settings.threads)
    return xgb.QuantileDMatrix(
        columns, label=outcome, weight=weight, max_bin=128, nthread=settings.threads
    )


def _weight_per_patient(pairs: Pairs) -> float:
    """Return the mean weight that one patient's pairs carry together."""
    return float(pairs.weight.sum() / len(pairs.weight))


def fit_booster(
    raw: NDArray[np.float64],
    pairs: Pairs,
    blanking: Blanking,
    *,
    settings: BoostingSettings,
    trees: int,
) -> xgb.Booster:
    """Fit a stated number of trees; log horizon is the last column, in which risk never falls.

    `raw` is the (n_patients, n_columns) matrix of `matrices.raw_matrix`, `pairs` of the same
    patients.
    """
    matrix = _matrix(raw, pairs, blanking, settings=settings, seed=0)
    return xgb.train(settings.parameters(_weight_per_patient(pairs)), matrix, trees)


def fit_booster_watched(
    raw: NDArray[np.float64],
    pairs: Pairs,
    held_out: Sequence[HeldOutPairs],
    blanking: Blanking,
    *,
    settings: BoostingSettings,
    max_trees: int,
) -> tuple[xgb.Booster, list[NDArray[np.float64]]]:
    """Fit until the loss of every group held out stops falling, with matrices as in `fit_booster`.

    Returns
    -------
    tuple of Booster and list of ndarray of float, shape (n_evaluations,)
        The booster, and of each group the log-loss after every `EVALUATE_EVERY_ROUNDS` of its
        trees, and after `max_trees` of them.
    """
    matrix = _matrix(raw, pairs, blanking, settings=settings, seed=0)
    watched = [
        _matrix(*group, blanking, settings=settings, seed=seed, watched=True)
        for seed, group in enumerate(held_out, start=1)
    ]
    booster = xgb.Booster(settings.parameters(_weight_per_patient(pairs)), [matrix, *watched])
    losses: list[list[float]] = [[] for _ in watched]
    for tree in range(max_trees):
        booster.update(matrix, tree)
        if (tree + 1) % EVALUATE_EVERY_ROUNDS and tree + 1 < max_trees:
            continue
        for of_group, group in zip(losses, watched, strict=True):
            of_group.append(float(booster.eval(group).rsplit(":", 1)[1]))
        since_lowest = min(len(of_group) - 1 - int(np.argmin(of_group)) for of_group in losses)
        if since_lowest * EVALUATE_EVERY_ROUNDS >= PATIENCE_ROUNDS:
            break
    return booster, [np.asarray(of_group) for of_group in losses]


def boosted_log_odds(
    booster: xgb.Booster,
    raw: NDArray[np.float64],
    horizon_days: NDArray[np.float64],
    *,
    trees: int,
) -> NDArray[np.float64]:
    """Return log-odds of patients at their own horizons by the first trees of a booster.

    `raw` is the (n_patients, n_columns) matrix of `matrices.raw_matrix`; `horizon_days` and the
    log-odds are (n_patients, n_horizons).
    """
    rows = np.empty((*horizon_days.shape, raw.shape[1] + 1), dtype=np.float32)
    rows[..., :-1] = raw[:, None]
    rows[..., -1] = np.log(horizon_days)
    # The margin is the log-odds: base score plus the sum of the leaves reached in the first trees.
    margin = booster.inplace_predict(
        rows.reshape(-1, rows.shape[-1]),
        iteration_range=(0, trees),
        predict_type="margin",
        missing=np.nan,
    )
    return np.asarray(margin, dtype=np.float64).reshape(horizon_days.shape)
