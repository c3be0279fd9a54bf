"""A registered version fitted anew to its old patients and new ones together."""

from __future__ import annotations

import logging
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from data_schema.cohort import Cohort, outcome_of
from data_schema.errors import UsageError
from models.fitting.training_cohort import Progress
from models.fitting.updated_model import SITE
from models.inference.contract import Contract, Description, ModelUpdate
from models.inference.risk_model import RiskModel
from models.metrics.metric import primary_horizon
from models.registry.lifecycle import LoadedModel
from training.cohorts.description import by_outcome, describe, only
from training.cohorts.splits import Split, folds_by_patient
from training.cohorts.study import Study, outcome_of_model
from training.config import Boosting, RunConfig
from training.fit import FOLDS, fit_osteon, with_columns
from training.run.contract import completed_contract
from training.run.record import EVERYONE
from training.validation.cross_validation import cross_validate
from training.validation.judgement import Judgement
from training.validation.overlap import overlap_with_training
from training.validation.plan import EvaluationPlan
from training.validation.predictions import Predictions
from training.validation.sample_size import patients_needed

__all__ = ["OldAndNew", "judge_refit", "old_and_new", "refitted_model", "settings_of"]

_LOG = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class OldAndNew:
    """The patients that a version learned from and new ones, in one cohort.

    Parameters
    ----------
    cohort : Cohort
        Every stay once: one that is in both cohorts stands as the new one describes it. It has the
        columns that the model reads.
    new_rows : ndarray of int, shape (n_new,)
        Stays of new patients whom the old cohort does not hold, ascending: all that are judged.
    new : Cohort
        These stays as the model reads them.
    in_both : int
        Patients in both cohorts. They are learned from and never judged.
    old_patients : int
    """

    cohort: Cohort
    new_rows: NDArray[np.int64]
    new: Cohort
    in_both: int
    old_patients: int


def old_and_new(loaded: LoadedModel, old: Cohort, new: Cohort) -> OldAndNew:
    """Return the patients of a version and new ones together.

    Parameters
    ----------
    loaded : LoadedModel
        From the registry.
    old, new : Cohort
        From `training.score.cohort_for_model`, with the model's outcome. Identifiers of both are of
        one system: equal ones are one patient.

    Raises
    ------
    UsageError
        If the model did not learn from the old cohort, learned from further new patients, or no
        patient is new.
    """
    _require_learned_from(loaded, old)
    of_old, of_new = (cohort.patient_id.astype(str) for cohort in (old, new))
    shared = np.isin(of_new, of_old)
    if shared.all():
        raise UsageError(
            "the new cohort must hold patients that the old one does not; all "
            f"{len(np.unique(of_new))} of its patients are in both. Give new patients."
        )
    unseen = new.take(~shared)
    overlap = overlap_with_training(loaded, unseen)
    if overlap.shared:
        raise UsageError(
            f"the model learned from {overlap.shared} of {overlap.patients} new patients that the "
            "old cohort does not hold. Give the whole cohort that it learned from."
        )
    first = old.take(~np.isin(_stays(old), _stays(new)))
    contract = loaded.risk_model.contract
    columns = [feature.name for feature in contract.features if feature.name != SITE]
    together = _joined(with_columns(first, columns), with_columns(new, columns))
    return OldAndNew(
        together,
        len(first) + np.flatnonzero(~shared),
        unseen,
        len(np.unique(of_new[shared])),
        len(np.unique(of_old)),
    )


def _require_learned_from(loaded: LoadedModel, old: Cohort) -> None:
    """Refuse a cohort that is not known to be the one that the model learned from."""
    if old.fingerprint() in loaded.risk_model.contract.learned_from:
        return
    overlap = overlap_with_training(loaded, old)
    if overlap.shared is None or overlap.shared < overlap.patients:
        known = (
            f"it is not known whether the model learned from them ({overlap.not_known})"
            if overlap.shared is None
            else f"it learned from {overlap.shared} of {overlap.patients} patients"
        )
        raise UsageError(
            f"the old cohort must be the one that the model learned from; {known}. Give the file "
            "and mapping of its training run."
        )


def _stays(cohort: Cohort) -> NDArray[np.str_]:
    """Return patient and stay of every row as one text."""
    pairs = zip(cohort.patient_id, cohort.stay_id, strict=True)
    return np.array([f"{patient}\n{stay}" for patient, stay in pairs], dtype=np.str_)


def _joined(first: Cohort, second: Cohort) -> Cohort:
    """Return the stays of two cohorts with the same columns, the first before the second."""
    one, other = outcome_of(first), outcome_of(second)
    outcome = replace(
        one,
        time_days=np.concatenate([one.time_days, other.time_days]),
        event=np.concatenate([one.event, other.event]),
    )
    return replace(
        first,
        features=pd.concat([first.features, second.features], ignore_index=True),
        patient_id=np.concatenate([first.patient_id, second.patient_id]),
        stay_id=np.concatenate([first.stay_id, second.stay_id]),
        outcome=outcome,
        not_done=None,
        site=_both(first.site, second.site),
        time_zero=_both(first.time_zero, second.time_zero),
        name="",
        simulated=first.simulated or second.simulated,
        scenario=first.scenario if first.scenario == second.scenario else "",
        treatment_limits=None,
        social=None,
    )


def _both(
    first: NDArray[np.object_] | None, second: NDArray[np.object_] | None
) -> NDArray[np.object_] | None:
    """Return what both cohorts state of their stays; None where one does not."""
    return None if first is None or second is None else np.concatenate([first, second])


def judge_refit(
    contract: Contract,
    patients: OldAndNew,
    config: RunConfig,
    *,
    progress: Progress | None = None,
) -> tuple[Predictions, EvaluationPlan]:
    """Predict new patients by fits to the old ones and the other new ones.

    Returns
    -------
    Predictions
        Of the stays `patients.new_rows`; no patient is learned from and predicted at once.
    EvaluationPlan
        The folds.
    """
    splits = (
        Split(train=split.train, test=np.intersect1d(split.test, patients.new_rows))
        for split in folds_by_patient(patients.cohort, folds=FOLDS, random_state=config.seed)
    )
    plan = EvaluationPlan(
        "cross-validation",
        "patient",
        (tuple(split for split in splits if len(split.test)),),
        refitted=True,
    )
    grid = None if contract.fixed_horizon else np.asarray(contract.grid_days, dtype=np.float64)
    predictions = cross_validate(
        patients.cohort,
        plan,
        contract.default_horizons_days,
        config,
        curve_days=grid,
        progress=progress,
    )
    return predictions, plan


def refitted_model(
    loaded: LoadedModel,
    patients: OldAndNew,
    record: ModelUpdate,
    predictions: Predictions,
    plan: EvaluationPlan,
    judgement: Judgement,
    config: RunConfig,
    *,
    progress: Progress | None = None,
) -> RiskModel:
    """Fit a model to old and new patients, with the estimand and the lineage of the version before.

    Parameters
    ----------
    record : ModelUpdate
        Of this refit, which the contract's `updates` end with.
    predictions, plan, judgement
        Of `judge_refit`.
    """
    before = loaded.risk_model.contract
    horizons, cohort = before.default_horizons_days, patients.cohort
    population = f"{before.population.rstrip('.')}; together with new patients of {record.at[:10]}"
    study = Study(
        cohort=replace(cohort, population=population),
        outcome=outcome_of_model(before),
        time_zero=before.time_zero,
        horizons_days=horizons,
        model_name=before.name,
        warnings=(),
        population_described=before.population_described,
        facts=before.study,
    )
    fitted = fit_osteon(
        cohort,
        horizons_days=horizons,
        random_state=config.seed,
        interval_folds=config.interval_folds,
        max_trees=config.max_trees,
        boosting=config.boosting,
        threads=config.threads,
        progress=progress,
    )
    _LOG.info("fitted on %d rows of old and new patients", len(cohort))
    contract = completed_contract(
        fitted.risk_model_.contract,
        study,
        config,
        plan,
        learned_from=cohort,
        evaluated=predictions,
        judgement=judgement,
        needed=patients_needed(cohort, horizons),
        described=_described(before, cohort, judgement),
        added_value=None,
    )
    return fitted.risk_model_.with_contract(_of_the_same_model(contract, before, record))


def _of_the_same_model(contract: Contract, before: Contract, record: ModelUpdate) -> Contract:
    """Return a contract with the words and the lineage of the version before."""
    own, earlier = contract.provenance, before.provenance
    if own is not None and earlier is not None:
        # The cohort that the first version learned from stays recognisable.
        own = replace(own, data_fingerprint=earlier.data_fingerprint)
    return replace(
        contract,
        asked_within_days=before.asked_within_days,
        dropped=before.dropped,
        provenance=own,
        updates=(*before.updates, record),
    )


def _described(before: Contract, cohort: Cohort, judgement: Judgement) -> Description:
    """Describe the patients learned from."""
    days = primary_horizon(before.default_horizons_days, judgement.metrics)
    groups = by_outcome(
        outcome_of(cohort), days, event_label=before.event_singular, competing=before.competing
    )
    return only(describe(cohort, [groups]), [EVERYONE])


def settings_of(contract: Contract) -> RunConfig:
    """Return the settings of the run that fitted a model, as far as they concern fits.

    Flags of "recorded as not done" are among the model's columns where it learned from them, so
    that no fit chooses them anew.
    """
    run, known = contract.run, RunConfig()

    def number(name: str, default: int) -> int:
        value = run.get(name)
        return value if isinstance(value, int) else default

    boosting = run.get("boosting")
    return replace(
        known,
        seed=number("seed", known.seed),
        bootstrap_resamples=number("bootstrap_resamples", known.bootstrap_resamples),
        interval_folds=number("interval_folds", known.interval_folds),
        max_trees=number("max_trees", known.max_trees),
        boosting=Boosting(**boosting) if isinstance(boosting, dict) else known.boosting,
    )
