"""What a model reached on patients whose outcome is known, and all that a report says of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from data_schema.cohort import Cohort
from models.metrics.metric import Metric
from models.metrics.risk_distribution import RiskDistribution, risk_distribution
from models.metrics.sample_size import SampleSize
from models.metrics.subgroups import Subgroup, evaluate_subgroups
from training.cohorts.groups import patient_groups
from training.validation.panel_value import PanelValue
from training.validation.predictions import Answers
from training.validation.severity_alone import SeverityAlone

__all__ = ["Findings", "Judgement", "judge", "primary_horizon"]

SUBGROUP_RESAMPLES = 200
"""Groups are many, and their intervals are wide: the ends need not be exact."""


@dataclass(frozen=True, slots=True)
class Judgement:
    """What a model reached on a cohort.

    Parameters
    ----------
    metrics : tuple of Metric
        Of all patients, with 95 % intervals.
    subgroups : tuple of Subgroup
        The same by sex, menopause, age, eGFR, sepsis, site and number of markers measured.
    risk_distribution : tuple of RiskDistribution
        One for each horizon.
    """

    metrics: tuple[Metric, ...]
    subgroups: tuple[Subgroup, ...]
    risk_distribution: tuple[RiskDistribution, ...]

    def as_json(self) -> dict[str, object]:
        """Return the judgement as a mapping."""
        return {
            "metrics": [metric.as_json() for metric in self.metrics],
            "subgroups": [group.as_json() for group in self.subgroups],
            "risk_distribution": [one.as_json() for one in self.risk_distribution],
        }


@dataclass(frozen=True, slots=True)
class Findings:
    """Everything that the evaluation of a model has to report.

    Parameters
    ----------
    answers : Answers
    judgement : Judgement
    sample_size : tuple of SampleSize
        Of a training run: what a model of all columns needs; empty for other patients.
    added_value : PanelValue or None
        Of a training run that looked at a panel.
    severity_alone : SeverityAlone or None
        Of a training run whose cohort has columns of severity, and others.
    """

    answers: Answers
    judgement: Judgement
    sample_size: tuple[SampleSize, ...] = ()
    added_value: PanelValue | None = None
    severity_alone: SeverityAlone | None = None

    def as_json(self) -> dict[str, object]:
        """Return the findings of a training run as MLflow keeps them."""
        return self.judgement.as_json() | {
            "sample_size": [one.as_json() for one in self.sample_size],
            "added_value": None if self.added_value is None else self.added_value.as_json(),
            "severity_alone": (
                None if self.severity_alone is None else self.severity_alone.as_json()
            ),
        }


def primary_horizon(horizons_days: Sequence[float], metrics: Sequence[Metric]) -> float:
    """Return the middle horizon, or the first that could be judged where it could not."""
    judged = [metric.horizon_days for metric in metrics if metric.is_defined]
    middle = float(horizons_days[len(horizons_days) // 2])
    if middle in judged:
        return middle
    return next((float(days) for days in horizons_days if days in judged), middle)


def judge(answers: Answers, cohort: Cohort, *, n_bootstrap: int, random_state: int) -> Judgement:
    """Judge what a model answered, in all patients and in groups of them.

    Parameters
    ----------
    answers : Answers
    cohort : Cohort
        The patients that the model was asked about.
    n_bootstrap : int
        Resamples of patients; at most `SUBGROUP_RESAMPLES` within groups.
    random_state : int

    Returns
    -------
    Judgement

    Raises
    ------
    DataError
        If no horizon has enough outcomes.
    """
    at = answers.time_days, answers.event, answers.risk, answers.horizons_days
    return Judgement(
        answers.metrics(n_bootstrap=n_bootstrap, random_state=random_state),
        evaluate_subgroups(
            *at,
            patient_groups(cohort.take(answers.answered)),
            n_bootstrap=min(n_bootstrap, SUBGROUP_RESAMPLES),
            random_state=random_state,
            patients=answers.patient_id,
        ),
        risk_distribution(*at),
    )
