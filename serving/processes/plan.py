"""What the processes of one service tell each other: a line of JSON for each of these."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict

from data_schema.errors import DataError, GateError, OsteonError, OutsideError, UsageError

__all__ = ["Failure", "Kept", "Plan", "Reason", "Refused", "Sighting", "Told"]


class Reason(BaseModel):
    """Why a service is degraded; shown to anybody, so there is no secret in it."""

    model_config = ConfigDict(frozen=True)

    code: Literal["registry", "version_refused", "audit"]
    message: str
    since: str


class Kept(BaseModel):
    """A model whose checked bundle lies in the cache, and what it is known by."""

    model_config = ConfigDict(frozen=True, protected_namespaces=())

    name: str
    version: str | None
    alias: str | None
    run_id: str | None
    sha256: str
    promoted: bool
    model_card: str | None
    promoted_by: str | None = None
    promoted_at: str | None = None


class Refused(BaseModel):
    """A version that may not be served."""

    model_config = ConfigDict(frozen=True)

    name: str
    version: str | None
    message: str


class Plan(BaseModel):
    """All that a worker serves."""

    model_config = ConfigDict(frozen=True)

    models: tuple[Kept, ...] = ()
    degraded: tuple[Reason, ...] = ()


_KINDS = {kind.__name__: kind for kind in (DataError, GateError, OutsideError, UsageError)}


class Failure(BaseModel):
    """An error of ours on its way from one process to another."""

    kind: Literal["DataError", "GateError", "OutsideError", "UsageError"]
    message: str

    @classmethod
    def of(cls, error: OsteonError) -> Failure:
        """Return an error as it is said to another process."""
        kind = next(name for name, kind in _KINDS.items() if isinstance(error, kind))
        return cls.model_validate({"kind": kind, "message": str(error)})

    def error(self) -> OsteonError:
        """Return the error that it was."""
        return _KINDS[self.kind](self.message)


class Sighting(BaseModel):
    """What was found at one look; without `models`, nothing has changed since the last."""

    models: tuple[Kept, ...] | None = None
    refused: tuple[Refused, ...] = ()
    failure: Failure | None = None


class Told(BaseModel):
    """What a worker says: that it serves a plan, without what it refused; or why it cannot."""

    refused: tuple[Refused, ...] = ()
    failure: Failure | None = None
