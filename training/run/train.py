"""One training run, step by step: from a checked cohort to a registered challenger."""

from __future__ import annotations

import logging
import time
from dataclasses import asdict, dataclass, replace

import numpy as np
from numpy.typing import NDArray

from data_schema.cohort import Cohort, outcome_of
from models.estimator import CumulativeIncidenceModel
from models.fitting.training_cohort import Progress
from models.inference.contract import Contract, Description, Evaluation, TrainingFacts
from models.metrics.metric import primary_horizon
from models.registry.lifecycle import register
from training.cohorts.description import Grouping, by_outcome, describe, only
from training.cohorts.panel import panel_of
from training.cohorts.study import Study
from training.config import Missingness, RunConfig, Tuning
from training.diagnosis.diagnose import diagnose_study
from training.fit import fit_osteon
from training.missingness import modelled_study
from training.report.content import REPORT
from training.run.contract import completed_contract
from training.run.mlflow_run import TrackedRun, tracked_run
from training.run.panel_refit import with_panel_refit
from training.run.record import EVERYONE, HELD_OUT, LEARNED_FROM, RunPatients, keep_record
from training.run.true_added_value import true_added_value
from training.tuning import Trial, tune
from training.validation.cross_validation import cross_validate
from training.validation.judgement import Findings, Judgement, judge
from training.validation.panel_value import PanelValue, panel_value
from training.validation.patient_or_work_up import patient_or_work_up
from training.validation.plan import EvaluationPlan, evaluation_plan
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
    n_train, n_evaluated, events : int
        Stays that the registered model learned from, stays that the figures are of, and stays with
        the event in the whole cohort. After cross-validation, all three are of all stays.
    missingness : {"ignorable", "informative"}
        Whether the model learned from flags of "recorded as not done".
    training : TrainingFacts
        The patients that the registered model learned from, and what was chosen.
    evaluation : Evaluation
        What the figures are of: how they were obtained, and whether the registered model learned
        from all patients afterwards.
    linear_weight : float
        Weight of the linear part in the mixture.
    trees : int
        Number of trees of the boosted part.
    judgement : Judgement
        Metrics, subgroups and distribution of risks of the patients judged.
    added_value : PanelValue or None
        Added value of the panel in the settings, among the patients learned from.
    report : str
        Path or URI of the report.
    """

    outcome: str
    model_name: str
    version: str
    model_uri: str
    run_id: str
    n_train: int
    n_evaluated: int
    events: int
    training: TrainingFacts
    evaluation: Evaluation
    missingness: Missingness
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
            "n_evaluated": self.n_evaluated,
            "events": self.events,
            "evaluation": {
                "method": self.evaluation.method,
                "split": self.evaluation.split,
                "folds": self.evaluation.folds,
                "repeats": self.evaluation.repeats,
                "refitted": self.evaluation.refitted,
            },
            "missingness": self.missingness,
            "linear_weight": self.linear_weight,
            "trees": self.trees,
            "refused": self.judgement.refusals.refused,
            "metrics": [metric.as_json() for metric in self.judgement.metrics],
            "blanked": [metric.as_json() for metric in self.judgement.blanked],
            "metrics_of_answered": [
                metric.as_json() for metric in self.judgement.metrics_of_answered
            ],
            "report": self.report,
            **({} if self.added_value is None else {"added_value": self.added_value.as_json()}),
        }


def train(study: Study, config: RunConfig, *, progress: Progress | None = None) -> Trained:
    """Fit, judge, explain, log and register the model of a checked study.

    The registered model learns from all patients. Its figures are those of the procedure that
    fitted it, out of fold (`training.validation.plan`), or of patients held out where the settings
    say so; only with `refit_on_all = false` are they of the registered model itself.
    """
    plan = evaluation_plan(study.cohort, config)
    learned_from = plan.learned_from(study.cohort)
    evaluated = study.cohort.take(plan.evaluated)
    require_evaluable(evaluated, study.horizons_days)
    needed = patients_needed(learned_from, study.horizons_days)
    for finding in too_few_patients(len(np.unique(learned_from.patient_id.astype(str))), needed):
        _LOG.warning("warning: [%s] %s", finding.rule, finding.message)
    panel = panel_of(learned_from, config.added_value, config.over) if config.added_value else None
    with tracked_run(study.model_name) as run:
        if config.tuning is not None:
            config = _tuned(study, plan, config, config.tuning, run, progress)
        added = None
        if panel is not None:
            training_study = replace(study, cohort=learned_from)
            added = panel_value(
                training_study,
                panel,
                config,
                primary_horizon_days=config.primary_horizon_days,
                progress=progress,
            )
            added = replace(added, true_change=_truth(study, added))
            _LOG.info("judged the panel at %g days: %s", added.primary_horizon_days, added.verdict)
        modelled = modelled_study(learned_from, study, config)
        fitted = _fit(modelled, config, plan.learned_from(modelled.cohort), progress)
        started = time.perf_counter()
        predictions = _predictions(fitted, study, modelled, plan, config, progress)
        judging_seconds = time.perf_counter() - started
        judgement = judge(
            predictions, evaluated, n_bootstrap=config.bootstrap_resamples, random_state=config.seed
        )
        _LOG.info(
            "evaluated on %d rows (%s, %d fits in %.1f s), %d refused",
            predictions.stays,
            plan.method,
            plan.fits,
            judging_seconds,
            predictions.refusals.refused,
        )
        usable = predictions.judged_horizons(judgement.metrics)
        severity = severity_alone(
            study.cohort, plan, predictions, usable, config, progress=progress
        )
        started = time.perf_counter()
        work_up = patient_or_work_up(
            study.cohort,
            plan,
            predictions,
            usable,
            severity_risk=None if severity is None else severity.risk,
            random_state=config.seed,
        )
        work_up_seconds = time.perf_counter() - started
        started = time.perf_counter()
        diagnosis = diagnose_study(replace(study, cohort=learned_from), random_state=config.seed)
        diagnosis_seconds = time.perf_counter() - started
        described = _described(study, plan, predictions, judgement)
        contract = completed_contract(
            fitted.risk_model_.contract,
            study,
            config,
            plan,
            learned_from=learned_from,
            evaluated=predictions,
            judgement=judgement,
            needed=needed,
            described=only(described, [EVERYONE if plan.refitted else LEARNED_FROM]),
            added_value=added,
        )
        evaluation = contract.evaluation
        assert evaluation is not None  # completed above
        risk_model = with_panel_refit(
            fitted.risk_model_.with_contract(contract),
            plan.learned_from(modelled.cohort),
            config,
            progress=progress,
        )
        held_out = plan.method == "hold-out"
        patients = RunPatients(
            learned_from,
            evaluated,
            study.cohort.take(plan.repeats[0][0].train) if held_out else None,
            described,
            diagnosis,
        )
        findings = Findings(predictions, judgement, needed, added, severity, work_up)
        seconds = {
            "core": fitted.core_fit_seconds_,
            "fold": fitted.fold_fit_seconds_,
            "judging": judging_seconds,
            "work_up": work_up_seconds,
            "diagnosis": diagnosis_seconds,
        }
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
        n_evaluated=len(evaluated),
        events=int((outcome_of(study.cohort).event == 1).sum()),
        training=contract.training,
        evaluation=evaluation,
        missingness=contract.missingness,
        linear_weight=fitted.linear_weight_,
        trees=fitted.n_trees_,
        judgement=judgement,
        added_value=added,
        report=run.location(REPORT),
    )


def _tuned(
    study: Study,
    plan: EvaluationPlan,
    config: RunConfig,
    tuning: Tuning,
    run: TrackedRun,
    progress: Progress | None,
) -> RunConfig:
    """Return the settings with a boosted part that was tuned without the patients held out.

    The registered model has the same settings, whatever other patients it learns from afterwards.
    """

    def log(trial: Trial) -> None:
        run.log_child(
            f"trial {trial.number}",
            params={**asdict(trial.boosting), "max_trees": trial.max_trees},
            metrics={} if trial.loss is None else {"tuning/boosted_loss": trial.loss},
            pruned=trial.loss is None,
        )

    (split,) = plan.repeats[0]
    not_held_out = study.cohort.take(split.train)
    tuned = tune(not_held_out, study.horizons_days, config, tuning, on_trial=log, progress=progress)
    losses = {"tuning/loss": tuned.loss, "tuning/default_loss": tuned.default_loss}
    run.log(params={}, metrics=losses, tags={}, files={})
    return replace(config, boosting=tuned.boosting, max_trees=tuned.max_trees)


def _truth(study: Study, added: PanelValue) -> float | None:
    """Return what the panel truly adds, where the patients are of a known simulated population."""
    return true_added_value(
        study.cohort.scenario,
        study.outcome.name,
        added.panel.columns,
        added.primary_horizon_days,
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
        boosting=config.boosting,
        threads=config.threads,
        dask=config.dask,
        progress=progress,
    )
    _LOG.info(
        "fitted on %d rows in %.1f s, and %d fold models for intervals in %.1f s",
        len(learned_from),
        fitted.core_fit_seconds_,
        config.interval_folds,
        fitted.fold_fit_seconds_,
    )
    _LOG.info(
        "first figures, of the predictions that the fit made its choices on (the evaluation "
        "follows): area under the curve %s",
        ", ".join(
            f"{auroc:.3f} at {days:g} days"
            for days, auroc in zip(study.horizons_days, fitted.out_of_fold_auroc_, strict=True)
        ),
    )
    return fitted


def _predictions(
    fitted: CumulativeIncidenceModel,
    study: Study,
    modelled: Study,
    plan: EvaluationPlan,
    config: RunConfig,
    progress: Progress | None,
) -> Predictions:
    """Predict the patients judged, by fits that have not learned from them.

    `modelled` is the study with the flags of the registered model; fits of a cross-validation
    choose theirs from their own patients.
    """
    if not plan.refitted:
        return predict_cohort(fitted.risk_model_, modelled.cohort.take(plan.evaluated))
    contract = fitted.risk_model_.contract
    return cross_validate(
        study.cohort,
        plan,
        contract.default_horizons_days,
        config,
        curve_days=_curve_days(contract),
        progress=progress,
    )


def _curve_days(contract: Contract) -> NDArray[np.float64] | None:
    """Return the days of the model's curve; None if the outcome is known at one horizon only."""
    return None if contract.fixed_horizon else np.asarray(contract.grid_days, dtype=np.float64)


def _described(
    study: Study, plan: EvaluationPlan, predictions: Predictions, judgement: Judgement
) -> Description:
    """Describe all patients by outcome, then those learned from and those held out, if any."""
    outcome = by_outcome(
        outcome_of(study.cohort),
        primary_horizon(predictions.horizons_days, judgement.metrics),
        event_label=study.outcome.event_singular,
        competing=study.outcome.competing_label and study.outcome.competing_noun,
    )
    if plan.method == "cross-validation":
        return describe(study.cohort, [outcome])
    part = np.isin(np.arange(len(study.cohort)), plan.evaluated).astype(np.int64)
    return describe(study.cohort, [outcome, Grouping(labels=[LEARNED_FROM, HELD_OUT], group=part)])
