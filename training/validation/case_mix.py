"""How a cohort's patients differ from those a model learned from, without a row of the latter."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass

import numpy as np
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score

from data_schema.cohort import Cohort
from models.inference.contract import Contract
from models.metrics.calibration.calibration import log_odds
from models.metrics.case_mix import expected_auroc
from models.metrics.metric import metric_at
from models.metrics.subgroups import Subgroup
from models.monitoring.reference import Reference
from training.cohorts.groups import patient_groups
from training.validation.predictions import Predictions

__all__ = ["CaseMix", "GroupCaseMix", "case_mix", "case_mix_of_groups", "membership_auroc"]

Floats = NDArray[np.float64]

_FOLDS = 5
_RIDGE = 10.0
_STEPS = 1000


@dataclass(frozen=True, slots=True)
class CaseMix:
    """The risks of a cohort beside those of the training cohort, at one horizon.

    Parameters
    ----------
    mean_log_odds, spread_log_odds : float
        Mean and standard deviation of the model's log-odds in the cohort.
    training_mean_log_odds, training_spread_log_odds : float
        The same of the training cohort, from the contract; NaN where it has no interval.
    expected_auroc : float
        What the risks promise if they are right: the limit that the patients' mix sets.
    """

    horizon_days: float
    mean_log_odds: float
    spread_log_odds: float
    training_mean_log_odds: float
    training_spread_log_odds: float
    expected_auroc: float

    def as_json(self) -> dict[str, object]:
        """Return the mix as a mapping; null stands for NaN."""
        return {name: None if value != value else value for name, value in asdict(self).items()}


@dataclass(frozen=True, slots=True)
class GroupCaseMix:
    """The area under the curve of one group beside what its own case mix promises."""

    grouping: str
    level: str
    horizon_days: float
    auroc: float
    expected_auroc: float

    @property
    def difference(self) -> float:
        """How much worse than promised the model ranks the group, below 0; or better, above."""
        return self.auroc - self.expected_auroc

    def as_json(self) -> dict[str, object]:
        """Return the comparison as a mapping."""
        return asdict(self) | {"difference": self.difference}


def case_mix(contract: Contract, predictions: Predictions) -> tuple[CaseMix, ...]:
    """Return the mix of the patients at each horizon.

    Notes
    -----
    Comparing mean and spread of the linear predictor is the second approach of Debray et al. [1]_.

    References
    ----------
    .. [1] Debray et al. J Clin Epidemiol 68 (2015) 279-289. doi:10.1016/j.jclinepi.2014.06.018
    """
    eta, interval = log_odds(predictions.risk), contract.interval
    grid = np.log(contract.grid_days)
    mixes = []
    for column, days in enumerate(predictions.horizons_days):
        at = np.log(days)
        known = interval.available
        mixes.append(
            CaseMix(
                days,
                float(eta[:, column].mean()),
                float(eta[:, column].std(ddof=1)),
                float(np.interp(at, grid, interval.center)) if known else np.nan,
                float(np.interp(at, grid, interval.spread)) ** 0.5 if known else np.nan,
                expected_auroc(predictions.risk[:, column]),
            )
        )
    return tuple(mixes)


def case_mix_of_groups(
    predictions: Predictions, cohort: Cohort, subgroups: Sequence[Subgroup]
) -> tuple[GroupCaseMix, ...]:
    """Return the area of every group that was judged, beside what its case mix promises."""
    levels = patient_groups(cohort)
    found = []
    for group in subgroups:
        rows = levels[group.grouping] == group.level
        for column, days in enumerate(predictions.horizons_days):
            area = metric_at(group.metrics, "auroc", days)
            if area is not None and area.is_defined:
                promised = expected_auroc(predictions.risk[rows, column])
                found.append(
                    GroupCaseMix(group.grouping, group.level, days, area.estimate, promised)
                )
    return tuple(found)


def membership_auroc(contract: Contract, cohort: Cohort, *, random_state: int) -> float | None:
    """Return how well a regression tells the cohort's patients from the training cohort's.

    0.5 where they are alike, 1 where they share nothing. None where the bundle describes fewer than
    two numbers.

    Notes
    -----
    The membership model of Debray et al. [1]_, fitted and judged out of fold. As no row of the
    training cohort is at hand, its patients are drawn from the bundle's quantiles and correlations,
    as many as the cohort has, with the cohort's gaps: what is missing tells them not apart.

    References
    ----------
    .. [1] Debray et al. J Clin Epidemiol 68 (2015) 279-289. doi:10.1016/j.jclinepi.2014.06.018
    """
    reference = Reference.of(contract)
    numbers = [
        known
        for known in reference.numbers.values()
        if known.column is not None and known.name in cohort.features
    ]
    if len(numbers) < 2:
        return None
    n, rng = len(cohort), np.random.default_rng(random_state)
    here = np.full((n, len(numbers)), np.nan)
    for place, known in enumerate(numbers):
        values = cohort.features[known.name].to_numpy(dtype=np.float64)
        given = ~np.isnan(values)
        here[given, place] = known.inner_scores(values[given])
    columns = np.array([known.column for known in numbers], dtype=np.int64)
    correlation = reference.correlation[np.ix_(columns, columns)]
    scores = rng.multivariate_normal(np.zeros(len(numbers)), correlation, size=n)
    novelty = contract.guard.novelty
    there = np.empty_like(here)
    for place, known in enumerate(numbers):
        # To a value and back, so that values that many share are shared here, too.
        quantiles = novelty.quantiles[columns[place]]
        values = np.interp(scores[:, place], novelty.normal_scores, quantiles)
        there[:, place] = known.inner_scores(values)
    middle = np.array([known.middle for known in numbers])
    there[np.isnan(here)] = np.nan
    design = np.nan_to_num(np.concatenate([here, there]) - middle, nan=0.0)
    design = np.column_stack([design, design**2 - 1.0])
    member = np.repeat([1.0, 0.0], n)
    fold = np.tile(rng.permutation(n) % _FOLDS, 2)
    score = np.empty(2 * n)
    for k in range(_FOLDS):
        learned = LogisticRegression(C=1 / _RIDGE, max_iter=_STEPS)
        learned.fit(design[fold != k], member[fold != k])
        score[fold == k] = learned.decision_function(design[fold == k])
    return float(roc_auc_score(member, score))
