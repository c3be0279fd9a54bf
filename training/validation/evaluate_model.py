"""`osteon evaluate`: a registered model on a cohort that it did not learn from."""

from __future__ import annotations

from dataclasses import dataclass

from data_schema.cohort import Cohort
from models.registry.lifecycle import LoadedModel
from training.validation.judgement import Judgement, judge
from training.validation.predictions import Answers, answers

__all__ = ["RESAMPLES", "Evaluation", "evaluate_on"]

RESAMPLES = 1000
"""Bootstrap resamples of the patients."""


@dataclass(frozen=True, slots=True)
class Evaluation:
    """What a model reached on a cohort."""

    loaded: LoadedModel
    answers: Answers
    judgement: Judgement
    cohort: Cohort

    def as_json(self) -> dict[str, object]:
        """Return what `osteon evaluate --json` prints, but for the folder."""
        loaded, answers = self.loaded, self.answers
        return {
            "model": {"name": loaded.name, "version": loaded.version, "alias": loaded.alias},
            "outcome": loaded.risk_model.contract.outcome,
            "stays": answers.rows,
            "patients": answers.patients,
            "events": answers.events,
            "refused": answers.refused,
            "cohort_fingerprint": answers.cohort_fingerprint,
            **self.judgement.as_json(),
        }


def evaluate_on(loaded: LoadedModel, cohort: Cohort) -> Evaluation:
    """Judge a model on patients whose outcome is known.

    Parameters
    ----------
    loaded : LoadedModel
    cohort : Cohort
        From `training.score.cohort_for_model`, with the model's outcome.

    Returns
    -------
    Evaluation

    Raises
    ------
    DataError
        If every stay is refused, or no horizon has enough outcomes.
    """
    given = answers(loaded.risk_model, cohort)
    judgement = judge(given, cohort, n_bootstrap=RESAMPLES, random_state=0)
    return Evaluation(loaded, given, judgement, cohort)
