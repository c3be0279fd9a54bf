"""The mapping file: which of a site's columns is what, in which unit, and which state the outcome.

    [ids]
    patient_id = "subject"             # also stay_id, site, time_zero
    [outcome.mortality]
    days = "followup_d"                # days and event; or event_date, last_seen_date and, where
    event = "dead"                     # death competes, competing_date; or horizon_days and event
    event_map = {alive = 0, dead = 1}  # unless the cells are 0, 1, 2
                                       # entry_days and time_zero = "entry" where observation began
                                       # later: days then count from entry
    [treatment_limits]                 # orders such as DNR: never a predictor
    limited = "dnr"                    # and limited_map = {...} unless 1 and 0, yes and no
    days = "dnr_day"                   # from time zero to the first order
    [columns."FGF-23 C-term"]          # a variable of the catalogue, with or without a suffix
    variable = "fgf23_c"
    unit = "RU/mL"                     # or unit_column
    not_done = ["not sent"]            # cells that record it as not done; a blank is "not entered"
    [columns."CTX cancelled"]          # or a column of 0 and 1 that records it
    variable = "ctx_s__not_done"
    [columns.dzgroup]                  # a variable of the site's own
    variable = "dzgroup"
    kind = "category"                  # number, category or flag
    pathway = "person"

An unknown key fails here. What is blank, or contradicts the catalogue or the table, is found by
`mapping/rules.py`, so that one report lists all of it.
"""

from __future__ import annotations

import datetime
import operator
import tomllib
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, fields
from pathlib import Path
from types import MappingProxyType

from data_schema.errors import UsageError
from data_schema.outcomes import ENDPOINTS

__all__ = [
    "ENTRY",
    "CohortMapping",
    "ColumnMapping",
    "IdMapping",
    "OutcomeMapping",
    "Period",
    "TreatmentLimitsMapping",
    "parse_mapping",
    "read_mapping",
]

_Cell = str | int | float | bool

ENTRY = "entry"
"""Value of `time_zero` of an outcome whose days count from entry."""


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
    """The site's columns that state one outcome, in one of three ways.

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
        The only horizon at which the outcome is known, by `event`.
    entry_days : str or None
        Day of the same clock as `days` on which observation began, where that was later than day 0.
    time_zero : str or None
        `entry`: count from entry, `days` less `entry_days`. Needed with `entry_days`.
    followed_after_discharge : bool
        The site states that patients were observed after discharge, whatever names and times
        suggest.
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
    entry_days: str | None = None
    time_zero: str | None = None
    followed_after_discharge: bool = False


@dataclass(frozen=True, slots=True)
class TreatmentLimitsMapping:
    """The site's columns on orders to limit treatment; None where the site has no such column.

    Parameters
    ----------
    limited : str or None
        Whether there was an order by the end of the record.
    limited_map : mapping of str to int
        Cell of `limited` -> 0 or 1; empty if the cells are 1 and 0, or yes and no.
    days : str or None
        Days from time zero to the first order.
    """

    limited: str | None = None
    limited_map: Mapping[str, int] = field(default_factory=dict)
    days: str | None = None


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
        Blank until it is decided.
    unit, unit_column : str or None
        Unit of all rows, or the column that states it for each.
    assay, assay_column, specimen : str or None
        What was used and sampled.
    lower_limit : float or None
        Detection limit in the column's unit; a smaller number is a value below it.
    missing_values : tuple
        Cells that stand for "not entered", on top of the usual ones.
    not_done : tuple
        Cells that record that it was not done, such as "not performed".
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
    not_done: tuple[_Cell, ...] = ()
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
    """A whole mapping file: outcomes by endpoint (`mortality`), columns by the site's names."""

    ids: IdMapping = field(default_factory=IdMapping)
    outcomes: Mapping[str, OutcomeMapping] = field(default_factory=dict)
    treatment_limits: TreatmentLimitsMapping = field(default_factory=TreatmentLimitsMapping)
    columns: Mapping[str, ColumnMapping] = field(default_factory=dict)


def read_mapping(path: str | Path) -> CohortMapping:
    """Return the mapping in a TOML file."""
    try:
        text = Path(path).read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError):
        raise UsageError(f"mapping must be a TOML file in UTF-8; {path} is not.") from None
    return parse_mapping(text)


def parse_mapping(text: str) -> CohortMapping:
    """Return the mapping that a TOML text states.

    An unknown key or a value of the wrong type raises `UsageError`.

    >>> mapping = parse_mapping('[columns."CTX"]\\nvariable = "ctx_s"\\nunit = "ng/mL"')
    >>> mapping.columns["CTX"].unit
    'ng/mL'
    """
    try:
        document: object = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise UsageError(f"mapping must be TOML: {error}.") from None
    whole = _Table.of(
        document, "the mapping file", ("ids", "outcome", "treatment_limits", "columns")
    )
    ids = _Table.of(whole.keys.get("ids", {}), "[ids]", _ID_KEYS)
    outcomes = _Table.of(whole.keys.get("outcome", {}), "[outcome]", ENDPOINTS)
    limits = whole.keys.get("treatment_limits", {})
    columns = _Table.of(whole.keys.get("columns", {}), "[columns]")
    return CohortMapping(
        ids=IdMapping(**ids.texts(_ID_KEYS)),
        outcomes=MappingProxyType({name: _outcome(name, outcomes) for name in outcomes.keys}),
        treatment_limits=_limits(_Table.of(limits, "[treatment_limits]", _LIMIT_KEYS)),
        columns=MappingProxyType({name: _column(name, columns) for name in columns.keys}),
    )


_ID_KEYS = tuple(item.name for item in fields(IdMapping))
_LIMIT_KEYS = tuple(item.name for item in fields(TreatmentLimitsMapping))
_OUTCOME_KEYS = tuple(item.name for item in fields(OutcomeMapping))
_OUTCOME_NO_TEXTS = ("event_map", "horizon_days", "followed_after_discharge")
_OUTCOME_TEXTS = tuple(key for key in _OUTCOME_KEYS if key not in _OUTCOME_NO_TEXTS)
_COLUMN_TEXTS = (
    *("unit", "unit_column", "assay", "assay_column", "specimen", "decimal"),
    *("kind", "pathway", "label"),
)
_COLUMN_NUMBERS = ("lower_limit", "low", "high")
_COLUMN_KEYS = (
    *("variable", "missing_values", "not_done", "map", "periods", "known_at_time_zero"),
    *(*_COLUMN_TEXTS, *_COLUMN_NUMBERS),
)


@dataclass(frozen=True, slots=True)
class _Table:
    """One table of the file, whose keys are read by type; true and false are not numbers."""

    keys: Mapping[str, object]
    where: str

    @classmethod
    def of(cls, stated: object, where: str, known: Collection[str] | None = None) -> _Table:
        """Return a table, all of whose keys are known."""
        if not isinstance(stated, dict):
            raise UsageError(f"{where} must be a table.")
        unknown = sorted(stated.keys() - set(stated if known is None else known))
        if unknown:
            raise UsageError(
                f"{where} must hold known keys only; it has {', '.join(unknown)}. "
                f"Known: {', '.join(sorted(known or ()))}."
            )
        return cls(stated, where)

    def text(self, key: str) -> str | None:
        value = self.keys.get(key)
        if value is None or isinstance(value, str):
            return value
        raise self.wrong(key, "a text")

    def texts(self, keys: Collection[str]) -> dict[str, str | None]:
        return {key: self.text(key) for key in keys}

    def number(self, key: str) -> float | None:
        value = self.keys.get(key)
        if value is None or (isinstance(value, int | float) and not isinstance(value, bool)):
            return value
        raise self.wrong(key, "a number")

    def truth(self, key: str) -> bool:
        value = self.keys.get(key, False)
        if isinstance(value, bool):
            return value
        raise self.wrong(key, "true or false")

    def day(self, key: str) -> datetime.date | None:
        value = self.keys.get(key)
        is_day = isinstance(value, datetime.date) and not isinstance(value, datetime.datetime)
        if value is None or (isinstance(value, datetime.date) and is_day):
            return value
        raise self.wrong(key, "a date such as 2024-03-31, without quotes")

    def items(self, key: str) -> Sequence[object]:
        value = self.keys.get(key, [])
        if isinstance(value, list):
            return value
        raise self.wrong(key, "a list")

    def cells(self, key: str) -> Mapping[str, object]:
        value = self.keys.get(key, {})
        if isinstance(value, dict):
            return value
        raise self.wrong(key, "an inline table")

    def wrong(self, key: str, what: str) -> UsageError:
        return UsageError(f"{self.where} {key} must be {what}.")


def _outcome(name: str, outcomes: _Table) -> OutcomeMapping:
    table = _Table.of(outcomes.keys[name], f"[outcome.{name}]", _OUTCOME_KEYS)
    _check_decimal(table)
    if table.text("time_zero") not in (None, "", ENTRY):
        raise UsageError(f'{table.where} time_zero must be "{ENTRY}", or be left out.')
    # A blank is a decision still to be made, which `mapping/rules.py` reports.
    codes = {
        cell: code if isinstance(code, int) else ""
        for cell, code in table.cells("event_map").items()
        if code == "" or type(code) is int
    }
    if len(codes) < len(table.cells("event_map")):
        raise table.wrong("event_map", "an inline table of whole numbers")
    return OutcomeMapping(
        event_map=MappingProxyType(codes),
        horizon_days=table.number("horizon_days"),
        followed_after_discharge=table.truth("followed_after_discharge"),
        **table.texts(_OUTCOME_TEXTS),
    )


def _limits(table: _Table) -> TreatmentLimitsMapping:
    codes = {
        cell: code
        for cell, code in table.cells("limited_map").items()
        if type(code) is int and code in (0, 1)
    }
    if len(codes) < len(table.cells("limited_map")):
        raise table.wrong("limited_map", "an inline table of 0 and 1")
    return TreatmentLimitsMapping(
        limited=table.text("limited"),
        limited_map=MappingProxyType(codes),
        days=table.text("days"),
    )


def _column(name: str, columns: _Table) -> ColumnMapping:
    table = _Table.of(columns.keys[name], f'[columns."{name}"]', _COLUMN_KEYS)
    _check_decimal(table)
    cells = {key: cell for key, cell in table.cells("map").items() if isinstance(cell, _Cell)}
    if len(cells) < len(table.cells("map")):
        raise table.wrong("map", "an inline table of texts or numbers")
    return ColumnMapping(
        column=name,
        variable=table.text("variable") or "",
        missing_values=_cells(table, "missing_values"),
        not_done=_cells(table, "not_done"),
        value_map=MappingProxyType(cells),
        periods=_periods(table.items("periods"), f"{table.where} periods"),
        known_at_time_zero=table.truth("known_at_time_zero"),
        lower_limit=table.number("lower_limit"),
        low=table.number("low"),
        high=table.number("high"),
        **table.texts(_COLUMN_TEXTS),
    )


def _cells(table: _Table, key: str) -> tuple[_Cell, ...]:
    """Return the cells that a key lists."""
    listed = table.items(key)
    cells = tuple(value for value in listed if isinstance(value, _Cell))
    if len(cells) < len(listed):
        raise table.wrong(key, "a list of texts or numbers")
    return cells


def _check_decimal(table: _Table) -> None:
    if table.text("decimal") not in (None, "", ".", ","):
        raise UsageError(f'{table.where} decimal must be "." or ",".')


def _periods(stated: Sequence[object], where: str) -> tuple[Period, ...]:
    if not all(isinstance(period, dict) for period in stated):
        raise UsageError(f"{where} must be tables ([[...periods]]).")
    known = ("from", "to", "unit", "assay", "lower_limit")
    tables = [_Table.of(period, where, known) for period in stated]
    periods = [
        Period(
            start=table.day("from"),
            end=table.day("to"),
            unit=table.text("unit"),
            assay=table.text("assay"),
            lower_limit=table.number("lower_limit"),
        )
        for table in tables
    ]
    periods.sort(key=lambda period: period.start or datetime.date.min)
    ends = [period.end or datetime.date.max for period in periods]
    starts = [period.start or datetime.date.min for period in periods]
    if any(map(operator.gt, starts, ends)) or any(map(operator.le, starts[1:], ends)):
        raise UsageError(f"{where} must follow one another without overlap.")
    return tuple(periods)
