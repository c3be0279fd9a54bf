"""A Dask cluster: workers of this machine, or those of a scheduler elsewhere."""

from __future__ import annotations

import atexit
import gc
import importlib
import logging
import os
import pickle
import secrets
import tempfile
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING, Any, TypeVar

from data_schema.errors import OsteonError, OutsideError, UsageError
from training.provenance import versions

if TYPE_CHECKING:
    from distributed import Client, Future

__all__ = [
    "FOLDER_VARIABLE",
    "LOCAL",
    "Cluster",
    "Results",
    "computed_here",
    "connected",
    "open_cluster",
]

_LOG = logging.getLogger(__name__)

LOCAL = "local"
"""The address that stands for one worker on each core of this machine."""

FOLDER_VARIABLE = "OSTEON_DASK_FOLDER"
"""Folder that this machine and every worker read and write, for a scheduler elsewhere."""

SECONDS_TO_CONNECT = 30
_RETRIES = 2
"""How often a task that failed is run again; one whose worker was lost is run again besides."""

_QUEUED_PER_WORKER = 3

_FREED_BYTES_KEPT = 2**28
"""Freed memory that a worker of this machine keeps for its next array.

Dask has its workers return every 64 kB to the system, and parts of a file ask for the same arrays
again: a fifth of a worker's time went into pages. A thread's own heap is returned whatever this
states, so all threads of a worker share one.
"""

_IMPORTED = "training.checked_file"
"""What workers import before their first task: most of the libraries that any of them needs."""

_SAME = ("osteon", "python", "numpy", "pandas", "scikit-learn", "xgboost")
"""What must have the same version on every machine, since the last digits depend on it."""

T = TypeVar("T")
Results = Callable[[Callable[..., T], Iterable[tuple[Any, ...]]], Iterator[T]]
"""What yields `work(*job)` of every job in turn: `Cluster.results` or `computed_here`."""


def computed_here(work: Callable[..., T], jobs: Iterable[tuple[Any, ...]]) -> Iterator[T]:
    """Yield `work(*job)` of every job in turn, computed by this process."""
    return (work(*job) for job in jobs)


@dataclass(frozen=True, slots=True)
class Cluster:
    """Workers, and a folder that they share with this process.

    Parameters
    ----------
    workers : int
        When the connection was made; tasks also go to workers that come later.
    folder : Path
        Removed with everything in it when the connection ends.
    """

    client: Client
    workers: int
    folder: Path

    def results(self, work: Callable[..., T], jobs: Iterable[tuple[Any, ...]]) -> Iterator[T]:
        """Yield `work(*job)` of every job in turn, each computed by some worker.

        A job whose worker is lost is done again by another one. Jobs carry paths and small values:
        data are read from files, so that nothing is lost with a worker.

        Raises
        ------
        OsteonError
            As `work` raises it.
        OutsideError
            If workers are lost again and again at the same job.
        """
        from distributed import KilledWorker

        waiting: list[Future] = []
        most = _QUEUED_PER_WORKER * max(1, self.workers)
        jobs = iter(jobs)
        try:
            for job in jobs:
                waiting.append(
                    self.client.submit(
                        _outcome, work, job, gc.get_threshold(), pure=False, retries=_RETRIES
                    )
                )
                if len(waiting) >= most:
                    yield _value(waiting.pop(0))
            while waiting:
                yield _value(waiting.pop(0))
        except KilledWorker:
            raise OutsideError(
                "workers of the Dask cluster ended again and again at one task, most likely for "
                "want of memory. Give them more, or lower max_patients in the settings of the run."
            ) from None
        finally:
            for future in waiting:
                future.cancel()

    @contextmanager
    def importing(self) -> Iterator[None]:
        """Have each worker import what its tasks need while this process does other work."""
        futures = [
            self.client.submit(
                _import,
                _IMPORTED,
                gc.get_threshold(),
                workers=[worker],
                allow_other_workers=True,
                pure=False,
            )
            for worker in self.client.scheduler_info()["workers"]
        ]
        try:
            yield
        finally:
            for future in futures:
                future.cancel()

    def stored(self, value: object) -> Path:
        """Write a value where every worker can read it, and return its place."""
        path = self.folder / f"{secrets.token_hex(8)}.pickle"
        with path.open("wb") as file:
            pickle.dump(value, file, protocol=5)
        return path


@dataclass(slots=True)
class _Failed:
    """An error of the work itself, which another attempt would meet again."""

    error: OsteonError


@dataclass(slots=True)
class _Connections:
    """The clusters that this process is connected to, by address."""

    open: dict[str, Cluster] = field(default_factory=dict)
    lock: Any = field(default_factory=Lock)


_CONNECTIONS = _Connections()


@contextmanager
def connected(address: str) -> Iterator[Cluster | None]:
    """Connect to a cluster for the duration of the block; None for the empty address.

    Parameters
    ----------
    address : str
        `local`, or the address of a scheduler, such as `tcp://10.0.0.5:8786`.

    Raises
    ------
    UsageError
        If the extra `dask` is not installed, or `OSTEON_DASK_FOLDER` is missing.
    OutsideError
        If the scheduler does not answer, has no workers, or they have other versions or do not
        share the folder.
    """
    if not address:
        yield None
        return
    if address in _CONNECTIONS.open:
        yield _CONNECTIONS.open[address]
        return
    with ExitStack() as closing:
        cluster = closing.enter_context(_local() if address == LOCAL else _elsewhere(address))
        _CONNECTIONS.open[address] = cluster
        closing.callback(_CONNECTIONS.open.pop, address)
        _LOG.info("connected to %d Dask workers", cluster.workers)
        with cluster.importing():
            yield cluster


def open_cluster(address: str) -> Cluster | None:
    """Return the cluster that `connected` has opened; None for the empty address.

    One that nothing has opened, as in a notebook, is opened until the process ends.
    """
    if not address:
        return None
    with _CONNECTIONS.lock:
        if address not in _CONNECTIONS.open:
            until_the_end = ExitStack()
            until_the_end.enter_context(connected(address))
            atexit.register(until_the_end.close)
        return _CONNECTIONS.open[address]


@contextmanager
def _local() -> Iterator[Cluster]:
    """Start one worker of one thread on each core of this machine."""
    import joblib

    _require_dask()
    import dask
    from distributed import Client, LocalCluster

    environment = dask.config.get("distributed.nanny.pre-spawn-environ") | {
        "MALLOC_TRIM_THRESHOLD_": _FREED_BYTES_KEPT,
        "MALLOC_MMAP_THRESHOLD_": _FREED_BYTES_KEPT,
        "MALLOC_ARENA_MAX": 1,
    }
    settings = {
        "distributed.nanny.pre-spawn-environ": environment,
        # Without a dashboard, what it would show is read by nothing.
        "distributed.worker.profile.enabled": False,
        "distributed.admin.tick.interval": "1s",
    }
    with (
        dask.config.set(settings),
        tempfile.TemporaryDirectory(prefix="osteon-dask-") as folder,
        ExitStack() as closing,
    ):
        try:
            machine = closing.enter_context(
                LocalCluster(
                    n_workers=joblib.cpu_count(),
                    threads_per_worker=1,
                    dashboard_address=None,
                    scheduler_kwargs={"dashboard_address": "127.0.0.1:0"},
                    silence_logs=logging.CRITICAL,
                    local_directory=folder,
                )
            )
            client = closing.enter_context(Client(machine))
        except (OSError, RuntimeError, TimeoutError):
            raise OutsideError(
                "the Dask workers of this machine did not start. Check free memory and Dask's own "
                "settings, or leave out --dask."
            ) from None
        yield Cluster(client, joblib.cpu_count(), Path(folder))


@contextmanager
def _elsewhere(address: str) -> Iterator[Cluster]:
    """Connect to a scheduler, and check that its workers can do the work."""
    _require_dask()
    from distributed import Client

    shared = os.environ.get(FOLDER_VARIABLE, "")
    if not Path(shared or "/nowhere").is_dir():
        raise UsageError(
            f"{FOLDER_VARIABLE} must name a folder that this machine and every worker of {address} "
            "read and write. Set it to one on a shared file system."
        )
    try:
        client = Client(address, timeout=SECONDS_TO_CONNECT)
    except (OSError, TimeoutError, ValueError):
        raise OutsideError(
            f"the Dask scheduler at {address} did not answer in {SECONDS_TO_CONNECT} s. "
            "Check the address, and that it runs."
        ) from None
    with client, tempfile.TemporaryDirectory(dir=shared, prefix="osteon-dask-") as folder:
        token = Path(folder, "token")
        token.write_text(secrets.token_hex(8))
        answers = client.run(_described, str(token), token.read_text())
        if not answers:
            raise OutsideError(f"the Dask scheduler at {address} has no workers. Start some.")
        _check_workers(list(answers.values()))
        yield Cluster(client, len(answers), Path(folder))


def _require_dask() -> None:
    try:
        import distributed  # noqa: F401
    except ModuleNotFoundError:
        raise UsageError("--dask needs Dask (not installed). Install osteon[dask].") from None


def _described(token: str, content: str) -> tuple[dict[str, str], bool]:
    """Return the versions of a worker, and whether it sees the shared folder."""
    try:
        return versions(), Path(token).read_text() == content
    except OSError:
        return versions(), False


def _check_workers(answers: list[tuple[dict[str, str], bool]]) -> None:
    own = versions()
    for name in _SAME:
        others = sum(theirs.get(name) != own.get(name) for theirs, _ in answers)
        if others:
            raise OutsideError(
                f"{name} must have the version of this machine, {own.get(name)}, on every Dask "
                f"worker; {others} of {len(answers)} have another. Install the same lock file."
            )
    blind = sum(not sees for _, sees in answers)
    if blind:
        raise OutsideError(
            f"{FOLDER_VARIABLE} must be shared with every Dask worker; {blind} of {len(answers)} "
            "do not see it. Mount the same file system on all."
        )


def _import(module: str, collected_at: tuple[int, int, int]) -> None:
    gc.set_threshold(*collected_at)
    importlib.import_module(module)


def _outcome(
    work: Callable[..., T], job: tuple[Any, ...], collected_at: tuple[int, int, int]
) -> T | _Failed:
    """Return the result of a job, or an error that is of no use to repeat.

    Garbage is collected as rarely as in the process that connected: at Python's own threshold a
    tenth of a worker's time goes into it.
    """
    gc.set_threshold(*collected_at)
    try:
        return work(*job)
    except OsteonError as error:
        return _Failed(error)


def _value(future: Future) -> Any:
    value = future.result()
    if isinstance(value, _Failed):
        raise value.error
    return value
