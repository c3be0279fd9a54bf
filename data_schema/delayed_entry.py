"""Delayed entry: columns that show that patients were observed only from some day after time zero.

A patient who enters on day L is in the cohort because of living, free of the event, up to L. Those
who had the event before L are absent, so a risk counted from day 0 is too low (left truncation;
the time before entry is immortal). Curves, weights and metrics would need risk sets that begin at
entry; Osteon has none, and refuses such follow-up (rules `delayed_entry` and `counting_process`).
A mapping file may start the clock at entry instead: `entry_days` and `time_zero = "entry"`.

By its values, a column is an entry if it is complete, 0 or more, not a flag, and smaller than the
follow-up of every patient, although it would not be in ten patients or more if it had nothing to do
with it: the expected number with L_i >= T_j, over all pairs of patients i and j, divided by their
number. Under independence no such patient at all has a probability of about exp(-10); of k columns
the expected number must be larger by log(k), so that the chance of a false refusal is that of one.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping
from typing import Final

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from data_schema.errors import Finding, RulesBroken

__all__ = [
    "WHAT_TO_DO",
    "counting_process",
    "delayed_entry",
    "entries_by_value",
    "expected_late_entries",
    "immortal_time",
    "is_entry_by_name",
    "refuse_delayed_entry",
]

# Of names written without spaces and signs, in lower case.
_NAME = re.compile(
    r"(delayed|late|study)?(entry|enrol(l)?ment|enrol(l)?ed)(day|days|time|date|d)?"
    r"|(t|time|days?)(of|to|at)?(entry|enrol(l)?ment)"
    r"|(left|l)?trunc(ation)?(time|days?)?|left(trunc|truncated)"
    r"|t?start(time|days?|date)?|(time|day|days)start|tbegin|begin(time|days?)?"
)
_EXPECTED_LATE = 10.0
_SAME_RANKS = 0.98
# Below 20 events in a time as long as the empty one, a hazard that rises explains it as well.
_EVENTS_AFTER_GAP = 20
_CONSECUTIVE = 0.9
_FEWEST_PAIRS = 5

_Floats = NDArray[np.float64]

WHAT_TO_DO: Final = (
    "A risk from day 0 would be too low: patients who had the event before entry are absent. If "
    "the risk is to be predicted at entry, start the clock there (days less entry; in a mapping "
    'file entry_days and time_zero = "entry" in the [outcome] table) and map the time before entry '
    "as a predictor. Otherwise Osteon cannot learn from this follow-up"
)
"""Why a delayed entry is refused and what to do, as the end of a message."""


def is_entry_by_name(name: str) -> bool:
    """Return whether a column's name suggests the day on which observation began.

    >>> [is_entry_by_name(name) for name in ("entry_days", "tstart", "Left-Trunc", "age_at_entry")]
    [True, True, True, False]
    """
    return _NAME.fullmatch(re.sub(r"[^a-z]+", "", name.lower())) is not None


def expected_late_entries(entry: _Floats, time_days: _Floats) -> float:
    """Return how many patients would enter at or after their end if the two were independent.

    >>> expected_late_entries(np.array([0.0, 2.0]), np.array([1.0, 3.0]))
    0.5
    """
    ascending = np.sort(entry)
    at_or_after = len(entry) - np.searchsorted(ascending, time_days, side="left")
    return float(at_or_after.mean())


def entries_by_value(columns: Mapping[str, _Floats], time_days: _Floats) -> list[str]:
    """Return the columns whose values are entries; NaN where a cell is no number.

    Parameters
    ----------
    columns : mapping of str to ndarray of float, shape (n_stays,)
        Days, or any other numbers; those in another unit than `time_days` are not recognised.
    time_days : ndarray of float, shape (n_stays,)
        End of follow-up, > 0.
    """
    least = _EXPECTED_LATE + np.log(max(len(columns), 1))
    return [
        name
        for name, values in columns.items()
        if _is_before_the_end(values, time_days)
        and not _is_flag(values)
        and not _numbers_the_rows(values)
        and expected_late_entries(values, time_days) >= least
        and not _repeats_the_end(values, time_days)
    ]


def delayed_entry(
    columns: Mapping[str, _Floats],
    time_days: _Floats,
    *,
    known_at_time_zero: Collection[str] = (),
) -> Iterator[Finding]:
    """Yield the columns that are entries by name or by value; rule `delayed_entry`.

    Arguments as for `entries_by_value`. A name counts where all numbers are 0 or more and smaller
    than the follow-up, and some are more than 0; that of a column in `known_at_time_zero` does not.
    """
    by_value = {*entries_by_value(columns, time_days)}
    for name, values in columns.items():
        named = is_entry_by_name(name) and name not in known_at_time_zero
        if name not in by_value and not (named and _is_before_the_end(values, time_days)):
            continue
        count = int((values > 0).sum())
        looks = "by its values" if name in by_value else "by its name"
        message = (
            f"{name} must not be a delayed entry; {looks} it is the day on which observation "
            f"began: {count} of {len(values)} rows enter after day 0, and all before their "
            f"follow-up ends. {WHAT_TO_DO}. If {name} is something else, leave it out of the table."
        )
        yield Finding("delayed_entry", name, count, message)


def refuse_delayed_entry(table: pd.DataFrame, time_days: _Floats) -> None:
    """Raise `RulesBroken` if a numeric column is an entry by its values."""
    numbers = table.select_dtypes("number")
    columns = {
        str(name): numbers[name].to_numpy(dtype=np.float64, na_value=np.nan) for name in numbers
    }
    entries = entries_by_value(columns, time_days)
    findings = [*delayed_entry({name: columns[name] for name in entries}, time_days)]
    if findings:
        raise RulesBroken(findings)


def counting_process(
    columns: Mapping[str, _Floats], time_days: _Floats, patient: NDArray[np.object_]
) -> Iterator[Finding]:
    """Yield the start column of a table with several rows per patient; rule `counting_process`.

    In such a table each row of a patient starts where the row before stops, as in R's
    `Surv(start, stop, event)`.
    """
    codes = np.unique(patient.astype(str), return_inverse=True)[1]
    order = np.lexsort((time_days, codes))
    same = codes[order][1:] == codes[order][:-1]
    if same.sum() < _FEWEST_PAIRS:
        return
    for name, values in columns.items():
        follows = values[order][1:] == time_days[order][:-1]
        if _is_before_the_end(values, time_days) and follows[same].mean() >= _CONSECUTIVE:
            count = len(np.unique(codes[order][1:][same]))
            message = (
                f"cohort must have one row per stay; {count} patients have several whose {name} is "
                "the end of the row before (start and stop of a counting process). Values that "
                "change after time zero cannot be learned from. Give one row per stay: its values "
                "at time zero, its last day and its event."
            )
            yield Finding("counting_process", name, count, message)
            return


def immortal_time(outcome: str, time_days: _Floats, event: NDArray[np.int64]) -> Iterator[Finding]:
    """Yield that nothing happens in the first days, and much in as many days thereafter.

    Rule `immortal_time`, a warning: the hazard may truly be 0 at first. `event` is 0 where the
    patient was censored.
    """
    days = np.unique(time_days)
    happened = np.sort(time_days[event > 0])
    if len(days) < 2 or not len(happened):
        return
    # Times in whole days are rounded up: a death on day 1 may have come at any time before.
    gap = float(happened[0] - np.diff(days).min())
    soon = int((happened <= 2 * gap).sum())
    if soon >= _EVENTS_AFTER_GAP:
        message = (
            f"{outcome} must be possible from day 0; none is in the first {gap:g} "
            f"{'day' if gap == 1 else 'days'} and {soon} are in as many days thereafter, as if "
            "only patients who lived that long had been included. If so, subtract that from the "
            "days, so that the clock starts when all are at risk."
        )
        yield Finding("immortal_time", outcome, soon, message)


def _is_before_the_end(values: _Floats, time_days: _Floats) -> bool:
    """Return whether all numbers are 0 or more and before the end, and some are more than 0."""
    return bool(((values >= 0) & (values < time_days)).all() and (values > 0).any())


def _is_flag(values: _Floats) -> bool:
    return bool(np.isin(values, (0, 1)).all())


def _numbers_the_rows(values: _Floats) -> bool:
    """Return whether whole numbers rise from row to row, as identifiers do."""
    return bool((np.diff(values) > 0).all() and (values == np.floor(values)).all())


def _repeats_the_end(values: _Floats, time_days: _Floats) -> bool:
    """Return whether a column orders patients as the follow-up does, in another unit."""
    ranks, ends = (pd.Series(column).rank().to_numpy() for column in (values, time_days))
    return bool(np.corrcoef(ranks, ends)[0, 1] >= _SAME_RANKS)
