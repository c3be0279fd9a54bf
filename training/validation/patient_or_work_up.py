"""Whether a model knows the patient or the work-up: what the tests ordered alone would reach."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression
from threadpoolctl import threadpool_limits

from data_schema.cohort import Cohort, outcome_of
from data_schema.variables import BELOW
from models.metrics.discrimination.ranking import auroc_within_folds
from models.metrics.intervals import bootstrap_interval
from models.metrics.known_outcome import known_outcome
from models.metrics.metric import Metric
from models.metrics.overall.brier import ipa
from training.cohorts.splits import Split
from training.validation.plan import EvaluationPlan
from training.validation.predictions import Predictions

__all__ = ["MODEL", "SEVERITY", "WORK_UP", "PatientOrWorkUp", "patient_or_work_up"]

MODEL, SEVERITY, WORK_UP = "the model", "severity alone", "tests ordered alone"

_RESAMPLES = 200


@dataclass(frozen=True, slots=True)
class PatientOrWorkUp:
    """The model beside simpler ones in the same folds, by the risks of the first repeat.

    Parameters
    ----------
    ordered : tuple of str
        Columns whose presence is what the model of the tests ordered reads.
    reached : mapping of str to tuple of Metric
        Model -> area under the ROC curve and scaled Brier score at each horizon.
    """

    ordered: tuple[str, ...]
    reached: dict[str, tuple[Metric, ...]]

    def as_json(self) -> dict[str, object]:
        """Return the comparison as a mapping."""
        return {
            "ordered": list(self.ordered),
            "reached": {
                name: [metric.as_json() for metric in metrics]
                for name, metrics in self.reached.items()
            },
        }


def patient_or_work_up(
    cohort: Cohort,
    plan: EvaluationPlan,
    predictions: Predictions,
    horizons_days: Sequence[float],
    *,
    severity_risk: NDArray[np.float64] | None,
    random_state: int,
) -> PatientOrWorkUp | None:
    """Fit which tests were ordered to the training part of each split, and compare on the other.

    A model that ranks hardly better than the tests ordered has learned whom clinicians worried
    about, not what the results say [1]_.

    Parameters
    ----------
    cohort, plan, predictions, horizons_days
        As in `severity_alone`.
    severity_risk : ndarray of float, shape (n_evaluated, n_horizons), or None
        Of `SeverityAlone`; None where there is no such model.
    random_state : int
        Seed of the resamples behind the intervals.

    Returns
    -------
    PatientOrWorkUp or None
        None where every value is recorded in every patient.

    References
    ----------
    .. [1] Agniel, Kohane & Weber. BMJ 361 (2018) k1479. doi:10.1136/bmj.k1479
    """
    ordered = _ordered(cohort)
    if not ordered:
        return None
    flags = np.column_stack([cohort.features[column].notna().to_numpy() for column in ordered])
    outcome = outcome_of(cohort)
    days = predictions.horizons_days
    risk = np.full((len(cohort), len(days)), np.nan)
    with threadpool_limits(limits=1):
        for split in plan.repeats[0]:
            for place, horizon in enumerate(days):
                risk[split.test, place] = _risk_of_orders(
                    flags, outcome.time_days, outcome.event, split, horizon
                )
    risks = {MODEL: predictions.risk, WORK_UP: risk[plan.evaluated]}
    if severity_risk is not None:
        risks[SEVERITY] = severity_risk
    reached = {
        name: tuple(_reached(predictions, of_model, horizons_days, random_state))
        for name, of_model in risks.items()
    }
    return PatientOrWorkUp(tuple(ordered), reached)


def _ordered(cohort: Cohort) -> list[str]:
    """Return the first column of each pattern of what was recorded in some of the patients."""
    patterns: dict[bytes, str] = {}
    for column in map(str, cohort.features.columns):
        if column.endswith(f"__{BELOW}"):
            continue
        known = cohort.features[column].notna().to_numpy()
        if known.any() and not known.all():
            patterns.setdefault(known.tobytes(), column)
    return list(patterns.values())


def _risk_of_orders(
    flags: NDArray[np.bool_],
    time_days: NDArray[np.float64],
    event: NDArray[np.int64],
    split: Split,
    horizon_days: float,
) -> NDArray[np.float64]:
    """Return risks of the held-out part by which tests were ordered, learned from the other part.

    A ridge logistic regression of the outcome at one horizon, weighted for censoring.
    """
    learned = known_outcome(time_days[split.train], event[split.train], horizon_days)
    used = learned.weight > 0
    happened = learned.happened[used]
    if happened.all() or not happened.any():
        return np.full(len(split.test), float(learned.event_rate))
    model = LogisticRegression(max_iter=1000)
    model.fit(flags[split.train][used], happened, sample_weight=learned.weight[used])
    risk: NDArray[np.float64] = model.predict_proba(flags[split.test])[:, 1]
    return risk


def _reached(
    predictions: Predictions,
    risk: NDArray[np.float64],
    horizons_days: Sequence[float],
    random_state: int,
) -> Iterator[Metric]:
    """Yield area under the ROC curve and scaled Brier score with intervals, at each horizon."""
    fold = predictions.repeats[0].fold
    for days in horizons_days:
        at = risk[:, predictions.horizons_days.index(days)]

        def figures(
            counts: NDArray[np.float64] | None, days: float = days, at: NDArray[np.float64] = at
        ) -> NDArray[np.float64]:
            outcome = known_outcome(predictions.time_days, predictions.event, days, counts=counts)
            return np.stack([auroc_within_folds(outcome, at, fold), ipa(outcome, at)])

        interval = bootstrap_interval(
            figures,
            len(at),
            n_resamples=_RESAMPLES,
            random_state=random_state,
            groups=predictions.patient_id,
        )
        for place, name in enumerate(("auroc", "ipa")):
            yield Metric(
                name,
                days,
                float(interval.estimate[place]),
                float(interval.low[place]),
                float(interval.high[place]),
            )
