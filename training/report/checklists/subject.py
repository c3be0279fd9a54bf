"""The facts that both checklists need of a model or a study of a cohort."""

from __future__ import annotations

from dataclasses import dataclass, field

from models.inference.contract import Contract, StudyFacts
from models.model_summary import clinical_use
from training.report.tuned_settings import tuned_settings

__all__ = ["Subject"]


@dataclass(frozen=True, slots=True)
class Subject:
    """The facts of a model, from its contract, or of a study of a cohort.

    `intervals` states whether every metric of the patients judged has an interval, `out_of_fold`
    whether they were judged by cross-validation, `refitted` whether the registered model learned
    from them afterwards. `tuned` states a search for settings, and is empty without one.
    `clinical_use` is the decision that a risk is to inform, in a sentence.
    """

    name: str
    outcome_label: str
    is_death: bool
    competing: str | None
    population: str
    population_described: bool
    time_zero: str
    simulated: bool
    intervals: bool = True
    out_of_fold: bool = False
    refitted: bool = False
    tuned: str = ""
    clinical_use: str = "These models were fitted for analyses only; no clinical use is defined."
    study: StudyFacts = field(default_factory=StudyFacts)

    @classmethod
    def of(cls, contract: Contract) -> Subject:
        """Return the facts of a model from a training run."""
        evaluation = contract.evaluation
        metrics = () if evaluation is None else evaluation.metrics
        return cls(
            name=contract.name,
            outcome_label=contract.outcome_label,
            is_death=contract.is_death,
            competing=contract.competing,
            population=contract.population,
            population_described=contract.population_described,
            time_zero=contract.time_zero,
            simulated=contract.simulated,
            intervals=all(m.low is not None for m in metrics if m.estimate is not None),
            out_of_fold=evaluation is not None and evaluation.method == "cross-validation",
            refitted=evaluation is not None and evaluation.refitted,
            tuned=tuned_settings(contract),
            clinical_use=clinical_use(contract),
            study=contract.study,
        )
