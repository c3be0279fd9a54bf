"""Fits of one model as tasks of a cluster, each whole on one worker."""

from __future__ import annotations

import pickle
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import Any, TypeVar

from models.fitting.training_cohort import Fit, TrainingCohort
from training.distributed.cluster import Cluster

__all__ = ["ClusterFits"]

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class ClusterFits:
    """Runs the tuning folds, the main fit and the fold models of a model on a cluster.

    What the fits read lies in a file that every worker reads once, so that a worker that is lost
    takes nothing with it. The results are those of one process: no fit is divided.
    """

    cluster: Cluster

    def results(
        self,
        cohort: TrainingCohort,
        fit: Fit[T],
        jobs: Sequence[tuple[Any, ...]],
        shared: object,
    ) -> Iterator[T]:
        """Yield `fit(cohort, shared, *job)` of every job in turn."""
        # Neither the frame, from which the cohort was encoded, nor callbacks are read by a fit.
        settings = replace(cohort.settings, variables={}, runner=None, progress=None, n_jobs=1)
        read = replace(cohort, frame=cohort.frame.iloc[:0], settings=settings).with_threads(1)
        path = self.cluster.stored((read, shared))
        try:
            yield from self.cluster.results(_fitted, [(fit, path, job) for job in jobs])
        finally:
            path.unlink(missing_ok=True)


def _fitted(fit: Fit[T], path: Path, job: tuple[Any, ...]) -> T:
    cohort, shared = _read(path)
    return fit(cohort, shared, *job)


@lru_cache(maxsize=1)
def _read(path: Path) -> tuple[TrainingCohort, Any]:
    """Return what the fits of a model share; held in memory, since a worker runs several."""
    with path.open("rb") as file:
        read: tuple[TrainingCohort, Any] = pickle.load(file)  # noqa: S301  written by ourselves
    return read
