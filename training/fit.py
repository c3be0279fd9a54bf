"""Fit Osteon's model to a cohort, to some of its columns and to resamples."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from threading import Lock
from typing import Any, TypeVar

import joblib
import numpy as np
import pandas as pd
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from data_schema.cohort import Cohort, outcome_of
from models.estimator import CumulativeIncidenceModel
from models.fitting.training_cohort import HORIZONS_IF_SMALL, Progress, TrainingCohort
from models.targets import MAX_PAIRS, survival_target
from training.config import MAX_TREES, Boosting, RunConfig
from training.distributed.cluster import open_cluster
from training.distributed.fits import ClusterFits

__all__ = [
    "FOLDS",
    "bootstrap_risks",
    "fit_osteon",
    "fits_side_by_side",
    "prepared",
    "refit",
    "steps_of_all",
    "unfitted",
    "unfitted_refit",
    "with_columns",
]

FOLDS = 5
"""Folds of the out-of-fold risks."""

_DEFAULTS = Boosting()

T = TypeVar("T")
Floats = NDArray[np.float64]


def fit_osteon(
    train: Cohort,
    *,
    horizons_days: Sequence[float],
    random_state: int,
    interval_folds: int = 10,
    risk_only: bool = False,
    max_trees: int = MAX_TREES,
    boosting: Boosting = _DEFAULTS,
    threads: int | None = None,
    dask: str = "",
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
        Fold models for the intervals; 0 for none.
    risk_only : bool
        Fit what `predict_risk` reads and nothing beside it.
    max_trees : int
        Largest number of trees of the boosted part.
    boosting : Boosting
        Other settings of the boosted part.
    threads : int, optional
        Default: all cores; the model does not depend on it.
    dask : str
        A cluster that `training.distributed.cluster.connected` has opened (default: this process).
    """
    model = unfitted(
        train,
        horizons_days,
        interval_folds=interval_folds,
        risk_only=risk_only,
        max_trees=max_trees,
        boosting=boosting,
        random_state=random_state,
        threads=threads,
        dask=dask,
        progress=progress,
    )
    return model.fit(*_learned_from(train))


def unfitted(
    train: Cohort,
    horizons_days: Sequence[float],
    *,
    interval_folds: int,
    risk_only: bool,
    max_trees: int,
    boosting: Boosting,
    random_state: int,
    threads: int | None,
    dask: str = "",
    progress: Progress | None = None,
) -> CumulativeIncidenceModel:
    """Return the model that `fit_osteon` fits, with parameters as there."""
    outcome = outcome_of(train)
    cluster = open_cluster(dask)
    return CumulativeIncidenceModel(
        horizons_days=tuple(horizons_days),
        outcome=outcome.name,
        variables=train.variables,
        fixed_horizon=outcome.horizon_days is not None,
        learning_rate=boosting.learning_rate,
        max_depth=boosting.max_depth,
        min_patients=boosting.min_patients,
        column_share=boosting.column_share,
        row_share=boosting.row_share,
        boosting_penalty=boosting.penalty,
        interval_folds=interval_folds,
        risk_only=risk_only,
        max_trees=max_trees,
        random_state=random_state,
        n_jobs=threads,
        runner=None if cluster is None else ClusterFits(cluster),
        progress=progress,
    )


def prepared(model: CumulativeIncidenceModel, train: Cohort) -> TrainingCohort:
    """Return the patients as a model learns from them."""
    return model.prepare(*_learned_from(train))


def _learned_from(
    train: Cohort,
) -> tuple[pd.DataFrame, NDArray[np.void], NDArray[np.object_], NDArray[np.object_] | None]:
    """Return features, target, patients and sites: the arguments of a model's `fit`."""
    outcome = outcome_of(train)
    target = survival_target(outcome.time_days, outcome.event)
    return train.features, target, train.patient_id, train.site


def with_columns(cohort: Cohort, names: Sequence[str]) -> Cohort:
    """Return a cohort with only the named columns, in the cohort's order."""
    chosen = [name for name in cohort.features.columns if name in set(names)]
    return replace(cohort, features=cohort.features[chosen])


def refit(
    cohort: Cohort,
    horizons_days: Sequence[float],
    config: RunConfig,
    *,
    risk_only: bool = False,
    progress: Progress | None = None,
) -> CumulativeIncidenceModel:
    """Fit Osteon with every choice made anew, as a training run does, but no interval models.

    With `risk_only`, fit what `predict_risk` reads and nothing beside it.
    """
    model = unfitted_refit(cohort, horizons_days, config, risk_only=risk_only, progress=progress)
    return model.fit(*_learned_from(cohort))


def unfitted_refit(
    cohort: Cohort,
    horizons_days: Sequence[float],
    config: RunConfig,
    *,
    risk_only: bool,
    progress: Progress | None = None,
) -> CumulativeIncidenceModel:
    """Return the model that `refit` fits, with parameters as there."""
    return unfitted(
        cohort,
        horizons_days,
        interval_folds=0,
        risk_only=risk_only,
        max_trees=config.max_trees,
        boosting=config.boosting,
        random_state=config.seed,
        threads=config.threads,
        dask=config.dask,
        progress=progress,
    )


def fits_side_by_side(
    fit: Callable[..., T],
    jobs: Sequence[tuple[Any, ...]],
    config: RunConfig,
    *,
    rows: int,
    what: str = "",
    progress: Progress | None = None,
) -> Iterator[T]:
    """Yield the result of every job in turn, several fits at a time, with a share of threads each.

    A fit of its own uses one thread in most of its steps, so several at a time use a machine better
    than one on all threads; the results are the same.

    Parameters
    ----------
    fit : callable
        Called with the settings of the fit, its progress or None, and the members of a job.
    rows : int
        Rows of the largest fit: together the fits hold no more pairs than a single fit may.
    what : str
        Kind of step that `progress` is called with.
    """
    threads = config.threads or joblib.cpu_count()
    cluster = open_cluster(config.dask)
    runners = threads if cluster is None else max(threads, cluster.workers)
    at_a_time = max(1, min(runners, len(jobs), MAX_PAIRS // (rows * HORIZONS_IF_SMALL)))
    own = replace(config, threads=max(1, threads // at_a_time))
    steps = _StepsOfAll(progress, what, len(jobs))
    # The limit is set here for all fits: a fit that set its own would lift it for all when it ends.
    with threadpool_limits(limits=1), ThreadPoolExecutor(at_a_time) as pool:
        yield from pool.map(lambda k: fit(own, steps.of(k), *jobs[k]), range(len(jobs)))


class _StepsOfAll:
    """The progress of fits that run side by side, in steps of all."""

    def __init__(self, progress: Progress | None, what: str, fits: int) -> None:
        self._progress, self._what = progress, what
        self._done = [0] * fits
        self._lock = Lock()

    def of(self, fit: int) -> Progress | None:
        """Return the progress of one of the fits."""
        if self._progress is None:
            return None
        whole = self._progress

        def report(_: str, done: int, steps: int) -> None:
            with self._lock:
                self._done[fit] = max(self._done[fit], done)
                whole(self._what, sum(self._done), len(self._done) * steps)

        return report


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
    patients = int(patient.max()) + 1
    resamples = [(rng.integers(patients, size=patients),) for _ in range(refits)]

    def fit(own: RunConfig, _: Progress | None, resampled: NDArray[np.int64]) -> Floats:
        rows = np.concatenate([order[start[k] : start[k + 1]] for k in resampled])
        model = refit(cohort.take(rows), horizons_days, own, risk_only=True)
        return model.predict_risk(cohort.features)

    yield from fits_side_by_side(fit, resamples, config, rows=len(cohort))


def steps_of_all(progress: Progress | None, what: str, fit: int, fits: int) -> Progress | None:
    """Return the progress of one of several fits as that of all of them, in steps of all."""
    if progress is None:
        return None

    def report(_: str, done: int, steps: int) -> None:
        progress(what, fit * steps + done, fits * steps)

    return report
