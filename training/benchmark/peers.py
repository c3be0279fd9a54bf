"""The models Osteon is compared with, each as `fit(train) -> predict(cohort, days) -> risk`.

Everything that is learned, the preparation of the columns included, is learned from the training
cohort alone. A competing event ends the observation of a peer here: none of them knows of it; those
of `training.benchmark.competing_peers` do.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
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
    "BOOSTING",
    "FOREST",
    "PEERS",
    "SEED",
    "Predict",
    "breslow",
    "fit_boosting",
    "fit_cox",
    "fit_forest",
    "fit_logistic",
    "fit_xgboost_cox",
    "proportional_risk",
    "read_steps",
    "scikit_survival_absent",
    "structured",
    "training_outcome",
]

SEED = 0
"""Of every peer that draws by lot."""

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
BOOSTING = {"n_estimators": 100, "learning_rate": 0.1, "max_depth": 3, "subsample": 0.5}


class Predict(Protocol):
    """A fitted peer."""

    def __call__(self, cohort: Cohort, days: ArrayLike, /) -> NDArray[np.float64]:
        """Return risk, shape (n_stays, n_days)."""
        ...


def fit_xgboost_cox(train: Cohort) -> Predict:
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


def fit_cox(train: Cohort) -> Predict:
    """Fit a Cox model with a ridge penalty on imputed, scaled columns (scikit-survival)."""
    try:
        from sksurv.linear_model import CoxPHSurvivalAnalysis
    except ImportError as missing:
        raise scikit_survival_absent() from missing
    outcome = training_outcome(train)
    table = filled_and_scaled(train.features)
    x = table.transform(train.features)
    cox = CoxPHSurvivalAnalysis(alpha=COX_PENALTY, ties="efron").fit(x, structured(outcome))
    baseline = breslow(outcome, cox.predict(x))

    def predict(cohort: Cohort, days: ArrayLike, /) -> NDArray[np.float64]:
        return proportional_risk(baseline(days), cox.predict(table.transform(cohort.features)))

    return predict


def fit_forest(train: Cohort) -> Predict:
    """Fit a random survival forest; it takes missing values as they are (scikit-survival)."""
    try:
        from sksurv.ensemble import RandomSurvivalForest
    except ImportError as missing:
        raise scikit_survival_absent() from missing
    table = as_measured(train.features)
    forest = RandomSurvivalForest(**FOREST, random_state=SEED)
    forest.fit(table.transform(train.features), structured(training_outcome(train)))

    def predict(cohort: Cohort, days: ArrayLike, /) -> NDArray[np.float64]:
        survival = forest.predict_survival_function(
            table.transform(cohort.features), return_array=True
        )
        return 1 - read_steps(forest.unique_times_, survival, days, before=1.0)

    return predict


def fit_boosting(train: Cohort) -> Predict:
    """Fit gradient boosting of Cox's partial likelihood (scikit-survival)."""
    try:
        from sksurv.ensemble import GradientBoostingSurvivalAnalysis
    except ImportError as missing:
        raise scikit_survival_absent() from missing
    outcome = training_outcome(train)
    table = filled_and_scaled(train.features)
    x = table.transform(train.features)
    boosting = GradientBoostingSurvivalAnalysis(**BOOSTING, random_state=SEED)
    boosting.fit(x, structured(outcome))
    baseline = breslow(outcome, boosting.predict(x))

    def predict(cohort: Cohort, days: ArrayLike, /) -> NDArray[np.float64]:
        return proportional_risk(baseline(days), boosting.predict(table.transform(cohort.features)))

    return predict


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
    "XGBoost survival:cox + Breslow": fit_xgboost_cox,
    "Cox": fit_cox,
    "random survival forest": fit_forest,
    "gradient boosting survival": fit_boosting,
}


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
    """Return the outcome of a training cohort; `DataError` where it holds no event."""
    if cohort.outcome is None or not (cohort.outcome.event == 1).any():
        raise DataError("a training cohort must hold at least one event; this one holds none.")
    return cohort.outcome


def structured(outcome: OutcomeData) -> NDArray[np.void]:
    """Return the outcome in scikit-survival's form."""
    rows = np.empty(len(outcome.event), dtype=[("event", bool), ("time", float)])
    rows["event"], rows["time"] = outcome.event == 1, outcome.time_days
    return rows


def scikit_survival_absent() -> OutsideError:
    """Return the error to raise where scikit-survival is not installed."""
    return OutsideError(
        "scikit-survival is not installed. Install the benchmark extra: "
        "pip install -e '.[benchmark]' in Osteon's folder."
    )
