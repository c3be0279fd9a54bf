"""`osteon recalibrate`: update a registered version to local patients, as a new version."""

from __future__ import annotations

import json
import logging
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime

import numpy as np
from numpy.typing import NDArray

from data_schema.cohort import Cohort, outcome_of
from data_schema.errors import DataError, UsageError
from models.fitting.recalibration import (
    AffineUpdate,
    ClosedTest,
    LocalPatients,
    closed_test,
    fit_update,
)
from models.fitting.training_cohort import Progress
from models.fitting.updated_model import SITE, updated_model
from models.inference.contract import Contract, Evaluation, HeldOutMetric, ModelUpdate, UpdateMethod
from models.inference.records import json_of
from models.inference.risk_model import RiskModel
from models.metrics.calibration.calibration import log_odds
from models.metrics.metric import Metric
from models.registry.lifecycle import LoadedModel, register_update
from models.registry.patient_fingerprints import (
    FINGERPRINTS_FILE,
    PatientFingerprints,
    patient_key,
    stored_fingerprints,
)
from models.registry.versions import find_version, list_models
from models.registry.withdrawal import check_standing
from training.report.update_report import RefitFacts, UpdateFindings, write_update_report
from training.run.contract import groups_judged
from training.run.mlflow_run import TrackedRun, tracked_run
from training.run.record import logged_patients
from training.run.refit import judge_refit, old_and_new, refitted_model, settings_of
from training.validation.judgement import Judgement, judge
from training.validation.overlap import overlap_with_training
from training.validation.predictions import Predictions, predict_cohort
from training.validation.updates import (
    UPDATE_FOLDS,
    LocalUpdate,
    RecalibrationMethod,
    UpdateComparison,
    local_patients,
    updated_out_of_fold,
)

__all__ = ["Recalibrated", "recalibrate"]

_LOG = logging.getLogger(__name__)

_RESAMPLES = 1000
_SEED = 0
_REPORT = "report.html"


@dataclass(frozen=True, slots=True)
class Recalibrated:
    """A new version, and what the update did in the patients that it learned from.

    Parameters
    ----------
    method : {"intercept", "slope", "site", "refit"}
    of_version : str
        The version that was updated.
    tested : ClosedTest
        Which update of level and spread the patients support.
    before, after : tuple of Metric
        Of the version updated, and of the update out of fold, in the same patients.
    overlap_not_known : str
        Why it is not known whether the model learned from some of these patients; "" if it is.
    report : str
        Path or URI of the report.
    in_both : int
        Patients that the model had learned from and that the new cohort holds, too: a refit learns
        from them and is not judged on them.
    """

    model_name: str
    version: str
    model_uri: str
    method: UpdateMethod
    of_version: str
    tested: ClosedTest
    before: tuple[Metric, ...]
    after: tuple[Metric, ...]
    overlap_not_known: str
    report: str
    in_both: int = 0

    def as_json(self) -> dict[str, object]:
        """Return what `osteon recalibrate --json` prints."""
        content: dict[str, object] = json_of(self)
        return content | {
            "before": [metric.as_json() for metric in self.before],
            "after": [metric.as_json() for metric in self.after],
        }


def recalibrate(
    loaded: LoadedModel,
    cohort: Cohort,
    method: UpdateMethod | None = None,
    *,
    old: Cohort | None = None,
    progress: Progress | None = None,
) -> Recalibrated:
    """Update a registered version to local patients and register it as a new version.

    The new version holds the numbers of the update and no row of a patient. It is the challenger of
    its name until it passes the gate.

    Parameters
    ----------
    loaded : LoadedModel
        From the registry, by version or alias.
    cohort : Cohort
        From `training.score.cohort_for_model`, with the model's outcome.
    method : {"intercept", "slope", "site", "refit"}, optional
        Default: what the closed test chooses; with `old`, a refit to old and new patients together
        is among the candidates, and chosen where its Brier score is lower than that of the closed
        test's choice, by an interval below 0 at some horizon and at no horizon a higher estimate.
    old : Cohort, optional
        All patients that the model learned from, which a refit needs.

    Raises
    ------
    UsageError
        If the model is no registered version, or learned from some of these patients; with `old`,
        as `training.run.refit.old_and_new`.
    DataError
        If the outcomes are too few, or the closed test chooses no update.
    VersionWithdrawn
        If the version was withdrawn.
    OutsideError
        If the registry fails.
    """
    contract, version = loaded.risk_model.contract, _standing_version(loaded)
    _same_kind_of_patients(contract, cohort)
    if old is not None or method == "refit":
        return _with_refit(loaded, version, cohort, method, old, progress)
    return _recalibrated(loaded, version, cohort, method)


def _recalibrated(
    loaded: LoadedModel, version: str, cohort: Cohort, method: RecalibrationMethod | None
) -> Recalibrated:
    """Update level and spread of a version to patients that it did not learn from."""
    overlap = overlap_with_training(loaded, cohort)
    if overlap.shared:
        raise UsageError(
            f"the model must be updated with patients that it did not learn from; it learned from "
            f"{overlap.shared} of {overlap.patients}. Leave them out."
        )
    before = predict_cohort(loaded.risk_model, cohort)
    local = local_patients(before)
    tested = closed_test(local)
    chosen = method or _chosen(tested, local)
    after = updated_out_of_fold(before, cohort, chosen, random_state=_SEED)
    judged = [
        judge(each, cohort, n_bootstrap=_RESAMPLES, random_state=_SEED) for each in (before, after)
    ]
    update = LocalUpdate.fitted(local, chosen, cohort.site)
    updated = updated_model(
        loaded.risk_model, update.update, sites=update.sites, competing=_of_competing(before)
    )
    record = ModelUpdate(
        method=chosen,
        of_version=version,
        of_sha256=loaded.sha256,
        patients=before.patients,
        stays=before.stays,
        events=before.events,
        horizons_days=local.horizons_days,
        shift=tuple(update.update.shift_at(local.horizons_days).tolist()),
        slope=update.update.slope,
        simulated=cohort.simulated,
        cohort_fingerprint=_as_read(updated, cohort).fingerprint(),
        at=datetime.now(UTC).isoformat(timespec="seconds"),
    )
    risk_model = _completed(updated, record, cohort, judged[1], after)
    _LOG.info("updated %s version %s by %s on %d rows", loaded.name, version, chosen, before.stays)
    findings = UpdateFindings(
        name=loaded.name,
        contract=risk_model.contract,
        update=record,
        tested=tested,
        sites=update.sites,
        predictions=(before, after),
        judgements=(judged[0], judged[1]),
    )
    return _registered(loaded, risk_model, cohort, findings, overlap.not_known)


def _with_refit(
    loaded: LoadedModel,
    version: str,
    cohort: Cohort,
    method: UpdateMethod | None,
    old: Cohort | None,
    progress: Progress | None,
) -> Recalibrated:
    """Refit a version to old and new patients together, if stated or better than an update."""
    if old is None:
        raise UsageError(
            "a refit learns from old and new patients together and needs both. Give the cohort "
            "that the model learned from (--old)."
        )
    if method not in (None, "refit"):
        raise UsageError(
            f"an update by {method} reads the new patients alone; leave out --old, or state "
            "--method refit."
        )
    patients = old_and_new(loaded, old, cohort)
    settings = settings_of(loaded.risk_model.contract)
    before = predict_cohort(loaded.risk_model, patients.new)
    tested = closed_test(local_patients(before))
    after, plan = judge_refit(loaded.risk_model.contract, patients, settings, progress=progress)
    smaller = before
    if tested.chosen != "none":
        smaller = updated_out_of_fold(before, patients.new, tested.chosen, random_state=_SEED)
    fold = after.repeats[0].fold
    compare = UpdateComparison(before, _RESAMPLES, _SEED)
    if method is None and not compare.is_better(smaller.risk, after.risk, fold):
        _LOG.info("a refit is no better than the closed test's choice, %s", tested.chosen)
        return _recalibrated(loaded, version, patients.new, None)
    judged = [
        judge(each, patients.new, n_bootstrap=_RESAMPLES, random_state=_SEED)
        for each in (before, after)
    ]
    record = ModelUpdate(
        method="refit",
        of_version=version,
        of_sha256=loaded.sha256,
        patients=len(np.unique(cohort.patient_id.astype(str))),
        stays=len(cohort),
        events=int((outcome_of(cohort).event == 1).sum()),
        horizons_days=(),
        shift=(),
        slope=1.0,
        simulated=cohort.simulated,
        cohort_fingerprint=cohort.fingerprint(),
        at=datetime.now(UTC).isoformat(timespec="seconds"),
    )
    risk_model = refitted_model(
        loaded, patients, record, after, plan, judged[1], settings, progress=progress
    )
    findings = UpdateFindings(
        name=loaded.name,
        contract=risk_model.contract,
        update=record,
        tested=tested,
        sites=None,
        predictions=(before, after),
        judgements=(judged[0], judged[1]),
        refit=RefitFacts(
            patients.old_patients,
            patients.in_both,
            compare.changes(before.risk, after.risk, fold),
            tested.chosen,
            compare.changes(smaller.risk, after.risk, fold),
        ),
    )
    return _registered(loaded, risk_model, patients.cohort, findings, "")


def _registered(
    loaded: LoadedModel,
    risk_model: RiskModel,
    cohort: Cohort,
    findings: UpdateFindings,
    overlap_not_known: str,
) -> Recalibrated:
    """Log an update with its report, and register it as the challenger; `cohort` is logged."""
    update, (before, after) = findings.update, findings.judgements
    with tracked_run(loaded.name, command="osteon recalibrate") as run:
        _keep(run, loaded, risk_model.contract, cohort, findings)
        created = register_update(risk_model, run_id=run.run_id, of_version=update.of_version)
    _LOG.info("registered %s version %s as challenger", created.name, created.version)
    return Recalibrated(
        model_name=created.name,
        version=created.version,
        model_uri=created.model_uri,
        method=update.method,
        of_version=update.of_version,
        tested=findings.tested,
        before=before.metrics,
        after=after.metrics,
        overlap_not_known=overlap_not_known,
        report=run.location(_REPORT),
        in_both=0 if findings.refit is None else findings.refit.in_both,
    )


def _standing_version(loaded: LoadedModel) -> str:
    """Return the number of a registered version that was not withdrawn."""
    if loaded.version is None:
        raise UsageError(
            "a model must be a registered version to be updated, so that the update has a lineage. "
            "Give models:/NAME/VERSION or models:/NAME@ALIAS."
        )
    version = find_version(loaded.name, version=loaded.version)
    check_standing(version, list_models(loaded.name))
    return loaded.version


def _same_kind_of_patients(contract: Contract, cohort: Cohort) -> None:
    """Refuse to update a model of real patients with simulated ones."""
    if cohort.simulated and not contract.simulated:
        raise UsageError(
            "a model of real patients must not be updated with simulated patients; the cohort is "
            "marked as simulated. Give the outcomes of local patients."
        )


def _chosen(tested: ClosedTest, local: LocalPatients) -> RecalibrationMethod:
    """Return the closed test's choice, or refuse an update that the patients do not support."""
    if tested.chosen == "none":
        raise DataError(
            f"the closed test supports no update: the {len(np.unique(local.patient)):,} patients "
            f"are compatible with the model as it is (p = {tested.tests[0].p:.2f}). Bring more "
            "patients, or state --method."
        )
    return tested.chosen


def _of_competing(before: Predictions) -> AffineUpdate | None:
    """Return the level of the competing event; None without its curve, or with too few events."""
    curve, days = before.competing_curve, before.curve_days
    if curve is None or days is None:
        return None
    at = [int(np.abs(days - horizon).argmin()) for horizon in before.horizons_days]
    exchanged = np.array([0, 2, 1])[before.event]
    try:
        local = LocalPatients.of(
            log_odds(curve[:, at]),
            before.time_days,
            exchanged,
            [float(days[place]) for place in at],
            patients=before.patient_id,
        )
        return fit_update(local, "intercept")
    except DataError:
        return None


def _as_read(updated: RiskModel, cohort: Cohort) -> Cohort:
    """Return a cohort as the updated model reads it: with the site among its columns or without."""
    if SITE not in updated.features:
        return cohort
    return replace(cohort, features=cohort.features.assign(**{SITE: cohort.site}))


def _completed(
    updated: RiskModel,
    record: ModelUpdate,
    cohort: Cohort,
    judgement: Judgement,
    predictions: Predictions,
) -> RiskModel:
    """Return the updated model with its lineage and its figures in the contract."""
    contract = updated.contract
    grid = np.asarray(contract.grid_days, dtype=np.float64)
    features = _as_read(updated, cohort).features
    mean_risk: NDArray[np.float64] = updated.risk(features, grid).mean(axis=0)
    evaluation = Evaluation(
        split="patient",
        stays=predictions.stays,
        patients=predictions.patients,
        events=predictions.events,
        refused=predictions.refusals.refused,
        bootstrap_resamples=_RESAMPLES,
        cohort_fingerprint=predictions.cohort_fingerprint,
        metrics=_held_out(judgement.metrics),
        blanked=_held_out(judgement.blanked),
        method="cross-validation",
        folds=UPDATE_FOLDS,
        refitted=True,
        groups=groups_judged(judgement, predictions.horizons_days),
        of_update=True,
    )
    return updated.with_contract(
        replace(
            contract,
            cohort_risk=tuple(mean_risk.tolist()),
            evaluation=evaluation,
            added_value=None,
            updates=(*contract.updates, record),
        )
    )


def _held_out(metrics: Sequence[Metric]) -> tuple[HeldOutMetric, ...]:
    return tuple(HeldOutMetric(**metric.as_json()) for metric in metrics)


def _keep(
    run: TrackedRun,
    loaded: LoadedModel,
    contract: Contract,
    cohort: Cohort,
    findings: UpdateFindings,
) -> None:
    """Log the update, its figures and the report to the run."""
    update, (before, after) = findings.update, findings.judgements
    page = write_update_report(findings)
    run.log_dataset(logged_patients(contract, cohort, update.cohort_fingerprint, context="update"))
    run.log(
        params={
            "method": update.method,
            "of_version": update.of_version,
            "of_sha256": update.of_sha256,
            "slope": update.slope,
            "shift": list(update.shift),
            "horizons_days": list(update.horizons_days),
        },
        metrics={},
        tags={
            "osteon.population": contract.population,
            "osteon.simulated": str(contract.simulated).lower(),
            "osteon.updated_from": update.of_version,
        },
        files={
            "evaluation.json": json.dumps(
                {"before": before.as_json(), "after": after.as_json()}, indent=2
            ),
            "contract.json": json.dumps(contract.as_json(), indent=2, ensure_ascii=False),
            _REPORT: page.html,
            **_fingerprints(loaded, cohort),
            **{f"plots/{name}.svg": svg for name, svg in page.plots.items()},
        },
    )


def _fingerprints(loaded: LoadedModel, cohort: Cohort) -> dict[str, str]:
    """Return fingerprints of the patients of model and update, where both can be made."""
    key = patient_key()
    before = None if loaded.run_id is None else stored_fingerprints(loaded.run_id)
    own = None if key is None else PatientFingerprints.of(cohort.patient_id, key)
    if before is None or own is None or before.key != own.key:
        return {}
    both = PatientFingerprints(own.key, own.patients | before.patients)
    return {FINGERPRINTS_FILE: both.as_json()}
