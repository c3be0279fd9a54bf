"""Follow-up that looks complete and is not: delayed entry, immortal time, discharge as censoring.

The columns of the table beside the outcome are read as days where they can be: numbers as they
stand, dates from time zero on.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from data_schema.cohort import OutcomeData
from data_schema.delayed_entry import counting_process, delayed_entry, immortal_time
from data_schema.errors import Finding
from data_schema.outcomes import Outcome
from data_schema.table.dates import read_dates
from data_schema.table.discharge import discharge_as_censoring, is_stay_by_name
from data_schema.table.identifiers import Identifiers
from data_schema.table.plan import CohortPlan
from data_schema.values import parse_numbers

__all__ = ["incomplete_follow_up"]

# A column is read whole only if so many of its cells can be entries.
_FIRST_LOOK = 500

_Floats = NDArray[np.float64]


def incomplete_follow_up(
    table: pd.DataFrame,
    plan: CohortPlan,
    outcome: Outcome,
    ids: Identifiers,
    outcome_data: OutcomeData,
) -> Iterator[Finding]:
    """Yield the rules that the follow-up as a whole breaks.

    `discharge_censors` of `data_schema.table.discharge`; `counting_process`, `delayed_entry` and
    `immortal_time` of `data_schema.delayed_entry`; `entry_not_read`.
    """
    yield from _discharge(table, plan, outcome, ids, outcome_data)
    yield from _entry_not_read(plan)
    if outcome_data.horizon_days is not None:
        return
    time_days = outcome_data.time_days
    columns = _days_by_column(table, plan, ids, time_days)
    starts = list(counting_process(columns, time_days, ids.patient_id))
    yield from starts
    known = {f.source.column for f in plan.features if f.source.known_at_time_zero}
    if not starts:
        yield from delayed_entry(columns, time_days, known_at_time_zero=known)
    yield from immortal_time(outcome_data.name, time_days, outcome_data.event)


def _discharge(
    table: pd.DataFrame,
    plan: CohortPlan,
    outcome: Outcome,
    ids: Identifiers,
    outcome_data: OutcomeData,
) -> Iterator[Finding]:
    if plan.outcome is not None:
        every_row = np.arange(len(table))
        stays = {
            name: _days(table[name], ids, every_row)
            for name in plan.beside_outcome
            if is_stay_by_name(name)
        }
        yield from discharge_as_censoring(plan.outcome, outcome, outcome_data, stays)


def _entry_not_read(plan: CohortPlan) -> Iterator[Finding]:
    """Yield that the time before entry is no predictor, where days count from entry."""
    entry = None if plan.outcome is None else plan.outcome.entry_days
    if entry is not None and entry not in {feature.source.column for feature in plan.features}:
        message = (
            f"{entry} should be a predictor: days count from entry, and how long a patient had "
            f'lived before may matter. Describe it in [columns."{entry}"] of the mapping file.'
        )
        yield Finding("entry_not_read", entry, 1, message)


def _days_by_column(
    table: pd.DataFrame, plan: CohortPlan, ids: Identifiers, time_days: _Floats
) -> dict[str, _Floats]:
    """Return each column that holds days, from 0 on and before the end of every follow-up."""
    few = np.unique(np.linspace(0, len(table) - 1, min(len(table), _FIRST_LOOK)).astype(int))
    days: dict[str, _Floats] = {}
    for name in plan.beside_outcome:
        first = _days(table[name], ids, few)
        if ((first >= 0) & (first < time_days[few])).all():
            days[name] = _days(table[name], ids, np.arange(len(table)))
    return days


def _days(cells: pd.Series[Any], ids: Identifiers, rows: NDArray[np.int64]) -> _Floats:
    """Return the numbers of some rows, or the days from time zero to their dates; else NaN."""
    cells = cells.iloc[rows].reset_index(drop=True)
    if not pd.api.types.is_numeric_dtype(cells.dtype) and ids.time_zero is not None:
        dates, unread = read_dates(cells, "", None)
        if not unread and dates.at.notna().any():
            start = ids.time_zero.at.iloc[rows].reset_index(drop=True)
            return (dates.at - start).dt.total_seconds().to_numpy(dtype=np.float64) / 86_400
    return parse_numbers(cells).values
