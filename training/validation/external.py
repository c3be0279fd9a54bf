"""`osteon validate`: a registered version in patients elsewhere, and what updates would gain."""

from __future__ import annotations

from dataclasses import dataclass

from data_schema.cohort import Cohort
from data_schema.errors import UsageError
from models.fitting.training_cohort import Progress
from models.metrics.metric import primary_horizon
from models.registry.lifecycle import LoadedModel
from training.config import RunConfig
from training.datasets.registry import ADAPTERS
from training.validation.case_mix import (
    CaseMix,
    GroupCaseMix,
    case_mix,
    case_mix_of_groups,
    membership_auroc,
)
from training.validation.evaluate_model import Evaluation, evaluate_on
from training.validation.updates import JudgedUpdates, judge_updates

__all__ = ["ExternalValidation", "require_other_patients", "validate_elsewhere"]

_RESAMPLES = 500


@dataclass(frozen=True, slots=True)
class ExternalValidation:
    """A version judged on patients that it did not learn from.

    Parameters
    ----------
    site : str
        Who validated it, as stated; may be empty.
    evaluation : Evaluation
    updates : JudgedUpdates
        The model as it is, its updates and a refit, side by side.
    case_mix : tuple of CaseMix
        At each horizon.
    groups : tuple of GroupCaseMix
        The areas of groups beside what their own case mix promises.
    membership_auroc : float or None
        How well a regression tells the patients from those of the training cohort.
    """

    site: str
    evaluation: Evaluation
    updates: JudgedUpdates
    case_mix: tuple[CaseMix, ...]
    groups: tuple[GroupCaseMix, ...]
    membership_auroc: float | None

    @property
    def primary_horizon_days(self) -> float:
        """The middle horizon, or the first that can be judged."""
        predictions = self.evaluation.predictions
        return primary_horizon(predictions.horizons_days, self.evaluation.judgement.metrics)

    def as_json(self) -> dict[str, object]:
        """Return what `osteon validate --json` prints, except for the folders."""
        tested = self.updates.tested
        return self.evaluation.as_json() | {
            "site": self.site,
            "updates": [update.as_json() for update in self.updates.updates],
            "update_chosen": self.updates.chosen,
            "closed_test": None
            if tested is None
            else [
                {"suffices": test.suffices, "statistic": test.statistic, "p": test.p}
                for test in tested.tests
            ],
            "case_mix": [mix.as_json() for mix in self.case_mix],
            "case_mix_of_groups": [group.as_json() for group in self.groups],
            "membership_auroc": self.membership_auroc,
        }


def validate_elsewhere(
    loaded: LoadedModel,
    cohort: Cohort,
    *,
    site: str = "",
    with_refit: bool = True,
    config: RunConfig | None = None,
    progress: Progress | None = None,
) -> ExternalValidation:
    """Judge a model on patients that it did not learn from, with its updates.

    Parameters
    ----------
    loaded : LoadedModel
    cohort : Cohort
        From `training.score.cohort_for_model`, with the model's outcome.
    site : str
        Name of the site, as it may be published.
    with_refit : bool
        Whether to fit models of these patients alone, for comparison; that takes minutes.
    config : RunConfig, optional
        Of the refits (default: the settings of a run by default).

    Raises
    ------
    UsageError
        If the model learned from some of the patients.
    DataError
        If too few outcomes are known.
    """
    settings = config or RunConfig()
    evaluation = evaluate_on(loaded, cohort)
    if evaluation.overlap.shared:
        raise UsageError(
            "a validation must be of patients that the model did not learn from; it learned from "
            f"{evaluation.overlap.shared} of {evaluation.overlap.patients}. Leave them out."
        )
    contract, predictions = loaded.risk_model.contract, evaluation.predictions
    return ExternalValidation(
        site,
        evaluation,
        judge_updates(
            predictions,
            cohort,
            settings,
            with_refit=with_refit,
            n_bootstrap=_RESAMPLES,
            progress=progress,
        ),
        case_mix(contract, predictions),
        case_mix_of_groups(predictions, cohort, evaluation.judgement.subgroups),
        membership_auroc(contract, cohort, random_state=settings.seed),
    )


def require_other_patients(model_name: str, dataset: str) -> None:
    """Refuse a data set that a model learned from, or that shares patients with it.

    Raises
    ------
    UsageError
        With the two data sets.

    Examples
    --------
    >>> require_other_patients("osteon-mortality-support2", "flchain")
    """
    for name, known in ADAPTERS.items():
        if not model_name.endswith(f"-{name}"):
            continue
        if dataset == name:
            raise UsageError(
                f"{model_name} must not be validated on {dataset}: it learned from that data set. "
                "Give other patients."
            )
        if dataset in known.shares_patients_with:
            raise UsageError(
                f"{model_name} must not be validated on {dataset}: {name} and {dataset} share "
                "patients. Give other patients."
            )
