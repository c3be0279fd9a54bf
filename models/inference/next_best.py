"""Which unmeasured variable would move the estimate most if measured, by simulation.

Part of every bundle's `model.py`: it imports only the standard library, numpy, pandas and xgboost.
"""

import hashlib
from collections.abc import Mapping, Sequence
from statistics import NormalDist
from typing import NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from models.inference.contract import Contract, JointColumn
from models.inference.matrices import Table
from models.inference.prediction import Prediction
from models.inference.request import checked_table
from models.inference.risk_model import RiskModel

__all__ = ["WORTH_POINTS", "ExpectedChange", "expected_changes", "normal_scores"]

WORTH_POINTS = 1.0
"""Points of risk by which a value must be expected to move the estimate to be reported: estimates
are shown as whole numbers of 100, so that a smaller change would hardly show."""

STRATA = 32
DRAWS_PER_STRATUM = 2
MIN_ACCEPTED = 0.5

OF_ONE_MEASUREMENT = ("first", "max", "min")
"""Other features of a variable that a single measurement gives; they equal it."""


class ExpectedChange(NamedTuple):
    """How far the risk at one horizon is expected to move once one more variable is known.

    Attributes
    ----------
    change_points : float
        Expected absolute change of the risk, in points; >= 0, up or down alike.
    error_points : float
        Its standard error, which comes from the finite number of draws alone.
    """

    variable: str
    horizon_days: float
    change_points: float
    error_points: float


def expected_changes(
    risk_model: RiskModel,
    frame: pd.DataFrame | Table,
    variables: Sequence[str],
    horizons_days: ArrayLike | None = None,
) -> list[ExpectedChange]:
    """Return how far a value of each unmeasured variable is expected to move the risk.

    Values are drawn from the bundle's joint distribution given what is measured, two from each of
    32 equally probable strata; each completes the patient's other values, and the model predicts.
    The draws depend on the patient and the variable alone.

    Parameters
    ----------
    frame : DataFrame, shape (1, ...), or Table
        One patient, as for `RiskModel.predict`.
    variables : sequence of str
        Candidates; those that are measured, that the model does not read as a number, or that too
        few patients had in training are left out.
    horizons_days : array-like of float, shape (n_horizons,), optional
        As for `RiskModel.predict`.

    Returns
    -------
    list of ExpectedChange
        One per variable and horizon; the largest change first.

    Notes
    -----
    Of six values hidden in held-out patients, the expected change ranks the seen changes with a
    correlation of .62 (SUPPORT2) and .49 (simulated); an expected narrowing of the interval, by the
    same draws, had none with the narrowing seen (`tests/benchmark/next_best_study.py`).
    """
    patient = checked_table(risk_model.contract, frame)
    columns = risk_model.contract.joint.columns
    places = {column.feature: at for at, column in enumerate(columns) if column.level is None}
    unknown = [v for v in dict.fromkeys(variables) if v in places and _unmeasured(v, patient)]
    if not unknown:
        return []
    conditional = _ConditionalDistribution(risk_model.contract, patient)
    days = risk_model.horizons(horizons_days)
    now = risk_model.predict(patient, days, interval=False)
    changes = []
    for name in unknown:
        values, below = conditional.draws(places[name])
        completed = _with_values(patient, name, values, below)
        changes += _changes(name, now, risk_model.predict(completed, days, interval=False))
    return sorted(changes, key=lambda one: (-one.change_points, one.variable, one.horizon_days))


def _changes(variable: str, now: Prediction, then: Prediction) -> list[ExpectedChange]:
    """Return the change at each horizon, over the draws of a variable that are not refused.

    Empty where the model refuses the patient, or most of the draws.
    """
    accepted = np.array([status == "ok" for status in then.status])
    if now.status[0] != "ok" or accepted.mean() < MIN_ACCEPTED:
        return []
    change = np.abs(then.risk - now.risk[0])
    pairs = change.reshape(STRATA, DRAWS_PER_STRATUM, -1)
    apart = np.nan_to_num(pairs[:, 0] - pairs[:, 1])
    # Two draws of a stratum differ by d, which estimates the variance d^2 / 2 within it; the mean
    # over both has half of that. The mean over S strata has variance sum d^2 / (4 S^2), whose root
    # this is.
    error = np.sqrt((apart**2).sum(0)) / (2 * STRATA)
    mean = change[accepted].mean(0)
    return [
        ExpectedChange(variable, float(day), float(100 * mean[h]), float(100 * error[h]))
        for h, day in enumerate(now.horizons_days)
    ]


def normal_scores(
    values: np.ndarray, quantiles: Sequence[float], scores: Sequence[float]
) -> np.ndarray:
    """Return the normal score of each value of a column; NaN stays NaN.

    Equal quantiles share the middle of their scores. A value beyond the outer quantiles gets their
    score, since nothing is known of the tails.

    Parameters
    ----------
    values : ndarray of float, shape (n,)
    quantiles, scores : sequence of float
        Quantiles of the column, ascending, and the normal score of each.

    Returns
    -------
    ndarray of float, shape (n,)
    """
    at, place = np.unique(np.asarray(quantiles), return_inverse=True)
    first = np.full(len(at), np.inf)
    last = np.full(len(at), -np.inf)
    np.minimum.at(first, place, scores)
    np.maximum.at(last, place, scores)
    interpolated = np.interp(values, at, (first + last) / 2)
    return np.where(np.isnan(values), np.nan, interpolated)


class _ConditionalDistribution:
    """The joint distribution given one patient's values."""

    def __init__(self, contract: Contract, patient: Table) -> None:
        self._columns = contract.joint.columns
        self._correlation = np.eye(len(self._columns))
        for row, values in enumerate(contract.joint.correlation):
            self._correlation[row, :row] = self._correlation[:row, row] = values
        learned = {feature.name: feature.categories for feature in contract.features}
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
        # z_j given the measured z_o is normal, with mean r' R_oo^-1 z_o and variance 1 - r' R_oo^-1
        # r; r = `beside`, R_oo = `among`. Draw s of stratum k is the quantile at (k + U) / S of
        # that.
        weights = np.linalg.solve(among, beside) if len(measured) else np.zeros(0)
        mean, left = weights @ self._scores, 1 - weights @ beside
        digest = hashlib.sha256(column.feature.encode() + measured.tobytes())
        digest.update(self._scores.tobytes())
        random = np.random.default_rng(int.from_bytes(digest.digest()))
        within = random.random((STRATA, DRAWS_PER_STRATUM))
        shares = (np.arange(STRATA)[:, None] + within).ravel() / STRATA
        normal = np.array([NormalDist().inv_cdf(min(max(s, 1e-12), 1 - 1e-12)) for s in shares])
        scores = column.mean + column.spread * (mean + np.sqrt(left) * normal)
        limit = -np.inf if column.below is None else column.below
        return np.interp(scores, column.scores, column.values), scores <= limit


def _score(patient: Table, column: JointColumn, learned: Mapping[str, Sequence[str]]) -> float:
    """Return the patient's standardised score of a column, NaN where not measured or learned."""
    name, level = column.feature, column.level
    if level is None:
        value = patient.number(name)
    else:
        text = patient.texts[name][0]
        value = np.array([float(text == level) if text in learned[name] else np.nan])
    score = normal_scores(value, column.values, column.scores)[0]
    return float((score - column.mean) / column.spread)


def _unmeasured(variable: str, patient: Table) -> bool:
    """Return whether a patient has no value of a variable and no other feature of it."""
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
