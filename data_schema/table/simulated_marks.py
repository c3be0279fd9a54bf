"""Marks by which a table of simulated patients stays recognisable.

A column `simulated` is easily dropped, so a file carries three more marks: its metadata (Parquet),
its identifiers, and a keyed fingerprint in the values themselves. Days of outcomes are simulated to
the hundredth, and get four digits from the fifth decimal on that follow from the rest by a keyed
hash; the microseconds of time zero follow from its second. Neither says anything of a patient, and
no risk depends on them: an outcome moves by less than ten seconds.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Iterable
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

__all__ = ["FILE_MARK", "is_recognised_by_values", "names_simulated", "with_marks"]

FILE_MARK = "osteon_simulated"
"""Key of the mark in `DataFrame.attrs`, which pandas writes into the metadata of a Parquet file."""

_ID_PREFIX = "simulated-"
# Not a secret: it keeps chance and rounding from making the marks.
_KEY = b"osteon simulated patients"
_DAYS_SUFFIX = "_days"
_DIGITS = 10_000
# By chance one in a million numbers of full precision bears the mark.
_ENOUGH = 3

_LARGEST = 1e9


def with_marks(cohort: pd.DataFrame, scenario: str) -> pd.DataFrame:
    """Return simulated patients with the marks in their outcomes, time zero and file.

    Parameters
    ----------
    cohort : DataFrame
        Outcome columns end in `_days` and have an `_event` column beside them.
    scenario : str
        The simulated population.
    """
    marked = cohort.copy()
    for name in cohort.columns:
        event = f"{name.removesuffix(_DAYS_SUFFIX)}_event"
        if name.endswith(_DAYS_SUFFIX) and event in cohort:
            days = cohort[name].to_numpy(dtype=np.float64)
            marked[name] = np.round(days, 2) + _digits_of(days) / (1e4 * _DIGITS)
    if "time_zero" in cohort:
        seconds = pd.to_datetime(cohort["time_zero"], utc=True).dt.floor("s").dt.as_unit("us")
        marked["time_zero"] = seconds + pd.to_timedelta(_microseconds_of(seconds), unit="us")
    marked.attrs[FILE_MARK] = scenario
    return marked


def names_simulated(texts: Iterable[pd.Series[Any]]) -> bool:
    """Return whether any identifier is one of a simulated patient."""
    return any(bool(one.dropna().astype(str).str.startswith(_ID_PREFIX).any()) for one in texts)


def is_recognised_by_values(table: pd.DataFrame, time_zero: pd.Series[Any] | None) -> bool:
    """Return whether numbers or times of a table bear the fingerprint of simulated patients.

    Parameters
    ----------
    table : DataFrame
        As read, under whatever names; numbers may be text.
    time_zero : Series of Timestamp or None
        In UTC.
    """
    marked = 0
    for name in table.columns:
        numbers = _numbers(table[name])
        if pd.api.types.is_bool_dtype(numbers) or not pd.api.types.is_numeric_dtype(numbers):
            continue
        values = np.unique(numbers.to_numpy(dtype=np.float64, na_value=np.nan))
        values = values[np.abs(values) < _LARGEST]  # neither missing nor infinite
        rest = np.round((values - np.round(values, 2)) * 1e4 * _DIGITS)
        some = (rest > 0) & (rest < _DIGITS)
        marked += int((_digits_of(values[some]) == rest[some]).sum())
    if time_zero is not None:
        times = time_zero.dropna().drop_duplicates()
        seconds = times.dt.floor("s")
        parts = ((times - seconds) / pd.Timedelta(microseconds=1)).to_numpy(dtype=np.float64)
        some = parts > 0
        marked += int((_microseconds_of(seconds[some]) == parts[some]).sum())
    return marked >= _ENOUGH


def _numbers(column: pd.Series[Any]) -> pd.Series[Any]:
    """Return a column as numbers, NaN where it holds none."""
    try:
        return pd.to_numeric(column, errors="coerce")
    except OverflowError:  # a whole number of more than 308 digits bears no mark
        is_huge = column.map(lambda cell: isinstance(cell, int) and abs(cell) > _LARGEST)
        return pd.to_numeric(column.mask(is_huge.astype(bool)), errors="coerce")


def _digits_of(days: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the digits that follow from days, rounded to the hundredth; NaN stays NaN."""
    digits = [
        np.nan if np.isnan(day) else 1 + _hash(f"{day:.2f}") % (_DIGITS - 1)
        for day in np.round(days, 2)
    ]
    return np.array(digits, dtype=np.float64)


def _microseconds_of(seconds: pd.Series[Any]) -> NDArray[np.int64]:
    stamps = seconds.dt.tz_convert("UTC").dt.strftime("%Y-%m-%dT%H:%M:%S")
    return np.array([1 + _hash(stamp) % 999_999 for stamp in stamps], dtype=np.int64)


def _hash(text: str) -> int:
    return int.from_bytes(hmac.digest(_KEY, text.encode(), hashlib.sha256)[:8], "big")
