"""The report of `osteon evaluate` without a model: what fits to a cohort again and again tell."""

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
from training.provenance import git_revision, versions
from training.report.added_value import added_value_section, interval_text
from training.report.assembling import Pictures, WrittenPage, patient_sections, written_page
from training.report.checklists.study import study_probast, study_tripod
from training.report.checklists.subject import Subject
from training.report.content import Section, Table
from training.report.figures.comparison_figures import panel_figures, validation_figure
from training.report.figures.model_figures import Drawn, Words, called_simulated, recorded_figure
from training.report.model_sections import columns_left_out
from training.report.study_sections import (
    instability_section,
    sample_size_section,
    validation_section,
)
from training.validation.evaluate_cohort import StudyEvaluation

__all__ = ["write_study_report"]


def write_study_report(evaluation: StudyEvaluation) -> WrittenPage:
    """Put what was asked of a cohort on one page.

    Parameters
    ----------
    evaluation : StudyEvaluation

    Returns
    -------
    WrittenPage
    """
    study = evaluation.study
    days = _primary(evaluation)
    who = called_simulated(study.cohort.population, simulated=study.cohort.simulated)
    words = Words(_event(study), who)
    groups = by_outcome(
        outcome_of(study.cohort), days, event_label=words.event, competing=_competing(study)
    )
    described = describe(study.cohort, [groups])
    return written_page(
        "What this cohort tells of models of it",
        f"{study.outcome.label}, counted from {study.time_zero}.",
        [*recorded_figure(described, words=words), *_figures(evaluation, days, words)],
        partial(_sections, evaluation, described, days),
        simulated=study.cohort.simulated,
    )


def _sections(
    evaluation: StudyEvaluation, described: Description, days: float, pictures: Pictures
) -> tuple[Section, ...]:
    study = evaluation.study
    flow = flow_step(outcome_of(study.cohort), study.cohort.patient_id, study.horizons_days)
    return (
        _at_a_glance(evaluation),
        _estimand(study),
        Section(
            "Patients",
            (f"{study.cohort.population.rstrip('.')}.",),
            parts=patient_sections(
                {"Fitted to and judged on, out of fold": flow},
                described,
                pictures,
                whole="Cohort",
                event=_event(study),
                competing=_competing(study),
                horizon_days=days,
            ),
        ),
        _variables(study),
        columns_left_out(study.cohort.dropped),
        sample_size_section(evaluation.sample_size, patients=evaluation.patients),
        added_value_section(evaluation.added_value, pictures.get("added value", ())),
        validation_section(
            evaluation.internal_external,
            horizon_days=days,
            pictures=pictures.get("validation", ()),
        ),
        instability_section(evaluation.instability),
        _limits(),
        study_tripod(_facts(study), evaluation),
        study_probast(_facts(study), evaluation),
        _provenance(study, evaluation.config),
    )


def _event(study: Study) -> str:
    return study.outcome.event_singular


def _competing(study: Study) -> str | None:
    return "death" if study.outcome.competing_label else None


def _primary(evaluation: StudyEvaluation) -> float:
    """Return the horizon that the verdict is about; without one, the middle one."""
    if evaluation.added_value is not None:
        return evaluation.added_value.primary_horizon_days
    horizons = evaluation.study.horizons_days
    return horizons[len(horizons) // 2]


def _figures(evaluation: StudyEvaluation, days: float, words: Words) -> Iterator[Drawn]:
    if evaluation.added_value is not None:
        yield from panel_figures(evaluation.added_value, words=words)
    if evaluation.internal_external is not None:
        yield from validation_figure(evaluation.internal_external, horizon_days=days, words=words)


def _at_a_glance(evaluation: StudyEvaluation) -> Section:
    added = evaluation.added_value
    sentences = ["Added value of the panel: not done."]
    if added is not None:
        primary = added.primary
        sentences = [
            f"Added value of the panel at {added.primary_horizon_days:g} days: {added.verdict}.",
            f"Area under the ROC curve {primary.without:.3f} without and "
            f"{primary.with_panel:.3f} with it: it changes by {interval_text(primary)}.",
        ]
    if evaluation.internal_external is None:
        sentences.append("Sites and years never seen: not done.")
    if not evaluation.instability:
        sentences.append("Instability of single risks: not done.")
    return Section("At a glance", tuple(sentences))


def _estimand(study: Study) -> Section:
    days = ", ".join(f"{day:g}" for day in study.horizons_days)
    rival = (
        f"{study.outcome.competing_label.capitalize()} competes: it is a known end without the "
        "event."
        if study.outcome.competing_label
        else "Nothing competes with the event, or it was not recorded."
    )
    return Section(
        "Estimand",
        (
            f"Cumulative incidence of {study.outcome.event_label} within {days} days of time zero.",
            f"Time zero: {study.time_zero}.",
            rival,
        ),
    )


def _facts(study: Study) -> Subject:
    """Return what the checklists say of the cohort."""
    return Subject(
        name=study.model_name,
        outcome_label=study.outcome.label,
        is_death=study.outcome.is_death,
        competing=_competing(study),
        population=study.cohort.population,
        population_described=study.population_described,
        time_zero=study.time_zero,
        simulated=study.cohort.simulated,
    )


def _variables(study: Study) -> Section:
    rows = []
    used = {variable.name: variable for variable in study.cohort.variables.values()}
    for key, label in PATHWAYS.items():
        members = [with_unit(v.label, v.unit) for v in used.values() if v.pathway == key]
        if members:
            rows.append((label, "; ".join(members)))
    return Section(
        "Predictors",
        ("All are known at time zero.",),
        (Table("Variables of the cohort by pathway", ("pathway", "variables"), tuple(rows)),),
    )


def _limits() -> Section:
    return Section(
        "Limits",
        (
            "The models were fitted to answer these questions; none of them is registered or "
            "served.",
            "Intervals resample patients and hold the fitted models fixed. What is said of this "
            "cohort need not hold for others.",
            "Subgroups, calibration curves, decision curves of one model and explanation are in "
            "the report of a training run: osteon train.",
        ),
    )


def _provenance(study: Study, config: RunConfig) -> Section:
    rows = (
        ("revision of the code", git_revision() or "not run from a checkout"),
        ("patients (SHA-256)", study.cohort.fingerprint()),
        ("seed", str(config.seed)),
        *versions().items(),
    )
    table = Table("Where these results come from", ("what", "which"), rows)
    return Section("Provenance", tables=(table,))
