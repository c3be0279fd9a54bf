"""What a run logs to MLflow: parameters, figures with intervals, plots, report and model card."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace

import numpy as np

from data_schema.cohort import Cohort
from models.inference.contract import Contract, Description
from models.inference.records import json_of
from models.inference.risk_model import RiskModel
from models.metrics.catalogue import Place, shown_in
from models.metrics.metric import Metric, primary_horizon
from models.registry.description import model_description
from models.registry.patient_fingerprints import (
    FINGERPRINTS_FILE,
    PatientFingerprints,
    patient_key,
)
from training.cohorts.description import only
from training.cohorts.panel import USUAL_CARE
from training.diagnosis.diagnose import Diagnosis
from training.report.content import REPORT, as_markdown
from training.report.folders import metrics_csv
from training.report.model_card import model_card
from training.report.model_report import step_of, write_report
from training.report.page import report_page
from training.run.mlflow_run import LoggedPatients, TrackedRun
from training.validation.judgement import Findings
from training.validation.panel_value import PanelValue
from training.validation.patient_or_work_up import MODEL

__all__ = [
    "EVERYONE",
    "HELD_OUT",
    "LEARNED_FROM",
    "RunPatients",
    "keep_record",
    "logged_patients",
]

_LOG = logging.getLogger(__name__)

EVERYONE, LEARNED_FROM, HELD_OUT = "all", "learned from", "held out"

# By the catalogue: some 50 figures in a run, so that MLflow's page can be read.
_AT_HORIZON = frozenset(spec.name for spec in shown_in(Place.MLFLOW))
_WHEN_BLANKED = frozenset(spec.name for spec in shown_in(Place.MLFLOW_BLANKED))


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
    diagnosis : Diagnosis
        What the data of those learned from say.
    """

    learned_from: Cohort
    evaluated: Cohort
    training_part: Cohort | None
    described: Description
    diagnosis: Diagnosis


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
        diagnosis=patients.diagnosis,
        described=only(patients.described, labels[: len(labels) - len(parts)]),
        compared=tuple(only(patients.described, [label]) for label in parts),
        steps={}
        if training_part is None
        else {"Training patients": step_of(training_part, findings.predictions.horizons_days)},
    )
    contexts = {provenance.training_fingerprint: ["training"]}
    contexts.setdefault(evaluation.cohort_fingerprint, []).append("evaluation")
    for fingerprint, used_for in contexts.items():
        cohort = patients.learned_from if "training" in used_for else patients.evaluated
        run.log_dataset(
            logged_patients(contract, cohort, fingerprint, context=" and ".join(used_for))
        )
    run.log(
        params=_params(contract),
        metrics={
            **_flat(_tracked(findings.judgement.metrics)),
            **_flat(_tracked_when_blanked(findings)),
            **_flat_changes(findings.added_value),
            **_flat_simpler(findings),
            **{f"fit/{part}_seconds": taken for part, taken in seconds.items()},
        },
        tags={
            "osteon.outcome": contract.outcome,
            "osteon.simulated": str(contract.simulated).lower(),
            **_verdict(findings.added_value),
            "osteon.data_fingerprint": provenance.data_fingerprint,
            "mlflow.source.git.commit": provenance.git_revision or "unknown",
            "mlflow.note.content": model_description(
                contract, experiment=run.experiment_id, run_id=run.run_id
            ),
        },
        files={
            "metrics.json": json.dumps(
                json_of((*evaluation.metrics, *evaluation.blanked)), indent=2
            ),
            "metrics.csv": metrics_csv((*findings.judgement.metrics, *findings.judgement.blanked)),
            "evaluation.json": json.dumps(
                findings.as_json() | {"diagnosis": patients.diagnosis.as_json()}, indent=2
            ),
            "contract.json": json.dumps(contract.as_json(), indent=2, ensure_ascii=False),
            "importance.json": json.dumps(
                [entry.as_json() for entry in report.explained.importance], indent=2
            ),
            "model_card.md": as_markdown(contract.name, card),
            "model_card.html": report_page(
                contract.name, "Model card", card, simulated=contract.simulated
            ),
            REPORT: report.page.html,
            **_fingerprints(patients.learned_from),
            **{f"plots/{name}.svg": svg for name, svg in report.page.plots.items()},
        },
    )


def _params(contract: Contract) -> dict[str, object]:
    """Return what was set and chosen, in words, each as it took effect."""
    evaluation, training, run = contract.evaluation, contract.training, contract.run
    assert evaluation is not None  # the run has completed the contract
    settings = ("seed", "missingness", "bootstrap_resamples", "interval_folds", "max_trees")
    held_out = f"{evaluation.patients} patients held out, by {evaluation.split}"
    folds = f"{evaluation.folds}-fold cross-validation by patient, repeats: {evaluation.repeats}"
    lists = {"excluded_columns": "exclude", "panel": "added_value"}
    base = ", ".join(map(str, run["over"])) if isinstance(run["over"], tuple | list) else ""
    return {
        "outcome": contract.outcome,
        "time_zero": contract.time_zero,
        "population": contract.population,
        "simulated": str(contract.simulated).lower(),
        "horizons_days": ", ".join(f"{days:g}" for days in contract.default_horizons_days),
        "patients": training.patients,
        "stays": training.stays,
        "events": training.events,
        "predictors": len({feature.variable for feature in contract.features}),
        "evaluation": folds if evaluation.method == "cross-validation" else held_out,
        "refitted_to_all": str(evaluation.refitted).lower(),
        **{name: run[name] for name in settings},
        **{
            name: ", ".join(map(str, values)) or "none"
            for name, key in lists.items()
            if isinstance(values := run[key], tuple | list)
        },
        "panel_base": (base or USUAL_CARE) if run["added_value"] else "none",
        "linear_weight": training.linear_weight,
        "trees": training.trees,
    }


def logged_patients(
    contract: Contract, cohort: Cohort, fingerprint: str, *, context: str
) -> LoggedPatients:
    """Return the patients of a run as MLflow lists a data set."""
    features = cohort.features
    return LoggedPatients(
        name=cohort.name or contract.name,
        fingerprint=fingerprint,
        context=context,
        columns={
            str(name): "string" if features[name].dtype == object else "double"
            for name in features.columns
        },
        profile={
            "num_rows": len(cohort),
            "num_patients": len(np.unique(cohort.patient_id.astype(str))),
            "num_columns": features.shape[1],
            "num_elements": int(features.size),
        },
        source=contract.study.data_source or contract.population,
    )


def _tracked(metrics: Iterable[Metric]) -> Iterator[Metric]:
    """Yield the metrics that are logged one by one; all of them are in `metrics.csv`."""
    for metric in metrics:
        if metric.horizon_days is None or metric.metric in _AT_HORIZON:
            yield metric


def _tracked_when_blanked(findings: Findings) -> Iterator[Metric]:
    """Yield the main metrics with fields left empty, at the primary horizon."""
    judgement = findings.judgement
    days = primary_horizon(findings.predictions.horizons_days, judgement.metrics)
    for metric in judgement.blanked:
        if metric.horizon_days == days and metric.metric in _WHEN_BLANKED:
            yield metric


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
        "osteon.panel_verdict": f"{added.verdict}, at {added.primary_horizon_days:g} days",
    }


def _flat_changes(added: PanelValue | None) -> dict[str, float]:
    """Return the change of the area under the curve by the panel, e.g. `90d/added_auroc`."""
    changes = () if added is None else added.changes
    return _flat(
        Metric("added_auroc", change.horizon_days, change.change, change.low, change.high)
        for change in changes
        if change.metric == "auroc"
    )


def _flat_simpler(findings: Findings) -> dict[str, float]:
    """Return the areas that severity and the tests ordered reach alone, at the primary horizon."""
    found = findings.patient_or_work_up
    if found is None:
        return {}
    days = primary_horizon(findings.predictions.horizons_days, findings.judgement.metrics)
    return _flat(
        replace(metric, metric=f"auroc_of_{name.replace(' ', '_')}")
        for name, metrics in found.reached.items()
        for metric in metrics
        if name != MODEL and metric.metric == "auroc" and metric.horizon_days == days
    )


def _flat(metrics: Iterable[Metric]) -> dict[str, float]:
    """Return estimates under MLflow's names, grouped by horizon: `28d/auroc`.

    With 20 % of the fields left empty the group is `28d/blank_20`.
    """
    flat: dict[str, float] = {}
    for metric in metrics:
        group = "follow_up" if metric.horizon_days is None else f"{metric.horizon_days:g}d"
        if metric.blank_share:
            group += f"/blank_{100 * metric.blank_share:g}"
        if metric.is_defined:
            flat[f"{group}/{metric.metric}"] = metric.estimate
    return flat
