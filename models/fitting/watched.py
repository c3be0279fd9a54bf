"""The held-out loss of the boosted part by itself, fold by fold, to judge its settings."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from models.fitting.boosted import BoostingSettings, fit_booster_watched
from models.fitting.steps import tuning_folds
from models.fitting.training_cohort import TrainingCohort
from models.fitting.tuning import pooled_losses

__all__ = ["WatchedFold", "lowest_loss", "watched_folds"]


@dataclass(frozen=True, slots=True)
class WatchedFold:
    """The held-out loss of one fold, tree by tree.

    Parameters
    ----------
    losses : ndarray of float, shape (n_evaluations,)
        Log-loss of the patients held out, lower is better; from `fit_booster_watched`.
    patients : int
        Patients held out.
    """

    losses: NDArray[np.float64]
    patients: int


def watched_folds(
    cohort: TrainingCohort, boosting: BoostingSettings, max_trees: int
) -> Iterator[WatchedFold]:
    """Yield the held-out loss of each fold in which a fit makes its choices.

    Folds, censoring and drawn horizons are those of `steps.choose`, so that settings are compared
    on the same patients and days.
    """
    for k, (learn, out) in enumerate(cohort.folds(tuning_folds(cohort), seed=0)):
        censoring = cohort.censoring(learn)
        _, losses = fit_booster_watched(
            cohort.raw[learn],
            cohort.pairs_of_trees(cohort.pairs(learn, censoring, 2 * k), learn, 2 * k),
            cohort.raw[out],
            cohort.pairs(out, censoring, 2 * k + 1),
            cohort.blanking,
            settings=boosting,
            max_trees=max_trees,
        )
        yield WatchedFold(losses, len(out))


def lowest_loss(folds: Sequence[WatchedFold]) -> float:
    """Return the lowest loss over all folds at one number of trees."""
    return float(pooled_losses([f.losses for f in folds], [f.patients for f in folds]).min())
