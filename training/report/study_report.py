"""The report of `osteon evaluate` without a model: what fits to a cohort again and again tell."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from data_schema.cohort import outcome_of
from data_schema.printed_units import with_unit
from data_schema.variables import PATHWAYS
from training.cohorts.description import by_outcome, describe
from training.cohorts.flow import flow_step
from training.cohorts.study import Study
from training.config import RunConfig
from training.provenance import git_revision, versions
from training.report.added_value import added_value_section, interval_text
from training.report.checklists.study import study_probast, study_tripod
from training.report.content import Section, Table
from training.report.figures.comparison_figures import panel_figures, validation_figure
from training.report.figures.model_figures import (
    Drawn,
    Words,
    as_png,
    called_simulated,
    recorded_figure,
)
from training.report.model_report import WrittenPage, by_place
from training.report.model_sections import columns_left_out
from training.report.page import report_page
from training.report.patients import flow_section, missing_table, table_one
from training.report.study_sections import (
    instability_section,
    sample_size_section,
    validation_section,
)

__all__ = ["write_study_report"]


def write_study_report(study: Study, config: RunConfig, told: Mapping[str, Any]) -> WrittenPage:
    """Put what was asked of a cohort on one page.

    Parameters
    ----------
    study : Study
        Whose cohort was asked.
    config : RunConfig
        That the fits were made with.
    told : mapping
        As `training.validation.evaluate_cohort.StudyEvaluation.as_json` returns it.

    Returns
    -------
    WrittenPage
    """
    days = _primary(study, told)
    who = called_simulated(study.cohort.population, simulated=study.cohort.simulated)
    words = Words(_event(study), who)
    groups = by_outcome(
        outcome_of(study.cohort), days, event_label=words.event, competing=_competing(study)
    )
    described = describe(study.cohort, [groups])
    drawn = [*recorded_figure(described, words=words), *_figures(told, days, words)]
    plots = {one.name: as_png(one.figure) for one in drawn}
    pictures = by_place(drawn)
    sections = (
        _at_a_glance(told),
        _estimand(study),
        Section(
            "Patients",
            (f"{study.cohort.population.rstrip('.')}.",),
            parts=(
                flow_section(
                    {
                        "Fitted to and judged on, out of fold": flow_step(
                            outcome_of(study.cohort), study.cohort.patient_id, study.horizons_days
                        )
                    },
                    whole="Cohort",
                    event=words.event,
                    competing=_competing(study),
                ),
                Section(
                    "Who they are, by outcome",
                    tables=(
                        table_one(
                            described,
                            caption=f"Patients by what had become of them by day {days:g}",
                        ),
                    ),
                ),
                Section(
                    "What was not recorded",
                    tables=(
                        missing_table(
                            described, caption="Patients in whom a variable was not recorded"
                        ),
                    ),
                    pictures=tuple(pictures.get("patients", ())),
                ),
            ),
        ),
        _variables(study),
        columns_left_out({"dropped": study.cohort.dropped}),
        sample_size_section(told["sample_size"], patients=told["patients"]),
        added_value_section(told["added_value"], pictures.get("added value", ())),
        validation_section(
            told["internal_external"],
            horizon_days=days,
            pictures=pictures.get("validation", ()),
        ),
        instability_section(told["instability"]),
        _limits(),
        study_tripod(_facts(study), told),
        study_probast(_facts(study), told),
        _provenance(study, config),
    )
    page = report_page(
        "What this cohort tells of models of it",
        f"{study.outcome.label}, counted from {study.time_zero}.",
        sections,
        simulated=study.cohort.simulated,
    )
    return WrittenPage(page, sections, plots)


def _event(study: Study) -> str:
    return study.outcome.event_label.removesuffix("s")


def _competing(study: Study) -> str | None:
    return "death" if study.outcome.competing_label else None


def _primary(study: Study, told: Mapping[str, Any]) -> float:
    """Return the horizon that the verdict is about; without one, the middle one."""
    if told["added_value"] is not None:
        return float(told["added_value"]["primary_horizon_days"])
    return study.horizons_days[len(study.horizons_days) // 2]


def _figures(told: Mapping[str, Any], days: float, words: Words) -> Iterator[Drawn]:
    if told["added_value"] is not None:
        yield from panel_figures(told["added_value"], words=words)
    validated = told["internal_external"]
    if validated is not None:
        pooled = next(
            (
                one
                for one in validated["pooled"]
                if (one["metric"], one["horizon_days"]) == ("auroc", days)
            ),
            None,
        )
        yield from validation_figure(
            validated["clusters"],
            by=validated["by"],
            overall=pooled,
            horizon_days=days,
            words=words,
        )


def _at_a_glance(told: Mapping[str, Any]) -> Section:
    added = told["added_value"]
    sentences = ["Added value of the panel: not done."]
    if added is not None:
        primary = added["primary"]
        sentences = [
            f"Added value of the panel at {added['primary_horizon_days']:g} days: "
            f"{added['verdict']}.",
            f"Area under the ROC curve {primary['without']:.3f} without and "
            f"{primary['with_panel']:.3f} with it: it changes by {interval_text(primary)}.",
        ]
    asked = {
        "internal_external": "Sites and years never seen: not done.",
        "instability": "Instability of single risks: not done.",
    }
    sentences += [words for key, words in asked.items() if not told[key]]
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


def _facts(study: Study) -> dict[str, Any]:
    """Return what the checklists say of the cohort, under the names that a contract has."""
    return {
        "name": study.model_name,
        "outcome_label": study.outcome.label,
        "event_label": study.outcome.event_label,
        "competing": _competing(study),
        "population": study.cohort.population,
        "time_zero": study.time_zero,
        "simulated": study.cohort.simulated,
    }


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
