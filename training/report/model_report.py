"""The report of a model: what was learned from whom, how good it is, what moved its estimates."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial

from data_schema.cohort import Cohort, outcome_of
from models.inference.contract import Contract, Description
from models.inference.risk_model import RiskModel
from models.metrics.catalogue import AT_HORIZON, by_group
from models.metrics.metric import metric_at
from models.patient_explanation import NOT_MEASURED, pathway_label
from training.cohorts.description import by_outcome, describe
from training.cohorts.flow import FlowStep, flow_step
from training.explanation.cohort import MOST_EXPLAINED, ExplainedCohort, explain_cohort
from training.explanation.importance import Importance, points_digits
from training.report.added_value import (
    AMONG_LEARNED_FROM,
    added_value_section,
    verdict_sentence,
)
from training.report.assembling import Pictures, WrittenPage, patient_sections, written_page
from training.report.checklists.probast import probast_section
from training.report.checklists.tripod import tripod_section
from training.report.content import Picture, Section, Table
from training.report.figures.comparison_figures import (
    net_benefit_figures,
    panel_figures,
    risk_distribution_figure,
    severity_figures,
    subgroup_figure,
)
from training.report.figures.model_figures import (
    Words,
    evaluation_figures,
    example_figures,
    explanation_figures,
    recorded_figure,
)
from training.report.model_sections import (
    HOW_SPLIT,
    columns_left_out,
    estimand,
    explanation_of_a_risk,
    how_it_was_fitted,
    intended_use,
    interval_of_a_risk,
    limits,
    predictors,
    provenance,
)
from training.report.patients import comparison_table
from training.report.performance import estimate_text, performance_section
from training.report.study_sections import (
    instability_section,
    sample_size_section,
    subgroups_section,
    validation_section,
)
from training.validation.judgement import Findings, primary_horizon
from training.validation.predictions import Predictions
from training.validation.severity_alone import SeverityAlone

__all__ = ["WrittenReport", "step_of", "write_report"]


@dataclass(frozen=True, slots=True)
class WrittenReport:
    """The report of a model, and what was explained for it."""

    written: WrittenPage
    explained: ExplainedCohort


@dataclass(frozen=True, slots=True)
class _Contents:
    """Everything that the report tells.

    Parameters
    ----------
    contract : Contract
        Of the model, with what the training run added.
    external : bool
        Whether the patients evaluated are others than the training run's.
    findings : Findings
        Of the patients evaluated.
    resamples : int
        Of the intervals.
    primary_horizon_days : float
        That patients are described and estimates are explained for.
    steps : mapping of str to FlowStep
        What is done with a group of patients -> the group.
    by_outcome : Description
        All patients, and by what had become of them.
    compared : tuple of (Description, Description)
        Whom the model learned from, and whom it was evaluated on.
    explained : ExplainedCohort
    """

    contract: Contract
    external: bool
    findings: Findings
    resamples: int
    primary_horizon_days: float
    steps: Mapping[str, FlowStep]
    by_outcome: Description
    compared: tuple[Description, ...]
    explained: ExplainedCohort

    @property
    def done(self) -> tuple[str, ...]:
        """What was done beyond what every evaluation does."""
        subgroups = self.findings.judgement.subgroups
        looked_at = {
            "subgroups": bool(subgroups),
            "sample size": bool(self.findings.sample_size),
            "added value": self.findings.added_value is not None,
            "sites": any(one.grouping == "site" for one in subgroups),
        }
        return tuple(name for name, done in looked_at.items() if done)


def write_report(
    risk_model: RiskModel,
    findings: Findings,
    cohort: Cohort,
    *,
    title: str,
    resamples: int,
    random_state: int,
    described: Description | None = None,
    compared: tuple[Description, ...] = (),
    steps: Mapping[str, FlowStep] | None = None,
) -> WrittenReport:
    """Describe the patients, explain and draw, and put everything on one page.

    Parameters
    ----------
    risk_model : RiskModel
        With the whole contract.
    findings : Findings
        Of the patients evaluated.
    cohort : Cohort
        Those patients.
    title : str
    resamples, random_state : int
        Of the intervals.
    described : Description, optional
        All patients of a training run by outcome; without it, those evaluated are other patients.
    compared : tuple of Description, optional
        Whom the training run learned from and whom it held out.
    steps : mapping of str to FlowStep, optional
        Other groups of the flow, before those evaluated.

    Returns
    -------
    WrittenReport
    """
    contract, judged, judgement = risk_model.contract, findings.predictions, findings.judgement
    external = described is None
    days = primary_horizon(judged.horizons_days, judgement.metrics)
    explained = explain_cohort(
        risk_model, cohort, judged.horizons_days, horizon_days=days, random_state=random_state
    )
    words = Words.of(
        contract, "The cohort that was given to be evaluated on." if external else None
    )
    if described is None:
        outcome = outcome_of(cohort)
        groups = by_outcome(outcome, days, event_label=words.event, competing=contract.competing)
        described = describe(cohort, [groups])
        learned_from = contract.described
        assert learned_from is not None  # a training run adds it
        evaluated_on = describe(cohort, whole="evaluated on", like=learned_from)
        compared = (learned_from, evaluated_on)
    resampled = {"n_bootstrap": resamples, "random_state": random_state}
    usable = judged.judged_horizons(judgement.metrics)
    severity = findings.severity_alone
    drawn = [
        *evaluation_figures(judged, usable, words=words, **resampled),
        *(
            net_benefit_figures(judged, usable, words=words, **resampled)
            if severity is None
            else severity_figures(severity, words=words)
        ),
        *risk_distribution_figure(judgement.risk_distribution, horizon_days=days, words=words),
        *recorded_figure(described, words=words),
        *subgroup_figure(
            judgement.subgroups,
            overall=metric_at(judgement.metrics, "auroc", days),
            horizon_days=days,
            words=words,
        ),
        *(() if findings.added_value is None else panel_figures(findings.added_value, words=words)),
        *explanation_figures(explained, words=words),
        *example_figures(
            risk_model, horizon_days=days, words=Words.of(contract), random_state=random_state
        ),
    ]
    contents = _Contents(
        contract=contract,
        external=external,
        findings=findings,
        resamples=resamples,
        primary_horizon_days=days,
        steps={
            **(steps or {}),
            "Given to be evaluated on" if external else "Held out": step_of(
                cohort, judged.horizons_days, judged=judged
            ),
        },
        by_outcome=described,
        compared=compared,
        explained=explained,
    )
    what = "evaluation on other patients" if external else "training run"
    written = written_page(
        title,
        f"{contract.outcome_label}: report of the {what} ({judged.rows:,} stays).",
        drawn,
        partial(_sections, contents),
        simulated=contract.simulated,
    )
    return WrittenReport(written, explained)


def step_of(
    cohort: Cohort, horizons_days: tuple[float, ...], *, judged: Predictions | None = None
) -> FlowStep:
    """Return the flow of a cohort, with who was refused of those that were judged."""
    return flow_step(
        outcome_of(cohort),
        cohort.patient_id,
        horizons_days,
        refused={} if judged is None else judged.refused_by_rule,
        n_refused=0 if judged is None else judged.refused,
    )


def _sections(contents: _Contents, pictures: Pictures) -> tuple[Section, ...]:
    """Return the sections: no value of a patient, no count of fewer than `SMALLEST_CELL`."""
    contract, findings = contents.contract, contents.findings
    return (
        _at_a_glance(contents),
        intended_use(contract),
        estimand(contract),
        _patients(contents, pictures),
        predictors(contract),
        columns_left_out(contract.dropped),
        replace(
            how_it_was_fitted(contract),
            parts=(
                interval_of_a_risk(contract),
                sample_size_section(findings.sample_size, patients=contract.training.patients),
            ),
        ),
        _performance(contents, pictures),
        Section(
            "Calibration",
            (
                "A patient is told a risk, so the risk must be right, not only its rank. Curves "
                "are smoothed; their numbers are in the table of performance.",
            ),
            pictures=_at(pictures, "calibration"),
        ),
        Section(
            "Decision curves",
            (
                "Whether acting on the model does more good than acting on everybody or nobody "
                "depends on the risk at which one would act. Net benefit counts harm and good in "
                "the same unit: true positives.",
                _against_severity(findings.severity_alone, external=contents.external),
            ),
            pictures=_at(pictures, "decision"),
        ),
        added_value_section(
            findings.added_value,
            _at(pictures, "added value"),
            whom=AMONG_LEARNED_FROM,
        ),
        subgroups_section(
            findings.judgement.subgroups,
            horizon_days=contents.primary_horizon_days,
            pictures=_at(pictures, "subgroups"),
        ),
        validation_section(None, horizon_days=contents.primary_horizon_days),
        instability_section(()),
        _explanation(contents, pictures),
        limits(contract, external=contents.external),
        tripod_section(contract, contents.done, external=contents.external),
        probast_section(
            contract, contents.done, evaluated=findings.predictions, external=contents.external
        ),
        provenance(contract, evaluated_fingerprint=findings.predictions.cohort_fingerprint),
    )


def _against_severity(alone: SeverityAlone | None, *, external: bool) -> str:
    """Return what severity alone is, or why the model is not held against it."""
    if alone is None:
        return (
            "The report of a training run compares its model with severity alone, too."
            if external
            else "Severity alone is not drawn: it is nothing, or everything, that was recorded."
        )
    return (
        f"Severity alone is the {len(alone.columns)} columns of scores and organ functions, "
        "fitted to the same patients in the same way, every choice made anew, and asked about the "
        "same patients as the model."
    )


def _at(pictures: Pictures, place: str) -> tuple[Picture, ...]:
    return tuple(pictures.get(place, ()))


def _at_a_glance(contents: _Contents) -> Section:
    metrics = contents.findings.judgement.metrics
    horizons = list(dict.fromkeys(m.horizon_days for m in metrics if m.horizon_days is not None))
    rows = tuple(
        (
            spec.at_a_glance,
            *(estimate_text(metric_at(metrics, spec.name, days)) for days in horizons),
        )
        for spec in by_group(spec for spec in AT_HORIZON if spec.at_a_glance)
    )
    whom = (
        "patients that the training run never saw"
        if contents.external
        else "patients of the same source that were held out"
    )
    return Section(
        "At a glance",
        (
            f"Risk of {contents.contract.event_singular}, counted from time zero: "
            f"{contents.contract.time_zero}. Judged on {whom}, with 95 % intervals.",
            *(
                ()
                if "subgroups" in contents.done
                else ("Whether it does as well in every group of patients: not done.",)
            ),
            verdict_sentence(contents.findings.added_value),
        ),
        (Table("The metrics to look at first", ("", *(f"{d:g} days" for d in horizons)), rows),),
    )


def _patients(contents: _Contents, pictures: Pictures) -> Section:
    contract = contents.contract
    event = contract.event_singular
    assert contract.evaluation is not None  # a training run adds it
    population = f"{contract.population.rstrip('.')}."
    who = (
        (f"The model learned from: {population}", "Evaluated: the cohort that was given.")
        if contents.external
        else (population, HOW_SPLIT[contract.evaluation.split])
    )
    table = comparison_table(
        *contents.compared, caption="Learned from and evaluated on, side by side"
    )
    return Section(
        "Patients",
        who,
        parts=(
            *patient_sections(
                contents.steps,
                contents.by_outcome,
                pictures,
                whole="Cohort given" if contents.external else "Cohort",
                event=event,
                competing=contract.competing,
                horizon_days=contents.primary_horizon_days,
                gaps=(
                    "Nothing was imputed from other patients and nobody was left out for a gap.",
                ),
            ),
            Section("Development and evaluation compared", tables=(table,)),
        ),
    )


def _performance(contents: _Contents, pictures: Pictures) -> Section:
    section = performance_section(
        "Performance", contents.findings.judgement.metrics, resamples=contents.resamples
    )
    return replace(section, pictures=_at(pictures, "performance"))


def _explanation(contents: _Contents, pictures: Pictures) -> Section:
    read = explanation_of_a_risk()
    explained = contents.explained
    return Section(
        "Explanation",
        (
            *read.sentences,
            f"Shown for patients drawn at random from those evaluated, at most {MOST_EXPLAINED:,}, "
            "one stay of each.",
        ),
        (
            Table(
                "Mean change of the estimate by pathway, in points of risk",
                ("", *(f"{one.horizon_days:g} days" for one in explained.importance)),
                tuple(_shares(explained.importance)),
                numbers=True,
            ),
        ),
        _at(pictures, "explanation"),
        parts=(
            Section(
                "Made-up patients",
                ("None of them is in the cohort.",),
                pictures=_at(pictures, "examples"),
            ),
        ),
    )


def _shares(importance: Sequence[Importance]) -> Iterator[tuple[str, ...]]:
    first = importance[0].pathways
    digits = points_digits(max(first.values()))
    for key in sorted(first, key=lambda key: (key == NOT_MEASURED, -first[key])):
        yield (pathway_label(key), *(f"{one.pathways[key]:.{digits}f}" for one in importance))
