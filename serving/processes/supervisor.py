"""The process that answers nobody: it keeps workers alive, and tells them what to serve.

    supervisor ── watcher   looks at the registry, keeps champions on the disk
               └─ workers   share one listening socket, one audit trail, one set of counters

It holds no model. What it decides goes into the audit trail before a worker hears of it, or as soon
as the trail can be written again; until then no worker can answer a prediction either.
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
from typing import Any

from data_schema.errors import GateError, OsteonError, OutsideError
from serving.access.rate import Buckets
from serving.audit.record import AuditEvent, now
from serving.audit.trail import AuditTrail
from serving.processes.child import start_process, tell
from serving.processes.folder_locks import hold
from serving.processes.listening import listen
from serving.processes.plan import Kept, Plan, Reason, Refused, Sighting, Told
from serving.settings import Settings

__all__ = ["Supervisor"]

_SECONDS_TO_LOOK = 600
_SECONDS_TO_RECORD = 5
_LIVED_LONG = 10.0

_LOG = logging.getLogger(__name__)


class Supervisor:
    """One service: its watcher, its workers and what they serve.

    Parameters
    ----------
    settings : Settings
    stated : mapping
        Those settings that are not the environment's, for the other processes.
    listener : socket
        Bound, not yet open; only workers accept.
    trail : AuditTrail
    check : callable
        Takes the models before any is served, and raises if they must not be served here.
    announce : callable
        Takes the models, once every worker serves them.
    """

    def __init__(
        self,
        settings: Settings,
        stated: Mapping[str, Any],
        listener: socket.socket,
        trail: AuditTrail,
        *,
        check: Callable[[tuple[Kept, ...]], None],
        announce: Callable[[tuple[Kept, ...]], None],
    ) -> None:
        self._settings = settings
        self._stated = dict(stated)
        self._listener = listener
        self._trail = trail
        self._check = check
        self._announce = announce
        self._models: tuple[Kept, ...] = ()
        self._held: list[int] = []
        self._reasons: dict[str, Reason] = {}
        self._recording = asyncio.Lock()
        self._unrecorded: deque[AuditEvent] = deque()
        self._told_refused: set[tuple[str, str | None, str]] = set()
        self._watching: Process | None = None
        self._workers: dict[int, Process] = {}
        self._begun = asyncio.Event()
        self._serving: dict[int, asyncio.Event] = {}

    async def run(self) -> None:
        """Serve until SIGTERM or SIGINT.

        Raises
        ------
        OsteonError
            If there is nothing to begin with: a model that was asked for is not there or not
            allowed, or the registry fails and nothing was kept on this disk.
        """
        loop = asyncio.get_running_loop()
        told: asyncio.Future[Any] = loop.create_future()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, _tell_once, told, number.name)
        with (
            tempfile.TemporaryDirectory(prefix="osteon-metrics-") as counters,
            tempfile.TemporaryFile(prefix="osteon-rates-") as buckets,
        ):
            buckets.truncate(Buckets.SIZE)
            serving: asyncio.Future[Any] = asyncio.ensure_future(
                self._serve(counters, buckets.fileno())
            )
            try:
                await asyncio.wait({serving, told}, return_when=asyncio.FIRST_COMPLETED)
            finally:
                serving.cancel()
                ended = await asyncio.gather(serving, return_exceptions=True)
                await self._stop(told.result() if told.done() else "failure")
        if isinstance(ended[0], Exception):
            raise ended[0]

    async def _serve(self, counters: str, buckets: int) -> None:
        environment = os.environ | {"PROMETHEUS_MULTIPROC_DIR": counters}
        self._serving = {number: asyncio.Event() for number in range(self._settings.workers)}
        keeping = [self._keep_alive(number, environment, buckets) for number in self._serving]
        tasks = [asyncio.create_task(one) for one in (*keeping, self._go_on())]
        try:
            await asyncio.gather(*tasks)
        finally:
            for task in tasks:
                task.cancel()

    async def _go_on(self) -> None:
        """Find what there is to serve, say when each worker serves it, then follow the registry."""
        sighting = await self._look()
        self._begin_with(sighting)
        if sighting.failure is not None:
            await self._end_watching()
        await self._record()
        listen(self._listener)  # before a worker does, which could not say why it failed
        self._begun.set()
        for serving in self._serving.values():
            await serving.wait()
        self._announce(self._models)
        await asyncio.gather(self._watch(), self._write())

    # What is to be served

    async def _look(self) -> Sighting:
        """Return what the watcher says next, after starting one if there is none."""
        if self._watching is None:
            self._watching = await start_process("serving.processes.watcher")
            tell(self._watching, json.dumps(self._stated))
        assert self._watching.stdout is not None
        try:
            wait = _SECONDS_TO_LOOK + self._settings.registry_poll_seconds
            line = await asyncio.wait_for(self._watching.stdout.readline(), wait)
            if line:
                return Sighting.model_validate_json(line)
            raise OutsideError("The registry must be looked at; the process for it has ended.")
        except TimeoutError:
            raise OutsideError("The registry must answer; it did not in time.") from None

    def _begin_with(self, sighting: Sighting) -> None:
        found = {kept.name for kept in sighting.models or ()}
        if sighting.failure is not None and (sighting.failure.kind != "OutsideError" or not found):
            raise sighting.failure.error()
        for name in self._settings.names:
            if name not in found:
                said = [one.message for one in sighting.refused if one.name == name]
                raise GateError(
                    said[0]
                    if said
                    else f"{name} must have a champion; it has none. "
                    f"Run `osteon promote {name} VERSION`."
                )
        self._check(sighting.models or ())
        self._consider(sighting, first=True)

    async def _watch(self) -> None:
        while self._settings.model is None:
            try:
                sighting = await self._look()
            except OutsideError as error:
                self._mark("registry", str(error))
                sighting = None
            if sighting is None or sighting.failure is not None:
                await self._end_watching()
                if sighting is not None:
                    self._consider(sighting)
                self._tell_workers()
                await asyncio.sleep(self._settings.registry_poll_seconds)
            elif self._consider(sighting):
                await self._record()
                self._tell_workers()

    def _consider(self, sighting: Sighting, *, first: bool = False) -> bool:
        """Take what was seen for what is to be served, and say whether anything is new."""
        before = (self._models, dict(self._reasons))
        if sighting.failure is None:
            self._clear("registry")
        else:
            self._mark("registry", sighting.failure.message)
        if sighting.models is None:
            return before != (self._models, self._reasons)
        for one in sighting.refused:
            self._refuse(one)
        if sighting.failure is None or first:
            self._swap(sighting, first=first)
        for code in [code for code in self._reasons if code.startswith("version_refused ")]:
            if sighting.failure is None and code.split()[1] not in {
                one.name for one in sighting.refused
            }:
                self._clear(code)
        return True

    def _refuse(self, one: Refused) -> None:
        which = f"version {one.version}" if one.version else "what is kept on this machine"
        self._mark(f"version_refused {one.name}", f"{one.name}: {which} is refused. {one.message}")
        if (one.name, one.version, one.message) not in self._told_refused:
            self._told_refused.add((one.name, one.version, one.message))
            detail = {"name": one.name, "version": one.version or "", "reason": one.message}
            self._note("model_refused", "refused", detail=detail)

    def _swap(self, sighting: Sighting, *, first: bool) -> None:
        """Serve what was seen; of a name that was refused, what is served already."""
        serving = {kept.name: kept for kept in self._models}
        wanted = {kept.name: kept for kept in sighting.models or ()}
        for one in sighting.refused:
            if one.name in serving:
                wanted.setdefault(one.name, serving[one.name])
        models = tuple(wanted[name] for name in sorted(wanted))
        if first:
            detail = {"workers": self._settings.workers, "from_cache": sighting.failure is not None}
            self._note("start", "ok", models=models, detail=detail)
        elif models != self._models:
            gone = sorted(set(serving) - set(wanted))
            changed = tuple(kept for kept in models if serving.get(kept.name) != kept)
            before = [_named(serving[kept.name]) for kept in changed if kept.name in serving]
            changes: dict[str, Any] = {"before": before, "withdrawn": gone}
            self._note("model_swapped", "ok", models=changed, detail=changes)
            for kept in changed:
                _LOG.info("%s version %s is served from now on", kept.name, kept.version)
            for name in gone:
                _LOG.warning("%s is no longer served: it has no champion", name)
        self._models = models
        released = self._held
        found = [hold(self._settings.model_dir / kept.sha256) for kept in models]
        self._held = [held for held in found if held is not None]
        for held in released:
            os.close(held)

    def _mark(self, code: str, message: str) -> None:
        known = self._reasons.get(code)
        if known is None or known.message != message:
            _LOG.warning("degraded: %s", message)
            since = now() if known is None else known.since
            self._reasons[code] = Reason.model_validate(
                {"code": code.split()[0], "message": message, "since": since}
            )

    def _clear(self, code: str) -> None:
        if self._reasons.pop(code, None) is not None:
            _LOG.info("no longer degraded: %s", code)

    # The audit trail

    def _note(
        self,
        action: Any,
        status: str,
        *,
        models: tuple[Kept, ...] = (),
        detail: Mapping[str, Any],
    ) -> None:
        event = AuditEvent(
            action=action,
            actor="service",
            status=status,
            models=[_named(kept) for kept in models],
            detail={"at": now(), **detail},
        )
        self._unrecorded.append(event)

    async def _write(self) -> None:
        """Record what could not be recorded when it happened."""
        while True:
            await self._record()
            await asyncio.sleep(_SECONDS_TO_RECORD)

    async def _record(self) -> None:
        async with self._recording:
            await self._record_in_turn()

    async def _record_in_turn(self) -> None:
        while self._unrecorded:
            try:
                await asyncio.to_thread(self._trail.append, self._unrecorded[0])
            except OsteonError as error:
                if "audit" not in self._reasons:
                    self._mark("audit", "The audit trail cannot be written: nothing is predicted.")
                    _LOG.error("%s", error)
                return
            self._unrecorded.popleft()
        if "audit" in self._reasons:
            self._clear("audit")
            self._tell_workers()

    # Workers

    def _tell_workers(self) -> None:
        plan = Plan(models=self._models, degraded=tuple(self._reasons.values()))
        for worker in self._workers.values():
            tell(worker, plan.model_dump_json())

    async def _keep_alive(self, number: int, environment: Mapping[str, str], buckets: int) -> None:
        """Keep one worker running: whenever it ends, start another."""
        failed = 0
        while True:
            began = time.monotonic()
            shared = {"listener": self._listener.fileno(), "buckets": buckets}
            worker = await start_process(
                "serving.processes.worker", environment=environment, inherits=[*shared.values()]
            )
            self._workers[number] = worker
            await self._begun.wait()  # what a worker imports takes as long
            first = {"settings": self._stated, **shared}
            plan = Plan(models=self._models, degraded=tuple(self._reasons.values()))
            tell(worker, json.dumps(first))
            tell(worker, plan.model_dump_json())
            failure = await self._hear(number, worker)
            code = await worker.wait()
            if not self._serving[number].is_set():
                raise failure or OutsideError(f"A worker must start; it ended with {code}.")
            _LOG.error("worker %d ended with %d; another is started", worker.pid, code)
            failed = failed + 1 if time.monotonic() - began < _LIVED_LONG else 0
            await asyncio.sleep(min(30.0, 0.5 * failed * failed))

    async def _hear(self, number: int, worker: Process) -> OsteonError | None:
        """Take what a worker says until it ends, and return why it could not begin."""
        assert worker.stdout is not None
        while line := await worker.stdout.readline():
            told = Told.model_validate_json(line)
            if told.failure is not None:
                return told.failure.error()
            self._serving[number].set()
            if told.refused:
                for one in told.refused:
                    self._refuse(one)
                # The next one loads everything again, and keeps it again.
                await self._end_watching()
        return None

    # The end

    async def _end_watching(self) -> None:
        if self._watching is not None:
            with suppress(ProcessLookupError):
                self._watching.kill()
            await self._watching.wait()
            self._watching = None

    async def _stop(self, why: str) -> None:
        """Have requests in work answered and new ones refused, then end."""
        self._listener.close()
        await self._end_watching()
        workers = [worker for worker in self._workers.values() if worker.returncode is None]
        for worker in workers:
            assert worker.stdin is not None
            if self._begun.is_set():
                worker.stdin.close()
            else:  # it waits for its first line and has nothing in work
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
        await self._record()


def _named(kept: Kept) -> dict[str, str | None]:
    """Return a model as records name it."""
    said = {
        "name": kept.name,
        "version": kept.version,
        "sha256": kept.sha256,
        "promoted_by": kept.promoted_by,
        "promoted_at": kept.promoted_at,
    }
    return {name: value for name, value in said.items() if value is not None}


def _tell_once(told: asyncio.Future[str], name: str) -> None:
    if not told.done():
        told.set_result(name)
