"""The model card: what to know before believing a risk."""

from __future__ import annotations

from models.inference.contract import Contract
from training.report.added_value import AMONG_LEARNED_FROM, added_value_section
from training.report.checklists.probast import probast_section
from training.report.checklists.tripod import tripod_section
from training.report.content import Section
from training.report.model_sections import (
    columns_left_out,
    estimand,
    explanation_of_a_risk,
    how_it_was_fitted,
    intended_use,
    interval_of_a_risk,
    limits,
    patient_counts,
    predictors,
    provenance,
)
from training.report.performance import performance_section
from training.validation.judgement import Findings

__all__ = ["model_card"]


def model_card(contract: Contract, findings: Findings) -> tuple[Section, ...]:
    """Return the card of a model that a training run made.

    Parameters
    ----------
    contract : Contract
        Of the bundle, with what `training.run.contract` added.
    findings : Findings
        Of the training run.

    Returns
    -------
    tuple of Section
        No value of a patient is in it, and no count of fewer than `SMALLEST_CELL` patients.
    """
    evaluation = contract.evaluation
    assert evaluation is not None  # a training run adds it
    return (
        intended_use(contract),
        patient_counts(contract),
        estimand(contract),
        predictors(contract),
        columns_left_out(contract.dropped),
        how_it_was_fitted(contract),
        performance_section(
            "Performance on patients it did not learn from",
            findings.judgement.metrics,
            resamples=evaluation.bootstrap_resamples,
        ),
        added_value_section(findings.added_value, whom=AMONG_LEARNED_FROM),
        interval_of_a_risk(contract),
        explanation_of_a_risk(),
        limits(contract),
        tripod_section(contract, (), external=False),
        probast_section(contract, (), evaluated=findings.predictions, external=False),
        provenance(contract, evaluated_fingerprint=evaluation.cohort_fingerprint),
    )
