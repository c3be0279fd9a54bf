"""The life of a model: versions, gates, validations, watched periods and withdrawals by time."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from models.registry.life_events import Event, EventKind
from models.registry.monitored import monitored_periods
from models.registry.validations import validations_of
from models.registry.versions import Version
from models.registry.withdrawal import withdrawal_of

__all__ = ["timeline"]


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
        kind: EventKind = "promoted" if passed else "refused"
        yield Event(record.at, number, kind, f"{record.decision} by {record.by}")
    for validation in validations_of(version):
        yield Event(validation.at, number, "validated", validation.sentence)
    for period in monitored_periods(version):
        yield Event(period.at, number, "monitored", period.sentence)
    withdrawn = withdrawal_of(version)
    if withdrawn is not None:
        yield Event(withdrawn.at, number, "withdrawn", f"{withdrawn.why} ({withdrawn.by})")
