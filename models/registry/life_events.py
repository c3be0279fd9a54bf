"""What happened to the versions of a model, as it is passed between processes."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Literal

__all__ = ["Event", "EventKind", "ModelTimeline"]

EventKind = Literal[
    "registered", "updated", "promoted", "refused", "validated", "monitored", "withdrawn"
]


@dataclass(frozen=True, slots=True)
class Event:
    """Something that happened to a version.

    Parameters
    ----------
    at : str
        RFC 3339 time; empty where the registry holds none.
    version : str
    kind : str
        `registered`, `updated` (registered as an update of another), `promoted` or `refused` at the
        gate, `validated` elsewhere, `monitored` in use, `withdrawn`.
    detail : str
        In words.
    """

    at: str
    version: str
    kind: EventKind
    detail: str

    def as_json(self) -> dict[str, object]:
        """Return the event as the command line prints it."""
        return asdict(self)


@dataclass(frozen=True, slots=True)
class ModelTimeline:
    """The events of one model, the earliest first."""

    name: str
    events: tuple[Event, ...]
