"""The model card: what a reader must know before relying on a risk."""

from __future__ import annotations

from models.inference.contract import Contract
from models.model_summary import model_summary
from models.wording import performance_basis
from training.report.added_value import added_value_section, judged_in
from training.report.content import REPORT, Section
from training.report.model_sections import (
    estimand,
    excluded_columns,
    explanation_of_a_risk,
    intended_use,
    interval_of_a_risk,
    limitations,
    model_development,
    patient_counts,
    predictors,
    provenance,
)
from training.report.performance import bedside_section, performance_section
from training.report.summary import summary_section
from training.validation.judgement import Findings

__all__ = ["model_card"]


def model_card(contract: Contract, findings: Findings) -> tuple[Section, ...]:
    """Return the card of a model from a training run.

    It holds no value of a patient and no count of fewer than `SMALLEST_CELL` patients.
    """
    evaluation, judgement = contract.evaluation, findings.judgement
    assert evaluation is not None  # set by the training run
    return (
        summary_section(model_summary(contract), notice=judgement.refusals.notice or ""),
        intended_use(contract),
        patient_counts(contract),
        estimand(contract),
        predictors(contract),
        excluded_columns(contract.dropped),
        model_development(contract),
        performance_section(
            "Performance",
            judgement.metrics,
            of_answered=judgement.metrics_of_answered,
            resamples=evaluation.bootstrap_resamples,
            evaluation=evaluation,
            basis=performance_basis(evaluation, contract.training),
        ),
        bedside_section(judgement.metrics, judgement.blanked),
        added_value_section(findings.added_value, patients=judged_in(evaluation)),
        interval_of_a_risk(contract),
        explanation_of_a_risk(),
        limitations(contract, judgement.limited_deaths),
        Section(
            "Checklists",
            (
                "Subgroups, sample size, calibration and decision curves, clinical use, and the "
                f"checklists TRIPOD+AI and PROBAST+AI are in the report, {REPORT}.",
            ),
        ),
        provenance(contract, evaluated_fingerprint=evaluation.cohort_fingerprint),
    )
