"""Fit Osteon's model to a cohort, to some of its columns, to folds and to resamples."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from data_schema.cohort import Cohort, outcome_of
from models.estimator import CumulativeIncidenceModel
from models.fitting.training_cohort import Progress
from models.metrics.comparison.paired_changes import OutOfFold
from models.targets import survival_target
from training.cohorts.splits import folds_by_patient
from training.config import MAX_TREES, RunConfig

__all__ = [
    "FOLDS",
    "bootstrap_risks",
    "fit_osteon",
    "out_of_fold_risks",
    "refit",
    "steps_of_all",
    "with_columns",
]

FOLDS = 5
"""Folds of the out-of-fold risks."""


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
    """Fit the model with the stays of a patient in one fold and each variable's settled direction.

    Parameters
    ----------
    train : Cohort
        With an outcome.
    horizons_days : sequence of float
        Default horizons; for an outcome known at one horizon, that one.
    interval_folds : int
        Fold models for the intervals; 0 if only risks are needed.
    max_trees : int
        Largest number of trees of the boosted part.
    threads : int, optional
        Default: all cores; the model does not depend on it.
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


def with_columns(cohort: Cohort, names: Sequence[str]) -> Cohort:
    """Return a cohort with only the named columns, in the cohort's order."""
    chosen = [name for name in cohort.features.columns if name in set(names)]
    return replace(cohort, features=cohort.features[chosen])


def refit(
    cohort: Cohort,
    horizons_days: Sequence[float],
    config: RunConfig,
    *,
    progress: Progress | None = None,
) -> CumulativeIncidenceModel:
    """Fit Osteon with every choice made anew, as a training run does, but no interval models."""
    return fit_osteon(
        cohort,
        horizons_days=horizons_days,
        random_state=config.seed,
        interval_folds=0,
        max_trees=config.max_trees,
        threads=config.threads,
        progress=progress,
    )


def out_of_fold_risks(
    cohort: Cohort,
    columns: Mapping[str, Sequence[str]],
    horizons_days: Sequence[float],
    config: RunConfig,
    *,
    progress: Progress | None = None,
) -> OutOfFold:
    """Return each patient's risks by models that were fitted without that patient.

    Parameters
    ----------
    columns : mapping of str to sequence of str
        Model -> columns of the cohort that it reads; equal sets are fitted once.

    Returns
    -------
    OutOfFold
        Penalty, number of trees, weight and calibration are chosen anew within each fold.
    """
    sets = {name: frozenset(members) for name, members in columns.items()}
    distinct = list(dict.fromkeys(sets.values()))
    fold = np.empty(len(cohort), dtype=np.int64)
    risk = {members: np.empty((len(cohort), len(horizons_days))) for members in distinct}
    splits = folds_by_patient(cohort, folds=FOLDS, random_state=config.seed)
    for k, split in enumerate(splits):
        fold[split.test] = k
        for number, members in enumerate(distinct, start=1):
            part = with_columns(cohort, list(members))
            model = refit(part.take(split.train), horizons_days, config)
            risk[members][split.test] = model.predict_risk(part.features.iloc[split.test])
            if progress is not None:
                done = k * len(distinct) + number
                progress("fitting with and without", done, len(splits) * len(distinct))
    return OutOfFold(
        {name: risk[members] for name, members in sets.items()}, fold, tuple(horizons_days)
    )


def bootstrap_risks(
    cohort: Cohort, horizons_days: Sequence[float], config: RunConfig, *, refits: int
) -> Iterator[NDArray[np.float64]]:
    """Yield the risks of every patient by models fitted to resampled patients, one refit at a time.

    Yields
    ------
    ndarray of float, shape (n_stays, n_horizons)
        Of all patients, resampled or not. A patient that is resampled twice stays in one fold.
    """
    patient = np.unique(cohort.patient_id.astype(str), return_inverse=True)[1]
    order = np.argsort(patient, kind="stable")
    start = np.searchsorted(patient[order], np.arange(patient.max() + 2))
    rng = np.random.default_rng(config.seed)
    for _ in range(refits):
        resampled = rng.integers(patient.max() + 1, size=patient.max() + 1)
        rows = np.concatenate([order[start[k] : start[k + 1]] for k in resampled])
        model = refit(cohort.take(rows), horizons_days, config)
        yield model.predict_risk(cohort.features)


def steps_of_all(progress: Progress | None, what: str, fit: int, fits: int) -> Progress | None:
    """Return the progress of one of several fits as that of all of them, in steps of all."""
    if progress is None:
        return None

    def report(_: str, done: int, steps: int) -> None:
        progress(what, fit * steps + done, fits * steps)

    return report
