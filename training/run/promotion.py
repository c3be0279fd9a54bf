"""The gate: the figures in patients not learned from that a model must reach to be champion."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime

import pandas as pd

from data_schema.cohort import Cohort
from data_schema.errors import Finding, GateError, RulesBroken, UsageError
from data_schema.leakage.linter import FATAL_LEAKS
from data_schema.mapping.file import CohortMapping
from models.censoring import is_known
from models.metrics.catalogue import METRICS, Direction, IntervalReaches
from models.metrics.metric import (
    Metric,
    held_out_metrics,
    held_out_metrics_when_blanked,
    metric_at,
)
from models.metrics.subgroups import evaluate_subgroups
from models.registry import lifecycle as registry
from models.registry.clinical import is_clinical
from models.registry.gate import Criterion, GateRecord, gate_key
from models.registry.gate_criteria import (
    Judgement,
    judge_fact,
    judge_figures,
    judge_groups,
    judge_reach,
)
from models.registry.lifecycle import CHAMPION, LoadedModel, load, load_champion
from models.registry.tracking import connect, outside_errors
from models.registry.validations import not_of_version
from models.registry.versions import aliased_version, find_version, list_models
from training.cohorts.groups import patient_groups
from training.run.mlflow_run import user_name
from training.score import cohort_for_model
from training.validation.overlap import overlap_with_training
from training.validation.predictions import Predictions, predict_cohort

__all__ = ["FEWEST_EVENTS", "Decision", "promote"]

_RESAMPLES = 1000
_RESAMPLES_OF_GROUPS = 200
_REPORT = "report.html"

FEWEST_EVENTS = 100
"""Patients with and without the event that a named cohort needs at least: with fewer, calibration
cannot be judged. Collins et al. Stat Med 35 (2016) 214-226. doi:10.1002/sim.6787"""


@dataclass(frozen=True, slots=True)
class Decision:
    """What the gate decided about one version, on which figures, and why.

    Parameters
    ----------
    reasons : tuple of str
        Reasons against promotion; empty if there are none.
    criteria : tuple of Criterion
        Every criterion, with the figure that it was judged by.
    judged_on : str
        What the figures are of, in words.
    overlap_not_known : str
        Why it is not known whether the model learned from patients of the given cohort; "" if it
        learned from none of them, or none was given.
    champion : str
        Whether and how the version was compared with the champion, in words.
    by, at : str
        User who requested the promotion, and when.
    alias : str or None
        `champion` if promoted.
    validations_of_others : tuple of str
        Validations elsewhere that are of other versions, and so do not hold for this one.
    """

    name: str
    version: str
    model_sha256: str
    decision: str
    reasons: tuple[str, ...]
    judged_on: str
    overlap_not_known: str
    champion: str
    cohort_fingerprint: str
    metrics: tuple[Metric, ...]
    by: str
    at: str
    alias: str | None
    criteria: tuple[Criterion, ...]
    validations_of_others: tuple[str, ...] = ()

    def as_json(self) -> dict[str, object]:
        """Return what `osteon promote --json` prints."""
        metrics = [replace(metric, note="").as_json() for metric in self.metrics]
        return asdict(self) | {"metrics": metrics}


def promote(
    name: str,
    version: str,
    *,
    table: pd.DataFrame | None = None,
    mapping: CohortMapping | None = None,
) -> Decision:
    """Make a version champion if its figures allow it, with a signed record of them.

    Parameters
    ----------
    table : DataFrame, optional
        A cohort that neither the model nor the champion learned from (default: the figures of its
        training run, which are in the bundle).

    Returns
    -------
    Decision
        The registry is unchanged if the decision is "refuse".
    """
    key = gate_key()
    loaded = load(f"models:/{name}/{version}")
    given = None if table is None else _GivenCohort(table, mapping)
    judged = _of_the_run(loaded) if given is None else _on_cohort(loaded, given, whose="the model")
    theirs: tuple[Metric, ...] = ()
    compared = "not compared: the cohort has columns that leak the outcome"
    if not judged.leaks:
        theirs, compared = _of_the_champion(name, version, loaded, given, key)
    judgements = (
        _real_patients(loaded),
        _report_present(loaded),
        *_leakage(judged),
        *_of_the_cohort(judged),
        *_of_groups_of_the_run(loaded, judged),
        *judge_figures(judged.metrics, blanks=not judged.leaks),
        *_worse_than(theirs, judged.metrics),
    )
    criteria = tuple(judgement.criterion for judgement in judgements)
    against = tuple(one.reason for one in judgements if not one.criterion.is_met)
    record = GateRecord(
        model_sha256=loaded.sha256,
        cohort_fingerprint=judged.fingerprint,
        metrics=judged.metrics,
        decision="refuse" if against else "promote",
        by=user_name(),
        at=datetime.now(UTC).isoformat(timespec="microseconds"),
        criteria=criteria,
    )
    if not against:
        registry.promote(name, version, record, key=key)
    return Decision(
        name=name,
        version=version,
        model_sha256=loaded.sha256,
        decision=record.decision,
        reasons=against,
        judged_on=judged.judged_on,
        overlap_not_known=judged.overlap_not_known,
        champion=compared,
        cohort_fingerprint=judged.fingerprint,
        metrics=judged.metrics,
        by=record.by,
        at=record.at,
        alias=None if against else CHAMPION,
        criteria=criteria,
        validations_of_others=not_of_version(
            find_version(name, version=version), list_models(name)
        ),
    )


def _real_patients(loaded: LoadedModel) -> Judgement:
    """Judge whether a registry that is marked clinical takes the model."""
    rule = "a registry marked clinical takes models of real patients only"
    simulated = loaded.risk_model.contract.simulated
    refused = simulated and is_clinical()
    reason = f"the model learned from simulated patients, and {rule}." if refused else ""
    return judge_fact("real_patients", rule, reason, figure=None)


def _report_present(loaded: LoadedModel) -> Judgement:
    """Judge whether the run of the model holds a report for people to read."""
    rule = f"the training run holds {_REPORT}"
    count = 0
    if loaded.run_id is not None:
        client = connect().MlflowClient()
        with outside_errors():
            count = sum(file.path == _REPORT for file in client.list_artifacts(loaded.run_id))
    reason = (
        ""
        if count
        else f"the training run must hold {_REPORT}, which tells reviewers what the model is; it "
        "holds none. Train the model again with `osteon train`."
    )
    return judge_fact("report", rule, reason, figure=float(count))


def _leakage(judged: _Judged) -> Iterator[Judgement]:
    """Judge whether columns that the model reads look known only after time zero."""
    if judged.predictions is None and not judged.leaks:
        return  # the run checked its own cohort before it fitted the model
    rule = "no column that the model reads looks known only after time zero"
    named = "; ".join(f"[{leak.rule}] {leak.message}" for leak in judged.leaks)
    reason = f"leakage: {named}" if judged.leaks else ""
    yield judge_fact("leakage", rule, reason, figure=float(len(judged.leaks)))


def _of_the_cohort(judged: _Judged) -> Iterator[Judgement]:
    """Judge the size of a named cohort, and calibration in its subgroups."""
    if judged.predictions is None or judged.cohort is None:
        return
    predictions, cohort = judged.predictions, judged.cohort
    fewer = max(_rarer(predictions, days) for days in predictions.horizons_days)
    rule = (
        f"at least {FEWEST_EVENTS} patients with and {FEWEST_EVENTS} without the event by one of "
        "the horizons"
    )
    reason = f"the cohort must hold {rule}; it holds {fewer} of the rarer. Add patients."
    yield judge_fact(
        "sample_size", rule, "" if fewer >= FEWEST_EVENTS else reason, figure=float(fewer)
    )
    groups = evaluate_subgroups(
        predictions.time_days,
        predictions.event,
        predictions.risk,
        predictions.horizons_days,
        patient_groups(cohort),
        n_bootstrap=_RESAMPLES_OF_GROUPS,
        patients=predictions.patient_id,
    )
    limits = METRICS["oe_ratio"].gate
    assert isinstance(limits, IntervalReaches)
    for group in groups:
        for metric in group.metrics:
            if metric.metric == "oe_ratio" and metric.has_interval:
                yield judge_reach(metric, limits, f"{group.grouping}: {group.level}")


def _of_groups_of_the_run(loaded: LoadedModel, judged: _Judged) -> Iterator[Judgement]:
    """Judge calibration by sex, age and race where the figures are those of the training run."""
    if judged.predictions is None and not judged.leaks:
        yield from judge_groups(loaded.risk_model.contract)


def _rarer(predictions: Predictions, days: float) -> int:
    """Return the number of stays with or without the event by a horizon, whichever is smaller."""
    known = is_known(predictions.time_days, predictions.event, days)
    happened = known & (predictions.event == 1) & (predictions.time_days <= days)
    return int(min(happened.sum(), known.sum() - happened.sum()))


def _of_the_champion(
    name: str, version: str, loaded: LoadedModel, given: _GivenCohort | None, key: bytes
) -> tuple[tuple[Metric, ...], str]:
    """Return the champion's figures on the same patients, and what is compared, in words.

    Champion and challenger are compared as procedures where their runs judged the same patients by
    the same splits, or as models on a cohort that neither learned from. There are no figures where
    neither holds, or there is no champion that sets a standard.
    """
    champion = aliased_version(name, CHAMPION)
    if champion is None or champion.version == version:
        return (), "there is no other champion"
    try:
        theirs = load_champion(name, key)
    except GateError:
        return (), "the champion has no valid gate record, so it sets no standard"
    if given is not None:
        metrics = _on_cohort(theirs, given, whose="the champion").metrics
        return metrics, f"compared with champion {champion.version} on the given cohort"
    ours, evaluation = loaded.risk_model.contract.evaluation, theirs.risk_model.contract.evaluation
    if not ours or not evaluation or not ours.partition or ours.partition != evaluation.partition:
        return (), (
            f"not compared with champion {champion.version}: their runs did not judge the same "
            "patients by the same splits. Give a cohort that neither learned from (--cohort)"
        )
    return (
        held_out_metrics(theirs.risk_model.contract),
        f"compared with champion {champion.version} as procedures, on the same patients and splits",
    )


def _worse_than(theirs: Sequence[Metric], metrics: Sequence[Metric]) -> Iterator[Judgement]:
    """Judge whether a challenger is worse than the champion on the same patients."""
    for spec in METRICS.values():
        our, their = (metric_at(all_, spec.name, None) for all_ in (metrics, theirs))
        if spec.worse_by is None or our is None or their is None:
            continue
        gain = our.estimate - their.estimate
        loss = gain if spec.direction is Direction.LOWER else -gain
        rule = f"at most {spec.worse_by:g} worse than the champion's on the same patients"
        reason = (
            f"{spec.name} must not be worse than the champion's on the same patients by more "
            f"than {spec.worse_by:g}; got {our.estimate:.4f} against {their.estimate:.4f}."
        )
        is_met = not loss > spec.worse_by
        figure = None if loss != loss else float(loss)
        criterion = Criterion("not_worse", spec.name, figure, None, None, rule, is_met)
        yield Judgement(criterion, "" if is_met else reason)


@dataclass(frozen=True, slots=True)
class _Judged:
    """The figures that a decision rests on.

    Parameters
    ----------
    predictions, cohort
        None where the figures are those of the training run, or columns leak.
    leaks : tuple of Finding
        Columns of the named cohort that look known only after time zero; no figure is then read.
    """

    judged_on: str
    fingerprint: str
    metrics: tuple[Metric, ...]
    overlap_not_known: str = ""
    predictions: Predictions | None = None
    cohort: Cohort | None = None
    leaks: tuple[Finding, ...] = ()


def _of_the_run(loaded: LoadedModel) -> _Judged:
    """Return the figures in the bundle, of the procedure or of the patients held out."""
    contract = loaded.risk_model.contract
    evaluation = contract.evaluation
    if evaluation is None:
        raise UsageError(
            f"{loaded.name} version {loaded.version} has no figures of its training run. "
            "Give a cohort to judge it on (--cohort)."
        )
    return _Judged(
        "all patients of its training run, out of fold"
        if evaluation.method == "cross-validation"
        else "the held-out patients of its training run",
        evaluation.cohort_fingerprint,
        (*held_out_metrics(contract), *held_out_metrics_when_blanked(contract)),
    )


@dataclass(frozen=True, slots=True)
class _GivenCohort:
    """A table to judge models on, and what its columns are."""

    table: pd.DataFrame
    mapping: CohortMapping | None


def _on_cohort(loaded: LoadedModel, given: _GivenCohort, *, whose: str) -> _Judged:
    """Return a model's figures on a cohort.

    Raises
    ------
    UsageError
        If the model learned from some of its patients.
    RulesBroken
        If the cohort breaks a rule other than those on leakage.
    """
    contract = loaded.risk_model.contract
    judged_on = "the given cohort"
    try:
        cohort = cohort_for_model(
            given.table, contract, outcome=contract.outcome, mapping=given.mapping
        )
    except RulesBroken as error:
        if any(finding.rule not in FATAL_LEAKS for finding in error.findings):
            raise
        return _Judged(judged_on, "", (), leaks=error.findings)
    fingerprint = cohort.fingerprint()
    origin = contract.provenance
    if origin and fingerprint in (origin.data_fingerprint, origin.training_fingerprint):
        raise UsageError(
            f"{whose} must be judged on patients that it was not trained on; this is the cohort of "
            "its training run. Omit --cohort to judge it by the figures of that run."
        )
    overlap = overlap_with_training(loaded, cohort)
    if overlap.shared:
        raise UsageError(
            f"{whose} must be judged on patients that it was not trained on; it learned from "
            f"{overlap.shared} of {overlap.patients}. Leave them out."
        )
    predictions = predict_cohort(loaded.risk_model, cohort)
    metrics, when_blanked = (
        judged(n_bootstrap=_RESAMPLES, random_state=0)
        for judged in (predictions.metrics, predictions.metrics_when_blanked)
    )
    return _Judged(
        judged_on,
        fingerprint,
        (*metrics, *when_blanked),
        overlap.not_known,
        predictions,
        cohort,
    )
