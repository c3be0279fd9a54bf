"""Predictions for patients whose outcome is known: the basis of every figure of a model."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from data_schema.cohort import Cohort, outcome_of
from data_schema.errors import DataError, UsageError
from data_schema.outcomes import MIN_EVENTS
from models.censoring import CensoringDistribution
from models.inference.risk_model import InferenceError, RiskModel
from models.metrics.known_outcome import why_not_evaluable
from models.metrics.metric import Metric
from models.metrics.summary import evaluate

__all__ = ["Predictions", "predict_cohort", "require_evaluable"]


@dataclass(frozen=True, slots=True)
class Predictions:
    """Outcomes and predicted risks of the patients who were not refused.

    Parameters
    ----------
    time_days, event : ndarray, shape (n_predicted,)
        Observed outcome.
    patient_id : ndarray of object, shape (n_predicted,)
        Stays of one patient are resampled together.
    risk : ndarray of float, shape (n_predicted, n_horizons)
        Predicted risk at `horizons_days`, which ascend.
    curve_risk, curve_days : ndarray of float or None
        The whole curve, shapes (n_predicted, n_days) and (n_days,); None if the outcome is known
        at one horizon only.
    is_predicted : ndarray of bool, shape (n_stays,)
        Which stays of the cohort were not refused.
    rows, refused : int
        Stays of the cohort, and refused stays.
    refused_by_rule : mapping of str to int
        Refused stays by code of the rule; a stay may break several rules.
    """

    time_days: NDArray[np.float64]
    event: NDArray[np.int64]
    patient_id: NDArray[np.object_]
    risk: NDArray[np.float64]
    horizons_days: tuple[float, ...]
    curve_risk: NDArray[np.float64] | None
    curve_days: NDArray[np.float64] | None
    is_predicted: NDArray[np.bool_]
    rows: int
    refused: int
    cohort_fingerprint: str
    refused_by_rule: Mapping[str, int]

    def metrics(self, *, n_bootstrap: int, random_state: int) -> tuple[Metric, ...]:
        """Return every metric with its interval, as `models.metrics.summary.evaluate` does."""
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
            )
        )

    @property
    def patients(self) -> int:
        """Number of patients with a stay that was not refused."""
        return len(np.unique(self.patient_id.astype(str)))

    @property
    def events(self) -> int:
        """Number of stays with the event that were not refused."""
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
    predicted = np.array([status == "ok" for status in prediction.status])
    if not predicted.any():
        raise DataError(
            f"the model refuses all {len(predicted)} rows. Run osteon score to see the reasons."
        )
    curve_risk = curve_days = None
    if fixed is None and not risk_model.contract.fixed_horizon:
        curve_days = np.asarray(risk_model.contract.grid_days, dtype=np.float64)
        curve_risk = risk_model.risk(cohort.features, curve_days)[predicted]
    return Predictions(
        time_days=outcome.time_days[predicted],
        event=outcome.event[predicted],
        patient_id=cohort.patient_id[predicted],
        risk=prediction.risk[predicted],
        horizons_days=tuple(map(float, prediction.horizons_days)),
        curve_risk=curve_risk,
        curve_days=curve_days,
        is_predicted=predicted,
        rows=len(cohort),
        refused=int((~predicted).sum()),
        cohort_fingerprint=cohort.fingerprint(),
        refused_by_rule=Counter(
            code
            for refusals in prediction.refusals
            for code in dict.fromkeys(refusal.code for refusal in refusals)
        ),
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
