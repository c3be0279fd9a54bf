"""Everything that is said of a model from its answers for patients whose outcome is known."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from data_schema.cohort import Cohort
from models.metrics.metric import Metric
from models.metrics.risk_distribution import RiskDistribution, risk_distribution
from models.metrics.subgroups import Subgroup, evaluate_subgroups
from training.cohorts.groups import patient_groups
from training.validation.predictions import Answers

__all__ = ["Judgement", "judge"]

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

    def as_json(self) -> dict[str, Any]:
        """Return the judgement as a mapping."""
        return {
            "metrics": [metric.as_json() for metric in self.metrics],
            "subgroups": [group.as_json() for group in self.subgroups],
            "risk_distribution": [one.as_json() for one in self.risk_distribution],
        }


def judge(told: Answers, cohort: Cohort, *, n_bootstrap: int, random_state: int) -> Judgement:
    """Judge what a model answered, in all patients and in groups of them.

    Parameters
    ----------
    told : Answers
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
    at = told.time_days, told.event, told.risk, told.horizons_days
    return Judgement(
        told.metrics(n_bootstrap=n_bootstrap, random_state=random_state),
        evaluate_subgroups(
            *at,
            patient_groups(cohort.take(told.answered)),
            n_bootstrap=min(n_bootstrap, SUBGROUP_RESAMPLES),
            random_state=random_state,
            patients=told.patient_id,
        ),
        risk_distribution(*at),
    )
