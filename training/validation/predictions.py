"""Predictions for patients whose outcome is known: the basis of every figure of a model."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from data_schema.cohort import Cohort, outcome_of
from data_schema.errors import DataError, UsageError
from data_schema.outcomes import MIN_EVENTS
from models.censoring import CensoringDistribution
from models.inference.risk_model import InferenceError, RiskModel
from models.metrics.calibration.whole_curve import DCalibrationTest, d_calibration_test
from models.metrics.known_outcome import LOWEST_OBSERVED_SHARE, why_not_evaluable
from models.metrics.metric import BLANK_SHARES, Metric
from models.metrics.summary import Repeat, evaluate_out_of_fold
from training.validation.blanked import blanked
from training.validation.refusals import Refusals

__all__ = [
    "BlankedRepeats",
    "Predictions",
    "blanked_risks",
    "every_stay_refused",
    "predict_cohort",
    "predict_part",
    "require_evaluable",
    "risks_with_curve",
]


@dataclass(frozen=True, slots=True)
class BlankedRepeats:
    """Risks at the horizons with a share of the fields of each stay left empty."""

    share: float
    repeats: tuple[Repeat, ...]


@dataclass(frozen=True, slots=True)
class Predictions:
    """Outcomes and risks of all stays judged, each by a model that has not learned from it.

    A refused stay gets no risk from `RiskModel.predict`. It is judged all the same, by the risk
    that the model computes for it: figures of the stays that are left would flatter a model that
    refuses the difficult ones.

    Parameters
    ----------
    time_days, event : ndarray, shape (n_stays,)
        Observed outcome.
    patient_id : ndarray of object, shape (n_stays,)
        Stays of one patient are resampled together.
    repeats : tuple of Repeat
        Risks at `horizons_days`, which ascend, and at `curve_days`: one repeat of one fold from one
        model, or the repeats of a cross-validation.
    curve_days : ndarray of float, shape (n_days,), or None
        None if the outcome is known at one horizon only.
    blanked : tuple of BlankedRepeats
        Risks of the same stays by the same models, with some of their fields left empty, by share.
    answered : ndarray of bool, shape (n_stays,)
        Which stays were not refused, in the first repeat.
    refusals : Refusals
        How many stays were refused in the first repeat, and by which rules.
    """

    time_days: NDArray[np.float64]
    event: NDArray[np.int64]
    patient_id: NDArray[np.object_]
    repeats: tuple[Repeat, ...]
    horizons_days: tuple[float, ...]
    curve_days: NDArray[np.float64] | None
    blanked: tuple[BlankedRepeats, ...]
    answered: NDArray[np.bool_]
    refusals: Refusals
    cohort_fingerprint: str

    def metrics(self, *, n_bootstrap: int, random_state: int) -> tuple[Metric, ...]:
        """Return every metric of all stays, as `metrics.summary.evaluate_out_of_fold` does."""
        return tuple(
            evaluate_out_of_fold(
                self.time_days,
                self.event,
                self.repeats,
                self.horizons_days,
                n_bootstrap=n_bootstrap,
                random_state=random_state,
                groups=self.patient_id,
                curve_days=self.curve_days,
            )
        )

    def metrics_when_blanked(self, *, n_bootstrap: int, random_state: int) -> tuple[Metric, ...]:
        """Return the metrics that are also computed with fields left empty, share by share.

        The resamples of patients are those of `metrics`.
        """
        return tuple(
            metric
            for blank in self.blanked
            for metric in evaluate_out_of_fold(
                self.time_days,
                self.event,
                blank.repeats,
                self.horizons_days,
                n_bootstrap=n_bootstrap,
                random_state=random_state,
                groups=self.patient_id,
                blank_share=blank.share,
            )
        )

    def metrics_of_answered(self, *, n_bootstrap: int, random_state: int) -> tuple[Metric, ...]:
        """Return every metric of the stays not refused.

        Empty where no stay was refused, and where too few are left to be judged at any horizon.
        """
        rows = self.answered
        if rows.all() or not _evaluable(
            self.time_days[rows], self.event[rows], self.patient_id[rows], self.horizons_days
        ):
            return ()
        return replace(
            self,
            time_days=self.time_days[rows],
            event=self.event[rows],
            patient_id=self.patient_id[rows],
            repeats=tuple(repeat.take(rows) for repeat in self.repeats),
            blanked=(),
        ).metrics(n_bootstrap=n_bootstrap, random_state=random_state)

    def d_calibration_test(self) -> DCalibrationTest | None:
        """Return the test of D-calibration in the first repeat; None without a curve it needs."""
        if self.curve_risk is None or self.curve_days is None:
            return None
        censoring = CensoringDistribution.fit(self.time_days, self.event)
        inside = censoring.survival_before(self.curve_days) >= LOWEST_OBSERVED_SHARE
        competing = self.competing_curve
        return d_calibration_test(
            self.time_days,
            self.event,
            self.curve_risk[:, inside],
            self.curve_days[inside],
            competing_curve=None if competing is None else competing[:, inside],
        )

    @property
    def risk(self) -> NDArray[np.float64]:
        """Risk at each horizon in the first repeat, shape (n_stays, n_horizons): for figures."""
        return self.repeats[0].risk

    @property
    def curve_risk(self) -> NDArray[np.float64] | None:
        """Risk on each day of the curve in the first repeat, shape (n_stays, n_days)."""
        return self.repeats[0].curve_risk

    @property
    def competing_curve(self) -> NDArray[np.float64] | None:
        """Competing risk on each day of the curve in the first repeat, shape (n_stays, n_days)."""
        return self.repeats[0].competing_curve

    @property
    def stays(self) -> int:
        """Number of stays judged."""
        return len(self.event)

    @property
    def patients(self) -> int:
        """Number of patients judged."""
        return len(np.unique(self.patient_id.astype(str)))

    @property
    def events(self) -> int:
        """Number of stays with the event."""
        return int((self.event == 1).sum())

    def judged_horizons(self, metrics: Sequence[Metric]) -> list[float]:
        """Return the horizons at which one of the metrics has an estimate."""
        usable = {metric.horizon_days for metric in metrics if metric.is_defined}
        return [days for days in self.horizons_days if days in usable]


def predict_cohort(risk_model: RiskModel, cohort: Cohort) -> Predictions:
    """Apply a model to every stay of a cohort with an outcome and every column that it reads.

    Risks are at the model's default horizons, or at the horizon of an outcome that is known at one
    only.

    Raises
    ------
    DataError
        If the model refuses every stay.
    """
    predictions = predict_part(risk_model, cohort)
    if not predictions.answered.any():
        raise every_stay_refused(predictions.stays)
    return predictions


def every_stay_refused(stays: int) -> DataError:
    """Return the error that no stay gets a risk."""
    return DataError(f"the model refuses all {stays} rows. Run osteon score to see the reasons.")


def predict_part(risk_model: RiskModel, cohort: Cohort) -> Predictions:
    """Apply a model to some of the stays of a cohort, as `predict_cohort` does to all of them."""
    outcome = outcome_of(cohort)
    fixed = outcome.horizon_days
    horizons_days = None if fixed is None else (fixed,)
    try:
        prediction = risk_model.predict(cohort.features, horizons_days, interval=False)
    except InferenceError as error:
        raise UsageError(str(error)) from None
    answered = np.array([status == "ok" for status in prediction.status])
    curve_days = competing_curve = None
    if fixed is None and not risk_model.contract.fixed_horizon:
        curve_days = np.asarray(risk_model.contract.grid_days, dtype=np.float64)
        competing_curve = risk_model.competing_risk(cohort.features, curve_days)
    risk, curve_risk = risks_with_curve(
        risk_model, cohort.features, prediction.horizons_days, curve_days
    )
    one_fold = np.zeros(len(cohort), dtype=np.int64)
    return Predictions(
        time_days=outcome.time_days,
        event=outcome.event,
        patient_id=cohort.patient_id,
        repeats=(Repeat(risk, one_fold, curve_risk, competing_curve),),
        horizons_days=tuple(map(float, prediction.horizons_days)),
        curve_days=curve_days,
        blanked=tuple(
            BlankedRepeats(share, (Repeat(risk, one_fold),))
            for share, risk in blanked_risks(risk_model, cohort, prediction.horizons_days).items()
        ),
        answered=answered,
        refusals=Refusals.of(prediction.refusals),
        cohort_fingerprint=cohort.fingerprint(),
    )


def risks_with_curve(
    risk_model: RiskModel,
    features: pd.DataFrame,
    horizons_days: ArrayLike,
    curve_days: NDArray[np.float64] | None,
) -> tuple[NDArray[np.float64], NDArray[np.float64] | None]:
    """Return the risk of every stay, refused or not, at horizons and on the days of a curve.

    Both are computed together: a risk does not depend on the other days.

    Returns
    -------
    risk : ndarray of float, shape (n_stays, n_horizons)
    curve_risk : ndarray of float, shape (n_stays, n_days), or None
        None without `curve_days`.
    """
    horizons = np.asarray(horizons_days, dtype=np.float64)
    if curve_days is None:
        return risk_model.risk(features, horizons), None
    risk = risk_model.risk(features, np.concatenate([horizons, curve_days]))
    return risk[:, : len(horizons)], risk[:, len(horizons) :]


def blanked_risks(
    risk_model: RiskModel, cohort: Cohort, horizons_days: ArrayLike
) -> dict[float, NDArray[np.float64]]:
    """Return the risk of every stay at each horizon with a share of its fields left empty.

    Returns
    -------
    dict of float to ndarray of float, shape (n_stays, n_horizons)
        One entry for each of `BLANK_SHARES`. A patient has the same gaps whichever model predicts
        (`training.validation.blanked.blanked`), and is answered even without an age.
    """
    return {
        share: risk_model.risk(blanked(cohort.features, share, cohort.patient_id), horizons_days)
        for share in BLANK_SHARES
    }


def require_evaluable(cohort: Cohort, horizons_days: Sequence[float]) -> None:
    """Raise `DataError` if no horizon can be judged on these patients, before a model is fitted."""
    outcome = outcome_of(cohort)
    if not _evaluable(outcome.time_days, outcome.event, cohort.patient_id, horizons_days):
        raise DataError(
            f"patients to evaluate must include {MIN_EVENTS} with and {MIN_EVENTS} without the "
            f"event at some horizon; got {len(cohort)} rows with fewer. Add patients, or choose "
            "other horizons."
        )


def _evaluable(
    time_days: NDArray[np.float64],
    event: NDArray[np.int64],
    patient_id: NDArray[np.object_],
    horizons_days: Sequence[float],
) -> bool:
    """Return whether these stays can be judged at one of the horizons."""
    if not len(event):
        return False
    censoring = CensoringDistribution.fit(time_days, event)
    return any(
        not why_not_evaluable(time_days, event, days, censoring, groups=patient_id)
        for days in horizons_days
    )
