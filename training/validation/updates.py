"""What updates of a model to local patients would gain, each judged out of fold."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal, get_args

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import expit

from data_schema.cohort import Cohort
from data_schema.errors import DataError, UsageError
from models.fitting.recalibration import (
    AffineUpdate,
    ClosedTest,
    Family,
    LocalPatients,
    SiteLevels,
    closed_test,
    fit_site_levels,
    fit_update,
)
from models.fitting.training_cohort import Progress
from models.metrics.calibration.calibration import log_odds
from models.metrics.comparison.paired_changes import Change, OutOfFold, paired_changes
from models.metrics.metric import Metric
from models.metrics.summary import Repeat
from training.cohorts.splits import folds_by_patient
from training.config import RunConfig
from training.fit import FOLDS, refit
from training.validation.predictions import BlankedRepeats, Predictions

__all__ = [
    "UPDATE_FOLDS",
    "JudgedUpdate",
    "JudgedUpdates",
    "LocalUpdate",
    "RecalibrationMethod",
    "UpdateComparison",
    "judge_updates",
    "local_patients",
    "updated_out_of_fold",
]

UPDATE_FOLDS = 10
"""Folds in which an update is judged; it has few parameters, so that more folds cost little."""

_THRESHOLDS = (0.01, 0.99)

Floats = NDArray[np.float64]
RecalibrationMethod = Literal["intercept", "slope", "site"]
"""An update of level and spread; a refit is another thing."""
UpdateName = Literal["none", "intercept", "slope", "refit"]


@dataclass(frozen=True, slots=True)
class JudgedUpdate:
    """One way to update a model, with its figures in the local patients.

    Parameters
    ----------
    method : {"none", "intercept", "slope", "refit"}
    metrics : tuple of Metric
        Out of fold but for "none", which learns nothing from these patients.
    gains : tuple of Change
        Against the model as it is, in the same patients, paired.
    note : str
        Why there are no metrics; "" if there are.
    """

    method: UpdateName
    metrics: tuple[Metric, ...]
    gains: tuple[Change, ...]
    note: str = ""

    def as_json(self) -> dict[str, object]:
        """Return the update as the command line prints it."""
        known: dict[str, object] = {
            "method": self.method,
            "metrics": [metric.as_json() for metric in self.metrics],
            "gains": [gain.as_json() for gain in self.gains],
        }
        return known | ({"note": self.note} if self.note else {})


@dataclass(frozen=True, slots=True)
class JudgedUpdates:
    """The updates side by side, and which of them the patients support.

    Parameters
    ----------
    updates : tuple of JudgedUpdate
    tested : ClosedTest or None
        None where too few outcomes are known to test.
    chosen : {"none", "intercept", "slope", "refit"}
        The closed test's choice; "refit" where that has a lower Brier score than the choice out of
        fold, by an interval below 0 at some horizon and at no horizon a higher one.
    """

    updates: tuple[JudgedUpdate, ...]
    tested: ClosedTest | None
    chosen: UpdateName


@dataclass(frozen=True, slots=True)
class LocalUpdate:
    """An update with, where it is by site, the level of each site beside it."""

    update: AffineUpdate
    sites: SiteLevels | None = None

    @classmethod
    def fitted(
        cls, patients: LocalPatients, method: RecalibrationMethod, sites: NDArray[np.object_] | None
    ) -> LocalUpdate:
        """Fit an update to local patients.

        Parameters
        ----------
        sites : ndarray of object, shape (n_stays,), or None
            Read by the method "site" alone.

        Raises
        ------
        DataError
            If the patients, or sites, are too few.
        UsageError
            If the cohort does not state the sites that the method needs.
        """
        if method != "site":
            return cls(fit_update(patients, method))
        if sites is None:
            raise UsageError(
                "an update by site needs the site of the stays. Add the column site, or update by "
                "intercept."
            )
        update = fit_update(patients, "intercept")
        return cls(update, fit_site_levels(patients, update, sites))

    def log_odds(
        self, before: Floats, days: ArrayLike, sites: NDArray[np.object_] | None
    ) -> Floats:
        """Return updated log-odds, shape (n_stays, n_days)."""
        after = self.update.log_odds(before, days)
        if self.sites is None or sites is None:
            return after
        return np.asarray(after + self.sites.of(sites)[:, None])


def local_patients(predictions: Predictions) -> LocalPatients:
    """Return the log-odds of every stay, refused or not, and its outcomes; `DataError` if few."""
    return LocalPatients.of(
        log_odds(predictions.risk),
        predictions.time_days,
        predictions.event,
        predictions.horizons_days,
        patients=predictions.patient_id,
    )


def updated_out_of_fold(
    predictions: Predictions, cohort: Cohort, method: RecalibrationMethod, *, random_state: int
) -> Predictions:
    """Return the predictions of an updated model, each patient's update fitted to the others.

    Parameters
    ----------
    predictions : Predictions
        Of the model as it is, for the stays of `cohort`.
    method : {"intercept", "slope", "site"}
    random_state : int
        Seed of the folds.

    Raises
    ------
    DataError, UsageError
        As `LocalUpdate.fitted`, of the patients outside a fold.
    """
    before = predictions.repeats[0]
    days, curve_days = predictions.horizons_days, predictions.curve_days
    local = local_patients(predictions)
    eta, sites = log_odds(before.risk), cohort.site
    risk = before.risk.copy()
    curve = None if before.curve_risk is None else before.curve_risk.copy()
    blanked = [(each.share, each.repeats[0].risk.copy()) for each in predictions.blanked]
    for split in folds_by_patient(cohort, folds=UPDATE_FOLDS, random_state=random_state):
        rows = split.test
        own = None if sites is None else sites[rows]
        learned_from = None if sites is None else sites[split.train]
        update = LocalUpdate.fitted(local.take(split.train), method, learned_from)
        risk[rows] = expit(update.log_odds(eta[rows], days, own))
        for _, values in blanked:
            values[rows] = expit(update.log_odds(log_odds(values[rows]), days, own))
        if curve is not None and curve_days is not None:
            after = update.log_odds(log_odds(curve[rows]), curve_days, own)
            curve[rows] = expit(np.maximum.accumulate(after, axis=1))
    # All risks are of one model before the update, so that ranking may compare all of them.
    fold = np.zeros(len(cohort), dtype=np.int64)
    return replace(
        predictions,
        repeats=(Repeat(risk, fold, curve, before.competing_curve),),
        blanked=tuple(BlankedRepeats(share, (Repeat(values, fold),)) for share, values in blanked),
    )


def judge_updates(
    predictions: Predictions,
    cohort: Cohort,
    config: RunConfig,
    *,
    with_refit: bool,
    n_bootstrap: int,
    progress: Progress | None = None,
) -> JudgedUpdates:
    """Judge the model as it is and its updates: intercept, intercept and slope, refit.

    Parameters
    ----------
    predictions : Predictions
        Of a model for the stays of `cohort`.
    config : RunConfig
        Of the refits; its seed is that of all folds.
    with_refit : bool
        Whether to fit models of these patients alone, which takes minutes.
    n_bootstrap : int
        Resamples of patients.
    """
    judged = [JudgedUpdate("none", _metrics(predictions, n_bootstrap, config), ())]
    compare = UpdateComparison(predictions, n_bootstrap, config.seed)
    one_model = np.zeros(len(cohort), dtype=np.int64)
    risks: dict[UpdateName, Floats] = {"none": predictions.risk}
    for family in get_args(Family):
        try:
            updated = updated_out_of_fold(predictions, cohort, family, random_state=config.seed)
        except DataError as error:
            judged.append(JudgedUpdate(family, (), (), str(error)))
            continue
        risks[family] = updated.risk
        gains = compare.changes(predictions.risk, updated.risk, one_model)
        judged.append(JudgedUpdate(family, _metrics(updated, n_bootstrap, config), gains))
    tested = _tested(predictions)
    chosen: UpdateName = "none" if tested is None or tested.chosen not in risks else tested.chosen
    if with_refit:
        try:
            refitted = _refitted(predictions, cohort, config, progress)
        except DataError as error:
            judged.append(JudgedUpdate("refit", (), (), str(error)))
        else:
            risk, fold = refitted.risk, refitted.repeats[0].fold
            gains = compare.changes(predictions.risk, risk, fold)
            judged.append(JudgedUpdate("refit", _metrics(refitted, n_bootstrap, config), gains))
            if compare.is_better(risks[chosen], risk, fold):
                chosen = "refit"
    return JudgedUpdates(tuple(judged), tested, chosen)


def _tested(predictions: Predictions) -> ClosedTest | None:
    """Return the closed test; None where too few outcomes are known."""
    try:
        return closed_test(local_patients(predictions))
    except DataError:
        return None


def _refitted(
    predictions: Predictions, cohort: Cohort, config: RunConfig, progress: Progress | None
) -> Predictions:
    """Return the predictions by models of the local patients alone, each of the other folds."""
    risk = np.empty_like(predictions.risk)
    fold = np.zeros(len(cohort), dtype=np.int64)
    splits = folds_by_patient(cohort, folds=FOLDS, random_state=config.seed)
    for k, split in enumerate(splits):
        model = refit(cohort.take(split.train), predictions.horizons_days, config, risk_only=True)
        risk[split.test] = model.predict_risk(cohort.features.iloc[split.test])
        fold[split.test] = k
        if progress is not None:
            progress("refitting", k + 1, len(splits))
    return replace(
        predictions, repeats=(Repeat(risk, fold, None, None),), curve_days=None, blanked=()
    )


def _metrics(predictions: Predictions, n_bootstrap: int, config: RunConfig) -> tuple[Metric, ...]:
    return predictions.metrics(n_bootstrap=n_bootstrap, random_state=config.seed)


@dataclass(frozen=True, slots=True)
class UpdateComparison:
    """How two sets of risks for the same patients are compared."""

    predictions: Predictions
    n_bootstrap: int
    random_state: int

    def changes(self, before: Floats, after: Floats, fold: NDArray[np.int64]) -> tuple[Change, ...]:
        """Return paired changes of discrimination, accuracy and net benefit at each horizon."""
        of = self.predictions
        rate = float(np.clip(of.risk.mean(), *_THRESHOLDS))
        (changes,) = paired_changes(
            of.time_days,
            of.event,
            OutOfFold({"before": before, "after": after}, fold, of.horizons_days),
            [("before", "after")],
            thresholds=[rate],
            n_bootstrap=self.n_bootstrap,
            random_state=self.random_state,
            groups=of.patient_id,
        )
        return tuple(change for change in changes if not change.secondary)

    def is_better(self, before: Floats, after: Floats, fold: NDArray[np.int64]) -> bool:
        """Return whether the Brier score falls somewhere with its interval, and rises nowhere."""
        brier = [c for c in self.changes(before, after, fold) if c.metric == "brier"]
        known = [change for change in brier if not np.isnan(change.change)]
        return any(change.high < 0 for change in known) and all(c.change <= 0 for c in known)
