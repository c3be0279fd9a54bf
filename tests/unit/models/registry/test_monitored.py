from __future__ import annotations

import json
from dataclasses import asdict

from models.registry.monitored import MonitoredPeriod, monitored_periods
from models.registry.timeline import timeline
from models.registry.versions import Version

BEFORE = MonitoredPeriod(
    "trail", None, {}, None, None, None, None, "ann", "2026-03-01T10:00:00+00:00"
)
AFTER = MonitoredPeriod(
    source="file",
    stays=1_500,
    alerts={"unit_shift": 1, "calibration": 2},
    horizon_days=90.0,
    ratio=1.41,
    low=0.84,
    high=1.19,
    by="bob",
    at="2026-06-01T10:00:00+00:00",
)


def version(**tags: str) -> Version:
    return Version("m", "1", (), "run", "0" * 64, tags, "2026-01-01T00:00:00+00:00")


def test_watched_periods_are_on_the_timeline_in_the_order_of_time() -> None:
    tags = {
        "osteon.monitored.b": json.dumps(asdict(AFTER)),
        "osteon.monitored.a": json.dumps(asdict(BEFORE)),
        "osteon.monitored.x": "{",
    }
    assert monitored_periods(version(**tags)) == (BEFORE, AFTER)
    events = timeline([version(**tags)])
    assert [event.kind for event in events] == ["registered", "monitored", "monitored"]
    assert events[1].detail == "few stays of the audit trail: no alert; no outcomes yet"
    assert events[2].detail == (
        "1,500 stays of a file: alerts: 2 calibration, 1 unit shift; observed over expected 1.41 "
        "at 90 days (control limits 0.84 to 1.19)"
    )
