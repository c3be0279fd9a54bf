"""The life of a model as the page shows it: one entry for each event, the newest first."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from models.registry.life_events import Event, EventKind

__all__ = ["TimelineEntry", "timeline_entries"]

_TITLES: Mapping[EventKind, str] = {
    "registered": "Registered",
    "updated": "Updated",
    "promoted": "Passed the gate",
    "refused": "Refused at the gate",
    "validated": "Validated elsewhere",
    "monitored": "Monitored",
    "withdrawn": "Withdrawn",
}
_GRAVE: frozenset[EventKind] = frozenset({"refused", "withdrawn"})


@dataclass(frozen=True, slots=True)
class TimelineEntry:
    """One event, formatted.

    `day` and `time` are in UTC and empty where the registry holds no time; `is_grave` marks what
    keeps a version out of use.
    """

    day: str
    time: str
    version: str
    kind: EventKind
    title: str
    detail: str
    is_grave: bool


def timeline_entries(events: Sequence[Event]) -> tuple[TimelineEntry, ...]:
    """Return the entries of a timeline, the newest first.

    Parameters
    ----------
    events : sequence of Event
        The earliest first.
    """
    return tuple(_entry(event) for event in reversed(events))


def _entry(event: Event) -> TimelineEntry:
    at = datetime.fromisoformat(event.at).astimezone(UTC) if event.at else None
    return TimelineEntry(
        day="" if at is None else f"{at:%Y-%m-%d}",
        time="" if at is None else f"{at:%H:%M}",
        version=event.version,
        kind=event.kind,
        title=_TITLES[event.kind],
        detail=event.detail,
        is_grave=event.kind in _GRAVE,
    )
