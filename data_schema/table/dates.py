"""Dates and times of day as a site writes them."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from data_schema.errors import Finding
from data_schema.values import cell_texts

__all__ = ["Dates", "days_between", "read_dates"]

# A year alone, or a year and a month, is no day; pandas would read the first of it.
_ISO_DAY = r"\d{4}-?\d{2}-?\d{2}(?!\d)"
_TIME_AND_OFFSET = r"(?i)^(.+[t ].*?)\s*(?:z|[+-]\d{2}(?::?\d{2})?)$"

_TIME_OF_DAY = r"\d:\d|\dT\d"


def days_between(start: Dates, end: Dates) -> NDArray[np.float64]:
    """Return the days from start to end; by the calendar where only the day of either is known."""
    by_day = end.day - start.day
    days = by_day.where(start.is_day | end.is_day, end.at - start.at)
    return np.asarray(days.dt.total_seconds().to_numpy(dtype=np.float64) / 86_400)


class Dates(NamedTuple):
    """When something was, row by row.

    Parameters
    ----------
    at : Series of Timestamp
        In UTC; a time without an offset is taken as UTC, which matters to differences only.
    is_day : Series of bool
        Whether only the day is known: no time of day is written, or midnight is where most cells of
        the column have no time.
    day : Series of Timestamp
        Midnight, in UTC, of the calendar day as it is written: half past midnight in Berlin is
        still the day before in UTC, and dates of death are days where the patient was.
    """

    at: pd.Series[Any]
    is_day: pd.Series[Any]
    day: pd.Series[Any]


def read_dates(
    cells: pd.Series[Any], name: str, date_format: str | None
) -> tuple[Dates, list[Finding]]:
    """Return dates or times of day, missing where a cell cannot be read (rule `not_a_date`).

    `name` is what messages call the column. `date_format` is a `strptime` format; ISO 8601 if None,
    since 03/04/2024 has two meanings.
    """
    texts: pd.Series[Any] = cell_texts(cells)
    if pd.api.types.is_datetime64_any_dtype(cells):
        cells = cells.reset_index(drop=True)
        at = pd.to_datetime(cells, utc=True)
        without_time = at.isna()
        written = cells.dt.tz_localize(None).dt.tz_localize("UTC")
    else:
        at = _parsed(texts, date_format)
        without_time = ~texts.str.contains(_TIME_OF_DAY, na=False).astype(bool)
        without_offset = None if date_format is None else date_format.replace("%z", "").rstrip()
        written = _parsed(texts.str.replace(_TIME_AND_OFFSET, r"\1", regex=True), without_offset)
    midnight = written == written.dt.normalize()
    timed = (~midnight & written.notna()).sum() * 2 > written.notna().sum()
    is_day = midnight & (without_time | (not timed))
    dates = Dates(at, is_day, written.dt.normalize())
    unread = int((at.isna() & texts.notna()).sum())
    if not unread:
        return dates, []
    form = "such as 2024-03-31" if date_format is None else "in the stated date_format"
    message = (
        f"{name} must be a date {form}; {unread} of {len(cells)} rows are not. Correct them, "
        "or state date_format."
    )
    return dates, [Finding("not_a_date", name, unread, message)]


def _parsed(texts: pd.Series[Any], date_format: str | None) -> pd.Series[Any]:
    if date_format is not None:
        return pd.to_datetime(texts, format=date_format, errors="coerce", utc=True)
    days = texts.where(texts.str.match(_ISO_DAY, na=False))
    return pd.to_datetime(days, format="ISO8601", errors="coerce", utc=True)
