"""A table as the leakage linter sees it: columns that may leak, targets that they may repeat."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from data_schema.outcomes import COMPETING, EVENT

__all__ = ["MIN_SIDE", "Column", "Target", "enough", "first_reached", "read_column", "targets"]

MIN_SIDE = 10
"""With fewer rows on either side of a target, chance reaches the thresholds."""

# Below about 60 early events, clean simulated columns reach an adjusted log odds ratio of 1.6.
_MIN_FIRST = 60
_FIRST = (0.05, 0.10, 0.20, 0.40)
# Later horizons compare survivors of one year of entry with those of another.
_HORIZON_QUANTILES = (0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9)
# Numbers with no more values than this are also read one value at a time; categories up to _LEVELS.
_FEW_VALUES = 12
_LEVELS = 50
_MISSING_WORDS = frozenset({"", "missing", "na", "n/a", "nan", "none", "null", "unknown", "<na>"})


@dataclass(frozen=True, slots=True)
class Target:
    """Which patients had the event by a horizon, among those whose outcome is known by then."""

    known: NDArray[np.bool_]
    event: NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Column:
    """One column: as numbers if it is numeric, its missingness, and its single values."""

    values: NDArray[np.float64] | None
    missing: NDArray[np.bool_]
    levels: tuple[NDArray[np.bool_], ...]


def read_column(series: pd.Series) -> Column:
    """Return a column's numbers, missingness and single values; "unknown" is missing."""
    if pd.api.types.is_numeric_dtype(series):
        values = series.to_numpy(dtype=np.float64, na_value=np.nan)
        missing = np.isnan(values)
        distinct = np.unique(values[~missing])
        singles = distinct if len(distinct) <= _FEW_VALUES else distinct[:0]
        return Column(values, missing, tuple(values == single for single in singles))
    text = series.astype(object).where(series.notna(), "").astype(str).str.strip().str.lower()
    missing = text.isin(_MISSING_WORDS).to_numpy()
    frequent = text[~missing].value_counts().index[:_LEVELS]
    return Column(None, missing, tuple((text == level).to_numpy() for level in frequent))


def targets(
    time_days: NDArray[np.float64], event: NDArray[np.int64], *, fixed: bool
) -> Iterator[Target]:
    """Yield "ever" and "by each horizon", of the outcome and, where one competes, of either.

    `fixed` says that the outcome is known at one horizon only.
    """
    all_rows = np.ones(len(event), dtype=bool)
    for happened in [event == EVENT, event > 0] if (event == COMPETING).any() else [event == EVENT]:
        yield Target(all_rows, happened)
        if fixed or not happened.any():
            continue
        for horizon in np.unique(np.quantile(time_days[happened], _HORIZON_QUANTILES)):
            known = (event > 0) & (time_days <= horizon) | (time_days >= horizon)
            yield Target(known, happened & (time_days <= horizon))


def first_reached(
    time_days: NDArray[np.float64], event: NDArray[np.int64], *, fixed: bool
) -> Iterator[Target]:
    """Yield those who reached the outcome first against all known to be free of it for longer.

    `fixed` says that the outcome is known at one horizon only: all who reached it were first.
    """
    happened = event == EVENT
    for share in (1.0,) if fixed else _FIRST:
        if happened.any():
            horizon = np.quantile(time_days[happened], share)
            first = happened & (time_days <= horizon)
            known = np.ones_like(first) if fixed else first | (time_days >= horizon)
            if first.sum() >= _MIN_FIRST and enough(first[known]):
                yield Target(known, first)


def enough(yes: NDArray[np.bool_]) -> bool:
    """Return whether at least `MIN_SIDE` rows are marked, and as many are not."""
    return MIN_SIDE <= int(yes.sum()) <= len(yes) - MIN_SIDE
