"""The mapping file: which of a site's columns is what, in which unit, and how the outcome is told.

    [ids]
    patient_id = "subject"             # also stay_id, site, time_zero
    [outcome.mortality]
    days = "followup_d"                # days and event; or event_date, last_seen_date and, where
    event = "dead"                     # death competes, competing_date; or horizon_days and event
    event_map = {alive = 0, dead = 1}  # unless the cells are 0, 1, 2
    [columns."FGF-23 C-term"]          # a variable of the catalogue, with or without a suffix
    variable = "fgf23_c"
    unit = "RU/mL"                     # or unit_column
    [columns.dzgroup]                  # a variable of the site's own
    variable = "dzgroup"
    kind = "category"                  # number, category or flag
    pathway = "person"

A key that is not known fails here. What is blank, or contradicts the catalogue or the table, is
found in `mapping_rules.py`, so that one report lists all of it.
"""

from __future__ import annotations

import datetime
import operator
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from types import MappingProxyType
from typing import Any

from data_schema.errors import UsageError
from data_schema.outcomes import ENDPOINTS

__all__ = [
    "CohortMapping",
    "ColumnMapping",
    "IdMapping",
    "OutcomeMapping",
    "Period",
    "parse_mapping",
    "read_mapping",
]

_Cell = str | int | float | bool


@dataclass(frozen=True, slots=True)
class IdMapping:
    """The site's columns that identify a stay; None where the site has no such column."""

    patient_id: str | None = None
    stay_id: str | None = None
    site: str | None = None
    time_zero: str | None = None
    date_format: str | None = None


@dataclass(frozen=True, slots=True)
class OutcomeMapping:
    """The site's columns that tell one outcome, in one of three ways.

    Parameters
    ----------
    days, event : str or None
        Days from time zero to event or censoring, and which it was.
    event_map : mapping of str to int or str
        Cell of `event` -> 0, 1 or 2, or blank while undecided; empty if the cells are the numbers.
    event_date, last_seen_date, competing_date : str or None
        Dates instead: of the outcome, of the last day under observation, of the competing event.
    date_format : str or None
        `strptime` format of the dates; ISO 8601 if None.
    decimal : str or None
        Decimal mark of `days`, if it is text with fractions.
    horizon_days : float or None
        The outcome is only known at this one horizon, by `event`.
    """

    days: str | None = None
    event: str | None = None
    event_map: Mapping[str, int | str] = field(default_factory=dict)
    event_date: str | None = None
    last_seen_date: str | None = None
    competing_date: str | None = None
    date_format: str | None = None
    decimal: str | None = None
    horizon_days: float | None = None


@dataclass(frozen=True, slots=True)
class Period:
    """How a column was measured from one day to another, both included; None is open-ended."""

    start: datetime.date | None = None
    end: datetime.date | None = None
    unit: str | None = None
    assay: str | None = None
    lower_limit: float | None = None


@dataclass(frozen=True, slots=True)
class ColumnMapping:
    """What one of the site's columns is.

    Parameters
    ----------
    column : str
        The site's name.
    variable : str
        Feature column: a variable of the catalogue with or without a suffix, or the site's own.
        Blank while nobody has decided.
    unit, unit_column : str or None
        Unit of all rows, or the column that states it for each.
    assay, assay_column, specimen : str or None
        What was used and sampled.
    lower_limit : float or None
        Detection limit in the column's unit; a smaller number is a value below it.
    missing_values : tuple
        Cells that stand for "not measured", on top of the usual ones.
    decimal : str or None
        Decimal mark of the column's text, `.` or `,`.
    value_map : mapping of str to cell, key `map` in the file
        Cell -> category, or 0 or 1.
    periods : tuple of Period
        Where unit, assay or limit changed; needs `time_zero`.
    known_at_time_zero : bool
        The site states that this was known at time zero, whatever its name suggests.
    kind, pathway, label, low, high : optional
        Only for a variable of the site's own.
    """

    column: str
    variable: str = ""
    unit: str | None = None
    unit_column: str | None = None
    assay: str | None = None
    assay_column: str | None = None
    specimen: str | None = None
    lower_limit: float | None = None
    missing_values: tuple[_Cell, ...] = ()
    decimal: str | None = None
    value_map: Mapping[str, _Cell] = field(default_factory=dict)
    periods: tuple[Period, ...] = ()
    known_at_time_zero: bool = False
    kind: str | None = None
    pathway: str | None = None
    label: str | None = None
    low: float | None = None
    high: float | None = None


@dataclass(frozen=True, slots=True)
class CohortMapping:
    """A whole mapping file.

    Parameters
    ----------
    ids : IdMapping
    outcomes : mapping of str to OutcomeMapping
        By endpoint, as `mortality`.
    columns : mapping of str to ColumnMapping
        By the site's name.
    """

    ids: IdMapping = field(default_factory=IdMapping)
    outcomes: Mapping[str, OutcomeMapping] = field(default_factory=dict)
    columns: Mapping[str, ColumnMapping] = field(default_factory=dict)


def read_mapping(path: str | Path) -> CohortMapping:
    """Return the mapping in a TOML file.

    Parameters
    ----------
    path : str or Path
        UTF-8 text.

    Returns
    -------
    CohortMapping

    Raises
    ------
    UsageError
        If there is no such file, or as `parse_mapping` does.
    """
    try:
        text = Path(path).read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError):
        raise UsageError(f"mapping must be a TOML file in UTF-8; {path} is not.") from None
    return parse_mapping(text)


def parse_mapping(text: str) -> CohortMapping:
    """Return the mapping that a TOML text states.

    Parameters
    ----------
    text : str
        Tables `ids`, `outcome.<name>` and `columns.<site's name>`.

    Returns
    -------
    CohortMapping

    Raises
    ------
    UsageError
        If the text is not TOML, a key is unknown, or a value is of the wrong type.

    Examples
    --------
    >>> mapping = parse_mapping('[columns."CTX"]\\nvariable = "ctx_s"\\nunit = "ng/mL"')
    >>> mapping.columns["CTX"].unit
    'ng/mL'
    """
    try:
        document = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise UsageError(f"mapping must be TOML; it is not: {error}.") from None
    _only(document, {"ids", "outcome", "columns"}, "the mapping file")
    ids = _table(document, "ids", "[ids]")
    outcomes = _table(document, "outcome", "[outcome]")
    columns = _table(document, "columns", "[columns]")
    _only(outcomes, set(ENDPOINTS), "[outcome]")
    return CohortMapping(
        ids=IdMapping(**_typed(ids, _ID_TYPES, "[ids]")),
        outcomes=MappingProxyType({name: _outcome(name, outcomes) for name in outcomes}),
        columns=MappingProxyType({name: _column(name, columns) for name in columns}),
    )


_NUMBER = (int, float)
_CELL = (str, int, float, bool)
_Types = Mapping[str, type | tuple[type, ...]]
_ID_TYPES: _Types = {item.name: str for item in fields(IdMapping)}
_OUTCOME_TYPES: _Types = {
    **{item.name: str for item in fields(OutcomeMapping)},
    "event_map": dict,
    "horizon_days": _NUMBER,
}
_PERIOD_TYPES: _Types = {
    "from": datetime.date,
    "to": datetime.date,
    "unit": str,
    "assay": str,
    "lower_limit": _NUMBER,
}
_COLUMN_TYPES: _Types = {
    "variable": str,
    "unit": str,
    "unit_column": str,
    "assay": str,
    "assay_column": str,
    "specimen": str,
    "lower_limit": _NUMBER,
    "missing_values": list,
    "decimal": str,
    "map": dict,
    "periods": list,
    "known_at_time_zero": bool,
    "kind": str,
    "pathway": str,
    "label": str,
    "low": _NUMBER,
    "high": _NUMBER,
}


def _outcome(name: str, outcomes: Mapping[str, Any]) -> OutcomeMapping:
    where = f"[outcome.{name}]"
    stated = _typed(_table(outcomes, name, where), _OUTCOME_TYPES, where)
    stated["event_map"] = _cells(stated.get("event_map", {}), where, allowed=(int,))
    _check_decimal(stated, where)
    return OutcomeMapping(**stated)


def _column(name: str, columns: Mapping[str, Any]) -> ColumnMapping:
    where = f'[columns."{name}"]'
    stated = _typed(_table(columns, name, where), _COLUMN_TYPES, where)
    _check_decimal(stated, where)
    values = stated.pop("missing_values", [])
    if not all(isinstance(value, _CELL) for value in values):
        raise UsageError(f"{where} missing_values must be texts or numbers; one is not.")
    return ColumnMapping(
        column=name,
        missing_values=tuple(values),
        value_map=_cells(stated.pop("map", {}), where, allowed=_CELL),
        periods=_periods(stated.pop("periods", []), f"{where} periods"),
        **stated,
    )


def _check_decimal(stated: Mapping[str, Any], where: str) -> None:
    if stated.get("decimal", ".") not in ("", ".", ","):
        raise UsageError(f'{where} decimal must be "." or ","; it is not.')


def _periods(stated: list[Any], where: str) -> tuple[Period, ...]:
    if not all(isinstance(period, dict) for period in stated):
        raise UsageError(f"{where} must be tables ([[...periods]]); one is not.")
    keys = [_typed(period, _PERIOD_TYPES, where) for period in stated]
    periods = [Period(start=key.pop("from", None), end=key.pop("to", None), **key) for key in keys]
    periods.sort(key=lambda period: period.start or datetime.date.min)
    ends = [period.end or datetime.date.max for period in periods]
    starts = [period.start or datetime.date.min for period in periods]
    if any(map(operator.gt, starts, ends)) or any(map(operator.le, starts[1:], ends)):
        raise UsageError(f"{where} must follow one another without overlap; they do not.")
    return tuple(periods)


def _table(parent: Mapping[str, Any], key: str, where: str) -> Mapping[str, Any]:
    table = parent.get(key, {})
    if not isinstance(table, dict):
        raise UsageError(f"{where} must be a table; it is not.")
    return table


def _only(stated: Mapping[str, Any], known: set[str], where: str) -> None:
    unknown = sorted(set(stated) - known)
    if unknown:
        raise UsageError(
            f"{where} must hold known keys only; it has {', '.join(unknown)}. "
            f"Known: {', '.join(sorted(known))}."
        )


def _typed(stated: Mapping[str, Any], types: _Types, where: str) -> dict[str, Any]:
    """Return the stated keys, each of its type; true and false are not numbers."""
    _only(stated, set(types), where)
    for key, value in stated.items():
        fits = isinstance(value, types[key]) and (types[key] is bool or not isinstance(value, bool))
        if not fits or isinstance(value, datetime.datetime):
            raise UsageError(f"{where} {key} must be {_WORDS[types[key]]}; it is not.")
    return dict(stated)


_WORDS: Mapping[type | tuple[type, ...], str] = {
    str: "a text",
    bool: "true or false",
    dict: "an inline table",
    list: "a list",
    _NUMBER: "a number",
    datetime.date: "a date such as 2024-03-31, without quotes",
}


def _cells(
    stated: Mapping[str, Any], where: str, *, allowed: tuple[type, ...]
) -> Mapping[str, Any]:
    # A blank is a decision still to be made, which `mapping_rules.py` reports.
    decided = [value for value in stated.values() if value != ""]
    if not all(type(value) in allowed for value in decided):
        plain = "whole numbers" if allowed == (int,) else "texts or numbers"
        raise UsageError(f"{where} a map must lead to {plain}; one entry does not.")
    return MappingProxyType(dict(stated))
