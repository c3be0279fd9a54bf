"""The process that keeps workers running and decides which models they serve.

    supervisor ── watcher   polls the registry, stores champions on the disk
               └─ workers   share one listening socket, one audit trail, one set of counters

It answers no request and holds no model. SIGTERM drains the service before it ends: load balancers
see it unready for a while, and requests are still answered. SIGHUP has the registry polled at once.

Each decision is recorded in the audit trail before a
worker receives it, or as soon as the trail can be written again; until then workers cannot answer
predictions either.
"""

from __future__ import annotations

import asyncio
import json
import logging
import os
import signal
import socket
import tempfile
import time
from asyncio.subprocess import Process
from collections import deque
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

from data_schema.errors import GateError, OsteonError, OutsideError
from models.registry.life_events import ModelTimeline
from serving.access.rate import Buckets
from serving.audit.record import Action, AuditEvent, Detail, ModelRecord, now
from serving.audit.trail import AuditTrail
from serving.audit.withdrawals import withdrawals
from serving.http.ended_processes import add_counts
from serving.processes.child import send, start_process
from serving.processes.folder_locks import lock_shared
from serving.processes.listening import listen
from serving.processes.messages import (
    CachedModel,
    DegradedCode,
    DegradedReason,
    Failure,
    RefusedVersion,
    RegistryScan,
    ServingPlan,
    WorkerReport,
    WorkerStart,
    parse_line,
    to_line,
)
from serving.settings import Settings, StatedSettings

__all__ = ["Supervisor"]

_SECONDS_FOR_A_SCAN = 600
_SECONDS_BETWEEN_RECORDINGS = 5
# A worker that ran as long did not fail at its start: the next one starts without a delay.
_SECONDS_OF_A_GOOD_START = 10.0

_LOG = logging.getLogger(__name__)


class Supervisor:
    """One service: its watcher, its workers and the models that they serve.

    Parameters
    ----------
    stated : StatedSettings
        Settings that differ from the environment's, for the other processes.
    listener : socket
        Bound, not yet listening; only workers accept.
    check : callable
        Takes the models before any is served, and raises if they must not be served here.
    announce : callable
        Takes the models once every worker serves them.
    """

    def __init__(
        self,
        settings: Settings,
        stated: StatedSettings,
        listener: socket.socket,
        trail: AuditTrail,
        *,
        check: Callable[[tuple[CachedModel, ...]], None],
        announce: Callable[[tuple[CachedModel, ...]], None],
    ) -> None:
        self._settings = settings
        self._stated = stated
        self._listener = listener
        self._trail = trail
        self._check = check
        self._announce = announce
        self._models: tuple[CachedModel, ...] = ()
        self._shadows: tuple[CachedModel, ...] = ()
        self._timelines: tuple[ModelTimeline, ...] = ()
        self._bundle_locks: list[int] = []
        self._reasons: dict[str, DegradedReason] = {}
        self._recording = asyncio.Lock()
        self._unrecorded: deque[AuditEvent] = deque()
        self._recorded_refusals: set[RefusedVersion] = set()
        self._watcher: Process | None = None
        self._workers: dict[int, Process] = {}
        self._is_draining = False
        self._environment: Mapping[str, str] = os.environ
        self._is_urgent = asyncio.Event()
        self._started = asyncio.Event()
        self._serving: dict[int, asyncio.Event] = {}

    async def run(self) -> None:
        """Serve until SIGTERM or SIGINT; a second signal ends the drain that SIGTERM begins.

        Raises
        ------
        OsteonError
            If the service cannot start: a model that the settings name is missing or not allowed,
            or the registry fails and no model is stored on this disk.
        """
        loop = asyncio.get_running_loop()
        stop_signal: asyncio.Future[str] = loop.create_future()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._note_signal, stop_signal, number)
        loop.add_signal_handler(signal.SIGHUP, self._reload)
        with (
            tempfile.TemporaryDirectory(prefix="osteon-metrics-") as counters,
            tempfile.TemporaryFile(prefix="osteon-rates-") as buckets,
        ):
            buckets.truncate(Buckets.SIZE)
            serving = asyncio.create_task(self._serve(counters, buckets.fileno()))
            try:
                ends: set[asyncio.Future[None] | asyncio.Future[str]] = {serving, stop_signal}
                await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED)
            finally:
                if stop_signal.done() and stop_signal.result() == signal.SIGTERM.name:
                    await self._drain()
                serving.cancel()
                (result,) = await asyncio.gather(serving, return_exceptions=True)
                await self._stop(stop_signal.result() if stop_signal.done() else "failure")
        if isinstance(result, Exception):
            raise result

    async def _serve(self, counters: str, buckets: int) -> None:
        self._environment = {**os.environ, "PROMETHEUS_MULTIPROC_DIR": counters}
        self._serving = {number: asyncio.Event() for number in range(self._settings.workers)}
        workers = [self._keep_running(number, buckets) for number in self._serving]
        tasks = [asyncio.create_task(each) for each in (*workers, self._start_and_follow())]
        try:
            await asyncio.gather(*tasks)
        finally:
            for task in tasks:
                task.cancel()

    async def _start_and_follow(self) -> None:
        """Choose the models, wait until every worker serves them, then follow the registry."""
        scan = await self._without_withdrawn(await self._poll_registry())
        self._start_with(scan)
        if scan.failure is not None:
            await self._end_watcher()
        await self._record_pending()
        listen(self._listener)  # here, since a worker that fails to listen could not say why
        self._started.set()
        for serving in self._serving.values():
            await serving.wait()
        self._announce(self._models)
        await asyncio.gather(self._follow_registry(), self._keep_recording())

    # Signals

    def _note_signal(self, first: asyncio.Future[str], number: signal.Signals) -> None:
        if first.done():
            self._is_urgent.set()
        else:
            first.set_result(number.name)

    def _reload(self) -> None:
        """Have the registry polled; workers watch the files of the certificate themselves."""
        _LOG.info("SIGHUP: the registry is polled at once")
        if self._watcher is not None:
            send(self._watcher, "scan")

    async def _drain(self) -> None:
        """Tell load balancers to go elsewhere, and answer requests until they have noticed."""
        if not self._started.is_set() or not self._settings.drain_seconds:
            return
        _LOG.info("draining for %d s", self._settings.drain_seconds)
        self._is_draining = True
        self._send_plan()
        with suppress(TimeoutError):
            await asyncio.wait_for(self._is_urgent.wait(), self._settings.drain_seconds)

    # Which models to serve

    async def _poll_registry(self) -> RegistryScan:
        """Return the watcher's next scan, after starting a watcher if there is none."""
        if self._watcher is None:
            self._watcher = await start_process(
                "serving.processes.watcher", environment=self._environment
            )
            send(self._watcher, json.dumps(self._stated))
        assert self._watcher.stdout is not None
        try:
            wait = _SECONDS_FOR_A_SCAN + self._settings.registry_poll_seconds
            line = await asyncio.wait_for(self._watcher.stdout.readline(), wait)
            if line:
                return parse_line(RegistryScan, line)
            raise OutsideError("The process that polls the registry has ended.")
        except TimeoutError:
            raise OutsideError("The registry did not answer in time.") from None

    def _start_with(self, scan: RegistryScan) -> None:
        names = {model.name for model in scan.models or ()}
        if scan.failure is not None and (scan.failure.kind != "OutsideError" or not names):
            raise scan.failure.error()
        if not self._settings.follows_registry and scan.refused:
            raise GateError(scan.refused[0].message)
        for name in self._settings.names:
            if name not in names:
                refusals = [refused.message for refused in scan.refused if refused.name == name]
                raise GateError(
                    refusals[0]
                    if refusals
                    else f"{name} must have a champion. Run `osteon promote {name} VERSION`."
                )
        self._check(scan.models or ())
        self._apply_scan(scan, first=True)

    async def _follow_registry(self) -> None:
        while self._settings.follows_registry:
            try:
                scan = await self._without_withdrawn(await self._poll_registry())
            except OutsideError as error:
                scan = RegistryScan(failure=Failure.of(error))
            if scan.failure is not None:
                await self._end_watcher()
                self._apply_scan(scan)
                self._send_plan()
                await asyncio.sleep(self._settings.registry_poll_seconds)
            elif self._apply_scan(scan):
                await self._record_pending()
                self._send_plan()

    def _apply_scan(self, scan: RegistryScan, *, first: bool = False) -> bool:
        """Decide which models to serve after a scan, and return whether anything changed."""
        before = dict(self._reasons)
        if scan.failure is None:
            self._restore("registry")
        else:
            self._degrade("registry", "registry", scan.failure.message)
        has_news = scan.timelines is not None and scan.timelines != self._timelines
        if scan.timelines is not None:
            self._timelines = scan.timelines
        if scan.models is None:
            return has_news or before != self._reasons
        for refused in scan.refused:
            self._refuse(refused)
        if scan.failure is None:
            still_refused = {_refusal_of(refused.name) for refused in scan.refused}
            for key, reason in list(self._reasons.items()):
                if reason.code == "version_refused" and key not in still_refused:
                    self._restore(key)
        if scan.failure is None or first:
            self._swap(scan, first=first)
        return True

    def _refuse(self, refused: RefusedVersion) -> None:
        version = f"version {refused.version}" if refused.version else "the model on this disk"
        message = f"{refused.name}: {version} is refused. {refused.message}"
        self._degrade(_refusal_of(refused.name), "version_refused", message)
        if refused not in self._recorded_refusals:
            self._recorded_refusals.add(refused)
            detail: Detail = {
                "name": refused.name,
                "version": refused.version or "",
                "reason": refused.message,
            }
            self._note("model_refused", "refused", detail=detail)

    def _swap(self, scan: RegistryScan, *, first: bool) -> None:
        """Serve the models of a scan; for a refused name, keep the model in service."""
        current = {model.name: model for model in self._models}
        wanted = {model.name: model for model in scan.models or ()}
        for refused in scan.refused:
            if refused.name in current and current[refused.name].sha256 != refused.withdrawn:
                wanted.setdefault(refused.name, current[refused.name])
        models = tuple(wanted[name] for name in sorted(wanted))
        if first:
            detail: Detail = {
                "workers": self._settings.workers,
                "from_cache": scan.failure is not None,
            }
            self._note("start", "ok", models=models, detail=detail)
        elif models != self._models:
            self._note_swap(current, models)
        self._models = models
        served = {model.sha256 for model in models}
        shadows = tuple(model for model in scan.shadows if model.sha256 not in served)
        if shadows != self._shadows:
            named = ", ".join(f"{model.name} version {model.version}" for model in shadows)
            _LOG.info("in the shadow: %s", named or "nothing")
        self._shadows = shadows
        released = self._bundle_locks
        locks = [
            lock_shared(self._settings.model_dir / model.sha256) for model in (*models, *shadows)
        ]
        self._bundle_locks = [lock for lock in locks if lock is not None]
        for lock in released:
            os.close(lock)

    async def _without_withdrawn(self, scan: RegistryScan) -> RegistryScan:
        """Return a scan in which models that were withdrawn on record are refused.

        The trail counts, not the registry: a mark there can be deleted, and a copy on this disk
        serves while the registry is down. Without the trail nothing is predicted anyway.
        """
        models = scan.models or ()
        try:
            reasons = await asyncio.to_thread(
                withdrawals, self._trail, {model.sha256 for model in (*models, *scan.shadows)}
            )
        except OsteonError as error:
            _LOG.warning("The trail cannot be searched for withdrawn versions. %s", error)
            return scan
        if not reasons:
            return scan
        refused = tuple(
            RefusedVersion(
                model.name,
                model.version,
                f"It was withdrawn: {reasons[model.sha256]}",
                model.sha256,
            )
            for model in models
            if model.sha256 in reasons
        )
        standing = tuple(model for model in models if model.sha256 not in reasons)
        beside = tuple(model for model in scan.shadows if model.sha256 not in reasons)
        return replace(scan, models=standing, refused=(*scan.refused, *refused), shadows=beside)

    async def _drop_withdrawn(self) -> None:
        """Stop serving models that were withdrawn on record since."""
        current = RegistryScan(self._models, shadows=self._shadows)
        scan = await self._without_withdrawn(current)
        if scan.refused or scan.shadows != self._shadows:
            for refused in scan.refused:
                self._refuse(refused)
            self._swap(scan, first=False)
            await self._record_pending()
            self._send_plan()

    def _note_swap(
        self, current: Mapping[str, CachedModel], models: tuple[CachedModel, ...]
    ) -> None:
        withdrawn = sorted(set(current) - {model.name for model in models})
        changed = tuple(model for model in models if current.get(model.name) != model)
        before = [_record_of(current[model.name]) for model in changed if model.name in current]
        detail: Detail = {"before": before, "withdrawn": withdrawn}
        self._note("model_swapped", "ok", models=changed, detail=detail)
        for model in changed:
            _LOG.info("%s version %s is served from now on", model.name, model.version)
        for name in withdrawn:
            _LOG.warning("%s is no longer served: it has no valid champion", name)

    def _degrade(self, key: str, code: DegradedCode, message: str) -> None:
        known = self._reasons.get(key)
        if known is None or known.message != message:
            _LOG.warning("degraded: %s", message)
            since = now() if known is None else known.since
            self._reasons[key] = DegradedReason(code, message, since)

    def _restore(self, key: str) -> None:
        if self._reasons.pop(key, None) is not None:
            _LOG.info("no longer degraded: %s", key)

    # The audit trail

    def _note(
        self,
        action: Action,
        status: str,
        *,
        models: tuple[CachedModel, ...] = (),
        detail: Detail,
    ) -> None:
        records = [_record_of(model) for model in models]
        detail = {"at": now(), **detail}
        event = AuditEvent(action, "service", status, models=records, detail=detail)
        self._unrecorded.append(event)

    async def _keep_recording(self) -> None:
        """Record events that could not be recorded when they happened; drop withdrawn models."""
        while True:
            await self._record_pending()
            await self._drop_withdrawn()
            await asyncio.sleep(_SECONDS_BETWEEN_RECORDINGS)

    async def _record_pending(self) -> None:
        async with self._recording:
            while self._unrecorded:
                try:
                    await asyncio.to_thread(self._trail.append, self._unrecorded[0])
                except OsteonError as error:
                    if "audit" not in self._reasons:
                        message = "The audit trail cannot be written: nothing is predicted."
                        self._degrade("audit", "audit", message)
                        _LOG.error("%s", error)
                    return
                self._unrecorded.popleft()
            if "audit" in self._reasons:
                self._restore("audit")
                self._send_plan()

    # Workers

    def _send_plan(self, *workers: Process) -> None:
        """Send the plan to these workers, or to all."""
        reasons = tuple(self._reasons.values())
        plan = to_line(
            ServingPlan(self._models, reasons, self._is_draining, self._shadows, self._timelines)
        )
        for worker in workers or self._workers.values():
            send(worker, plan)

    async def _keep_running(self, number: int, buckets: int) -> None:
        """Keep one worker running: whenever it ends, start another."""
        failures = 0
        start = WorkerStart(self._stated, self._listener.fileno(), buckets)
        while True:
            started = time.monotonic()
            worker = await start_process(
                "serving.processes.worker",
                environment=self._environment,
                inherits=[start.listener, start.buckets],
            )
            self._workers[number] = worker
            await self._started.wait()  # meanwhile the worker imports, which takes as long
            send(worker, to_line(start))
            self._send_plan(worker)
            failure = await self._read_reports(number, worker)
            code = await worker.wait()
            self._add_counts_of(worker)
            if not self._serving[number].is_set():
                raise failure or OutsideError(f"A worker ended at its start with code {code}.")
            _LOG.error("worker %d ended with %d; another is started", worker.pid, code)
            is_good_start = time.monotonic() - started >= _SECONDS_OF_A_GOOD_START
            failures = 0 if is_good_start else failures + 1
            await asyncio.sleep(min(30.0, 0.5 * failures * failures))

    async def _read_reports(self, number: int, worker: Process) -> OsteonError | None:
        """Read a worker's reports until it ends, and return why it could not start, if so."""
        assert worker.stdout is not None
        while line := await worker.stdout.readline():
            report = parse_line(WorkerReport, line)
            if report.failure is not None:
                return report.failure.error()
            self._serving[number].set()
            if report.refused:
                for refused in report.refused:
                    self._refuse(refused)
                # The next watcher loads and stores every champion again.
                await self._end_watcher()
        return None

    # The end

    async def _end_watcher(self) -> None:
        if self._watcher is not None:
            with suppress(ProcessLookupError):
                self._watcher.kill()
            await self._watcher.wait()
            self._add_counts_of(self._watcher)
            self._watcher = None

    def _add_counts_of(self, ended: Process) -> None:
        add_counts(Path(self._environment["PROMETHEUS_MULTIPROC_DIR"]), ended.pid)

    async def _stop(self, why: str) -> None:
        """Finish the requests in progress, refuse new ones, then end."""
        self._listener.close()
        await self._end_watcher()
        workers = [worker for worker in self._workers.values() if worker.returncode is None]
        for worker in workers:
            assert worker.stdin is not None
            if self._started.is_set():
                worker.stdin.close()
            else:  # it waits for its first line and answers no request yet
                worker.kill()
        if workers:
            endings = [asyncio.create_task(worker.wait()) for worker in workers]
            _, late = await asyncio.wait(endings, timeout=self._settings.shutdown_seconds + 2)
            if late:
                _LOG.error("%d workers did not end in time and are killed", len(late))
            for worker in workers:
                with suppress(ProcessLookupError):
                    worker.kill()
                await worker.wait()
        self._note("stop", "ok", detail={"why": why})
        await self._record_pending()


def _refusal_of(name: str) -> str:
    """Return the key of the reason that a version of a model is refused."""
    return f"version_refused {name}"


def _record_of(model: CachedModel) -> ModelRecord:
    """Return a model as audit records name it, without what is not known."""
    record: ModelRecord = {"name": model.name, "sha256": model.sha256}
    if model.version is not None:
        record["version"] = model.version
    if model.promoted_by is not None:
        record["promoted_by"] = model.promoted_by
    if model.promoted_at is not None:
        record["promoted_at"] = model.promoted_at
    return record
