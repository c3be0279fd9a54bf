"""What a table to be scored states beside the values: deaths, the goal of care, births, requests.

The columns have fixed names: `death_time`, `comfort_care`, `asked_at` and, where there is no age,
`birth_date`. All but `comfort_care` are compared with the row's own `time_zero`, never with the
clock, so that a file of the past is scored as it was. The same rules hold at the service.
"""

from __future__ import annotations

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from data_schema.birth_dates import BirthDate, age_in_years
from data_schema.errors import Finding, RulesBroken
from data_schema.mapping.file import CohortMapping
from data_schema.outcomes import OUTCOMES
from data_schema.readings import flag_of
from data_schema.table.dates import Dates, days_between, read_dates
from data_schema.values import cell_text, cell_texts

__all__ = ["policy_columns", "with_age"]

DEATH_TIME = "death_time"
COMFORT_CARE = "comfort_care"
ASKED_AT = "asked_at"
BIRTH_DATE = "birth_date"


def with_age(table: pd.DataFrame, mapping: CohortMapping) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return a table with ages from dates of birth, where it has none, and the policy's columns.

    A year or a month of birth gives the age of its middle; its last day gives `lowest_age`.
    """
    nothing = pd.DataFrame(index=range(len(table)))
    stated = {column.variable.strip() for column in mapping.columns.values()}
    if BIRTH_DATE not in table or "age" in table or "age" in stated:
        return table, nothing
    zero = _time_zero(table, mapping, BIRTH_DATE)
    born = [None if text is None else BirthDate.of(text) for text in cell_texts(table[BIRTH_DATE])]
    wrong = sum(
        one is None and text is not None
        for one, text in zip(born, cell_texts(table[BIRTH_DATE]), strict=True)
    )
    if wrong:
        message = (
            f"{BIRTH_DATE} must be a date, or a year or month of birth; {wrong} of {len(table)} "
            "rows are not. Correct them."
        )
        raise RulesBroken([Finding("not_a_date", BIRTH_DATE, wrong, message)])
    late = sum(
        one is not None and not pd.isna(day) and one.first > day.date()
        for one, day in zip(born, zero.day, strict=True)
    )
    if late:
        message = (
            f"{BIRTH_DATE} must not be after time_zero; {late} of {len(table)} rows are. Correct "
            "them."
        )
        raise RulesBroken([Finding("birth_after_time_zero", BIRTH_DATE, late, message)])
    middle, lowest = np.full(len(table), np.nan), np.full(len(table), np.nan)
    for row, (one, day) in enumerate(zip(born, zero.day, strict=True)):
        if one is not None and not pd.isna(day):
            middle[row] = max(age_in_years(one.middle, day.date()), 0.0)
            lowest[row] = age_in_years(one.last, day.date())
    return table.assign(age=middle), pd.DataFrame({"lowest_age": lowest})


def policy_columns(table: pd.DataFrame, mapping: CohortMapping) -> pd.DataFrame:
    """Return the columns of `models.inference.columns.POLICY_COLUMNS` that a table states.

    Raises
    ------
    RulesBroken
        If a date or a flag cannot be read, or there is no time zero to compare a date with.
    """
    columns: dict[str, NDArray[np.float64]] = {}
    death = DEATH_TIME if DEATH_TIME in table else _mapped_death(table, mapping)
    if death is not None:
        dead = _dates(table, death, mapping)
        zero = _time_zero(table, mapping, death)
        is_dead = (dead.day <= zero.day).where(dead.is_day | zero.is_day, dead.at <= zero.at)
        columns["dead_at_time_zero"] = np.asarray(is_dead, dtype=np.float64)
    if COMFORT_CARE in table:
        columns["comfort_care_at_time_zero"] = _flags(table[COMFORT_CARE])
    if ASKED_AT in table:
        zero = _time_zero(table, mapping, ASKED_AT)
        columns["asked_after_days"] = days_between(zero, _dates(table, ASKED_AT, mapping))
    return pd.DataFrame(columns, index=range(len(table)))


def _mapped_death(table: pd.DataFrame, mapping: CohortMapping) -> str | None:
    """Return the column that the mapping names for the date of death, or None."""
    deaths = {one.endpoint for one in OUTCOMES.values() if one.is_death}
    for endpoint, stated in mapping.outcomes.items():
        if endpoint in deaths and stated.event_date in table:
            return stated.event_date
    return None


def _time_zero(table: pd.DataFrame, mapping: CohortMapping, compared: str) -> Dates:
    column = mapping.ids.time_zero or "time_zero"
    if column not in table:
        message = (
            f"time_zero must be a column where {compared} is; it is none. Add the time zero of "
            "each stay."
        )
        raise RulesBroken([Finding("missing_column", "time_zero", 1, message)])
    return _dates(table, column, mapping)


def _dates(table: pd.DataFrame, column: str, mapping: CohortMapping) -> Dates:
    dates, findings = read_dates(table[column], column, _format_of(column, mapping))
    if findings:
        raise RulesBroken(findings)
    return dates


def _format_of(column: str, mapping: CohortMapping) -> str | None:
    """Return the stated form of a column's dates."""
    for stated in mapping.outcomes.values():
        if stated.event_date == column:
            return stated.date_format
    return mapping.ids.date_format


def _flags(cells: pd.Series) -> NDArray[np.float64]:
    words = [flag_of(None if pd.isna(cell) else cell_text(cell)) for cell in cells]
    wrong = sum(word.broken is not None for word in words)
    if wrong:
        message = (
            f"{COMFORT_CARE} must be true or false, yes or no, or 1 or 0; {wrong} of {len(cells)} "
            "rows are not. Correct them."
        )
        raise RulesBroken([Finding("flag", COMFORT_CARE, wrong, message)])
    return np.array([word.value for word in words], dtype=np.float64)
