"""Comparison of a model with one that reads severity alone."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from data_schema.cohort import Cohort
from data_schema.variables import base_name
from models.metrics.comparison.decision_curves import DecisionComparison, decision_comparison
from training.config import RunConfig
from training.fit import refit, with_columns
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
    """

    columns: tuple[str, ...]
    decision: tuple[DecisionComparison, ...]

    def as_json(self) -> dict[str, object]:
        """Return the comparison as a mapping."""
        names = ("severity_alone", "model")
        return {
            "columns": list(self.columns),
            "decision": [at_horizon.as_json(names) for at_horizon in self.decision],
        }


def severity_alone(
    learned_from: Cohort,
    held_out: Cohort,
    predictions: Predictions,
    horizons_days: Sequence[float],
    config: RunConfig,
) -> SeverityAlone | None:
    """Fit severity alone to the training patients, and compare on the held-out patients.

    Returns
    -------
    SeverityAlone or None
        None where the cohort has no column of severity, or no other.
    """
    columns = [
        name
        for name in map(str, learned_from.features.columns)
        if learned_from.variables[base_name(name)].pathway == _PATHWAY
    ]
    if not columns or len(columns) == learned_from.features.shape[1]:
        return None
    model = refit(with_columns(learned_from, columns), predictions.horizons_days, config)
    risk = model.predict_risk(with_columns(held_out, columns).features)
    return SeverityAlone(
        tuple(columns),
        tuple(
            decision_comparison(
                predictions.time_days,
                predictions.event,
                risk[:, predictions.horizons_days.index(days)],
                predictions.risk[:, predictions.horizons_days.index(days)],
                horizon_days=days,
                n_bootstrap=config.bootstrap_resamples,
                random_state=config.seed,
                groups=predictions.patient_id,
            )
            for days in horizons_days
        ),
    )
