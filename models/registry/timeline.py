"""The life of a model: versions, gates, validations and withdrawals in the order of time."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Literal

from models.registry.validations import validations_of
from models.registry.versions import Version
from models.registry.withdrawal import withdrawal_of

__all__ = ["Event", "timeline"]

Kind = Literal["registered", "updated", "promoted", "refused", "validated", "withdrawn"]


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
        gate, `validated` elsewhere, `withdrawn`.
    detail : str
        In words.
    """

    at: str
    version: str
    kind: Kind
    detail: str

    def as_json(self) -> dict[str, object]:
        """Return the event as the command line prints it."""
        return asdict(self)


def timeline(versions: Sequence[Version]) -> tuple[Event, ...]:
    """Return what the registry holds of the versions of one model, the earliest first, unverified.

    Parameters
    ----------
    versions : sequence of Version
        From `models.registry.versions.list_models`.
    """
    events = [event for version in versions for event in _events(version)]
    return tuple(sorted(events, key=lambda event: (event.at, int(event.version))))


def _events(version: Version) -> Iterator[Event]:
    """Yield what happened to one version."""
    number, source = version.version, version.updated_from
    if source is None:
        yield Event(version.created_at, number, "registered", "trained and registered")
    else:
        yield Event(version.created_at, number, "updated", f"update of version {source}")
    record = version.gate_record
    if record is not None:
        passed = record.decision == "promote"
        kind: Kind = "promoted" if passed else "refused"
        yield Event(record.at, number, kind, f"{record.decision} by {record.by}")
    for validation in validations_of(version):
        yield Event(validation.at, number, "validated", validation.sentence)
    withdrawn = withdrawal_of(version)
    if withdrawn is not None:
        yield Event(withdrawn.at, number, "withdrawn", f"{withdrawn.why} ({withdrawn.by})")
