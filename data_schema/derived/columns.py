"""The columns that derived values are computed from: one row per patient, values as recorded."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
import pandas as pd
from numpy.typing import NDArray

__all__ = ["Columns", "columns_of_frame"]

Numbers = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Columns:
    """Columns in canonical units, by name; a column that is not held counts as not recorded.

    Parameters
    ----------
    n_rows : int
        Number of patients or stays.
    numbers : mapping of str to ndarray of float, shape (n_rows,)
        Numbers and flags (0 or 1); NaN is not recorded. Names are those of features:
        `platelets` is the last value, `platelets__min` and `platelets__max` the lowest and highest
        of the window.
    words : mapping of str to ndarray of object, shape (n_rows,)
        Categories; None is not recorded.
    """

    n_rows: int
    numbers: Mapping[str, Numbers]
    words: Mapping[str, NDArray[np.object_]] = field(default_factory=dict)

    def number(self, name: str) -> Numbers:
        """Return a column of numbers; NaN throughout where it is not held."""
        held = self.numbers.get(name)
        return np.full(self.n_rows, np.nan) if held is None else held

    def lowest(self, name: str) -> Numbers:
        """Return the lowest value of the window, or the only value where no lowest is recorded."""
        return _first_recorded(self.number(f"{name}__min"), self.number(name))

    def highest(self, name: str) -> Numbers:
        """Return the highest value of the window, or the only value where none is recorded."""
        return _first_recorded(self.number(f"{name}__max"), self.number(name))

    def word(self, name: str) -> NDArray[np.object_]:
        """Return a column of categories; None throughout where it is not held."""
        held = self.words.get(name)
        return np.full(self.n_rows, None, dtype=object) if held is None else held

    def is_word(self, name: str, word: str) -> Numbers:
        """Return 1 where a category is `word`, 0 where it is another, NaN where not recorded."""
        held = self.words.get(name)
        if held is None:
            return np.full(self.n_rows, np.nan)
        return np.where(_is_stated(held), (held == word).astype(np.float64), np.nan)

    def recorded(self, name: str) -> NDArray[np.bool_]:
        """Return where anything of a variable is recorded: its value, its lowest or its highest."""
        either = np.fmax(self.highest(name), self.lowest(name))
        any_number = np.asarray(~np.isnan(either), dtype=np.bool_)
        held = self.words.get(name)
        if held is None:
            return any_number
        return np.asarray(any_number | _is_stated(held), dtype=np.bool_)


def columns_of_frame(frame: pd.DataFrame) -> Columns:
    """Return the columns of a table in canonical units, as a cohort holds them.

    >>> columns_of_frame(pd.DataFrame({"map": [65.0, None]})).number("map")
    array([65., nan])
    """
    numbers: dict[str, Numbers] = {}
    words: dict[str, NDArray[np.object_]] = {}
    for name in frame.columns:
        held = frame[name]
        if pd.api.types.is_numeric_dtype(held) or pd.api.types.is_bool_dtype(held):
            numbers[str(name)] = held.to_numpy(dtype=np.float64, na_value=np.nan)
        else:
            words[str(name)] = held.astype(object).where(held.notna(), None).to_numpy(dtype=object)
    return Columns(len(frame), numbers, words)


def _first_recorded(first: Numbers, second: Numbers) -> Numbers:
    return np.where(np.isnan(first), second, first)


def _is_stated(words: NDArray[np.object_]) -> NDArray[np.bool_]:
    return np.array([isinstance(word, str) for word in words], dtype=np.bool_)
