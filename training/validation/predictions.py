"""What a model answers for patients whose outcome is known: the ground of every figure about it."""

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

__all__ = ["Answers", "answers", "require_evaluable"]


@dataclass(frozen=True, slots=True)
class Answers:
    """Outcomes beside risks of the patients who were not refused.

    Parameters
    ----------
    time_days, event : ndarray, shape (n_answered,)
        What happened.
    patient_id : ndarray of object, shape (n_answered,)
        Stays of one patient are resampled together.
    risk : ndarray of float, shape (n_answered, n_horizons)
        At `horizons_days`.
    horizons_days : tuple of float
        Ascending.
    curve_risk, curve_days : ndarray of float or None
        The whole curve, shapes (n_answered, n_days) and (n_days,); None where the outcome is only
        known at one horizon.
    answered : ndarray of bool, shape (n_stays,)
        Which of the stays asked about got an answer.
    rows, refused : int
        Stays asked about, and those that got no answer.
    cohort_fingerprint : str
        Of the patients asked about.
    refused_by_rule : mapping of str to int
        Stays that got no answer, by the code of the rule; one may break several.
    """

    time_days: NDArray[np.float64]
    event: NDArray[np.int64]
    patient_id: NDArray[np.object_]
    risk: NDArray[np.float64]
    horizons_days: tuple[float, ...]
    curve_risk: NDArray[np.float64] | None
    curve_days: NDArray[np.float64] | None
    answered: NDArray[np.bool_]
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
        """Patients who got an answer for one of their stays."""
        return len(np.unique(self.patient_id.astype(str)))

    @property
    def events(self) -> int:
        """Stays with the event among those that got an answer."""
        return int((self.event == 1).sum())

    def judged_horizons(self, metrics: Sequence[Metric]) -> list[float]:
        """Return the horizons at which one of the metrics has an estimate."""
        usable = {one.horizon_days for one in metrics if one.is_defined}
        return [days for days in self.horizons_days if days in usable]


def answers(
    risk_model: RiskModel, cohort: Cohort, horizons_days: Sequence[float] | None = None
) -> Answers:
    """Ask a model about every stay of a cohort.

    Parameters
    ----------
    risk_model : RiskModel
    cohort : Cohort
        With an outcome, and with every column that the model reads.
    horizons_days : sequence of float, optional
        The model's default horizons without it; where the outcome is known at one horizon only,
        always that one.

    Returns
    -------
    Answers

    Raises
    ------
    UsageError
        If a horizon lies outside the model's range.
    DataError
        If every stay is refused.
    """
    outcome = outcome_of(cohort)
    fixed = outcome.horizon_days
    asked = horizons_days if fixed is None else (fixed,)
    try:
        prediction = risk_model.predict(cohort.features, asked, interval=False)
    except InferenceError as error:
        raise UsageError(str(error)) from None
    answered = np.array([status == "ok" for status in prediction.status])
    if not answered.any():
        raise DataError(
            f"the model must answer for some patients; it refuses all {len(answered)} rows. "
            "Score the cohort to see why."
        )
    curve_risk = curve_days = None
    if fixed is None and not risk_model.contract.fixed_horizon:
        curve_days = np.asarray(risk_model.contract.grid_days, dtype=np.float64)
        curve_risk = risk_model.risk(cohort.features, curve_days)[answered]
    return Answers(
        time_days=outcome.time_days[answered],
        event=outcome.event[answered],
        patient_id=cohort.patient_id[answered],
        risk=prediction.risk[answered],
        horizons_days=tuple(map(float, prediction.horizons_days)),
        curve_risk=curve_risk,
        curve_days=curve_days,
        answered=answered,
        rows=len(cohort),
        refused=int((~answered).sum()),
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
            f"held-out patients must include {MIN_EVENTS} with and {MIN_EVENTS} without the "
            f"event at one horizon; the {len(cohort)} rows do not. Bring more patients, hold out "
            "more of them (test_fraction), or choose other horizons."
        )
