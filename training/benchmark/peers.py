"""The models that Osteon is compared with, each as `fit(train) -> predict(cohort, days) -> risk`.

Everything is learned from the training cohort alone, including the preparation of the columns.
These peers treat a competing event as censoring; those of `training.benchmark.competing_peers` do
not.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from importlib import import_module
from types import ModuleType
from typing import Any, Protocol

import numpy as np
import xgboost as xgb
from numpy.typing import ArrayLike, NDArray
from sklearn.linear_model import LogisticRegression

from data_schema.cohort import Cohort, OutcomeData
from data_schema.errors import DataError, OutsideError
from training.benchmark.peer_columns import as_measured, filled_and_scaled
from training.cohorts.splits import folds_by_patient

__all__ = [
    "FOREST",
    "PEERS",
    "SEED",
    "Predict",
    "breslow",
    "fit_logistic",
    "fit_proportional_hazards",
    "proportional_risk",
    "read_steps",
    "scikit_survival",
    "structured",
    "training_outcome",
]

SEED = 0
"""Random seed of every peer."""

XGBOOST = {
    "objective": "survival:cox",
    "eval_metric": "cox-nloglik",
    "eta": 0.03,
    "max_depth": 3,
    "subsample": 0.7,
    "colsample_bytree": 0.7,
    "min_child_weight": 5,
    "lambda": 5,
    "nthread": 1,
    "seed": SEED,
}
MAX_TREES = 2000
PATIENCE = 50
COX_PENALTY = 100.0
LOGISTIC_INVERSE_PENALTY = 0.1
FOREST = {"n_estimators": 100, "min_samples_leaf": 30, "max_features": "sqrt", "n_jobs": 2}
_BOOSTING = {"n_estimators": 100, "learning_rate": 0.1, "max_depth": 3, "subsample": 0.5}


class Predict(Protocol):
    """A fitted peer."""

    def __call__(self, cohort: Cohort, days: ArrayLike, /) -> NDArray[np.float64]:
        """Return risk, shape (n_stays, n_days)."""
        ...


def _fit_xgboost_cox(train: Cohort) -> Predict:
    """Fit XGBoost `survival:cox` with Breslow's baseline; five folds of patients choose trees."""
    outcome = training_outcome(train)
    table = as_measured(train.features)
    matrix = xgb.DMatrix(
        table.transform(train.features),
        # survival:cox reads a negative time as censored.
        label=np.where(outcome.event == 1, outcome.time_days, -outcome.time_days),
    )
    history = xgb.cv(
        XGBOOST,
        matrix,
        num_boost_round=MAX_TREES,
        folds=[(s.train, s.test) for s in folds_by_patient(train, folds=5, random_state=SEED)],
        early_stopping_rounds=PATIENCE,
    )
    booster = xgb.train(XGBOOST, matrix, num_boost_round=len(history))
    baseline = breslow(outcome, booster.predict(matrix, output_margin=True))

    def predict(cohort: Cohort, days: ArrayLike, /) -> NDArray[np.float64]:
        rows = xgb.DMatrix(table.transform(cohort.features))
        return proportional_risk(baseline(days), booster.predict(rows, output_margin=True))

    return predict


def _fit_cox(train: Cohort) -> Predict:
    """Fit a Cox model with a ridge penalty on imputed, scaled columns (scikit-survival)."""
    cox = scikit_survival("linear_model").CoxPHSurvivalAnalysis(alpha=COX_PENALTY, ties="efron")
    table = filled_and_scaled(train.features)
    return fit_proportional_hazards(cox, lambda cohort: table.transform(cohort.features), train)


def _fit_forest(train: Cohort) -> Predict:
    """Fit a random survival forest, which handles missing values itself (scikit-survival)."""
    table = as_measured(train.features)
    forest = scikit_survival("ensemble").RandomSurvivalForest(**FOREST, random_state=SEED)
    forest.fit(table.transform(train.features), structured(training_outcome(train)))

    def predict(cohort: Cohort, days: ArrayLike, /) -> NDArray[np.float64]:
        survival = forest.predict_survival_function(
            table.transform(cohort.features), return_array=True
        )
        return 1 - read_steps(forest.unique_times_, survival, days, before=1.0)

    return predict


def _fit_boosting(train: Cohort) -> Predict:
    """Fit gradient boosting of Cox's partial likelihood (scikit-survival)."""
    ensemble = scikit_survival("ensemble")
    boosting = ensemble.GradientBoostingSurvivalAnalysis(**_BOOSTING, random_state=SEED)
    table = filled_and_scaled(train.features)
    return fit_proportional_hazards(
        boosting, lambda cohort: table.transform(cohort.features), train
    )


def fit_logistic(train: Cohort) -> Predict:
    """Fit a logistic regression with a ridge penalty, for an outcome known at one horizon."""
    table = filled_and_scaled(train.features)
    model = LogisticRegression(C=LOGISTIC_INVERSE_PENALTY, max_iter=1000)
    model.fit(table.transform(train.features), training_outcome(train).event == 1)

    def predict(cohort: Cohort, days: ArrayLike, /) -> NDArray[np.float64]:
        risk = model.predict_proba(table.transform(cohort.features))[:, 1]
        return np.repeat(risk[:, None], np.size(days), axis=1)

    return predict


PEERS: Mapping[str, Callable[[Cohort], Predict]] = {
    "XGBoost survival:cox + Breslow": _fit_xgboost_cox,
    "Cox": _fit_cox,
    "random survival forest": _fit_forest,
    "gradient boosting survival": _fit_boosting,
}


def fit_proportional_hazards(
    model: Any, columns: Callable[[Cohort], NDArray[np.float64]], train: Cohort
) -> Predict:
    """Fit a model of scikit-survival that predicts log hazard ratios; Breslow's baseline."""
    outcome, x = training_outcome(train), columns(train)
    model.fit(x, structured(outcome))
    baseline = breslow(outcome, model.predict(x))

    def predict(cohort: Cohort, days: ArrayLike, /) -> NDArray[np.float64]:
        return proportional_risk(baseline(days), model.predict(columns(cohort)))

    return predict


def breslow(
    outcome: OutcomeData, log_hazard_ratio: ArrayLike
) -> Callable[[ArrayLike], NDArray[np.float64]]:
    r"""Return the cumulative baseline hazard as a function of days.

    Parameters
    ----------
    outcome : OutcomeData
        Of the training cohort.
    log_hazard_ratio : array-like of float, shape (n_stays,)
        Prediction of the model for the same stays.

    Returns
    -------
    callable
        Days -> :math:`H_0(t) = \sum_{u \le t} d(u) / \sum_{T_j \ge u} \exp(\eta_j)`.
    """
    hazard_ratio = np.exp(np.asarray(log_hazard_ratio, dtype=np.float64))
    times, position = np.unique(outcome.time_days, return_inverse=True)
    events = np.bincount(position, weights=outcome.event == 1)
    left = np.bincount(position, weights=hazard_ratio)
    at_risk = np.cumsum(left[::-1])[::-1]
    cumulative = np.cumsum(events / at_risk)
    return lambda days: read_steps(times, cumulative[None, :], days, before=0.0)[0]


def read_steps(
    times: NDArray[np.float64], values: NDArray[np.float64], days: ArrayLike, *, before: float
) -> NDArray[np.float64]:
    """Read right-continuous step functions, one per row, at the given days."""
    padded = np.column_stack([np.full(len(values), before), values])
    at = np.searchsorted(times, np.asarray(days, dtype=np.float64), side="right")
    read: NDArray[np.float64] = padded[:, at]
    return read


def proportional_risk(
    baseline: NDArray[np.float64], log_hazard_ratio: NDArray[Any]
) -> NDArray[np.float64]:
    """Return 1 - exp(-H0(t) exp(eta))."""
    hazard = np.outer(np.exp(log_hazard_ratio.astype(np.float64)), baseline)
    risk: NDArray[np.float64] = -np.expm1(-hazard)
    return risk


def training_outcome(cohort: Cohort) -> OutcomeData:
    """Return the outcome of a training cohort; `DataError` if it has no event."""
    if cohort.outcome is None or not (cohort.outcome.event == 1).any():
        raise DataError("a training cohort must have at least one event; got 0.")
    return cohort.outcome


def structured(outcome: OutcomeData) -> NDArray[np.void]:
    """Return the outcome in scikit-survival's form."""
    rows = np.empty(len(outcome.event), dtype=[("event", bool), ("time", float)])
    rows["event"], rows["time"] = outcome.event == 1, outcome.time_days
    return rows


def scikit_survival(module: str) -> ModuleType:
    """Import a module of scikit-survival; `OutsideError` if it is not installed."""
    try:
        return import_module(f"sksurv.{module}")
    except ImportError as missing:
        raise OutsideError(
            "scikit-survival is not installed. Install the benchmark extra: "
            "pip install -e '.[benchmark]' in Osteon's folder."
        ) from missing
