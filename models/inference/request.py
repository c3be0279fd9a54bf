"""Checks of a request, made before anything is computed.

Part of every bundle's `model.py`: it imports only the standard library, numpy, pandas and xgboost.
"""

from collections.abc import Iterable
from decimal import Decimal
from numbers import Real

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from models.inference.columns import NOT_DONE, columns_read, not_done_columns
from models.inference.contract import Contract
from models.inference.matrices import Table, as_known_levels, not_categorical, table_of

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
    missing = [name for name in features if name not in patients]
    if missing:
        raise InferenceError(
            f"frame must have every feature column; missing: {', '.join(missing)}."
        )
    kinds = columns_read(contract)
    numbers, texts = ([c for c, k in kinds.items() if k == kind] for kind in ("numbers", "text"))
    for name in texts:
        _require_kind(name, "text", not_categorical(patients[name]))
    checked = patients.assign(**_checked_numbers(patients, numbers))
    for flag, columns in not_done_columns(contract).items():
        if flag in checked:
            checked[flag] = _checked_state(checked, flag, columns)
    learned = [f.name for f in contract.features if f.name.endswith(NOT_DONE)]
    checked = checked.assign(**{flag: 0.0 for flag in learned if flag not in checked})
    table = table_of(checked, numbers=numbers, texts=texts)
    levels = {feature.name: feature.categories for feature in contract.features}
    read = {name: as_known_levels(words, levels[name]) for name, words in table.texts.items()}
    return table._replace(texts=read)


def _checked_state(frame: pd.DataFrame, flag: str, columns: Iterable[str]) -> pd.Series:
    """Return a flag of "recorded as not done" as 0 or 1, or refuse it beside a value."""
    state, name = frame[flag].fillna(0.0), flag.removesuffix(NOT_DONE)
    bad = ~state.isin([0.0, 1.0])
    if bad.any():
        raise InferenceError(
            f"{flag} must hold 0, 1 or null; {int(bad.sum())} of {len(bad)} rows hold another "
            "number. Correct the column."
        )
    has_value = pd.Series(False, index=frame.index)
    for column in columns:
        # A number of samples of 0 is no value, and neither is a flag that none is below its limit.
        may_be_0 = column.endswith(("__count", "__below"))
        has_value |= frame[column] > 0 if may_be_0 else frame[column].notna()
    both = has_value & (state == 1)
    if both.any():
        raise InferenceError(
            f"{name} must have no value where {flag} is 1; {int(both.sum())} of {len(both)} rows "
            "have both. Correct the value or the flag."
        )
    return state


def _checked_numbers(frame: pd.DataFrame, names: Iterable[str]) -> dict[str, pd.Series]:
    """Return the named columns of a frame as float64, or refuse text and dates in them."""
    numbers = {}
    for name in names:
        if name not in frame:
            continue
        values = convertible = frame[name]
        if not pd.api.types.is_numeric_dtype(values) or values.dtype.kind == "c":
            # Pandas converts text and dates to numbers, and a missing date to the lowest number.
            real = [v if isinstance(v, Real | Decimal | np.bool_) else np.nan for v in values]
            convertible = pd.Series(real, index=values.index, dtype=object)
        numbers[name] = pd.to_numeric(convertible, errors="coerce").astype("float64")
        _require_kind(name, "numbers", values.notna() & numbers[name].isna())
        _require_size(name, numbers[name])
    return numbers


def _require_size(name: str, values: pd.Series) -> None:
    """Refuse a column with finite numbers that trees, which compare 32-bit numbers, cannot hold."""
    large = int(((values.abs() > LARGEST_NUMBER) & np.isfinite(values)).sum())
    if large:
        raise InferenceError(
            f"{name} must lie between -{LARGEST_NUMBER:.2g} and {LARGEST_NUMBER:.2g}; {large} of "
            f"{len(values)} rows do not. Check values and unit, or make them NaN."
        )


def _require_kind(name: str, kind: str, bad: pd.Series) -> None:
    """Refuse a column with rows that are not of its kind."""
    if bad.any():
        raise InferenceError(
            f"{name} must hold {kind} or null; {int(bad.sum())} of {len(bad)} rows are not. "
            "Convert the column first."
        )
