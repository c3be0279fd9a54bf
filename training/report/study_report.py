"""The report of `osteon evaluate` without a model: what repeated fits show about a cohort."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

from data_schema.cohort import outcome_of
from data_schema.printed_units import with_unit
from data_schema.variables import PATHWAYS
from models.inference.contract import Description
from training.cohorts.description import by_outcome, describe
from training.cohorts.flow import flow_step
from training.cohorts.study import Study
from training.config import RunConfig
from training.diagnosis.diagnose import diagnose_study
from training.provenance import git_revision, versions
from training.report.added_value import added_value_section, interval_text
from training.report.assembling import Pictures, ReportPage, assemble_report, patient_sections
from training.report.checklists.study import study_probast, study_tripod
from training.report.checklists.subject import Subject
from training.report.content import Section, Table
from training.report.diagnosis import diagnosis_section
from training.report.figures.comparison_figures import panel_figures, validation_figure
from training.report.figures.model_figures import (
    FigureContext,
    ReportFigure,
)
from training.report.model_sections import competing_sentence, excluded_columns, provenance_section
from training.report.study_sections import (
    instability_section,
    sample_size_section,
    validation_section,
)
from training.validation.evaluate_cohort import StudyEvaluation

__all__ = ["write_study_report"]


def write_study_report(evaluation: StudyEvaluation) -> ReportPage:
    """Return the results of the analyses of a cohort on one page."""
    study = evaluation.study
    days = _primary_horizon(evaluation)
    context = FigureContext(study.outcome.event_singular, study.cohort.simulated)
    groups = by_outcome(
        outcome_of(study.cohort), days, event_label=context.event, competing=_competing(study)
    )
    described = describe(study.cohort, [groups])
    return assemble_report(
        "Analyses of a cohort",
        f"{study.outcome.label}, counted from {study.time_zero}.",
        _figures(evaluation, days, context),
        partial(_sections, evaluation, described, days),
        simulated=study.cohort.simulated,
    )


def _sections(
    evaluation: StudyEvaluation, described: Description, days: float, pictures: Pictures
) -> tuple[Section, ...]:
    study = evaluation.study
    flow = flow_step(
        outcome_of(study.cohort),
        study.cohort.patient_id,
        study.horizons_days,
        simulated=study.cohort.simulated,
    )
    subject = _subject(study)
    return (
        _at_a_glance(evaluation),
        diagnosis_section(diagnose_study(study, random_state=evaluation.config.seed)),
        _estimand(study),
        Section(
            "Patients",
            (f"{study.cohort.population.rstrip('.')}.",),
            parts=patient_sections(
                {"Cohort, evaluated out of fold": flow},
                described,
                whole="Cohort",
                event=study.outcome.event_singular,
                competing=_competing(study),
                horizon_days=days,
                data_source=study.facts.data_source,
            ),
        ),
        _predictors(study),
        excluded_columns(study.cohort.dropped),
        sample_size_section(evaluation.sample_size, patients=evaluation.patients),
        added_value_section(evaluation.added_value, pictures.get("added value", ())),
        validation_section(
            evaluation.internal_external,
            horizon_days=days,
            pictures=pictures.get("validation", ()),
        ),
        instability_section(evaluation.instability),
        Section(
            "Limitations",
            (
                "The models were fitted for these analyses only; none is registered or served.",
                "Intervals resample patients and hold the fitted models fixed. Results for this "
                "cohort need not hold in others.",
                "Subgroups, calibration curves, decision curves of a single model and explanations "
                "are in the report of a training run (osteon train).",
            ),
        ),
        study_tripod(subject, evaluation),
        study_probast(subject, evaluation),
        _provenance(study, evaluation.config),
    )


def _competing(study: Study) -> str | None:
    return study.outcome.competing_label and study.outcome.competing_noun


def _primary_horizon(evaluation: StudyEvaluation) -> float:
    """Return the horizon of the verdict, or the middle one where there is no verdict."""
    if evaluation.added_value is not None:
        return evaluation.added_value.primary_horizon_days
    horizons = evaluation.study.horizons_days
    return horizons[len(horizons) // 2]


def _figures(
    evaluation: StudyEvaluation, days: float, context: FigureContext
) -> Iterator[ReportFigure]:
    if evaluation.added_value is not None:
        yield from panel_figures(evaluation.added_value, context=context)
    if evaluation.internal_external is not None:
        yield from validation_figure(
            evaluation.internal_external, horizon_days=days, context=context
        )


def _at_a_glance(evaluation: StudyEvaluation) -> Section:
    added = evaluation.added_value
    sentences = ["Added value of the panel: not done."]
    if added is not None:
        primary = added.primary
        sentences = [
            f"Added value of the panel at {added.primary_horizon_days:g} days: {added.verdict}.",
            f"Area under the ROC curve {primary.without:.3f} without and "
            f"{primary.with_panel:.3f} with the panel. Change, with 95 % interval: "
            f"{interval_text(primary)}.",
        ]
    if evaluation.internal_external is None:
        sentences.append("Internal-external validation: not done.")
    if not evaluation.instability:
        sentences.append("Instability of individual risks: not done.")
    return Section("At a glance", tuple(sentences))


def _estimand(study: Study) -> Section:
    days = ", ".join(f"{day:g}" for day in study.horizons_days)
    outcome = study.outcome
    return Section(
        "Estimand",
        (
            f"Cumulative incidence of {outcome.event_singular} within {days} days of time zero.",
            f"Time zero: {study.time_zero}.",
            competing_sentence(outcome.competing_label, is_death=outcome.is_death),
        ),
    )


def _subject(study: Study) -> Subject:
    return Subject(
        name=study.model_name,
        outcome_label=study.outcome.label,
        is_death=study.outcome.is_death,
        competing=_competing(study),
        population=study.cohort.population,
        population_described=study.population_described,
        time_zero=study.time_zero,
        simulated=study.cohort.simulated,
        study=study.facts,
    )


def _predictors(study: Study) -> Section:
    rows = []
    used = {variable.name: variable for variable in study.cohort.variables.values()}
    for key, label in PATHWAYS.items():
        members = [with_unit(v.label, v.unit) for v in used.values() if v.pathway == key]
        if members:
            rows.append((label, "; ".join(members)))
    return Section(
        "Predictors",
        ("All predictors are known at time zero.",),
        (Table("Variables of the cohort by pathway", ("pathway", "variables"), tuple(rows)),),
    )


def _provenance(study: Study, config: RunConfig) -> Section:
    return provenance_section(
        (
            ("patients (SHA-256)", study.cohort.fingerprint()),
            ("seed", str(config.seed)),
        ),
        revision=git_revision(),
        versions=versions(),
    )
