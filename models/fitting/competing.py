"""The curve of the competing event, shown beside every risk of the outcome.

A low risk of fracture may only mean a high risk of death. The curve of the outcome is fitted
independently and never changed by this curve.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from data_schema.outcomes import COMPETING, EVENT, MIN_EVENTS
from models.fitting.out_of_fold import TunedFold
from models.fitting.steps import Choices, Columns, Part, choose, fit_main_part
from models.fitting.training_cohort import TrainingCohort

__all__ = ["CompetingCurve", "competing_cohort", "fit_competing"]


@dataclass(frozen=True, slots=True)
class CompetingCurve:
    """The fitted part, and the choices made out of fold for it."""

    part: Part
    choices: Choices


def competing_cohort(cohort: TrainingCohort) -> TrainingCohort | None:
    """Return the cohort with both events swapped, to fit the competing event as the outcome.

    None without competing events, or with too few of either event to be split into folds.
    """
    event = cohort.target["event"]
    in_time = cohort.target["time_days"] <= cohort.upto_days
    patients = [
        len(np.unique(cohort.groups[in_time & (event == kind)])) for kind in (EVENT, COMPETING)
    ]
    if min(patients) < MIN_EVENTS:
        return None
    # F_k(h) = P(T <= h, cause k) is regressed on 1{T <= h, event = 1}: with the causes swapped the
    # same code gives F_2. Known outcomes and weights 1 / G(min(T, h)-) do not depend on the cause.
    # Nothing makes the two fits sum to at most 1, which is why `curves.competing_risk` returns
    # min(F_2, 1 - F_1).
    swapped = cohort.target.copy()
    swapped["event"][event == EVENT], swapped["event"][event == COMPETING] = COMPETING, EVENT
    # Directions settled for the outcome are not settled for the competing event.
    free = replace(cohort.boosting, directions=(0,) * len(cohort.boosting.directions))
    return replace(cohort, target=swapped, boosting=free)


def fit_competing(
    cohort: TrainingCohort, columns: Columns, folds: Sequence[TunedFold] | None = None
) -> CompetingCurve | None:
    """Fit the cumulative incidence of the competing event, with the outcome competing with it.

    Both causes are fitted by the same direct binomial regression [1]_, each with its own choices.
    None where `competing_cohort` is. The `folds` are those of `steps.choose`.

    References
    ----------
    .. [1] Scheike, Zhang & Gerds. Biometrika 95 (2008) 205-220. doi:10.1093/biomet/asm096
    """
    other = competing_cohort(cohort)
    if other is None:
        return None
    choices = choose(other, folds)
    basis = replace(columns.basis, directions=(0,) * len(columns.basis.directions))
    free_columns = replace(columns, basis=basis)
    return CompetingCurve(fit_main_part(other, choices, free_columns), choices)
