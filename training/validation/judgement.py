"""Figures of a model on patients whose outcome is known, and the findings for its report."""

from __future__ import annotations

from dataclasses import dataclass

from data_schema.cohort import Cohort
from models.metrics.alert_burden import AlertBurden, alert_burden, usual_thresholds
from models.metrics.calibration.whole_curve import DCalibrationTest
from models.metrics.metric import Metric
from models.metrics.risk_distribution import RiskDistribution, risk_distribution
from models.metrics.sample_size import SampleSize
from models.metrics.subgroups import Subgroup, evaluate_subgroups_out_of_fold
from training.cohorts.groups import patient_groups
from training.validation.limited_deaths import LimitedDeaths, limited_deaths
from training.validation.overlap import Overlap
from training.validation.panel_value import PanelValue
from training.validation.patient_or_work_up import PatientOrWorkUp
from training.validation.predictions import Predictions
from training.validation.refusals import Refusals
from training.validation.severity_alone import SeverityAlone

__all__ = ["Findings", "Judgement", "judge"]

SUBGROUP_RESAMPLES = 200
"""Fewer than for all patients: groups are many, and their intervals are wide."""


@dataclass(frozen=True, slots=True)
class Judgement:
    """Figures of a model, or of the procedure that fits it, on a cohort.

    Parameters
    ----------
    refusals : Refusals
        How many of the stays the model refuses.
    metrics : tuple of Metric
        Metrics of all stays, refused or not, with 95 % intervals.
    blanked : tuple of Metric
        Some of the metrics of all stays with a share of their fields left empty.
    metrics_of_answered : tuple of Metric
        Metrics of the stays not refused; empty where no stay was refused.
    subgroups : tuple of Subgroup
        Metrics of all stays by sex, menopause, age, eGFR, sepsis, site, limitation of treatment and
        number of markers measured.
    risk_distribution : tuple of RiskDistribution
        One for each horizon; of the first repeat, where there are several.
    d_calibration : DCalibrationTest or None
        None without a predicted curve, or where a competing event has none.
    limited_deaths : LimitedDeaths or None
        How many deaths followed a limitation of treatment; None if the outcome is of no deaths.
    alert_burden : tuple of AlertBurden
        At each horizon and usual threshold, by the risks of the first repeat.
    """

    refusals: Refusals
    metrics: tuple[Metric, ...]
    blanked: tuple[Metric, ...]
    metrics_of_answered: tuple[Metric, ...]
    subgroups: tuple[Subgroup, ...]
    risk_distribution: tuple[RiskDistribution, ...]
    d_calibration: DCalibrationTest | None
    limited_deaths: LimitedDeaths | None = None
    alert_burden: tuple[AlertBurden, ...] = ()

    def as_json(self) -> dict[str, object]:
        """Return the judgement as a mapping."""
        return {
            "refusals": self.refusals.as_json(),
            "metrics": [metric.as_json() for metric in self.metrics],
            "blanked": [metric.as_json() for metric in self.blanked],
            "metrics_of_answered": [metric.as_json() for metric in self.metrics_of_answered],
            "subgroups": [group.as_json() for group in self.subgroups],
            "risk_distribution": [spread.as_json() for spread in self.risk_distribution],
            "d_calibration": None if self.d_calibration is None else self.d_calibration.as_json(),
            "limited_deaths": (
                None if self.limited_deaths is None else self.limited_deaths.as_json()
            ),
            "alert_burden": [burden.as_json() for burden in self.alert_burden],
        }


@dataclass(frozen=True, slots=True)
class Findings:
    """Everything that the report of an evaluated model shows.

    `sample_size`, `added_value`, `severity_alone` and `patient_or_work_up` belong to a training
    run; they are empty or None for an evaluation on other patients. `overlap`, which belongs to
    that, counts the patients that the model learned from.
    """

    predictions: Predictions
    judgement: Judgement
    sample_size: tuple[SampleSize, ...] = ()
    added_value: PanelValue | None = None
    severity_alone: SeverityAlone | None = None
    patient_or_work_up: PatientOrWorkUp | None = None
    overlap: Overlap | None = None

    def as_json(self) -> dict[str, object]:
        """Return the findings of a training run as they are logged to MLflow."""
        return self.judgement.as_json() | {
            "sample_size": [size.as_json() for size in self.sample_size],
            "added_value": None if self.added_value is None else self.added_value.as_json(),
            "severity_alone": (
                None if self.severity_alone is None else self.severity_alone.as_json()
            ),
            "patient_or_work_up": (
                None if self.patient_or_work_up is None else self.patient_or_work_up.as_json()
            ),
        }


def judge(
    predictions: Predictions, cohort: Cohort, *, n_bootstrap: int, random_state: int
) -> Judgement:
    """Compute figures in all patients judged and in groups of them; `cohort` holds these."""
    outcome = predictions.time_days, predictions.event
    metrics = predictions.metrics(n_bootstrap=n_bootstrap, random_state=random_state)
    return Judgement(
        predictions.refusals,
        metrics,
        predictions.metrics_when_blanked(n_bootstrap=n_bootstrap, random_state=random_state),
        predictions.metrics_of_answered(n_bootstrap=n_bootstrap, random_state=random_state),
        evaluate_subgroups_out_of_fold(
            *outcome,
            predictions.repeats,
            predictions.horizons_days,
            patient_groups(cohort),
            n_bootstrap=min(n_bootstrap, SUBGROUP_RESAMPLES),
            random_state=random_state,
            patients=predictions.patient_id,
            simulated=cohort.simulated,
        ),
        risk_distribution(*outcome, predictions.risk, predictions.horizons_days),
        predictions.d_calibration_test(),
        limited_deaths(cohort),
        tuple(
            burden
            for days in predictions.judged_horizons(metrics)
            for burden in _alert_burden(predictions, days, random_state)
        ),
    )


def _alert_burden(
    predictions: Predictions, days: float, random_state: int
) -> tuple[AlertBurden, ...]:
    """Return what each usual threshold flags at one horizon."""
    risk = predictions.risk[:, predictions.horizons_days.index(days)]
    return alert_burden(
        predictions.time_days,
        predictions.event,
        risk,
        horizon_days=days,
        thresholds=usual_thresholds(risk),
        has_times=predictions.curve_days is not None,
        random_state=random_state,
        groups=predictions.patient_id,
    )
