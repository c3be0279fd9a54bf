"""From when on a measurement counts: the words of `Variable.window`, read as a time."""

from __future__ import annotations

import re
from datetime import datetime, timedelta

from data_schema.variables import Variable

__all__ = ["window_length", "window_start"]

_SPAN = re.compile(r"\b(?:(?P<number>\d+) )?(?P<unit>h|day|month|year)s? before time zero")
_UNITS = {
    "h": timedelta(hours=1),
    "day": timedelta(days=1),
    "month": timedelta(days=31),
    "year": timedelta(days=366),
}
# What was drawn on the ward or in the emergency department is a patient's value at admission.
_BEFORE_ICU = timedelta(hours=24)


def window_length(variable: Variable) -> timedelta | None:
    """Return how long before time zero a variable's window begins, if its words say so.

    Parameters
    ----------
    variable : Variable

    Returns
    -------
    timedelta or None

    Examples
    --------
    >>> from data_schema.biomarkers import VARIABLES
    >>> window_length(VARIABLES["t_fn"]).days, window_length(VARIABLES["lactate"])
    (732, None)
    """
    span = _SPAN.search(variable.window)
    return None if span is None else int(span["number"] or 1) * _UNITS[span["unit"]]


def window_start(
    variable: Variable, *, icu_start: datetime, time_zero: datetime
) -> datetime | None:
    """Return the earliest moment at which a variable may have been measured.

    The last value before time zero is one of this stay: it counts from 24 hours before admission to
    intensive care, so that a laboratory value of months ago is never taken for the present one.

    Parameters
    ----------
    variable : Variable
    icu_start, time_zero : datetime

    Returns
    -------
    datetime or None
        None where no earliest moment is known, as of what was so before the acute illness.

    Examples
    --------
    >>> from datetime import UTC
    >>> from data_schema.biomarkers import VARIABLES
    >>> days = {"icu_start": datetime(2026, 11, 1, tzinfo=UTC)}
    >>> days["time_zero"] = datetime(2026, 11, 2, tzinfo=UTC)
    >>> names = ("lactate", "catecholamines", "ppi", "diabetes")
    >>> [str(window_start(VARIABLES[name], **days))[:10] for name in names]
    ['2026-10-31', '2026-11-01', '2026-11-01', 'None']
    """
    length = window_length(variable)
    if length is not None:
        return time_zero - length
    if "from ICU admission" in variable.window:
        return icu_start
    if "before the acute illness" in variable.window:
        return None
    is_of_stay = any(words in variable.window for words in ("at or before", "at time zero"))
    return icu_start - _BEFORE_ICU if is_of_stay else None
