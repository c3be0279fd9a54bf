"""Orders to limit treatment, and when each patient had the first, from the columns of a table."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from data_schema.cohort import OutcomeData, TreatmentLimits
from data_schema.errors import Finding
from data_schema.mapping.file import TreatmentLimitsMapping
from data_schema.mapping.rules import TREATMENT_LIMITED, TREATMENT_LIMITED_DAYS
from data_schema.readings import FLAG_WORDS
from data_schema.values import MISSING_WORDS, cell_texts, parse_numbers

__all__ = ["read_treatment_limits"]


def read_treatment_limits(
    table: pd.DataFrame, source: TreatmentLimitsMapping, outcome: OutcomeData | None
) -> tuple[TreatmentLimits | None, list[Finding]]:
    """Return which patients had treatment limited, or which rules that breaks.

    Parameters
    ----------
    table : DataFrame
    source : TreatmentLimitsMapping
        Columns that the table has. With days alone, a patient without a day had no limitation.
    outcome : OutcomeData or None
        No limitation can come after the end of follow-up.

    Returns
    -------
    tuple of (TreatmentLimits or None, list of Finding)
        None where the table has neither column, or a row breaks the rule `treatment_limits`.
    """
    if source.limited is None and source.days is None:
        return None, []
    days, findings = _days(table, source)
    limited = _flags(table, source)
    if limited is None:
        limited = np.where(np.isnan(days), 0.0, 1.0) if days is not None else np.empty(0)
    elif days is not None:
        # A day says that there was an order, even where the flag was left empty.
        limited = np.where(np.isnan(limited) & ~np.isnan(days), 1.0, limited)
    findings += _broken(table, source, limited, days, outcome)
    return (None if findings else TreatmentLimits(limited, days)), findings


def _flags(table: pd.DataFrame, source: TreatmentLimitsMapping) -> NDArray[np.float64] | None:
    """Return 1, 0, NaN where nothing is stated, and 2 where the cell is neither."""
    if source.limited is None:
        return None
    texts = cell_texts(table[source.limited])
    words = dict(source.limited_map) or FLAG_WORDS
    cells = texts if source.limited_map else texts.str.casefold().str.removesuffix(".0")
    empty = texts.isna() | texts.str.casefold().isin({*MISSING_WORDS, "unknown"})
    empty &= ~texts.isin(source.limited_map)
    values = cells.map(lambda cell: words.get(cell, 2.0), na_action="ignore")
    return values.mask(empty).to_numpy(dtype=np.float64, na_value=np.nan)


def _days(
    table: pd.DataFrame, source: TreatmentLimitsMapping
) -> tuple[NDArray[np.float64] | None, list[Finding]]:
    if source.days is None:
        return None, []
    parsed = parse_numbers(table[source.days])
    wrong = sum(parsed.problems.values()) + int(np.isinf(parsed.values).sum())
    if not wrong:
        return parsed.values, []
    message = (
        f"{TREATMENT_LIMITED_DAYS} must be days from time zero to the first order, or empty; "
        f"{wrong} of {len(table)} rows are not. Correct them."
    )
    return parsed.values, [Finding("treatment_limits", TREATMENT_LIMITED_DAYS, wrong, message)]


def _broken(
    table: pd.DataFrame,
    source: TreatmentLimitsMapping,
    limited: NDArray[np.float64],
    days: NDArray[np.float64] | None,
    outcome: OutcomeData | None,
) -> Iterator[Finding]:
    strange = int((limited == 2.0).sum())
    if strange:
        words = "in limited_map" if source.limited_map else "1 or 0, or yes or no"
        message = (
            f"{TREATMENT_LIMITED} must be {words}; {strange} of {len(table)} rows are not. Correct "
            "them, or state limited_map in [treatment_limits]."
        )
        yield Finding("treatment_limits", TREATMENT_LIMITED, strange, message)
    if days is None:
        return
    against = int(((limited == 0.0) & ~np.isnan(days)).sum())
    if against:
        message = (
            f"{TREATMENT_LIMITED_DAYS} must be empty where treatment was not limited; {against} of "
            f"{len(table)} rows are not. Correct them."
        )
        yield Finding("treatment_limits", TREATMENT_LIMITED_DAYS, against, message)
    if outcome is not None and outcome.horizon_days is None and len(days) == len(outcome.event):
        late = int((days > outcome.time_days).sum())
        if late:
            message = (
                f"{TREATMENT_LIMITED_DAYS} must not come after the end of follow-up; {late} of "
                f"{len(table)} rows do. Count both from time zero."
            )
            yield Finding("treatment_limits", TREATMENT_LIMITED_DAYS, late, message)
