"""Checks of a request, made before anything is computed.

Part of every bundle's `model.py`: it imports only the standard library, numpy, pandas and xgboost.
"""

import math
import sys
from collections.abc import Iterable, Mapping
from decimal import Decimal

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike
from pandas.api.extensions import ExtensionDtype

from models.inference.columns import NOT_DONE, columns_read, not_done_columns
from models.inference.contract import Contract
from models.inference.matrices import Table, as_known_levels

__all__ = ["LARGEST_NUMBER", "InferenceError", "checked_table", "requested_days"]

LARGEST_NUMBER = float(np.finfo(np.float32).max)
"""Beyond it a number is infinite to trees, which compare 32-bit numbers."""


class InferenceError(ValueError):
    """The request cannot be answered; the message names columns and rules, never a value."""


def requested_days(contract: Contract, horizons_days: ArrayLike | None) -> np.ndarray:
    """Return the requested horizons, or the default ones, once they are in the model's range."""
    requested = contract.default_horizons_days if horizons_days is None else horizons_days
    days = np.asarray(requested, dtype=float).ravel()
    if not len(days):
        raise InferenceError("horizons_days must name at least one horizon.")
    low, high = contract.min_horizon_days, contract.max_horizon_days
    inside = (days >= low) & (days <= high)
    if not inside.all():
        raise InferenceError(
            f"horizons_days must lie in {low:g}-{high:g} days; {int((~inside).sum())} of "
            f"{len(days)} do not."
        )
    return days


def checked_table(contract: Contract, patients: pd.DataFrame | Table) -> Table:
    """Return the columns of patients that a model reads; a `Table` is returned unchecked.

    Raises
    ------
    InferenceError
        If a feature column is missing, a column of numbers holds anything else or a number beyond
        `LARGEST_NUMBER`, a category holds anything but text, or a variable has a value where it is
        recorded as not done.

    Notes
    -----
    `NAME__not_done` is 1 where the variable NAME is recorded as not done, and 0 or null elsewhere;
    no such column is required.
    """
    if isinstance(patients, Table):
        return patients
    features = [f.name for f in contract.features if not f.name.endswith(NOT_DONE)]
    place = {name: j for j, name in enumerate(patients.columns)}
    missing = [name for name in features if name not in place]
    if missing:
        raise InferenceError(
            f"frame must have every feature column; missing: {', '.join(missing)}."
        )
    kinds = {name: kind for name, kind in columns_read(contract).items() if name in place}
    if len(place) < patients.shape[1]:
        _require_once(patients, kinds)
    columns = {
        name: patients.iloc[:, place[name]] for name, kind in kinds.items() if kind == "text"
    }
    texts = {name: _texts(name, column) for name, column in columns.items()}
    numeric = [name for name, kind in kinds.items() if kind == "numbers"]
    numbers = _checked_numbers(patients, {name: place[name] for name in numeric})
    for flag, values in not_done_columns(contract).items():
        if flag in numbers:
            numbers[flag] = _checked_state(numbers, texts, flag, values)
    learned = [f.name for f in contract.features if f.name.endswith(NOT_DONE)]
    numbers |= {flag: np.zeros(len(patients)) for flag in learned if flag not in numbers}
    levels = {feature.name: feature.categories for feature in contract.features}
    read = {name: as_known_levels(words, levels[name]) for name, words in texts.items()}
    return Table(len(patients), numbers, read)


def _require_once(frame: pd.DataFrame, names: Iterable[str]) -> None:
    """Refuse columns that a frame has twice."""
    repeated = set(frame.columns[frame.columns.duplicated()])
    twice = [name for name in names if name in repeated]
    if twice:
        raise InferenceError(f"frame must have every column once; repeated: {', '.join(twice)}.")


def _checked_state(
    numbers: Mapping[str, np.ndarray],
    texts: Mapping[str, np.ndarray],
    flag: str,
    columns: Iterable[str],
) -> np.ndarray:
    """Return a flag of "recorded as not done" as 0 or 1, or refuse it beside a value."""
    state, name = np.nan_to_num(numbers[flag], nan=0.0), flag.removesuffix(NOT_DONE)
    bad = ~np.isin(state, [0.0, 1.0])
    if bad.any():
        raise InferenceError(
            f"{flag} must hold 0, 1 or null; {int(bad.sum())} of {len(bad)} rows hold another "
            "number. Correct the column."
        )
    has_value = np.zeros(len(state), dtype=bool)
    for column in columns:
        # A number of samples of 0 is no value, and neither is a flag that none is below its limit.
        if column in texts:
            has_value |= np.array([text is not None for text in texts[column]], dtype=bool)
        elif column.endswith(("__count", "__below")):
            has_value |= numbers[column] > 0
        else:
            has_value |= ~np.isnan(numbers[column])
    both = has_value & (state == 1)
    if both.any():
        raise InferenceError(
            f"{name} must have no value where {flag} is 1; {int(both.sum())} of {len(both)} rows "
            "have both. Correct the value or the flag."
        )
    return np.asarray(state)


def _checked_numbers(frame: pd.DataFrame, place: Mapping[str, int]) -> dict[str, np.ndarray]:
    """Return columns of a frame as float64, or refuse text and dates in them.

    Columns of numeric types are read together: column by column, pandas takes far longer over one
    patient than the prediction.
    """
    kinds = frame.dtypes.to_numpy()
    columns: dict[str, np.ndarray] = {}
    bad, large = dict.fromkeys(place, 0), dict.fromkeys(place, 0)
    for numpy_type in (True, False):
        alike = [
            name
            for name, j in place.items()
            if _is_numeric(kinds[j]) and isinstance(kinds[j], np.dtype) == numpy_type
        ]
        block = frame.iloc[:, [place[name] for name in alike]]
        read = block.to_numpy(float) if numpy_type else block.to_numpy(float, na_value=np.nan)
        columns |= zip(alike, read.T, strict=True)
        large |= zip(alike, _too_large(read), strict=True)
    for name, j in place.items():
        if name not in columns:
            columns[name], bad[name] = _converted(frame.iloc[:, j])
            (large[name],) = _too_large(columns[name][:, None])
    # In the order of the columns, so that the first broken column is named.
    for name in place:
        _require_kind(name, "numbers", bad[name], len(frame))
        _require_size(name, large[name], len(frame))
    return {name: columns[name] for name in place}


def _is_numeric(kind: np.dtype | ExtensionDtype) -> bool:
    """Return whether a column's type is that of real numbers, or of true and false."""
    return bool(pd.api.types.is_numeric_dtype(kind)) and kind.kind != "c"


def _converted(column: pd.Series) -> tuple[np.ndarray, int]:
    """Return a column of another type as float64, and how many of its rows are not numbers."""
    # Pandas converts text and dates to numbers, and a missing date to the lowest number.
    cells = column.to_numpy(dtype=object)
    given = ~pd.isna(cells)
    values = np.full(len(cells), np.nan)
    for i in np.flatnonzero(given):
        values[i] = _float(cells[i])
    return values, int((given & np.isnan(values)).sum())


def _float(value: object) -> float:
    """Return a number as a float, NaN if it is none; an integer too large for it as the largest."""
    if not isinstance(value, int | float | Decimal | np.bool_ | np.integer | np.floating):
        return math.nan
    try:
        return float(value)
    except OverflowError:
        return sys.float_info.max if value > 0 else -sys.float_info.max


def _texts(name: str, column: pd.Series) -> np.ndarray:
    """Return a column as text, None where not measured, or refuse what is not text."""
    cells = column.to_numpy(dtype=object)
    given = ~pd.isna(cells)
    bad = sum(not isinstance(cell, str | bool | np.bool_) for cell in cells[given])
    _require_kind(name, "text", bad, len(cells))
    texts = np.full(len(cells), None, dtype=object)
    texts[given] = [str(cell) for cell in cells[given]]
    return texts


def _too_large(values: np.ndarray) -> list[int]:
    """Return how many finite numbers of each column trees cannot hold."""
    beyond = (values > LARGEST_NUMBER) | (values < -LARGEST_NUMBER)
    counts: list[int] = (beyond & np.isfinite(values)).sum(0).tolist()
    return counts


def _require_size(name: str, large: int, rows: int) -> None:
    """Refuse a column with numbers that are too large."""
    if large:
        raise InferenceError(
            f"{name} must lie between -{LARGEST_NUMBER:.2g} and {LARGEST_NUMBER:.2g}; {large} of "
            f"{rows} rows do not. Check values and unit, or make them NaN."
        )


def _require_kind(name: str, kind: str, bad: int, rows: int) -> None:
    """Refuse a column with rows that are not of its kind."""
    if bad:
        raise InferenceError(
            f"{name} must hold {kind} or null; {bad} of {rows} rows are not. "
            "Convert the column first."
        )
