"""The report of a model: development, performance, and what influenced its estimates."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial

from data_schema.cohort import Cohort, outcome_of
from models.inference.contract import Contract, Description
from models.inference.risk_model import RiskModel
from models.metrics.calibration.whole_curve import DCalibrationTest
from models.metrics.catalogue import AT_HORIZON, by_group
from models.metrics.metric import metric_at, primary_horizon
from models.model_summary import clinical_use, model_summary
from models.patient_explanation import NOT_MEASURED, pathway_label
from models.wording import MISSING_VALUES, performance_basis
from training.cohorts.description import by_outcome, describe
from training.cohorts.flow import FlowStep, flow_step
from training.diagnosis.diagnose import Diagnosis
from training.explanation.cohort import MOST_EXPLAINED, ExplainedCohort, explain_cohort
from training.explanation.importance import Importance, points_digits
from training.report.added_value import added_value_section, judged_in
from training.report.assembling import Pictures, ReportPage, assemble_report, patient_sections
from training.report.checklists.probast import probast_section
from training.report.checklists.tripod import analyses_of, tripod_section
from training.report.clinical_use import clinical_use_section, work_up_section
from training.report.content import Picture, Section, Table
from training.report.diagnosis import diagnosis_section, diagnosis_sentence
from training.report.figures.comparison_figures import (
    net_benefit_figure,
    panel_figures,
    risk_distribution_figure,
    severity_figure,
)
from training.report.figures.model_figures import (
    FigureContext,
    ReportFigure,
    evaluation_figures,
    example_figures,
    explanation_figures,
)
from training.report.model_sections import (
    estimand,
    excluded_columns,
    explanation_of_a_risk,
    how_judged,
    intended_use,
    interval_of_a_risk,
    limitations,
    model_development,
    provenance,
)
from training.report.patients import comparison_table
from training.report.performance import bedside_section, estimate_text, performance_section
from training.report.study_sections import (
    instability_section,
    sample_size_section,
    subgroups_section,
    validation_section,
)
from training.report.summary import summary_section
from training.validation.judgement import Findings
from training.validation.predictions import Predictions
from training.validation.severity_alone import SeverityAlone

__all__ = ["ModelReport", "step_of", "write_report"]


@dataclass(frozen=True, slots=True)
class ModelReport:
    """The report of a model, and the explanation of the cohort that it shows."""

    page: ReportPage
    explained: ExplainedCohort


@dataclass(frozen=True, slots=True)
class _Contents:
    """Everything that the report shows.

    `external` tells an evaluation in other patients from a training run; `by_outcome` describes all
    patients by outcome, `compared` the training and the evaluated ones.
    """

    contract: Contract
    external: bool
    findings: Findings
    resamples: int
    primary_horizon_days: float
    diagnosis: Diagnosis
    steps: Mapping[str, FlowStep]
    by_outcome: Description
    compared: tuple[Description, ...]
    explained: ExplainedCohort


def write_report(
    risk_model: RiskModel,
    findings: Findings,
    cohort: Cohort,
    *,
    title: str,
    resamples: int,
    random_state: int,
    diagnosis: Diagnosis,
    described: Description | None = None,
    compared: tuple[Description, ...] = (),
    steps: Mapping[str, FlowStep] | None = None,
) -> ModelReport:
    """Describe the patients, explain the estimates, draw the figures, and assemble the report.

    Parameters
    ----------
    risk_model : RiskModel
        With the complete contract.
    findings, cohort : Findings, Cohort
        The evaluation and the patients evaluated.
    title : str
    resamples, random_state : int
        Of the bootstrap intervals.
    diagnosis : Diagnosis
        What the data of the patients learned from say, or of those evaluated elsewhere.
    described : Description, optional
        All patients of a training run by outcome (default: `cohort` holds other patients).
    compared : tuple of Description, optional
        The training and the held-out patients of a training run; empty after cross-validation.
    steps : mapping of str to FlowStep, optional
        Other groups of the flow, before the patients evaluated.

    Returns
    -------
    ModelReport
    """
    contract, predictions, judgement = risk_model.contract, findings.predictions, findings.judgement
    external = described is None
    days = primary_horizon(predictions.horizons_days, judgement.metrics)
    explained = explain_cohort(
        risk_model, cohort, predictions.horizons_days, horizon_days=days, random_state=random_state
    )
    context = FigureContext.of(contract)
    if described is None:
        outcome = outcome_of(cohort)
        groups = by_outcome(outcome, days, event_label=context.event, competing=contract.competing)
        described = describe(cohort, [groups])
        training = contract.described
        assert training is not None  # set by the training run
        compared = (training, describe(cohort, like=training))
    figures = _figures(
        risk_model, findings, explained, days, resamples=resamples, random_state=random_state
    )
    evaluation = contract.evaluation
    assert evaluation is not None  # set by the training run
    out_of_fold = evaluation.method == "cross-validation"
    evaluated = "Held-out patients"
    if external or out_of_fold:
        evaluated = "Evaluation cohort" if external else "All patients"
    contents = _Contents(
        contract=contract,
        external=external,
        findings=findings,
        resamples=resamples,
        primary_horizon_days=days,
        diagnosis=diagnosis,
        steps={
            **(steps or {}),
            evaluated: step_of(cohort, predictions.horizons_days, predictions=predictions),
        },
        by_outcome=described,
        compared=compared,
        explained=explained,
    )
    subject = "external evaluation" if external else "training run"
    page = assemble_report(
        title,
        f"{contract.outcome_label}: report of the {subject} ({predictions.stays:,} stays).",
        figures,
        partial(_sections, contents),
        simulated=contract.simulated,
    )
    return ModelReport(page, explained)


def _figures(
    risk_model: RiskModel,
    findings: Findings,
    explained: ExplainedCohort,
    days: float,
    *,
    resamples: int,
    random_state: int,
) -> Iterator[ReportFigure]:
    """Yield every figure of the report, each of which is drawn once."""
    predictions, judgement = findings.predictions, findings.judgement
    context = FigureContext.of(risk_model.contract)
    yield from evaluation_figures(
        predictions,
        predictions.judged_horizons(judgement.metrics),
        context=context,
        n_bootstrap=resamples,
        random_state=random_state,
    )
    if findings.severity_alone is not None:
        yield from severity_figure(findings.severity_alone, days, context=context)
    else:
        yield from net_benefit_figure(
            predictions, days, context=context, n_bootstrap=resamples, random_state=random_state
        )
    yield from risk_distribution_figure(
        judgement.risk_distribution, horizon_days=days, context=context
    )
    if findings.added_value is not None:
        yield from panel_figures(findings.added_value, context=context)
    yield from explanation_figures(explained, context=context)
    yield from example_figures(
        risk_model, horizon_days=days, context=context, random_state=random_state
    )


def step_of(
    cohort: Cohort, horizons_days: tuple[float, ...], *, predictions: Predictions | None = None
) -> FlowStep:
    """Return the flow of a cohort, with the refused stays where it was evaluated."""
    return flow_step(
        outcome_of(cohort),
        cohort.patient_id,
        horizons_days,
        refused={} if predictions is None else predictions.refusals.by_rule,
        n_refused=0 if predictions is None else predictions.refusals.refused,
        simulated=cohort.simulated,
    )


def _sections(contents: _Contents, pictures: Pictures) -> tuple[Section, ...]:
    """Return the sections: no value of a patient, no count of fewer than `SMALLEST_CELL`."""
    contract, findings, external = contents.contract, contents.findings, contents.external
    judgement, days = findings.judgement, contents.primary_horizon_days
    at_days, others = _by_horizon(_at(pictures, "calibration"), days)
    optional = (
        added_value_section(
            findings.added_value,
            _at(pictures, "added value"),
            patients=judged_in(contract.evaluation),
        ),
        subgroups_section(
            judgement.subgroups, horizon_days=days, simulated=contract.simulated and not external
        ),
        validation_section(None, horizon_days=days),
        instability_section(()),
    )
    work_up = () if external else (work_up_section(findings.patient_or_work_up, horizon_days=days),)
    return (
        _opening(contents, at_days),
        diagnosis_section(contents.diagnosis),
        replace(
            performance_section(
                "Performance",
                judgement.metrics,
                of_answered=judgement.metrics_of_answered,
                resamples=contents.resamples,
                evaluation=None if external else contract.evaluation,
                basis=_basis(contents),
            ),
            pictures=_at(pictures, "performance"),
        ),
        Section(
            "Calibration",
            (
                "A risk is communicated as a number, so agreement of predicted with observed risk "
                "matters as much as ranking. The curves are smoothed; calibration metrics are in "
                "the table of performance. "
                + ("" if external else f"The curve at {days:g} days is in the summary."),
                *_d_calibration(judgement.d_calibration),
                *_first_repeat(contents),
            ),
            pictures=(*at_days, *others) if external else others,
        ),
        clinical_use_section(
            (
                "Net benefit weighs true positives against false positives at each threshold, the "
                "risk at which one would act, and is counted in true positives. The model is "
                "useful at a threshold where its net benefit exceeds that of acting on all "
                "patients and of acting on none.",
                _severity_comparison(findings.severity_alone, contents),
                *_first_repeat(contents),
            ),
            judgement.alert_burden,
            horizon_days=days,
            defined=clinical_use(contract),
            pictures=_at(pictures, "clinical use"),
        ),
        *(section for section in (*work_up, *optional) if not section.not_done),
        bedside_section(judgement.metrics, judgement.blanked),
        Section(
            "Not done",
            points_title="Analyses that this run did not include",
            points=tuple(
                f"{section.title}: {section.not_done}"
                for section in (*work_up, *optional)
                if section.not_done
            ),
        ),
        intended_use(contract),
        estimand(contract),
        _patients(contents),
        Section(
            "Predictors",
            (
                f"All predictors are known at time zero. {MISSING_VALUES} The "
                f"{len({f.variable for f in contract.features})} variables, with their units, are "
                "those of the table of patient characteristics.",
            ),
        ),
        excluded_columns(contract.dropped),
        replace(
            model_development(contract),
            parts=(
                interval_of_a_risk(contract),
                sample_size_section(findings.sample_size, patients=contract.training.patients),
            ),
        ),
        _explanation(contents, pictures),
        limitations(contract, judgement.limited_deaths, external=external),
        tripod_section(contract, analyses_of(findings), external=external),
        probast_section(contract, findings, external=external),
        provenance(contract, evaluated_fingerprint=findings.predictions.cohort_fingerprint),
    )


def _opening(contents: _Contents, calibration: tuple[Picture, ...]) -> Section:
    """Return page 1: the model's summary, or for other patients their figures at a glance."""
    notice = contents.findings.judgement.refusals.notice or ""
    sentence = diagnosis_sentence(contents.diagnosis)
    if contents.external:
        glance = _at_a_glance(contents)
        return replace(glance, sentences=(*glance.sentences, sentence))
    summary = summary_section(model_summary(contents.contract), notice=notice, picture=calibration)
    return replace(summary, topics=(*summary.topics, ("Data", sentence)))


def _by_horizon(
    pictures: tuple[Picture, ...], days: float
) -> tuple[tuple[Picture, ...], tuple[Picture, ...]]:
    """Return the calibration at the primary horizon, and at all others."""
    at_days = tuple(p for p in pictures if f"at {days:g} days." in p.caption)
    return at_days, tuple(p for p in pictures if p not in at_days)


def _d_calibration(test: DCalibrationTest | None) -> tuple[str, ...]:
    """Return what D-calibration is, and the result of its test, if there is a whole curve."""
    if test is None:
        return ()
    return (
        "If predicted curves are calibrated, a tenth of the patients have the event in each tenth "
        "of their own predicted curve, whichever day that is. Censored patients are spread over "
        "the tenths that they could still reach, so the test is lenient where many are censored. "
        f"{test.sentence}",
    )


def _basis(contents: _Contents) -> str:
    """Return what the figures are of."""
    contract = contents.contract
    if contents.external or contract.evaluation is None:
        overlap = contents.findings.overlap
        return "Performance of the registered model in the evaluation cohort. " + (
            "None of its patients was part of the training run."
            if overlap is None or not overlap.sentence
            else overlap.sentence
        )
    return performance_basis(contract.evaluation, contract.training)


def _first_repeat(contents: _Contents) -> Iterator[str]:
    """Yield which risks the curves show, where patients were predicted several times."""
    repeats = len(contents.findings.predictions.repeats)
    if repeats > 1:
        yield (
            f"Curves show the out-of-fold risks of the first of {repeats} repeats; metrics are "
            "means over all of them."
        )


def _severity_comparison(alone: SeverityAlone | None, contents: _Contents) -> str:
    """Return what the model of severity alone is, or why there is no comparison with it."""
    if alone is None:
        return (
            "The report of a training run also compares the model with severity alone."
            if contents.external
            else "There is no comparison with severity alone: either no severity variable was "
            "recorded, or no other variable was."
        )
    return (
        f"Severity alone is a model of the {len(alone.columns)} columns of severity scores and "
        "organ function. It was fitted to the same patients by the same procedure, with every "
        "tuning choice made anew, and evaluated in the same other patients."
    )


def _at(pictures: Pictures, section: str) -> tuple[Picture, ...]:
    return tuple(pictures.get(section, ()))


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
    basis = _basis(contents)
    return Section(
        "Summary",
        (
            contents.findings.judgement.refusals.notice or "",
            f"Estimand: risk of {contents.contract.event_singular} by each horizon, counted from "
            f"time zero ({contents.contract.time_zero}). {basis} Estimates with 95 % intervals.",
        ),
        (
            Table(
                "Main performance metrics, with 95 % intervals",
                ("", *(f"{d:g} days" for d in horizons)),
                rows,
                numbers=True,
            ),
        ),
    )


def _patients(contents: _Contents) -> Section:
    contract = contents.contract
    assert contract.evaluation is not None  # set by the training run
    population = f"{contract.population.rstrip('.')}."
    return Section(
        "Patients",
        (
            f"Training patients: {population}",
            "Evaluated patients: the evaluation cohort, described below.",
        )
        if contents.external
        else (population, how_judged(contract.evaluation)),
        parts=(
            *patient_sections(
                contents.steps,
                contents.by_outcome,
                whole="Cohort",
                event=contract.event_singular,
                competing=contract.competing,
                horizon_days=contents.primary_horizon_days,
                data_source="" if contents.external else contract.study.data_source,
            ),
            _comparison(contents),
        ),
    )


def _comparison(contents: _Contents) -> Section:
    """Return the patients learned from beside those judged, where they are not the same."""
    title = "Comparison of development and evaluation data"
    if not contents.compared:
        return Section(
            title,
            (
                "The patients are the same, in turn learned from and judged; folds differ by "
                "chance only.",
            ),
        )
    if not contents.external and _split_of(contents) == "patient":
        return Section(
            title, ("Patients were held out at random: the groups differ by chance only.",)
        )
    training, evaluated = contents.compared
    labels = ("training", "evaluation cohort" if contents.external else "held out")
    caption = "Training patients and evaluated patients"
    table = comparison_table(training, evaluated, labels=labels, caption=caption)
    return Section(title, tables=(table,))


def _split_of(contents: _Contents) -> str:
    """Return what divides the patients learned from and those judged."""
    evaluation = contents.contract.evaluation
    return "" if evaluation is None else evaluation.split


def _explanation(contents: _Contents, pictures: Pictures) -> Section:
    importance = contents.explained.importance
    return Section(
        "Explanation",
        (
            *explanation_of_a_risk().sentences,
            "The table and figures summarise one stay of each patient, for a random sample of at "
            f"most {MOST_EXPLAINED:,} of the patients evaluated. They are of the registered model"
            + (", which learned from these patients." if _learned_from_them(contents) else "."),
        ),
        (
            Table(
                "Mean absolute contribution by pathway, in points of risk",
                ("", *(f"{at.horizon_days:g} days" for at in importance)),
                tuple(_pathway_rows(importance)),
                numbers=True,
            ),
        ),
        _at(pictures, "explanation"),
        parts=(
            Section(
                "Synthetic patient",
                ("Made up from summaries: no patient of the cohort.",),
                pictures=_at(pictures, "examples"),
            ),
        ),
    )


def _learned_from_them(contents: _Contents) -> bool:
    """Return whether the registered model learned from the patients evaluated."""
    evaluation = contents.contract.evaluation
    return not contents.external and evaluation is not None and evaluation.refitted


def _pathway_rows(importance: Sequence[Importance]) -> Iterator[tuple[str, ...]]:
    first = importance[0].pathways
    digits = points_digits(max(first.values()))
    for key in sorted(first, key=lambda key: (key == NOT_MEASURED, -first[key])):
        yield (pathway_label(key), *(f"{at.pathways[key]:.{digits}f}" for at in importance))
