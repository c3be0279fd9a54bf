"""The peers for competing events: Fine-Gray, cause-specific Cox, and a forest.

They have the interface of `training.benchmark.peers`. The two regressions are fitted in R, as is
usual without a penalty, with missing values replaced by the median of the training patients.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from io import StringIO
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from data_schema.cohort import Cohort
from data_schema.errors import OutsideError
from training.benchmark.peer_columns import filled_full_rank
from training.benchmark.peers import SEED, Predict, proportional_risk, read_steps, training_outcome
from training.datasets.r import run_r

__all__ = ["COMPETING_FOREST", "COMPETING_PEERS", "fit_cause_specific_cox", "fit_fine_gray"]

_SCRIPT = Path(__file__).with_suffix(".R")

# Leaf size as in R's randomForestSRC for competing risks.
COMPETING_FOREST = {"n_estimators": 500, "min_samples_leaf": 15, "n_jobs": 2}


class _Regression(NamedTuple):
    """The regression of one cause: coefficients, and jumps of the baseline hazard."""

    coefficients: NDArray[np.float64]
    time_days: NDArray[np.float64]
    hazard_jumps: NDArray[np.float64]


def fit_fine_gray(train: Cohort) -> Predict:
    r"""Fit the subdistribution hazard of the event (R: `cmprsk::crr`).

    Notes
    -----
    :math:`F(t) = 1 - \exp(-\Lambda_0(t) e^{x'\beta})` [1]_.

    References
    ----------
    .. [1] Fine & Gray. J Am Stat Assoc 94 (1999) 496-509. doi:10.1080/01621459.1999.10474144
    """
    table = filled_full_rank(train.features)
    (event,) = _fit_in_r("fine-gray", train, table.transform(train.features))
    cumulative = np.cumsum(event.hazard_jumps)[None, :]

    def predict(cohort: Cohort, days: ArrayLike, /) -> NDArray[np.float64]:
        log_ratio = table.transform(cohort.features) @ event.coefficients
        baseline = read_steps(event.time_days, cumulative, days, before=0.0)[0]
        return proportional_risk(baseline, log_ratio)

    return predict


def fit_cause_specific_cox(train: Cohort) -> Predict:
    r"""Fit a Cox model of each cause and add them up to an incidence (R: `survival::coxph`).

    Notes
    -----
    :math:`F(t) = \sum_{u \le t} S(u-)\, d\Lambda_1(u)` with
    :math:`S(u) = \prod_{v \le u} (1 - d\Lambda_1(v) - d\Lambda_2(v))` [1]_, as
    `riskRegression::CSC` does.

    References
    ----------
    .. [1] Ozenne et al. R J 9 (2017) 440-460. doi:10.32614/RJ-2017-062
    """
    table = filled_full_rank(train.features)
    event, competing = _fit_in_r("cause-specific-cox", train, table.transform(train.features))

    def predict(cohort: Cohort, days: ArrayLike, /) -> NDArray[np.float64]:
        x = table.transform(cohort.features)
        hazard, other = (
            np.outer(np.exp(x @ cause.coefficients), cause.hazard_jumps)
            for cause in (event, competing)
        )
        # Both causes jump at the same times, those of all patients.
        free = np.cumprod(np.maximum(1 - hazard - other, 0.0), axis=1)
        before = np.column_stack([np.ones(len(x)), free[:, :-1]])
        incidence = np.cumsum(before * hazard, axis=1)
        return read_steps(event.time_days, np.minimum(incidence, 1.0), days, before=0.0)

    return predict


def _fit_competing_forest(train: Cohort) -> Predict:
    """Fit a random survival forest for competing risks (comprisk)."""
    try:
        from comprisk import CompetingRiskForest
    except ImportError as missing:
        raise OutsideError(
            "comprisk is not installed. Install the benchmark extra: "
            "pip install -e '.[benchmark]' in Osteon's folder."
        ) from missing
    outcome = training_outcome(train)
    table = filled_full_rank(train.features)
    forest = CompetingRiskForest(**COMPETING_FOREST, random_state=SEED)
    forest.fit(table.transform(train.features), outcome.time_days, outcome.event)

    def predict(cohort: Cohort, days: ArrayLike, /) -> NDArray[np.float64]:
        at = np.asarray(days, dtype=np.float64)
        incidence = forest.predict_cif(table.transform(cohort.features), times=at)
        return np.asarray(incidence[:, 0, :], dtype=np.float64)

    return predict


COMPETING_PEERS: Mapping[str, Callable[[Cohort], Predict]] = {
    "Fine-Gray (R)": fit_fine_gray,
    "cause-specific Cox (R)": fit_cause_specific_cox,
    "competing-risk forest": _fit_competing_forest,
}


def _fit_in_r(model: str, train: Cohort, x: NDArray[np.float64]) -> list[_Regression]:
    """Return the regression of each cause that the script fits."""
    outcome = training_outcome(train)
    columns = pd.DataFrame(x, columns=[f"x{j}" for j in range(x.shape[1])])
    columns.insert(0, "time", outcome.time_days)
    columns.insert(1, "event", outcome.event)
    printed = run_r(_SCRIPT, model, table=columns.to_csv(index=False))
    fitted = pd.read_csv(StringIO(printed))
    regressions = []
    for _, cause in fitted.groupby("cause"):
        coefficients = cause[cause["part"] == "coefficient"]
        hazard = cause[cause["part"] == "hazard"]
        regressions.append(
            _Regression(
                coefficients["value"].to_numpy(dtype=np.float64),
                hazard["at"].to_numpy(dtype=np.float64),
                hazard["value"].to_numpy(dtype=np.float64),
            )
        )
    return regressions
