"""Where the fits of one model run: side by side in this process, or elsewhere."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

from threadpoolctl import threadpool_limits

from models.fitting.training_cohort import Fit, TrainingCohort
from models.targets import MAX_PAIRS

__all__ = ["results_of"]

T = TypeVar("T")


def results_of(
    fit: Fit[T],
    jobs: Sequence[tuple[Any, ...]],
    cohort: TrainingCohort,
    *,
    shared: object = None,
    what: str = "",
) -> list[T]:
    """Return `fit(cohort, shared, *job)` of every job, run several at a time.

    Several fits on one core each use a machine better than a single fit on all cores, whose linear
    part uses one. Together they hold no more pairs than a single fit may. Results do not depend on
    where they run.

    Parameters
    ----------
    fit : callable
        A function of a module, so that another process finds it.
    shared : object
        What all jobs read beside the cohort.
    what : str
        Kind of step that progress is reported as; not reported if empty.
    """
    runner = cohort.settings.runner
    results = (_in_threads if runner is None else runner.results)(cohort, fit, jobs, shared)
    done = []
    for result in results:
        done.append(result)
        if what and cohort.settings.progress is not None:
            cohort.settings.progress(what, len(done), len(jobs))
    return done


def _in_threads(
    cohort: TrainingCohort, fit: Fit[T], jobs: Sequence[tuple[Any, ...]], shared: object
) -> Iterator[T]:
    """Yield the results of jobs that share the threads of this process."""
    threads = cohort.settings.n_jobs
    pairs = len(cohort.target) * cohort.rules.horizons
    at_a_time = max(1, min(threads, len(jobs), MAX_PAIRS // pairs))
    share = cohort.with_threads(threads // at_a_time)
    # The limit is set here for all fits: a fit that set its own would lift it for all when it ends.
    with threadpool_limits(limits=1), ThreadPoolExecutor(at_a_time) as pool:
        yield from pool.map(lambda job: fit(share, shared, *job), jobs)
