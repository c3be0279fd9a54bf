"""The report of an evaluation, written: its page and the files of its figures."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from data_schema.cohort import Cohort, outcome_of
from models.inference.risk_model import RiskModel
from training.cohorts.description import Description, by_outcome, describe
from training.cohorts.flow import FlowStep, flow_step
from training.explanation.cohort import ExplainedCohort, explain_cohort
from training.report.assembling import Told, primary_horizon, report_sections
from training.report.content import Picture, Section
from training.report.figures.comparison_figures import (
    net_benefit_figures,
    panel_figures,
    risk_distribution_figure,
    severity_figures,
    subgroup_figure,
)
from training.report.figures.model_figures import (
    Drawn,
    Words,
    as_png,
    as_svg,
    evaluation_figures,
    example_figures,
    explanation_figures,
    recorded_figure,
)
from training.report.page import report_page
from training.report.performance import metric_at
from training.validation.predictions import Answers

__all__ = ["WrittenPage", "WrittenReport", "by_place", "step_of", "write_report"]


@dataclass(frozen=True, slots=True)
class WrittenPage:
    """A report: one page, its sections, and its figures as PNG by name."""

    page: str
    sections: tuple[Section, ...]
    plots: Mapping[str, bytes]


@dataclass(frozen=True, slots=True)
class WrittenReport:
    """The report of a model, and what was explained for it."""

    written: WrittenPage
    explained: ExplainedCohort


def write_report(
    risk_model: RiskModel,
    judged: Answers,
    cohort: Cohort,
    *,
    title: str,
    evaluated: Mapping[str, Any],
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
    judged : Answers
        What the model answered for the patients evaluated.
    cohort : Cohort
        Those patients.
    title : str
    evaluated : mapping
        As `training.report.assembling.Told` takes it.
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
    contract = risk_model.contract
    external = described is None
    days = primary_horizon(judged.horizons_days, evaluated["metrics"])
    explained = explain_cohort(
        risk_model, cohort, judged.horizons_days, horizon_days=days, random_state=random_state
    )
    words = Words.of(
        contract, "The cohort that was given to be evaluated on." if external else None
    )
    if described is None:
        outcome = outcome_of(cohort)
        groups = by_outcome(outcome, days, event_label=words.event, competing=contract["competing"])
        described = describe(cohort, [groups])
        learned_from = contract["described"]
        evaluated_on = describe(cohort, whole="evaluated on", like=learned_from)
        compared = (learned_from, evaluated_on)
    resampled = {"n_bootstrap": resamples, "random_state": random_state}
    usable = judged.judged_horizons(evaluated["metrics"])
    severity = evaluated.get("severity_alone")
    drawn = [
        *evaluation_figures(judged, usable, words=words, **resampled),
        *(
            net_benefit_figures(judged, usable, words=words, **resampled)
            if severity is None
            else severity_figures(severity, words=words)
        ),
        *risk_distribution_figure(
            evaluated.get("risk_distribution", ()), horizon_days=days, words=words
        ),
        *recorded_figure(described, words=words),
        *subgroup_figure(
            evaluated.get("subgroups", ()),
            overall=metric_at(evaluated["metrics"], "auroc", days),
            horizon_days=days,
            words=words,
        ),
        *_of_panel(evaluated.get("added_value"), words=words),
        *explanation_figures(explained, words=words),
        *example_figures(
            risk_model, horizon_days=days, words=Words.of(contract), random_state=random_state
        ),
    ]
    plots = {one.name: as_png(one.figure) for one in drawn}
    told = Told(
        contract=contract,
        external=external,
        evaluated=evaluated,
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
        pictures=by_place(drawn),
    )
    sections = report_sections(told)
    page = report_page(
        title,
        _subtitle(contract, evaluated, external=external),
        sections,
        simulated=contract["simulated"],
    )
    return WrittenReport(WrittenPage(page, sections, plots), explained)


def step_of(
    cohort: Cohort, horizons_days: tuple[float, ...], *, judged: Answers | None = None
) -> FlowStep:
    """Return the flow of a cohort, with who was refused of those that were judged."""
    return flow_step(
        outcome_of(cohort),
        cohort.patient_id,
        horizons_days,
        refused={} if judged is None else judged.refused_by_rule,
        n_refused=0 if judged is None else judged.refused,
    )


def _of_panel(told: Mapping[str, Any] | None, *, words: Words) -> Iterator[Drawn]:
    return iter(()) if told is None else panel_figures(told, words=words)


def by_place(drawn: list[Drawn]) -> dict[str, list[Picture]]:
    """Return figures as pictures of a page, by the section where they belong."""
    places: dict[str, list[Picture]] = {}
    for one in drawn:
        if one.place != "files":
            width = float(one.figure.get_figwidth())
            picture = Picture(one.caption, one.alternative, width, as_svg(one.figure))
            places.setdefault(one.place, []).append(picture)
    return places


def _subtitle(contract: Mapping[str, Any], evaluated: Mapping[str, Any], *, external: bool) -> str:
    what = "evaluation on other patients" if external else "training run"
    return f"{contract['outcome_label']}: report of the {what} ({evaluated['stays']:,} stays)."
