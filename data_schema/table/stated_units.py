"""The unit of a column's numbers, row by row, and whether the stated unit is plausible."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from data_schema.errors import Finding
from data_schema.mapping.file import Period
from data_schema.readings import Basis, basis
from data_schema.table.plan import FeatureSource
from data_schema.units import in_range, range_text, units_in_words
from data_schema.values import cell_text
from data_schema.variables import Variable

if TYPE_CHECKING:
    from data_schema.table.dates import Dates

__all__ = ["StatedUnits", "fitting_units", "stated_units", "unit_suspect"]

# A median of fewer values is no evidence of a unit.
_MEDIAN_OF = 20
_MOST_IN_RANGE = 0.95


@dataclass(frozen=True, slots=True)
class StatedUnits:
    """What converts a column, row by row, and the rules that the stated units and assays break.

    Parameters
    ----------
    factors, offsets : ndarray of float64 or None
        Canonical value = value * factor + offset; None if a unit is not accepted.
    lower_limits : ndarray of float64
        Stated detection limit in the column's unit; -inf where none is.
    one_unit : str
        The UCUM unit of every row; empty if they differ.
    broken : mapping of str to int
        Rule (`assay`, `specimen`, `unit`) -> rows with a number that break it.
    outside_periods : int
        Rows with a number that lie in no period of the mapping.
    """

    factors: NDArray[np.float64] | None
    offsets: NDArray[np.float64] | None
    lower_limits: NDArray[np.float64]
    one_unit: str
    broken: Mapping[str, int]
    outside_periods: int

    def findings(self, feature: FeatureSource) -> Iterator[Finding]:
        """Yield what is wrong with the periods and the units of a feature's column."""
        name, n_rows = feature.feature, len(self.lower_limits)
        if self.outside_periods:
            message = (
                f"{name} must lie in a period of the mapping by its time_zero; "
                f"{self.outside_periods} of {n_rows} rows do not. Extend the periods."
            )
            yield Finding("period", name, self.outside_periods, message)
        count, stated = self.broken.get("unit", 0), feature.source.unit
        if count and (stated is None or stated.strip()):  # a blank is reported with the mapping
            variable = feature.variable
            units = (*variable.units, *variable.offset_units)
            accepted = ", ".join(units_in_words(variable, units)) or "none"
            message = (
                f"{name} must be in an accepted unit ({accepted}); {count} of {n_rows} rows are "
                f"not. {_advice(variable)}"
            )
            yield Finding("unit", name, count, message)


def stated_units(
    table: pd.DataFrame,
    feature: FeatureSource,
    time_zero: Dates | None,
    measured: NDArray[np.bool_],
) -> StatedUnits:
    """Return the unit and the detection limit of each row, as the mapping states them.

    `time_zero` selects a row's period. `measured` marks the rows with a number; only these need a
    unit.
    """
    source = feature.source
    units, unit_of = _texts(table, source.unit_column)
    assays, assay_of = _texts(table, source.assay_column)
    # The last period is for rows that lie in no other.
    periods = [*source.periods, Period()] if time_zero is not None else [Period()]
    period_of = _period_of(periods[:-1], time_zero, len(table))
    # Rows with the same unit, assay and period are judged once.
    shape = (len(units), len(assays), len(periods))
    codes, distinct = pd.factorize(np.ravel_multi_index((unit_of, assay_of, period_of), shape))
    bases, limits = [], []
    for unit, assay, at in zip(*np.unravel_index(distinct, shape), strict=True):
        bases.append(_basis(feature, units[unit], assays[assay], periods[at]))
        limit = periods[at].lower_limit
        limits.append(source.lower_limit if limit is None else limit)
    rows_of = np.bincount(codes[measured], minlength=len(bases)).tolist()
    broken: Counter[str] = Counter()
    for row_basis, rows in zip(bases, rows_of, strict=True):
        broken.update(dict.fromkeys(row_basis.broken, rows))
    used = {row_basis.unit for row_basis, rows in zip(bases, rows_of, strict=True) if rows}
    in_none = measured & (period_of == len(periods) - 1)
    return StatedUnits(
        None if broken["unit"] else np.array([row_basis.factor for row_basis in bases])[codes],
        None if broken["unit"] else np.array([row_basis.offset for row_basis in bases])[codes],
        np.array([-np.inf if limit is None else limit for limit in limits])[codes],
        used.pop() if len(used) == 1 else "",
        +broken,
        int(in_none.sum()) if len(periods) > 1 else 0,
    )


def _basis(feature: FeatureSource, unit: str, assay: str, period: Period) -> Basis:
    """Return how rows were measured by the mapping, their own cells and their period."""
    source = feature.source
    return basis(
        feature.variable,
        feature.feature,
        unit=period.unit if period.unit is not None else unit or source.unit or "",
        assays=(source.assay or "", assay, period.assay or ""),
        specimen=source.specimen or "",
    )


def _texts(table: pd.DataFrame, column: str | None) -> tuple[list[str], NDArray[np.intp]]:
    """Return the distinct texts of a column, if it exists, and the index of each row's text."""
    if column is None or column not in table:
        return [""], np.zeros(len(table), dtype=np.intp)
    codes, distinct = pd.factorize(table[column])
    # An empty cell has code -1 and so the last text.
    texts = [*(cell_text(cell) or "" for cell in distinct), ""]
    return texts, np.where(codes < 0, len(distinct), codes)


def _period_of(periods: Sequence[Period], time_zero: Dates | None, n_rows: int) -> NDArray[np.intp]:
    """Return the period of each row by its day, or their number where it lies in none."""
    period_of = np.full(n_rows, len(periods), dtype=np.intp)
    if not periods or time_zero is None:
        return period_of
    days = time_zero.day.dt.tz_localize(None)
    for number, period in enumerate(periods):
        rows = days.notna().to_numpy(copy=True)
        if period.start is not None:
            rows &= (days >= pd.Timestamp(period.start)).to_numpy()
        if period.end is not None:
            rows &= (days <= pd.Timestamp(period.end)).to_numpy()
        period_of[rows] = number
    return period_of


def _advice(variable: Variable) -> str:
    """Return advice; the catalogue's note warns of similar units of another quantity."""
    note = f" {variable.note}" if variable.note else ""
    return f"State the unit that the laboratory printed; it may belong to another variable.{note}"


def unit_suspect(
    feature: FeatureSource,
    units: StatedUnits,
    values: NDArray[np.float64],
    below: NDArray[np.bool_],
) -> Finding | None:
    """Return why the stated unit cannot be the true one (rule `unit_suspect`), or None if it can.

    The values are canonical under the stated unit; where `below` is true, they are detection
    limits. Only a unit that all rows share is questioned. The finding names the units that the
    values fit.
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
    (stated_unit,) = units_in_words(variable, [units.one_unit]) or (units.one_unit,)
    fits = " or ".join(units_in_words(variable, fitting))
    what = f"lie outside {range_text(variable)}" if mostly_outside else "have an untypical median"
    return Finding(
        "unit_suspect",
        feature.feature,
        count,
        f"{feature.feature} must be in the stated unit, {stated_unit}; {count} of {len(values)} "
        f"rows {what}, and all would fit the unit {fits}. Correct the unit.",
    )


def fitting_units(
    variable: Variable, numbers: NDArray[np.float64], *, below: NDArray[np.bool_]
) -> list[str]:
    """Return the accepted units that numbers of an unknown unit could have, one for each factor.

    In such a unit nearly all values are plausible, and their median is typical of a cohort. None of
    the numbers is missing; where `below` is true, they are detection limits.
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
    """Return whether no cohort has this median; False if values or figures are too few."""
    if variable.typical_median is None or len(values) < _MEDIAN_OF:
        return False
    low, high = variable.typical_median
    return not low <= float(np.median(values)) <= high
