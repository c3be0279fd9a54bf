"""Osteon against the best attainable risks of simulated patients."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.special import expit, logit
from scipy.stats import spearmanr

from data_schema.cohort import Cohort
from data_schema.errors import RulesBroken
from data_schema.variables import PATHWAYS
from models.inference.risk_model import RiskModel
from models.metrics.calibration.calibration import calibration_error
from models.metrics.discrimination.ranking import auroc
from models.metrics.known_outcome import KnownOutcome
from training.benchmark.comparison import Comparison, JudgedFigure, ModelRow, PathwayShare
from training.benchmark.curves import Progress
from training.cohorts.study import check_table
from training.explanation.importance import importance
from training.fit import fit_osteon
from training.simulation.cohort import SimulatedCohort, simulate

__all__ = ["BOUNDS", "Bound", "compare_with_truth", "expected_outcome", "true_shares"]

Risks = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Bound:
    """Accepted range of a figure."""

    figure: str
    outcome: str
    low: float | None
    high: float

    def holds(self, value: float) -> bool:
        """Whether a value lies within; an undefined value does not."""
        return (self.low is None or value >= self.low) and value <= self.high


BOUNDS: tuple[Bound, ...] = (
    Bound("AUC below the best attainable by", "mortality", None, 0.015),
    Bound("mean predicted over mean true risk", "mortality", 0.95, 1.05),
    Bound("ICI against the true risk", "mortality", 0.0, 0.010),
    Bound("pathway shares, Spearman with the truth", "mortality", 0.9, 1.0),
    Bound("AUC below the best attainable by", "fracture", None, 0.025),
    Bound("mean predicted over mean true risk", "fracture", 0.90, 1.10),
    Bound("ICI against the true risk", "fracture", 0.0, 0.010),
    Bound("pathway shares, Spearman with the truth", "fracture", 0.9, 1.0),
)
"""The figures to reach with 20,000 training patients and 20,000 others."""


def compare_with_truth(
    *,
    patients: int,
    random_state: int,
    outcomes: Sequence[str] = ("mortality", "fracture"),
    progress: Progress = lambda _: None,
) -> Comparison:
    """Train on simulated patients and compare with the true risks of as many others.

    Parameters
    ----------
    patients : int
        Number of training patients, and of test patients.
    random_state : int
        Seed of both cohorts and of the fit.

    Returns
    -------
    Comparison
        One row per outcome and model, one figure per `BOUNDS` and horizon, and no differences.
    """
    learned_from = simulate(patients, seed=2 * random_state)
    judged = simulate(patients, seed=2 * random_state + 1)
    progress(f"computing the true risks of {patients} patients")
    truth = judged.truth
    rows: list[ModelRow] = []
    figures: list[JudgedFigure] = []
    shares: list[PathwayShare] = []
    for outcome in outcomes:
        progress(f"fitting {outcome}")
        truth_rows = truth[truth["outcome"] == outcome]
        started = time.perf_counter()
        risk_model = _fitted(_checked(learned_from, outcome), truth_rows, random_state)
        seconds = time.perf_counter() - started
        progress(f"judging {outcome}")
        features = _checked(judged, outcome).features
        rows += _rows(risk_model, features, truth_rows, outcome, seconds)
        moved = _shares(risk_model, features, truth_rows, outcome)
        figures += _figures(risk_model, features, truth_rows, outcome, moved)
        shares += moved
    return Comparison(
        protocol=(
            f"{patients} simulated training patients, {patients} others judged by their true "
            "risks: AUC and calibration are expectations over the outcomes that the best "
            "attainable risk given the recorded values leaves open"
        ),
        rows=tuple(rows),
        figures=tuple(figures),
        shares=tuple(shares),
    )


def expected_outcome(risk: Risks) -> KnownOutcome:
    """Return outcomes given by their probability: each patient twice, with and without the event.

    A metric of it is the ratio of the expectations of numerator and denominator, free of the noise
    of random outcomes. Predictions must be repeated likewise: `np.tile(predicted, 2)`.

    Parameters
    ----------
    risk : ndarray of float, shape (n_patients,)
        True probability of the event.

    Returns
    -------
    KnownOutcome
        Of 2 * n_patients rows.
    """
    happened = np.repeat([True, False], len(risk))
    weight = np.concatenate([risk, 1 - risk])
    return KnownOutcome(happened, weight, weight)


def true_shares(truth_rows: pd.DataFrame) -> dict[str, float]:
    """Return the mean absolute points of true risk of each pathway's recorded values.

    Points relate to log-odds as in an explanation: by the secant from the reference to the risk.

    Parameters
    ----------
    truth_rows : DataFrame
        Rows of one outcome and horizon of `training.simulation.truth.truth_table`.

    Returns
    -------
    dict of str to float
        Pathway -> points.
    """
    # A risk that rounds to 1 has no log-odds.
    risk = truth_rows["risk_recorded"].to_numpy().clip(1e-12, 1 - 1e-12)
    base = truth_rows["base_log_odds"].to_numpy()
    way = logit(risk) - base
    near = np.abs(way) < 1e-6
    gain = np.where(near, risk * (1 - risk), (risk - expit(base)) / np.where(near, 1.0, way))
    return {
        pathway: float(np.abs(100 * gain * truth_rows[f"contribution__{pathway}"]).mean())
        for pathway in PATHWAYS
    }


def _checked(simulated: SimulatedCohort, outcome: str) -> Cohort:
    """Return the cohort as `osteon train` reads it."""
    checked = check_table(simulated.cohort, outcome=outcome)
    if checked.cohort is None:
        raise RulesBroken(checked.report.fatal)
    return checked.cohort


def _fitted(cohort: Cohort, truth_rows: pd.DataFrame, random_state: int) -> RiskModel:
    horizons = sorted(truth_rows["horizon_days"].unique())
    fitted = fit_osteon(cohort, horizons_days=horizons, random_state=random_state, interval_folds=0)
    return fitted.risk_model_


def _rows(
    risk_model: RiskModel,
    features: pd.DataFrame,
    truth_rows: pd.DataFrame,
    outcome: str,
    seconds: float,
) -> Iterator[ModelRow]:
    """Yield the AUC of Osteon, its parts and the true risks."""
    days = sorted(truth_rows["horizon_days"].unique())
    by_horizon = {day: truth_rows[truth_rows["horizon_days"] == day] for day in days}
    best = np.column_stack([rows["risk_recorded"] for rows in by_horizon.values()])
    risks = {
        "best attainable": best,
        "everything known": np.column_stack([r["risk_full"] for r in by_horizon.values()]),
        "osteon": risk_model.risk(features, days),
        "osteon (linear part)": risk_model.part(1.0).risk(features, days),
        "osteon (boosted part)": risk_model.part(0.0).risk(features, days),
    }
    for model, risk in risks.items():
        # The risk given everything is judged by the outcomes that it leaves open.
        true = risk if model == "everything known" else best
        yield ModelRow(
            model,
            {
                "auc": {f"{day:g}": _auc(true[:, k], risk[:, k]) for k, day in enumerate(days)},
                "fit_seconds": seconds if model == "osteon" else None,
            },
            outcome=outcome,
        )


def _shares(
    risk_model: RiskModel, features: pd.DataFrame, truth_rows: pd.DataFrame, outcome: str
) -> list[PathwayShare]:
    """Return the points of each pathway in the truth and in the model, by horizon."""
    return [
        # A pathway without a variable in the model has 0 points.
        PathwayShare(outcome, days, pathway, points, at_horizon.pathways.get(pathway, 0.0))
        for at_horizon in importance(risk_model, features)
        for days in [at_horizon.horizon_days]
        for pathway, points in true_shares(truth_rows[truth_rows["horizon_days"] == days]).items()
    ]


def _figures(
    risk_model: RiskModel,
    features: pd.DataFrame,
    truth_rows: pd.DataFrame,
    outcome: str,
    moved: Sequence[PathwayShare],
) -> Iterator[JudgedFigure]:
    for day in sorted(truth_rows["horizon_days"].unique()):
        rows = truth_rows[truth_rows["horizon_days"] == day]
        best = rows["risk_recorded"].to_numpy()
        risk = risk_model.risk(features, [day])[:, 0]
        expected = expected_outcome(best)
        shares = [share for share in moved if share.horizon_days == day]
        values = {
            "AUC below the best attainable by": _auc(best, best) - _auc(best, risk),
            "mean predicted over mean true risk": float(risk.mean() / best.mean()),
            "ICI against the true risk": float(calibration_error(expected, np.tile(risk, 2)).ici),
            "pathway shares, Spearman with the truth": _rank_agreement(shares),
        }
        for bound in BOUNDS:
            if bound.outcome == outcome:
                value = values[bound.figure]
                yield JudgedFigure(
                    outcome, bound.figure, day, value, bound.low, bound.high, bound.holds(value)
                )


def _auc(true: Risks, risk: Risks) -> float:
    return float(auroc(expected_outcome(true), np.tile(risk, 2)))


def _rank_agreement(shares: Sequence[PathwayShare]) -> float:
    """Return Spearman's correlation over the pathways."""
    return float(spearmanr([s.true for s in shares], [s.found for s in shares])[0])
