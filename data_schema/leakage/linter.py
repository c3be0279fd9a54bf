"""The leakage linter: columns that look known only after time zero, before any model is fitted.

Four kinds of evidence are read from the data (`leakage/evidence.py` has the figures that set their
thresholds); names are a fifth source (`leakage/names.py`).

============== ======== ==================================================================
rule           severity meaning
============== ======== ==================================================================
leak_name      fatal    by its name, the column is known only after time zero
leak_outcome   fatal    its missingness, or one of its values, repeats the outcome
leak_perfect   fatal    alone it separates those with the outcome from those without
leak_risk      fatal    it is a risk that was computed from the same patients
leak_missing   warning  it is missing in those who reached the outcome first, unexplained
leak_not_done  warning  the same of a flag `NAME__not_done`, or the flag repeats the outcome
============== ======== ==================================================================

A flag that a variable is recorded as not done is no measurement and so no leak by itself: models
with `missingness = ignorable` do not read it. One that foretells the outcome is a leak for models
with `missingness = informative`, which refuse it.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from data_schema.cohort import OutcomeData
from data_schema.errors import Finding
from data_schema.leakage.columns import Column, Target, first_reached, read_column, targets
from data_schema.leakage.evidence import (
    computed_risks,
    is_explained,
    is_missing_in_the_first,
    outcome_twin,
    separates,
)
from data_schema.leakage.names import reason_by_name
from data_schema.variables import base_name, is_not_done

__all__ = ["FATAL_LEAKS", "find_leaks"]

FATAL_LEAKS = frozenset({"leak_name", "leak_outcome", "leak_perfect", "leak_risk"})
"""Rules that stop a training run; `leak_missing`, whose evidence is weaker, only warns."""

# Evidence is read from at most this many rows, evenly spaced.
_MAX_ROWS = 10_000


def find_leaks(
    features: pd.DataFrame,
    outcome: OutcomeData | None,
    *,
    known_at_time_zero: Collection[str] = (),
) -> list[Finding]:
    """Return a finding for each column that looks known only after time zero.

    Parameters
    ----------
    features : DataFrame, shape (n_stays, n_features)
        Predictors as they would be trained on, checked or raw.
    outcome : OutcomeData or None
        What happened; if None, only the names are read.
    known_at_time_zero : collection of str
        Columns whose name is not checked: variables of the catalogue, and those that a mapping file
        declares `known_at_time_zero`. Their data are.

    Returns
    -------
    list of Finding
        At most two per column, one by name and one by evidence; those of `FATAL_LEAKS` stop a run.
    """
    by_name = list(_by_name(features, known_at_time_zero))
    if outcome is None or features.empty:
        return by_name
    # Many small regressions are fastest, and the same everywhere, on one thread.
    with threadpool_limits(limits=1):
        evident = _by_evidence(features, outcome, named={f.variable for f in by_name})
    return by_name + evident


def _by_evidence(
    features: pd.DataFrame, outcome: OutcomeData, *, named: Collection[str]
) -> list[Finding]:
    rows = np.unique(np.linspace(0, len(features) - 1, min(len(features), _MAX_ROWS)).astype(int))
    table = features.iloc[rows]
    flags = [name for name in map(str, table.columns) if is_not_done(name)]
    columns = {n: read_column(table[n]) for n in map(str, table.columns) if n not in flags}
    time_days, event = outcome.time_days[rows], outcome.event[rows]
    fixed = outcome.horizon_days is not None
    among = list(targets(time_days, event, fixed=fixed))
    evident = {f.variable: f for f in _repeats(columns, among)}
    # A leaking column must neither outperform a computed risk nor explain why another is missing.
    honest = {n: c for n, c in columns.items() if n not in named and n not in evident}
    evident |= {f.variable: f for f in _risks(honest, among)}
    honest = {n: c for n, c in honest.items() if n not in evident}
    first = list(first_reached(time_days, event, fixed=fixed))
    evident |= {f.variable: f for f in _missing(honest, first)}
    not_done = {name: (table[name] == 1.0).to_numpy(dtype=np.bool_) for name in flags}
    return [
        *(evident[name] for name in columns if name in evident),
        *_not_done(not_done, honest, among, first),
    ]


def _by_name(features: pd.DataFrame, excused: Collection[str]) -> Iterator[Finding]:
    for name in map(str, features.columns):
        if is_not_done(name):
            continue  # the name is that of its variable
        reason = None if name in excused else reason_by_name(name)
        if reason is not None:
            count = int(features[name].notna().sum())
            message = (
                f"{name} must be known at time zero; by its name, {reason} ({count} rows). Leave "
                "it out, or state known_at_time_zero = true for it in the mapping file."
            )
            yield Finding("leak_name", name, count, message)


def _repeats(columns: Mapping[str, Column], among: Sequence[Target]) -> Iterator[Finding]:
    """Yield columns that repeat the outcome or separate it."""
    for name, column in columns.items():
        twin = outcome_twin(column, among)
        if twin is not None:
            what = "it is missing" if twin is column.missing else "one of its values is recorded"
            count = int(twin.sum())
            message = (
                f"{name} must not repeat the outcome; {what} almost only where the outcome was "
                f"reached, or where it was not ({count} of {len(twin)} rows). Leave it out."
            )
            yield Finding("leak_outcome", name, count, message)
        elif separates(column, among):
            count = int((~column.missing).sum())
            message = (
                f"{name} must not repeat the outcome; alone it separates those with the outcome "
                f"from those without almost perfectly ({count} rows). Leave it out."
            )
            yield Finding("leak_perfect", name, count, message)


def _risks(columns: Mapping[str, Column], among: Sequence[Target]) -> Iterator[Finding]:
    for name in computed_risks(columns, among):
        count = int((~columns[name].missing).sum())
        message = (
            f"{name} must be a measurement; it behaves as a probability of the outcome computed "
            f"from the same patients ({count} rows). Leave it out and compare the model with it."
        )
        yield Finding("leak_risk", name, count, message)


def _missing(columns: Mapping[str, Column], first: Sequence[Target]) -> Iterator[Finding]:
    """Yield columns missing in those who reached the outcome first, beyond what others explain."""
    for name, column in columns.items():
        others = [other for key, other in columns.items() if key != name]
        for target in first:
            if is_missing_in_the_first(column, target) and not is_explained(column, others, target):
                count = int((column.missing & target.event).sum())
                n_first = int(target.event.sum())
                message = (
                    f"{name} must be missing for a reason known at time zero; {count} of the "
                    f"{n_first} who reached the outcome first are missing, far more than of the "
                    "others and beyond what the other columns explain. Leave it out unless it was "
                    "measured in all patients before time zero."
                )
                yield Finding("leak_missing", name, count, message)
                break


def _not_done(
    flags: Mapping[str, NDArray[np.bool_]],
    columns: Mapping[str, Column],
    among: Sequence[Target],
    first: Sequence[Target],
) -> Iterator[Finding]:
    """Yield flags of "recorded as not done" that foretell the outcome."""
    for flag, not_done in flags.items():
        name, marked = base_name(flag), Column(None, not_done, ())
        others = [other for key, other in columns.items() if base_name(key) != name]
        foretells = outcome_twin(marked, among) is not None or any(
            is_missing_in_the_first(marked, target) and not is_explained(marked, others, target)
            for target in first
        )
        if foretells:
            count = int(not_done.sum())
            message = (
                f"{flag}, which records where {name} was not done, must not foretell the outcome; "
                f"it is 1 in {count} of {len(not_done)} rows, far more often where the outcome was "
                "reached. A model with missingness = ignorable does not read it; for an "
                "informative model leave it out, unless it was known at time zero."
            )
            yield Finding("leak_not_done", flag, count, message)
