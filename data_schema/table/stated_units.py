"""In which unit a column's numbers are, row by row, and whether that can be true."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from data_schema.errors import Finding
from data_schema.mapping.file import ColumnMapping, Period
from data_schema.table.plan import FeatureSource
from data_schema.units import canonical_unit_spelling, in_range, range_text
from data_schema.variables import Variable

if TYPE_CHECKING:
    from data_schema.table.dates import Dates

__all__ = ["StatedUnits", "fitting_units", "stated_units", "unit_suspect"]

# A median of fewer values says little about a unit.
_MEDIAN_OF = 20
_MOST_IN_RANGE = 0.95


@dataclass(frozen=True, slots=True)
class StatedUnits:
    """What converts a column, row by row.

    Parameters
    ----------
    factors : ndarray of float64 or None
        Canonical value = value * factor; None if a unit is not accepted.
    lower_limits : ndarray of float64
        Stated detection limit in the column's unit; -inf where none is.
    measured : int
        Rows with a number.
    one_unit : str
        The UCUM unit of every row; empty if they differ.
    findings : tuple of Finding
    """

    factors: NDArray[np.float64] | None
    lower_limits: NDArray[np.float64]
    measured: int
    one_unit: str
    findings: tuple[Finding, ...]


def stated_units(
    table: pd.DataFrame,
    feature: FeatureSource,
    time_zero: Dates | None,
    measured: NDArray[np.bool_],
) -> StatedUnits:
    """Return the unit and the detection limit of each row, as the mapping states them.

    Parameters
    ----------
    table : DataFrame
        Holds the unit column, where the mapping names one.
    feature : FeatureSource
    time_zero : Dates or None
        Tells periods apart.
    measured : ndarray of bool
        Rows with a number; only these need a unit.

    Returns
    -------
    StatedUnits
    """
    source, variable = feature.source, feature.variable
    texts, text_of = _unit_texts(table, source)
    limits = np.full(len(table), -np.inf if source.lower_limit is None else source.lower_limit)
    findings: list[Finding] = []
    if source.periods and time_zero is not None:
        in_none = measured.copy()
        for period, rows in _rows_of_periods(source.periods, time_zero):
            in_none &= ~rows
            if period.unit is not None:
                text_of[rows] = len(texts)
                texts.append(period.unit)
            if period.lower_limit is not None:
                limits[rows] = period.lower_limit
        findings += _outside_periods(feature, in_none)
    # A number of samples has no unit, whatever the unit of the samples.
    is_count = feature.feature.endswith("__count")
    spelled = ["" if is_count else canonical_unit_spelling(variable, text) for text in texts]
    scales = [np.nan if unit is None else variable.units.get(unit, 1.0) for unit in spelled]
    factors = np.array([1.0] * len(texts) if is_count else scales)[text_of]
    refused = measured & np.isnan(factors)
    if source.unit is None or source.unit.strip():  # a blank one is reported with the mapping
        findings += _refused_units(feature, refused)
    units = {spelled[code] or "" for code in np.unique(text_of[measured])}
    return StatedUnits(
        None if refused.any() else factors,
        limits,
        int(measured.sum()),
        units.pop() if len(units) == 1 else "",
        tuple(findings),
    )


def _unit_texts(table: pd.DataFrame, source: ColumnMapping) -> tuple[list[str], NDArray[np.intp]]:
    """Return the distinct units that are stated, and which of them each row has."""
    if source.unit_column is None or source.unit_column not in table:
        return [source.unit or ""], np.zeros(len(table), dtype=np.intp)
    codes, distinct = pd.factorize(table[source.unit_column])
    # An empty cell has code -1 and so the last text.
    return [*map(str, distinct), ""], np.where(codes < 0, len(distinct), codes)


def _rows_of_periods(
    periods: Iterable[Period], time_zero: Dates
) -> Iterator[tuple[Period, NDArray[np.bool_]]]:
    days = time_zero.day.dt.tz_localize(None)
    for period in periods:
        rows = days.notna().to_numpy(copy=True)
        if period.start is not None:
            rows &= (days >= pd.Timestamp(period.start)).to_numpy()
        if period.end is not None:
            rows &= (days <= pd.Timestamp(period.end)).to_numpy()
        yield period, rows


def _outside_periods(feature: FeatureSource, rows: NDArray[np.bool_]) -> Iterator[Finding]:
    count = int(rows.sum())
    if count:
        yield Finding(
            "period",
            feature.feature,
            count,
            f"{feature.feature} must lie in a period of the mapping by its time_zero; {count} of "
            f"{len(rows)} rows do not. Extend the periods.",
        )


def _refused_units(feature: FeatureSource, rows: NDArray[np.bool_]) -> Iterator[Finding]:
    count, variable = int(rows.sum()), feature.variable
    if count:
        accepted = ", ".join(variable.units) or "none"
        yield Finding(
            "unit",
            feature.feature,
            count,
            f"{feature.feature} must be in an accepted unit ({accepted}); {count} of {len(rows)} "
            f"rows are not. {_trap(variable)}",
        )


def _trap(variable: Variable) -> str:
    """Return what to do: the catalogue's note says where a look-alike unit is another quantity."""
    note = f" {variable.note}" if variable.note else ""
    return f"State the unit that the laboratory printed; it may belong to another variable.{note}"


def unit_suspect(
    feature: FeatureSource,
    units: StatedUnits,
    values: NDArray[np.float64],
    below: NDArray[np.bool_],
) -> Finding | None:
    """Return why the stated unit cannot be the true one, or None if it can.

    Parameters
    ----------
    feature : FeatureSource
    units : StatedUnits
        With one unit for all rows; several are taken at their word.
    values : ndarray of float64
        Canonical under the stated unit.
    below : ndarray of bool
        Values that are detection limits.

    Returns
    -------
    Finding or None
        Rule `unit_suspect`, naming the units that the values fit.
    """
    variable = feature.variable
    numbers = values[~np.isnan(values)]
    limits = below[~np.isnan(values)]
    stated = variable.units.get(units.one_unit)
    if stated is None or not len(numbers) or feature.feature.endswith("__slope"):
        return None
    outside = ~in_range(variable, numbers, below=limits)
    mostly_outside = bool(2 * outside.sum() > len(numbers))
    if not (mostly_outside or _is_untypical(variable, numbers)):
        return None
    fitting = fitting_units(variable, numbers / stated, below=limits)
    if not fitting:
        return None
    count = int(outside.sum()) if mostly_outside else len(numbers)
    what = f"lie outside {range_text(variable)}" if mostly_outside else "have an untypical median"
    return Finding(
        "unit_suspect",
        feature.feature,
        count,
        f"{feature.feature} must be in the stated unit, {units.one_unit}; {count} of {len(values)} "
        f"rows {what}, and all would fit {' or '.join(fitting)}. Correct the unit.",
    )


def fitting_units(
    variable: Variable, numbers: NDArray[np.float64], *, below: NDArray[np.bool_]
) -> list[str]:
    """Return the accepted units that numbers without a unit could be in, one for each factor.

    Parameters
    ----------
    variable : Variable
    numbers : ndarray of float64
        Measured values, none missing.
    below : ndarray of bool
        Values that are detection limits.

    Returns
    -------
    list of str
        Nearly all values would be plausible, and their median typical of a cohort.
    """
    first_of: dict[float, str] = {}
    for unit, scale in variable.units.items():
        first_of.setdefault(scale, unit)
    return [
        unit
        for scale, unit in first_of.items()
        if in_range(variable, numbers * scale, below=below).mean() >= _MOST_IN_RANGE
        and not _is_untypical(variable, numbers * scale)
    ]


def _is_untypical(variable: Variable, values: NDArray[np.float64]) -> bool:
    """Return whether no cohort has this median; too few values, or no figure, and it may."""
    if variable.typical_median is None or len(values) < _MEDIAN_OF:
        return False
    low, high = variable.typical_median
    return not low <= float(np.median(values)) <= high
