"""What severity alone would do: the same fit of its columns only, beside the model."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from data_schema.cohort import Cohort
from data_schema.variables import base_name
from models.metrics.comparison.decision_curves import DecisionComparison, decision_comparison
from training.config import RunConfig
from training.fit import refit, with_columns
from training.validation.predictions import Answers

__all__ = ["SeverityAlone", "severity_alone"]

_PATHWAY = "severity"


@dataclass(frozen=True, slots=True)
class SeverityAlone:
    """A model beside one that reads severity alone, on the same patients.

    Parameters
    ----------
    columns : tuple of str
        What that one reads: every column of the pathway `severity`, scores and organ functions.
    decision : tuple of DecisionComparison
        Net benefit of severity alone, then of the model, at each horizon asked for.
    """

    columns: tuple[str, ...]
    decision: tuple[DecisionComparison, ...]

    def as_json(self) -> dict[str, object]:
        """Return the comparison as a mapping."""
        names = ("severity_alone", "model")
        return {
            "columns": list(self.columns),
            "decision": [one.as_json(names) for one in self.decision],
        }


def severity_alone(
    learned_from: Cohort,
    held_out: Cohort,
    answers: Answers,
    horizons_days: Sequence[float],
    config: RunConfig,
) -> SeverityAlone | None:
    """Fit severity alone to those whom a model learned from, and compare on those held out.

    Parameters
    ----------
    learned_from, held_out : Cohort
        Of a training run.
    answers : Answers
        What its model answered for those held out; who was refused is left out on both sides.
    horizons_days : sequence of float
        Those to compare at, each one of `answers` that can be judged.
    config : RunConfig
        Its seed, trees, threads and resamples are used.

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
    model = refit(with_columns(learned_from, columns), answers.horizons_days, config)
    risk = model.predict_risk(with_columns(held_out, columns).features[answers.answered])
    return SeverityAlone(
        tuple(columns),
        tuple(
            decision_comparison(
                answers.time_days,
                answers.event,
                risk[:, answers.horizons_days.index(days)],
                answers.risk[:, answers.horizons_days.index(days)],
                horizon_days=days,
                n_bootstrap=config.bootstrap_resamples,
                random_state=config.seed,
                groups=answers.patient_id,
            )
            for days in horizons_days
        ),
    )
