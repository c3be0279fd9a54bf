"""Fit and judge models from files with scikit-survival, scikit-learn and XGBoost alone.

This module imports nothing of Osteon: it stands for an independent script, which has the files of
the learning and the held-out patients and a file of risks. Each column of a file of risks is named
by its day.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import xgboost as xgb
from numpy.typing import NDArray
from sklearn.compose import ColumnTransformer, make_column_transformer
from sklearn.preprocessing import OneHotEncoder

__all__ = ["DAYS", "OutsideFigures", "fit_forest", "fit_xgboost_cox", "judge_risks"]

TIME, EVENT = "time_days", "event"
DAYS = (30.0, 90.0, 180.0)
"""Days at which the area under the curve is taken."""

FOREST = {"n_estimators": 300, "min_samples_leaf": 15, "max_features": "sqrt"}
XGBOOST = {
    "objective": "survival:cox",
    "eta": 0.03,
    "max_depth": 3,
    "subsample": 0.7,
    "colsample_bytree": 0.7,
    "min_child_weight": 5,
    "nthread": 1,
}
MOST_TREES, PATIENCE, FOLDS = 2000, 50, 5

_Floats = NDArray[np.float64]


class OutsideFigures(NamedTuple):
    """Figures of the risks of the held-out patients.

    Parameters
    ----------
    c : float
        Harrell's C of the mean risk over the days of the file.
    ibs : float
        Integrated Brier score over them; lower is better.
    auc : mapping of float to float
        Cumulative/dynamic area under the curve by day.
    """

    c: float
    ibs: float
    auc: dict[float, float]


def judge_risks(learned: Path, held_out: Path, risks: Path) -> OutsideFigures:
    """Judge a file of risks by scikit-survival's metrics.

    Parameters
    ----------
    learned, held_out : Path
        CSV files with `time_days` and `event`; the censoring of the first weights the metrics.
    risks : Path
        CSV file with a row for each held-out patient, in the same order, and a column for each day,
        `DAYS` among them.
    """
    from sksurv.metrics import (
        concordance_index_censored,
        cumulative_dynamic_auc,
        integrated_brier_score,
    )

    theirs, ours = (_outcome(pd.read_csv(path)) for path in (learned, held_out))
    risk = pd.read_csv(risks)
    days, values = risk.columns.astype(float).to_numpy(), risk.to_numpy()
    c = concordance_index_censored(ours["event"], ours["time"], values.mean(axis=1))[0]
    # scikit-survival refuses held-out patients observed for longer than all others; what comes
    # after the last day decides neither of these two.
    theirs, ours = (_followed_until(outcome, days[-1] + 1) for outcome in (theirs, ours))
    ibs = integrated_brier_score(theirs, ours, 1 - values, days)
    at = {day: values[:, int(np.flatnonzero(days == day)[0])] for day in DAYS}
    areas = {day: cumulative_dynamic_auc(theirs, ours, of_day, day) for day, of_day in at.items()}
    return OutsideFigures(
        float(c), float(ibs), {day: float(area[0][0]) for day, area in areas.items()}
    )


def fit_forest(learned: Path, held_out: Path, days: _Floats) -> _Floats:
    """Fit a random survival forest and return the risks of the held-out patients by day."""
    from sksurv.ensemble import RandomSurvivalForest

    train, test = pd.read_csv(learned), pd.read_csv(held_out)
    table = _columns(train)
    forest = RandomSurvivalForest(**FOREST, random_state=0, n_jobs=1)
    forest.fit(table.transform(train), _outcome(train))
    survival = forest.predict_survival_function(table.transform(test), return_array=True)
    return 1 - _read_steps(forest.unique_times_, survival, days)


def fit_xgboost_cox(learned: Path, held_out: Path, days: _Floats) -> _Floats:
    """Fit XGBoost `survival:cox` with Breslow's baseline; cross-validation chooses the trees."""
    from sksurv.linear_model.coxph import BreslowEstimator

    train, test = pd.read_csv(learned), pd.read_csv(held_out)
    table, outcome = _columns(train), _outcome(train)
    label = np.where(outcome["event"], outcome["time"], -outcome["time"])
    matrix = xgb.DMatrix(table.transform(train), label=label)
    history = xgb.cv(
        XGBOOST,
        matrix,
        num_boost_round=MOST_TREES,
        nfold=FOLDS,
        early_stopping_rounds=PATIENCE,
        seed=0,
    )
    booster = xgb.train(XGBOOST | {"seed": 0}, matrix, num_boost_round=len(history))
    fitted, margin = (
        booster.predict(xgb.DMatrix(table.transform(rows)), output_margin=True).astype(float)
        for rows in (train, test)
    )
    baseline = BreslowEstimator().fit(fitted, outcome["event"], outcome["time"])
    curves = baseline.get_survival_function(margin)
    return 1 - np.array([curve(np.minimum(days, curve.domain[1])) for curve in curves])


def _outcome(rows: pd.DataFrame) -> NDArray[np.void]:
    outcome = np.empty(len(rows), dtype=[("event", bool), ("time", float)])
    outcome["event"], outcome["time"] = rows[EVENT] == 1, rows[TIME]
    return outcome


def _followed_until(outcome: NDArray[np.void], day: float) -> NDArray[np.void]:
    """Return the outcome with every patient censored at a day who was observed for longer."""
    cut = outcome.copy()
    cut["event"] &= outcome["time"] <= day
    cut["time"] = np.minimum(outcome["time"], day)
    return cut


def _columns(train: pd.DataFrame) -> ColumnTransformer:
    """Return categories as columns of 0 and 1, and numbers with their missing values."""
    features = train.drop(columns=[TIME, EVENT])
    texts = features.select_dtypes(exclude="number").columns
    numbers = features.columns.difference(texts, sort=False)
    table = make_column_transformer(
        (OneHotEncoder(handle_unknown="ignore", sparse_output=False), texts),
        ("passthrough", numbers),
    )
    return table.fit(features)


def _read_steps(times: _Floats, survival: Any, days: _Floats) -> _Floats:
    """Read right-continuous steps, 1 before the first."""
    padded = np.column_stack([np.ones(len(survival)), survival])
    at: _Floats = padded[:, np.searchsorted(times, days, side="right")]
    return at
