"""Osteon fitted and judged on one outer fold of a survival data set without units."""

from __future__ import annotations

import time
from dataclasses import asdict, dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from data_schema.cohort import OutcomeData
from data_schema.errors import DataError
from models.censoring import CensoringDistribution
from models.estimator import CumulativeIncidenceModel
from models.inference.risk_model import InferenceError, RiskModel
from models.targets import MIN_G, survival_target
from training.benchmark.curves import evaluation_grid
from training.benchmark.neutral.scores import (
    SurvivalTimes,
    isbs,
    judged_times,
    kaplan_meier_isbs,
    ordered_c,
)

__all__ = ["FoldResult", "judge_fold", "osteon_curves", "unfitted"]

MEDIAN_DAYS = 365.0
DEFAULT_HORIZONS = (0.25, 0.5, 0.75)
MOST_DAYS = 200
"""Days at which the curves are evaluated, for test sets with more distinct times."""

PATIENTS_AT_A_TIME = 2_000

_Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class FoldResult:
    """Scores of one fold, or why there are none.

    Parameters
    ----------
    isbs, harrell_c : float or None
        None if the fold could not be fitted.
    kaplan_meier_isbs : float
        Of the training patients' curve, on the same patients.
    fit_seconds : float
        CPU seconds of the fit, in one thread.
    failure : str
        The error, empty after a fit.
    """

    dataset: str
    fold: int
    isbs: float | None
    harrell_c: float | None
    kaplan_meier_isbs: float
    fit_seconds: float
    failure: str = ""

    def as_json(self) -> dict[str, object]:
        """Return the line of the file of results."""
        return asdict(self)


def judge_fold(
    dataset: str,
    fold: int,
    features: pd.DataFrame,
    outcome: SurvivalTimes,
    test_rows: NDArray[np.int64],
    random_state: int,
) -> FoldResult:
    """Fit Osteon with its default settings on the rows outside a fold and judge it on the fold.

    Parameters
    ----------
    features : DataFrame, shape (n_patients, n_features)
    outcome : SurvivalTimes
        In any unit.
    test_rows : ndarray of int
        Positions of the rows held out.
    """
    held_out = np.zeros(len(features), dtype=bool)
    held_out[test_rows] = True
    train, test = outcome.take(~held_out), outcome.take(held_out)
    baseline = kaplan_meier_isbs(train, test)
    started = time.process_time()
    try:
        curves = osteon_curves(features[~held_out].reset_index(drop=True), train, random_state)
        seconds = time.process_time() - started
        rows = features[held_out].reset_index(drop=True)
        times = judged_times(test.time)
        figures = (
            isbs(train, test, curves.risk(rows, times), times),
            ordered_c(test, curves.ranking(rows)),
        )
    except (DataError, InferenceError, np.linalg.LinAlgError) as error:
        return unfitted(dataset, fold, baseline, time.process_time() - started, error)
    return FoldResult(dataset, fold, *figures, baseline, round(seconds, 3))


def unfitted(
    dataset: str, fold: int, baseline: float, seconds: float, error: Exception
) -> FoldResult:
    """Return the result of a fold that could not be fitted."""
    failure = f"{type(error).__name__}: {error}"
    return FoldResult(dataset, fold, None, None, baseline, round(seconds, 3), failure)


@dataclass(frozen=True, slots=True)
class OsteonCurves:
    """Osteon's curves in the unit of a data set.

    Parameters
    ----------
    days_per_unit : float
        Model days per unit of time of the data set.
    ranking_days : ndarray of float
        Days over which the ranking takes the mean risk.
    """

    model: RiskModel
    days_per_unit: float
    ranking_days: _Floats

    def risk(self, features: pd.DataFrame, times: _Floats) -> _Floats:
        """Return the risk by each time, shape (n_patients, n_times).

        Beyond the last day that the model has learned the risk stays as it is, and before the first
        it rises in proportion from 0. With more than 200 times it is evaluated at 200 of them,
        spread evenly over their order, and is linear in between.
        """
        days = times * self.days_per_unit
        nodes = days
        if len(days) > MOST_DAYS:
            places = np.linspace(0, len(days) - 1, MOST_DAYS).round().astype(np.int64)
            nodes = days[places]
        at_nodes = self._at(features, nodes)
        if nodes is days:
            return at_nodes
        # Weights of the two neighbouring nodes, the same for every patient.
        right = np.clip(np.searchsorted(nodes, days), 1, len(nodes) - 1)
        share = (days - nodes[right - 1]) / (nodes[right] - nodes[right - 1])
        between: _Floats = at_nodes[:, right - 1] * (1 - share) + at_nodes[:, right] * share
        return between

    def ranking(self, features: pd.DataFrame) -> _Floats:
        """Return the ranking that Harrell's C judges, shape (n_patients,); higher for earlier.

        It is the mean risk over 50 days: the 5th to the 90th percentile of the training patients'
        event times. Harrell's C compares patients at the times of events, so the risks are averaged
        over the times of events and not over the calendar; it is the ranking of every other
        benchmark here.
        """
        mean: _Floats = self._at(features, self.ranking_days).mean(axis=1)
        return mean

    def _at(self, features: pd.DataFrame, days: _Floats) -> _Floats:
        """Return the risks by each day, some patients at a time."""
        contract = self.model.contract
        first = contract.min_horizon_days
        within = np.clip(days, first, contract.max_horizon_days)
        risk = np.concatenate(
            [
                self.model.risk(features.iloc[start : start + PATIENTS_AT_A_TIME], within)
                for start in range(0, len(features), PATIENTS_AT_A_TIME)
            ]
        )
        scaled: _Floats = risk * np.minimum(days / first, 1.0)
        return scaled


def osteon_curves(
    features: pd.DataFrame,
    outcome: SurvivalTimes,
    random_state: int,
    *,
    groups: NDArray[np.object_] | None = None,
) -> OsteonCurves:
    """Fit Osteon with its default settings, in one thread, without its interval.

    Times are scaled so that their median is 365 days: the unit differs from set to set, and a model
    in days should not depend on it. The default horizons are the quartiles of the event times, as
    far as 5 % of the patients are observed that long.

    Parameters
    ----------
    groups : ndarray of object, optional
        Patient of each row, if patients have several.

    Raises
    ------
    DataError
        If the patients are too few or too short under observation to fit.
    """
    days_per_unit = MEDIAN_DAYS / float(np.median(outcome.time))
    time_days = outcome.time * days_per_unit
    if not (outcome.event == 1).any():
        raise DataError("a training fold must have events; got 0.")
    censoring = CensoringDistribution.fit(time_days, outcome.event)
    quartiles = np.quantile(time_days[outcome.event == 1], DEFAULT_HORIZONS)
    observed = [float(day) for day in quartiles if censoring.lowest_before(day) >= MIN_G]
    model = CumulativeIncidenceModel(
        horizons_days=observed or quartiles[:1].tolist(),
        outcome="event",
        interval_folds=0,
        random_state=random_state,
        n_jobs=1,
    )
    model.fit(features, survival_target(time_days, outcome.event), groups=groups)
    grid = evaluation_grid(OutcomeData("event", time_days, outcome.event))
    return OsteonCurves(model.risk_model_, days_per_unit, grid.days)
