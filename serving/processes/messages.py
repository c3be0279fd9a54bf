"""The messages between supervisor, watcher and workers: one line of JSON each."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, TypeVar

from pydantic import TypeAdapter

from data_schema.errors import DataError, GateError, OsteonError, OutsideError, UsageError
from models.registry.life_events import ModelTimeline
from serving.settings import StatedSettings

__all__ = [
    "CachedModel",
    "DegradedCode",
    "DegradedReason",
    "Failure",
    "RefusedVersion",
    "RegistryScan",
    "ServingPlan",
    "WorkerReport",
    "WorkerStart",
    "open_output",
    "parse_line",
    "to_line",
]

DegradedCode = Literal["registry", "version_refused", "audit"]

_M = TypeVar("_M")
_KINDS = {kind.__name__: kind for kind in (DataError, GateError, OutsideError, UsageError)}


@dataclass(frozen=True, slots=True)
class DegradedReason:
    """Why a service is degraded; anyone may read it, so it holds no secret."""

    code: DegradedCode
    message: str
    since: str


@dataclass(frozen=True, slots=True)
class CachedModel:
    """A model whose verified bundle is in the cache, and its place in the registry."""

    name: str
    version: str | None
    alias: str | None
    run_id: str | None
    sha256: str
    promoted: bool
    model_card: str | None
    promoted_by: str | None = None
    promoted_at: str | None = None


@dataclass(frozen=True, slots=True)
class RefusedVersion:
    """A version that must not be served, and why.

    `withdrawn` is the hash of its bundle if it was withdrawn: what serves it must stop.
    """

    name: str
    version: str | None
    message: str
    withdrawn: str | None = None


@dataclass(frozen=True, slots=True)
class Failure:
    """An error of Osteon that one process sends to another."""

    kind: Literal["DataError", "GateError", "OutsideError", "UsageError"]
    message: str

    @classmethod
    def of(cls, error: OsteonError) -> Failure:
        """Return the message for an error."""
        kind = next(name for name, kind in _KINDS.items() if isinstance(error, kind))
        return TypeAdapter(cls).validate_python({"kind": kind, "message": str(error)})

    def error(self) -> OsteonError:
        """Return the error itself."""
        return _KINDS[self.kind](self.message)


@dataclass(frozen=True, slots=True)
class RegistryScan:
    """Watcher to supervisor: one scan of the registry; `models` is None if nothing has changed.

    `shadows` score beside the models and are never shown. `timelines` are of the models' names, in
    every scan of which the registry answered; None where it did not.
    """

    models: tuple[CachedModel, ...] | None = None
    refused: tuple[RefusedVersion, ...] = ()
    failure: Failure | None = None
    shadows: tuple[CachedModel, ...] = ()
    timelines: tuple[ModelTimeline, ...] | None = None


@dataclass(frozen=True, slots=True)
class WorkerStart:
    """Supervisor to worker, first line: settings that differ from the environment's.

    With the file descriptors of the listening socket, and of the counters of callers' requests.
    """

    settings: StatedSettings
    listener: int
    buckets: int


@dataclass(frozen=True, slots=True)
class ServingPlan:
    """Supervisor to worker, every other line: all models to serve.

    `is_draining`: the service is about to stop, and load balancers must send requests elsewhere.
    """

    models: tuple[CachedModel, ...] = ()
    degraded: tuple[DegradedReason, ...] = ()
    is_draining: bool = False
    shadows: tuple[CachedModel, ...] = ()
    timelines: tuple[ModelTimeline, ...] = ()


@dataclass(frozen=True, slots=True)
class WorkerReport:
    """Worker to supervisor: it serves the plan except `refused`, or cannot start at all."""

    refused: tuple[RefusedVersion, ...] = ()
    failure: Failure | None = None


def to_line(message: object) -> str:
    """Return a message as JSON, without the line break."""
    return TypeAdapter(type(message)).dump_json(message).decode()


def open_output() -> Callable[[object], None]:
    """Return the function that sends messages; what libraries print goes to stderr from now on."""
    output, sys.stdout = sys.stdout, sys.stderr
    return lambda message: print(to_line(message), file=output, flush=True)


def parse_line(kind: type[_M], line: str | bytes) -> _M:
    """Return the message of this kind in a line of JSON; raise ValidationError if there is none."""
    return TypeAdapter(kind).validate_json(line)
