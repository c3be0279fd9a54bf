"""Comparison of a model with one that reads severity alone."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from data_schema.cohort import Cohort
from data_schema.variables import base_name
from models.fitting.training_cohort import Progress
from models.metrics.comparison.decision_curves import DecisionComparison, decision_comparison
from training.config import RunConfig
from training.fit import with_columns
from training.fold_fits import Folds, fits_of_folds
from training.validation.plan import EvaluationPlan
from training.validation.predictions import Predictions

__all__ = ["SeverityAlone", "severity_alone"]

_PATHWAY = "severity"


@dataclass(frozen=True, slots=True)
class SeverityAlone:
    """A model compared with one that reads severity alone, on the same patients.

    Parameters
    ----------
    columns : tuple of str
        Every column of the pathway `severity`: scores and organ functions.
    decision : tuple of DecisionComparison
        Net benefit of severity alone, then of the model, at each horizon.
    risk : ndarray of float, shape (n_evaluated, n_horizons)
        By severity alone, out of fold, of the patients judged.
    """

    columns: tuple[str, ...]
    decision: tuple[DecisionComparison, ...]
    risk: NDArray[np.float64]

    def as_json(self) -> dict[str, object]:
        """Return the comparison as a mapping."""
        names = ("severity_alone", "model")
        return {
            "columns": list(self.columns),
            "decision": [at_horizon.as_json(names) for at_horizon in self.decision],
        }


def severity_alone(
    cohort: Cohort,
    plan: EvaluationPlan,
    predictions: Predictions,
    horizons_days: Sequence[float],
    config: RunConfig,
    *,
    progress: Progress | None = None,
) -> SeverityAlone | None:
    """Fit severity alone to the training part of each split, and compare on the other part.

    Parameters
    ----------
    cohort, plan : Cohort, EvaluationPlan
        All patients of the run, and how they are judged; the splits of the first repeat are used.
    predictions : Predictions
        Of the model, by the same plan.
    horizons_days : sequence of float
        Horizons to compare at.

    Returns
    -------
    SeverityAlone or None
        None where the cohort has no column of severity, or no other.
    """
    columns = [
        name
        for name in map(str, cohort.features.columns)
        if cohort.variables[base_name(name)].pathway == _PATHWAY
    ]
    if not columns or len(columns) == cohort.features.shape[1]:
        return None
    severity = with_columns(cohort, columns)
    risk_of_row = np.full((len(cohort), len(predictions.horizons_days)), np.nan)
    splits = plan.repeats[0]

    fits = fits_of_folds(
        lambda model, held_out: model.predict_risk(held_out.features),
        [Folds(severity, splits)],
        predictions.horizons_days,
        config,
        risk_only=True,
        what="fitting severity alone",
        progress=progress,
    )
    for split, risk in zip(splits, fits, strict=True):
        risk_of_row[split.test] = risk
    evaluated = risk_of_row[plan.evaluated]
    return SeverityAlone(
        tuple(columns),
        tuple(
            decision_comparison(
                predictions.time_days,
                predictions.event,
                evaluated[:, predictions.horizons_days.index(days)],
                predictions.risk[:, predictions.horizons_days.index(days)],
                horizon_days=days,
                n_bootstrap=config.bootstrap_resamples,
                random_state=config.seed,
                groups=predictions.patient_id,
                folds=plan.folds,
            )
            for days in horizons_days
        ),
        evaluated,
    )
