"""Periods in which a version was watched, listed with it in the registry.

The record holds aggregates alone: counts of stays and alerts, and observed over expected events. It
is a tag of the version, which any user of the registry could change; it grants nothing.
"""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from data_schema.disclosure import SMALLEST_CELL
from models.registry.tracking import connect, outside_errors
from models.registry.versions import Version

if TYPE_CHECKING:
    from models.monitoring.watch import Watched

__all__ = ["MonitoredPeriod", "add_monitored", "monitored_periods"]

_PREFIX = "osteon.monitored."


@dataclass(frozen=True, slots=True)
class MonitoredPeriod:
    """One run of `osteon monitor`.

    Parameters
    ----------
    source : str
        `file` or `trail`.
    stays : int or None
        None under `SMALLEST_CELL`.
    alerts : mapping of str to int
        Kind of alert -> number.
    ratio, low, high : float or None
        Observed over expected events of all stays at `horizon_days`, and the control limits; None
        before outcomes.
    by, at : str
        User and RFC 3339 time.
    """

    source: str
    stays: int | None
    alerts: Mapping[str, int]
    horizon_days: float | None
    ratio: float | None
    low: float | None
    high: float | None
    by: str
    at: str

    @property
    def sentence(self) -> str:
        """How many were watched, which alerts were raised, and how many events were observed."""
        size = "few stays" if self.stays is None else f"{self.stays:,} stays"
        kinds = ", ".join(
            f"{count} {kind.replace('_', ' ')}" for kind, count in sorted(self.alerts.items())
        )
        source = "of the audit trail" if self.source == "trail" else "of a file"
        sentence = f"{size} {source}: {f'alerts: {kinds}' if kinds else 'no alert'}"
        if self.ratio is None or self.low is None or self.high is None:
            return f"{sentence}; no outcomes yet"
        return (
            f"{sentence}; observed over expected {self.ratio:.2f} at {self.horizon_days:g} days "
            f"(control limits {self.low:.2f} to {self.high:.2f})"
        )


def add_monitored(version: Version, watched: Watched, *, source: str, by: str) -> MonitoredPeriod:
    """List a watched period with a version.

    Parameters
    ----------
    version : Version
    watched : Watched
    source : {"file", "trail"}
    by : str
        User.

    Raises
    ------
    OutsideError
        If the registry fails, or does not let the user write.
    """
    overall = [one for one in watched.ratios if one.site is None]
    middle = overall[len(overall) // 2] if overall else None
    period = MonitoredPeriod(
        source=source,
        stays=None if watched.stays < SMALLEST_CELL else watched.stays,
        alerts=dict(Counter(alert.kind for alert in watched.alerts)),
        horizon_days=None if middle is None else middle.horizon_days,
        ratio=None if middle is None else round(middle.ratio, 4),
        low=None if middle is None else round(middle.low, 4),
        high=None if middle is None else round(middle.high, 4),
        by=by,
        at=datetime.now(UTC).isoformat(timespec="seconds"),
    )
    text = json.dumps(asdict(period), sort_keys=True)
    # The same figures again, as of one file watched twice, are one period: the newest run counts.
    figures = json.dumps(asdict(period) | {"at": "", "by": ""}, sort_keys=True)
    tag = f"{_PREFIX}{hashlib.sha256(figures.encode()).hexdigest()[:16]}"
    client = connect().MlflowClient()
    with outside_errors(missing=f"The registry has no version {version.version}."):
        client.set_model_version_tag(version.name, version.version, tag, text)
    return period


def monitored_periods(version: Version) -> tuple[MonitoredPeriod, ...]:
    """Return the periods listed with a version, the earliest first; unreadable ones not."""
    periods = []
    for tag, text in version.tags.items():
        if not tag.startswith(_PREFIX):
            continue
        try:
            periods.append(MonitoredPeriod(**json.loads(text)))
        except (ValueError, TypeError):
            continue
    return tuple(sorted(periods, key=lambda period: period.at))
