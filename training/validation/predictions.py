"""Predictions for patients whose outcome is known: the basis of every figure of a model."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from data_schema.cohort import Cohort, outcome_of
from data_schema.errors import DataError, UsageError
from data_schema.outcomes import MIN_EVENTS
from models.censoring import CensoringDistribution
from models.inference.risk_model import InferenceError, RiskModel
from models.metrics.calibration.whole_curve import DCalibrationTest, d_calibration_test
from models.metrics.known_outcome import LOWEST_OBSERVED_SHARE, why_not_evaluable
from models.metrics.metric import Metric
from models.metrics.summary import evaluate
from training.validation.refusals import Refusals

__all__ = ["Predictions", "predict_cohort", "require_evaluable"]


@dataclass(frozen=True, slots=True)
class Predictions:
    """Outcomes and computed risks of all stays of a cohort, those refused included.

    A refused stay gets no risk from `RiskModel.predict`. It is judged all the same, by the risk
    that the model computes for it: figures of the stays that are left would flatter a model that
    refuses the difficult ones.

    Parameters
    ----------
    time_days, event : ndarray, shape (n_stays,)
        Observed outcome.
    patient_id : ndarray of object, shape (n_stays,)
        Stays of one patient are resampled together.
    risk : ndarray of float, shape (n_stays, n_horizons)
        Computed risk at `horizons_days`, which ascend.
    curve_risk, curve_days : ndarray of float or None
        The whole curve, shapes (n_stays, n_days) and (n_days,); None if the outcome is known at
        one horizon only.
    competing_curve : ndarray of float or None
        The curve of the competing event, of the shape of `curve_risk`; None if there is none.
    answered : ndarray of bool, shape (n_stays,)
        Which stays were not refused.
    refusals : Refusals
        How many stays were refused, and by which rules.
    """

    time_days: NDArray[np.float64]
    event: NDArray[np.int64]
    patient_id: NDArray[np.object_]
    risk: NDArray[np.float64]
    horizons_days: tuple[float, ...]
    curve_risk: NDArray[np.float64] | None
    curve_days: NDArray[np.float64] | None
    competing_curve: NDArray[np.float64] | None
    answered: NDArray[np.bool_]
    refusals: Refusals
    cohort_fingerprint: str

    def metrics(self, *, n_bootstrap: int, random_state: int) -> tuple[Metric, ...]:
        """Return every metric of all stays, as `models.metrics.summary.evaluate` does."""
        return tuple(
            evaluate(
                self.time_days,
                self.event,
                self.risk,
                self.horizons_days,
                n_bootstrap=n_bootstrap,
                random_state=random_state,
                groups=self.patient_id,
                curve_risk=self.curve_risk,
                curve_days=self.curve_days,
                competing_curve=self.competing_curve,
            )
        )

    def metrics_of_answered(self, *, n_bootstrap: int, random_state: int) -> tuple[Metric, ...]:
        """Return every metric of the stays not refused; empty where no stay was refused."""
        if self.answered.all():
            return ()
        rows, competing = self.answered, self.competing_curve
        return replace(
            self,
            time_days=self.time_days[rows],
            event=self.event[rows],
            patient_id=self.patient_id[rows],
            risk=self.risk[rows],
            curve_risk=None if self.curve_risk is None else self.curve_risk[rows],
            competing_curve=None if competing is None else competing[rows],
        ).metrics(n_bootstrap=n_bootstrap, random_state=random_state)

    def d_calibration_test(self) -> DCalibrationTest | None:
        """Return the chi-square test of D-calibration; None without a curve that it needs."""
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
    """
    outcome = outcome_of(cohort)
    fixed = outcome.horizon_days
    horizons_days = None if fixed is None else (fixed,)
    try:
        prediction = risk_model.predict(cohort.features, horizons_days, interval=False)
    except InferenceError as error:
        raise UsageError(str(error)) from None
    answered = np.array([status == "ok" for status in prediction.status])
    if not answered.any():
        raise DataError(
            f"the model refuses all {len(answered)} rows. Run osteon score to see the reasons."
        )
    curve_risk = curve_days = competing_curve = None
    if fixed is None and not risk_model.contract.fixed_horizon:
        curve_days = np.asarray(risk_model.contract.grid_days, dtype=np.float64)
        curve_risk = risk_model.risk(cohort.features, curve_days)
        competing_curve = risk_model.competing_risk(cohort.features, curve_days)
    return Predictions(
        time_days=outcome.time_days,
        event=outcome.event,
        patient_id=cohort.patient_id,
        risk=risk_model.risk(cohort.features, prediction.horizons_days),
        horizons_days=tuple(map(float, prediction.horizons_days)),
        curve_risk=curve_risk,
        curve_days=curve_days,
        competing_curve=competing_curve,
        answered=answered,
        refusals=Refusals.of(prediction.refusals),
        cohort_fingerprint=cohort.fingerprint(),
    )


def require_evaluable(cohort: Cohort, horizons_days: Sequence[float]) -> None:
    """Raise `DataError` if no horizon can be judged on these patients, before a model is fitted."""
    outcome = outcome_of(cohort)
    censoring = CensoringDistribution.fit(outcome.time_days, outcome.event)
    if all(
        why_not_evaluable(
            outcome.time_days, outcome.event, days, censoring, groups=cohort.patient_id
        )
        for days in horizons_days
    ):
        raise DataError(
            f"held-out patients must include {MIN_EVENTS} with and {MIN_EVENTS} without the event "
            f"at some horizon; got {len(cohort)} rows with fewer. Add patients, hold out more of "
            "them (test_fraction), or choose other horizons."
        )
