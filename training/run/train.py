"""One training run, step by step: from a checked cohort to a registered challenger."""

from __future__ import annotations

import logging
from dataclasses import dataclass, replace

import numpy as np

from data_schema.cohort import Cohort, outcome_of
from models.estimator import CumulativeIncidenceModel
from models.fitting.training_cohort import Progress
from models.inference.contract import Description
from models.registry.lifecycle import register
from training.cohorts.description import Grouping, by_outcome, describe, only
from training.cohorts.panel import panel_of
from training.cohorts.splits import Split, split_by_patient
from training.cohorts.study import Study
from training.config import RunConfig
from training.fit import fit_osteon
from training.run.contract import completed_contract
from training.run.mlflow_run import tracked_run
from training.run.record import HELD_OUT, LEARNED_FROM, REPORT, RunPatients, keep_record
from training.validation.judgement import Findings, Judgement, judge, primary_horizon
from training.validation.panel_value import PanelValue, panel_value
from training.validation.predictions import Predictions, predict_cohort, require_evaluable
from training.validation.sample_size import patients_needed, too_few_patients
from training.validation.severity_alone import severity_alone

__all__ = ["Trained", "train"]

_LOG = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Trained:
    """The result of a run.

    Parameters
    ----------
    outcome, model_name, version, model_uri, run_id : str
        The registered challenger, and its MLflow run.
    n_train, n_test, events : int
        Training stays, held-out stays, and events among both.
    linear_weight : float
        Weight of the linear part in the mixture.
    trees : int
        Number of trees of the boosted part.
    judgement : Judgement
        Metrics, subgroups and distribution of risks of the held-out patients.
    added_value : PanelValue or None
        Added value of the panel in the settings, among the training patients.
    report : str
        Path or URI of the report.
    """

    outcome: str
    model_name: str
    version: str
    model_uri: str
    run_id: str
    n_train: int
    n_test: int
    events: int
    linear_weight: float
    trees: int
    judgement: Judgement
    added_value: PanelValue | None
    report: str

    def as_json(self) -> dict[str, object]:
        """Return what `osteon train --json` prints; `added_value` only if there is a panel."""
        return {
            "outcome": self.outcome,
            "model_name": self.model_name,
            "version": self.version,
            "model_uri": self.model_uri,
            "run_id": self.run_id,
            "n_train": self.n_train,
            "n_test": self.n_test,
            "events": self.events,
            "linear_weight": self.linear_weight,
            "trees": self.trees,
            "refused": self.judgement.refusals.refused,
            "metrics": [metric.as_json() for metric in self.judgement.metrics],
            "metrics_of_answered": [
                metric.as_json() for metric in self.judgement.metrics_of_answered
            ],
            "report": self.report,
            **({} if self.added_value is None else {"added_value": self.added_value.as_json()}),
        }


def train(study: Study, config: RunConfig, *, progress: Progress | None = None) -> Trained:
    """Split, fit, evaluate, explain, log and register the model of a checked study.

    The registered model is the one that was evaluated; it is not refitted to all patients.
    """
    split = split_by_patient(
        study.cohort,
        test_fraction=config.test_fraction,
        random_state=config.seed,
        by=None if config.split == "patient" else config.split,
    )
    learned_from, held_out = study.cohort.take(split.train), study.cohort.take(split.test)
    require_evaluable(held_out, study.horizons_days)
    needed = patients_needed(learned_from, study.horizons_days)
    for finding in too_few_patients(len(np.unique(learned_from.patient_id.astype(str))), needed):
        _LOG.warning("warning: [%s] %s", finding.rule, finding.message)
    panel = panel_of(learned_from, config.added_value, config.over) if config.added_value else None
    with tracked_run(study.model_name) as run:
        added = None
        if panel is not None:
            training_study = replace(study, cohort=learned_from)
            added = panel_value(training_study, panel, config, progress=progress)
            _LOG.info("judged the panel at %g days: %s", added.primary_horizon_days, added.verdict)
        fitted = _fit(study, config, learned_from, progress)
        predictions = predict_cohort(fitted.risk_model_, held_out)
        judgement = judge(
            predictions, held_out, n_bootstrap=config.bootstrap_resamples, random_state=config.seed
        )
        _LOG.info(
            "evaluated on %d held-out rows, %d refused",
            predictions.stays,
            predictions.refusals.refused,
        )
        usable = predictions.judged_horizons(judgement.metrics)
        severity = severity_alone(learned_from, held_out, predictions, usable, config)
        described = _described(study, split, predictions, judgement)
        contract = completed_contract(
            fitted.risk_model_.contract,
            study,
            config,
            learned_from=learned_from,
            held_out=predictions,
            metrics=judgement.metrics,
            described=only(described, [LEARNED_FROM]),
            added_value=added,
        )
        risk_model = fitted.risk_model_.with_contract(contract)
        patients = RunPatients(learned_from, held_out, described)
        findings = Findings(predictions, judgement, needed, added, severity)
        seconds = {"core": fitted.core_fit_seconds_, "fold": fitted.fold_fit_seconds_}
        keep_record(run, risk_model, findings, patients, seconds=seconds)
        version = register(risk_model, run_id=run.run_id, dataset=study.cohort.name)
        _LOG.info("registered %s version %s as challenger", version.name, version.version)
    return Trained(
        outcome=study.outcome.name,
        model_name=version.name,
        version=version.version,
        model_uri=version.model_uri,
        run_id=run.run_id,
        n_train=len(learned_from),
        n_test=len(held_out),
        events=int((outcome_of(study.cohort).event == 1).sum()),
        linear_weight=fitted.linear_weight_,
        trees=fitted.n_trees_,
        judgement=judgement,
        added_value=added,
        report=run.location(REPORT),
    )


def _fit(
    study: Study, config: RunConfig, learned_from: Cohort, progress: Progress | None
) -> CumulativeIncidenceModel:
    """Fit to the training rows, with every choice made out of fold among them."""
    fitted = fit_osteon(
        learned_from,
        horizons_days=study.horizons_days,
        random_state=config.seed,
        interval_folds=config.interval_folds,
        max_trees=config.max_trees,
        threads=config.threads,
        progress=progress,
    )
    _LOG.info(
        "fitted on %d rows in %.1f s, and %d fold models for intervals in %.1f s",
        len(learned_from),
        fitted.core_fit_seconds_,
        config.interval_folds,
        fitted.fold_fit_seconds_,
    )
    return fitted


def _described(
    study: Study, split: Split, predictions: Predictions, judgement: Judgement
) -> Description:
    """Describe all patients by outcome, and by whether they were held out."""
    outcome = by_outcome(
        outcome_of(study.cohort),
        primary_horizon(predictions.horizons_days, judgement.metrics),
        event_label=study.outcome.event_singular,
        competing="death" if study.outcome.competing_label else None,
    )
    part = np.isin(np.arange(len(study.cohort)), split.test).astype(np.int64)
    return describe(study.cohort, [outcome, Grouping(labels=[LEARNED_FROM, HELD_OUT], group=part)])
