"""What a run logs to MLflow: parameters, figures with intervals, plots, report and model card."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np

from data_schema.cohort import Cohort
from models.inference.contract import Description
from models.inference.records import json_of
from models.inference.risk_model import RiskModel
from models.metrics.metric import Metric
from models.registry.patient_fingerprints import (
    FINGERPRINTS_FILE,
    PatientFingerprints,
    patient_key,
)
from models.wording import performance_basis
from training.cohorts.description import only
from training.report.content import as_markdown
from training.report.model_card import model_card
from training.report.model_report import step_of, write_report
from training.run.mlflow_run import TrackedRun
from training.validation.judgement import Findings
from training.validation.panel_value import PanelValue

__all__ = ["EVERYONE", "HELD_OUT", "LEARNED_FROM", "REPORT", "RunPatients", "keep_record"]

_LOG = logging.getLogger(__name__)

EVERYONE, LEARNED_FROM, HELD_OUT = "all", "learned from", "held out"

REPORT = "report.html"
"""The artifact with everything on one page."""


@dataclass(frozen=True, slots=True)
class RunPatients:
    """The patients of a run.

    Parameters
    ----------
    learned_from : Cohort
        Those of the registered model.
    evaluated : Cohort
        The patients judged: all of them, out of fold, or those held out.
    training_part : Cohort or None
        What the judged model learned from beside a hold-out; None after cross-validation, where
        every patient is also learned from.
    described : Description
        All patients by outcome, and beside a hold-out also `LEARNED_FROM` and `HELD_OUT`.
    """

    learned_from: Cohort
    evaluated: Cohort
    training_part: Cohort | None
    described: Description


def keep_record(
    run: TrackedRun,
    risk_model: RiskModel,
    findings: Findings,
    patients: RunPatients,
    *,
    seconds: Mapping[str, float],
) -> None:
    """Log everything about a model with a complete contract to its run."""
    contract = risk_model.contract
    evaluation, provenance = contract.evaluation, contract.provenance
    assert evaluation is not None  # the run has completed the contract
    assert provenance is not None
    card = model_card(contract, findings)
    labels = [group["label"] for group in patients.described["groups"]]
    training_part = patients.training_part
    parts = [] if training_part is None else labels[-2:]
    report = write_report(
        risk_model,
        findings,
        patients.evaluated,
        title=contract.name,
        resamples=evaluation.bootstrap_resamples,
        random_state=contract.training.seed,
        described=only(patients.described, labels[: len(labels) - len(parts)]),
        compared=tuple(only(patients.described, [label]) for label in parts),
        steps={}
        if training_part is None
        else {"Training patients": step_of(training_part, findings.predictions.horizons_days)},
    )
    contexts = {provenance.training_fingerprint: ["training"]}
    contexts.setdefault(evaluation.cohort_fingerprint, []).append("evaluation")
    for fingerprint, used_for in contexts.items():
        run.log_dataset(contract.name, fingerprint, context=" and ".join(used_for))
    run.log(
        params={
            **contract.run,
            "outcome": contract.outcome,
            "horizons_days": list(contract.default_horizons_days),
            "linear_weight": contract.training.linear_weight,
            "trees": contract.training.trees,
        },
        metrics={
            **_flat(findings.judgement.metrics),
            **_flat(findings.judgement.blanked),
            **_flat_changes(findings.added_value),
            **{f"fit/{part}_seconds": taken for part, taken in seconds.items()},
        },
        tags={
            "osteon.population": contract.population,
            "osteon.simulated": str(contract.simulated).lower(),
            **_verdict(findings.added_value),
            "osteon.data_fingerprint": provenance.data_fingerprint,
            "osteon.evaluation": performance_basis(evaluation, contract.training),
            "mlflow.source.git.commit": provenance.git_revision or "unknown",
            # MLflow's page shows it, up to 8,000 characters; the whole card is an artifact.
            "mlflow.note.content": as_markdown(contract.name, card[:3]),
        },
        files={
            "metrics.json": json.dumps(
                json_of((*evaluation.metrics, *evaluation.blanked)), indent=2
            ),
            "evaluation.json": json.dumps(findings.as_json(), indent=2),
            "contract.json": json.dumps(contract.as_json(), indent=2, ensure_ascii=False),
            "importance.json": json.dumps(
                [entry.as_json() for entry in report.explained.importance], indent=2
            ),
            "model_card.md": as_markdown(contract.name, card),
            REPORT: report.page.html,
            **_fingerprints(patients.learned_from),
            **{f"plots/{name}.png": png for name, png in report.page.plots.items()},
        },
    )


def _fingerprints(learned_from: Cohort) -> dict[str, str]:
    """Return the file of keyed fingerprints of the patients learned from, if they can be made."""
    key = patient_key()
    fingerprints = None if key is None else PatientFingerprints.of(learned_from.patient_id, key)
    if fingerprints is None:
        _LOG.info(
            "stored no fingerprints of patients: %s. Later evaluations cannot tell whether the "
            "model learned from their patients",
            "OSTEON_PATIENT_KEY is not set" if key is None else "the cohort has no patient_id",
        )
        return {}
    return {FINGERPRINTS_FILE: fingerprints.as_json()}


def _verdict(added: PanelValue | None) -> dict[str, str]:
    """Return the verdict on the panel as tags of the run."""
    if added is None:
        return {}
    return {
        "osteon.panel": ", ".join(added.panel.added),
        "osteon.panel_verdict": f"{added.verdict}, at {added.primary_horizon_days:g} days",
    }


def _flat_changes(added: PanelValue | None) -> dict[str, float]:
    """Return the primary changes by the panel under MLflow's names, e.g. `90d/added_auroc`."""
    flat: dict[str, float] = {}
    for change in () if added is None else added.changes:
        if not change.secondary:
            at = "" if change.threshold is None else f"_at_{change.threshold:g}"
            name = f"added_{change.metric}{at}"
            ends = change.change, change.low, change.high
            flat |= _flat([Metric(name, change.horizon_days, *ends)])
    return flat


def _flat(metrics: Iterable[Metric]) -> dict[str, float]:
    """Return metrics under MLflow's names, grouped by horizon: `28d/auroc`, `28d/auroc_low`.

    With 20 % of the fields left empty the group is `28d/blank_20`.
    """
    flat: dict[str, float] = {}
    for metric in metrics:
        group = "follow_up" if metric.horizon_days is None else f"{metric.horizon_days:g}d"
        if metric.blank_share:
            group += f"/blank_{100 * metric.blank_share:g}"
        ends = {"": metric.estimate, "_low": metric.low, "_high": metric.high}
        flat |= {
            f"{group}/{metric.metric}{suffix}": value
            for suffix, value in ends.items()
            if not np.isnan(value)
        }
    return flat
