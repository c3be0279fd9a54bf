"""When a value counts for a stay: the window of each variable before time zero, in SQL."""

from __future__ import annotations

from datetime import timedelta

import duckdb
import pandas as pd

from data_schema.biomarkers import VARIABLES
from data_schema.variables import not_done_column
from data_schema.windows import LAST_VALUE, Since, Window
from training.sources.code_map import COMPONENTS, GLASGOW, NO_VALUES

__all__ = ["BEGINS", "SCORED_HOURS", "create_windows"]

SCORED_HOURS = 24
"""Severity is scored from the worst of the hours before time zero."""

BEGINS = (
    "CASE WHEN w.hours IS NOT NULL THEN l.time_zero - to_hours(CAST(w.hours AS BIGINT)) "
    "WHEN w.since = 'ADMISSION' THEN l.icu_admission "
    "WHEN w.since = 'STAY' THEN coalesce(l.icu_admission, l.time_zero) - INTERVAL 24 HOUR "
    "ELSE TIMESTAMP '0001-01-01' END"
)
"""The beginning of a window `w` of a landmark `l`."""


def create_windows(db: duckdb.DuckDBPyConnection) -> None:
    """Create the table `windows`, with `variable`, `hours` and `since`.

    A component of a severity score counts within the hours that are scored; the Glasgow score and
    states such as sedation also before, since the score before sedation is asked for.
    """
    scored = Window("scored", timedelta(hours=SCORED_HOURS))
    windows = [
        *(_window(name, entry.window) for name, entry in VARIABLES.items()),
        *(_window(name, LAST_VALUE if name in GLASGOW else scored) for name in COMPONENTS),
        *(_window(name, LAST_VALUE) for name in NO_VALUES),
        *(_window(not_done_column(name), entry.window) for name, entry in VARIABLES.items()),
    ]
    db.register("windows_frame", pd.DataFrame(windows, columns=["variable", "hours", "since"]))
    db.execute("CREATE TABLE windows AS SELECT * FROM windows_frame")
    db.unregister("windows_frame")


def _window(name: str, window: Window) -> tuple[str, float | None, str]:
    begins = window.begins
    if isinstance(begins, timedelta):
        return name, begins.total_seconds() / 3600, ""
    return name, None, begins.name if isinstance(begins, Since) else ""
