"""Osteon's model fitted to a cohort: what a training run and a benchmark do alike."""

from __future__ import annotations

from collections.abc import Sequence

from data_schema.cohort import Cohort, OutcomeData
from data_schema.errors import UsageError
from models.estimator import CumulativeIncidenceModel
from models.fitting.training_cohort import Progress
from models.targets import survival_target
from training.config import MAX_TREES

__all__ = ["fit_osteon", "outcome_of"]


def fit_osteon(
    train: Cohort,
    *,
    horizons_days: Sequence[float],
    random_state: int,
    interval_folds: int = 10,
    max_trees: int = MAX_TREES,
    threads: int | None = None,
    progress: Progress | None = None,
) -> CumulativeIncidenceModel:
    """Fit the model with patients kept together and each variable's settled direction.

    Parameters
    ----------
    train : Cohort
        With an outcome.
    horizons_days : sequence of float
        Default horizons; for an outcome known at one horizon, that one.
    random_state : int
    interval_folds : int
        Fold models for the intervals; 0 where only risks are wanted.
    max_trees : int
        Most trees of the boosted part.
    threads : int, optional
        All cores by default; the model is the same.
    progress : callable, optional
        Told of every step done.

    Returns
    -------
    CumulativeIncidenceModel

    Raises
    ------
    UsageError
        If the cohort has no outcome.
    DataError
        If there are too few events, or a horizon that too few were observed for.
    """
    outcome = outcome_of(train)
    model = CumulativeIncidenceModel(
        horizons_days=tuple(horizons_days),
        outcome=outcome.name,
        variables=train.variables,
        fixed_horizon=outcome.horizon_days is not None,
        interval_folds=interval_folds,
        max_trees=max_trees,
        random_state=random_state,
        n_jobs=threads,
        progress=progress,
    )
    return model.fit(
        train.features,
        survival_target(outcome.time_days, outcome.event),
        groups=train.patient_id,
        sites=train.site,
    )


def outcome_of(cohort: Cohort) -> OutcomeData:
    """Return the cohort's outcome, which a cohort that is only to be scored does not have."""
    if cohort.outcome is None:
        raise UsageError("a cohort must have an outcome to learn from; this one has none.")
    return cohort.outcome
