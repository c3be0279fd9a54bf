"""What a run adds to a model's contract: estimand, patients, figures and provenance."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from math import isnan

from data_schema.cohort import Cohort
from data_schema.variables import base_name, is_not_done
from models.inference.contract import (
    Contract,
    Description,
    Evaluation,
    HeldOutGroup,
    HeldOutMetric,
    PanelFacts,
    Provenance,
)
from models.metrics.metric import primary_horizon
from models.metrics.sample_size import SampleSize
from models.panel_verdict import part_label
from training.cohorts.study import Study
from training.config import RunConfig
from training.provenance import git_revision, versions
from training.validation.judgement import Judgement
from training.validation.panel_value import PanelValue
from training.validation.plan import EvaluationPlan
from training.validation.predictions import Predictions

__all__ = ["completed_contract", "groups_judged"]

_GROUPED_BY = ("sex", "age", "race")


def completed_contract(
    fitted: Contract,
    study: Study,
    config: RunConfig,
    plan: EvaluationPlan,
    *,
    learned_from: Cohort,
    evaluated: Predictions,
    judgement: Judgement,
    needed: Sequence[SampleSize],
    described: Description,
    added_value: PanelValue | None,
) -> Contract:
    """Return the contract of a fitted model, completed with what only the run knows.

    The figures of the evaluation are part of the bundle and of its hash, so that the gate judges
    exactly these figures of exactly this model. `described` holds the rows learned from, with
    which later patients are compared.
    """
    outcome = study.outcome
    return replace(
        fitted,
        name=study.model_name,
        outcome=outcome.name,
        outcome_label=outcome.label,
        event_label=outcome.event_label,
        event_singular=outcome.event_singular,
        event_verb=outcome.event_verb,
        competing=fitted.competing and outcome.competing_noun,
        competing_verb=outcome.competing_verb,
        is_death=outcome.is_death,
        time_zero=study.time_zero,
        population=study.cohort.population,
        population_described=study.population_described,
        simulated=study.cohort.simulated,
        missingness=(
            "informative"
            if any(is_not_done(feature.name) for feature in fitted.features)
            else "ignorable"
        ),
        dropped=dict(study.cohort.dropped),
        described=described,
        run=config.as_json(),
        evaluation=Evaluation(
            split=plan.split,
            stays=evaluated.stays,
            patients=evaluated.patients,
            events=evaluated.events,
            refused=evaluated.refusals.refused,
            bootstrap_resamples=config.bootstrap_resamples,
            cohort_fingerprint=evaluated.cohort_fingerprint,
            metrics=tuple(HeldOutMetric(**metric.as_json()) for metric in judgement.metrics),
            blanked=tuple(HeldOutMetric(**metric.as_json()) for metric in judgement.blanked),
            method=plan.method,
            folds=plan.folds,
            repeats=len(plan.repeats),
            refitted=plan.refitted,
            partition=plan.partition(study.cohort),
            groups=groups_judged(judgement, evaluated.horizons_days),
            patients_needed=max((size.needed for size in needed), default=0),
        ),
        study=study.facts,
        added_value=None if added_value is None else added_value.as_json(),
        panel=None if added_value is None else _panel_facts(added_value),
        provenance=Provenance(
            git_revision=git_revision(),
            versions=versions(),
            data_fingerprint=study.cohort.fingerprint(),
            training_fingerprint=learned_from.fingerprint(),
        ),
    )


def _panel_facts(value: PanelValue) -> PanelFacts:
    """Return what is shown of a panel beside a risk."""
    primary = value.primary
    no_interval = isnan(primary.low) or isnan(primary.high)
    columns = (column for members in value.panel.added.values() for column in members)
    return PanelFacts(
        label=", ".join(part_label(name) for name in value.panel.added),
        variables=tuple(dict.fromkeys(map(base_name, columns))),
        verdict=value.verdict,
        horizon_days=value.primary_horizon_days,
        change=primary.change,
        low=None if no_interval else primary.low,
        high=None if no_interval else primary.high,
    )


def groups_judged(
    judgement: Judgement, horizons_days: tuple[float, ...]
) -> tuple[HeldOutGroup, ...]:
    """Return figures by sex, age and race at the primary horizon, as far as they are recorded."""
    return tuple(_groups(judgement, primary_horizon(horizons_days, judgement.metrics)))


def _groups(judgement: Judgement, horizon_days: float) -> Iterator[HeldOutGroup]:
    """Yield the figures of each group at one horizon."""
    for group in judgement.subgroups:
        if group.grouping in _GROUPED_BY:
            yield HeldOutGroup(
                grouping=group.grouping,
                level=group.level,
                stays=group.stays,
                events=group.events,
                metrics=tuple(
                    HeldOutMetric(**metric.as_json())
                    for metric in group.metrics
                    if metric.horizon_days == horizon_days
                ),
            )
