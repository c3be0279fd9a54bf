"""`osteon evaluate --model`: a registered model on a cohort that it was not trained on."""

from __future__ import annotations

from dataclasses import dataclass

from data_schema.cohort import Cohort
from models.registry.lifecycle import LoadedModel
from training.validation.judgement import Judgement, judge
from training.validation.overlap import Overlap, overlap_with_training
from training.validation.predictions import Predictions, predict_cohort

__all__ = ["RESAMPLES", "Evaluation", "evaluate_on"]

RESAMPLES = 1000
"""Bootstrap resamples of the patients."""


@dataclass(frozen=True, slots=True)
class Evaluation:
    """A model, its predictions for a cohort, and their figures.

    `overlap` counts the patients that the model learned from.
    """

    loaded: LoadedModel
    predictions: Predictions
    judgement: Judgement
    cohort: Cohort
    overlap: Overlap

    def as_json(self) -> dict[str, object]:
        """Return what `osteon evaluate --json` prints, except for the folder."""
        loaded, predictions = self.loaded, self.predictions
        return {
            "model": {"name": loaded.name, "version": loaded.version, "alias": loaded.alias},
            "outcome": loaded.risk_model.contract.outcome,
            "stays": predictions.stays,
            "patients": predictions.patients,
            "events": predictions.events,
            "refused": predictions.refusals.refused,
            "learned_from": self.overlap.as_json(),
            "cohort_fingerprint": predictions.cohort_fingerprint,
            **self.judgement.as_json(),
        }


def evaluate_on(loaded: LoadedModel, cohort: Cohort) -> Evaluation:
    """Judge a model on patients whose outcome is known.

    Parameters
    ----------
    cohort : Cohort
        From `training.score.cohort_for_model`, with the model's outcome.
    """
    predictions = predict_cohort(loaded.risk_model, cohort)
    judgement = judge(predictions, cohort, n_bootstrap=RESAMPLES, random_state=0)
    return Evaluation(loaded, predictions, judgement, cohort, overlap_with_training(loaded, cohort))
