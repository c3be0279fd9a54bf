"""From a frame of patients to the matrices that both parts read.

Part of every bundle's `model.py`: it imports only the standard library, numpy, pandas and xgboost.
"""

import re
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from typing import NamedTuple

import numpy as np
import pandas as pd

from models.inference.columns import NOT_DONE
from models.inference.parameters import Encoding, HorizonBasis, Scaling

__all__ = [
    "ColumnGroups",
    "Table",
    "as_known_levels",
    "expit",
    "horizon_basis",
    "level_columns",
    "linear_column_features",
    "linear_matrix",
    "missing_columns",
    "not_categorical",
    "number_rows",
    "raw_matrix",
    "spline_basis",
    "spline_slope",
    "standard_log",
    "table_of",
    "texts_of",
]


_ROWS_IN_CACHE = 256

BELOW_LIMIT = "__below"
"""How the column ends that flags a value as below its detection limit."""


class Table(NamedTuple):
    """Patients column by column, as plain arrays: for one patient far quicker than a frame.

    Attributes
    ----------
    rows : int
        Number of patients.
    numbers : mapping of str to ndarray of float, shape (rows,)
        NaN where not measured.
    texts : mapping of str to ndarray of object, shape (rows,)
        None where not measured.
    """

    rows: int
    numbers: Mapping[str, np.ndarray]
    texts: Mapping[str, np.ndarray]

    def number(self, column: str) -> np.ndarray:
        """Return a column of numbers, NaN where there is no such column."""
        values = self.numbers.get(column)
        return np.full(self.rows, np.nan) if values is None else values


class ColumnGroups(NamedTuple):
    """Which columns of a matrix belong to which variable: the columns of each follow each other.

    Attributes
    ----------
    width : int
        Number of variables.
    order : ndarray of int, shape (n_grouped_columns,)
        Columns by variable; a column of no variable is left out.
    first : ndarray of int, shape (n_present,)
        Where in `order` each variable that has columns begins.
    present : ndarray of int, shape (n_present,)
        Places of these variables among all.
    """

    width: int
    order: np.ndarray
    first: np.ndarray
    present: np.ndarray

    @classmethod
    def of(cls, names: Sequence[str], variables: Sequence[str]) -> "ColumnGroups":
        """Return the groups of columns, given the variable of each."""
        place = {variable: v for v, variable in enumerate(variables)}
        which = np.array([place[name] for name in names], dtype=int)
        order = np.argsort(which, kind="stable")
        present, first = np.unique(which[order], return_index=True)
        return cls(len(variables), order, first, present)

    def sums(self, values: np.ndarray) -> np.ndarray:
        """Return the sum over the columns of each variable, (..., width), from (..., n_columns)."""
        out = np.zeros((*values.shape[:-1], self.width))
        if len(self.first):
            out[..., self.present] = np.add.reduceat(values[..., self.order], self.first, axis=-1)
        return out


def table_of(frame: pd.DataFrame, *, numbers: Iterable[str], texts: Iterable[str]) -> Table:
    """Return the named columns of a frame, where it has them."""
    return Table(
        len(frame),
        {name: _numbers_of(frame[name]) for name in numbers if name in frame},
        {name: texts_of(frame, name) for name in texts if name in frame},
    )


def raw_matrix(patients: pd.DataFrame | Table, encoding: Encoding) -> np.ndarray:
    """Return numbers and flags, then one column per category level; not measured is NaN.

    A flag of "recorded as not done" is 0 where it is not given, and one of "below the limit" NaN
    where its variable has no value. The levels of a category are NaN together when it is not
    measured or was never seen in training.

    Parameters
    ----------
    patients : DataFrame or Table
        With every column that the encoding names.
    encoding : Encoding

    Returns
    -------
    ndarray of float, shape (n_patients, n_columns)
    """
    numbers, levels = encoding.numbers, encoding.levels
    table = (
        table_of(patients, numbers=numbers, texts=[name for name, _ in levels])
        if isinstance(patients, pd.DataFrame)
        else patients
    )
    out = np.empty((table.rows, len(numbers) + sum(len(known) for _, known in levels)))
    out[:, : len(numbers)] = number_rows(table, numbers).T
    for j in _flags(numbers):
        name = numbers[j]
        if name.endswith(NOT_DONE):
            out[:, j] = np.nan_to_num(out[:, j], nan=0.0)
        else:
            measured = ~np.isnan(table.number(name.removesuffix(BELOW_LIMIT)))
            out[:, j] = np.where(measured, out[:, j], np.nan)
    j = len(numbers)
    for name, known in levels:
        text = table.texts[name]
        shown = known[1:] if len(known) == 2 else known
        unseen = np.array([level not in known for level in text], dtype=bool)
        for level in shown:
            out[:, j] = np.where(unseen, np.nan, text == level)
            j += 1
    return out[:, :j]


def number_rows(table: Table, names: Sequence[str]) -> np.ndarray:
    """Return columns of numbers as rows, (n_names, n_patients); NaN where there is no column."""
    out = np.empty((len(names), table.rows))
    numbers = table.numbers
    for row, name in zip(out, names, strict=True):
        row[:] = numbers.get(name, np.nan)
    return out


@lru_cache(maxsize=16)
def _flags(numbers: tuple[str, ...]) -> tuple[int, ...]:
    """Return the places of the flags that `raw_matrix` completes; models are a few."""
    return tuple(j for j, name in enumerate(numbers) if name.endswith((NOT_DONE, BELOW_LIMIT)))


def level_columns(encoding: Encoding) -> list[tuple[str, str]]:
    """Return (feature, level) of the one-hot columns, in order; two levels need one column."""
    return [
        (name, level)
        for name, known in encoding.levels
        for level in (known[1:] if len(known) == 2 else known)
    ]


def spline_basis(x: np.ndarray, knots: np.ndarray) -> np.ndarray:
    """Return the two curved terms of a restricted cubic spline with four knots [1]_.

    Parameters
    ----------
    x : ndarray of float
    knots : ndarray of float, shape (*x.shape, 4), or one that broadcasts to it
        Ascending; where all four coincide both terms are 0, a straight line.

    Returns
    -------
    ndarray of float, shape (*x.shape, 2)
        Linear beyond the outer knots.

    References
    ----------
    .. [1] Harrell. Regression Modeling Strategies, 2nd ed. Springer (2015), section 2.4.5.
    """

    # For j = 0, 1, with (u)+^3 = max(u, 0)^3 and knots k_0 < ... < k_3,
    #   C_j(x) = [ (x - k_j)+^3 - (x - k_2)+^3 (k_3 - k_j) / (k_3 - k_2)
    #              + (x - k_3)+^3 (k_2 - k_j) / (k_3 - k_2) ] / (k_3 - k_0)^2.
    # Cubic and quadratic terms cancel beyond k_3; the divisor puts C_j on the scale of x.
    k0, _, k2, k3 = np.moveaxis(knots, -1, 0)
    curved = k3 > k2
    span = np.where(curved, k3 - k0, 1.0)
    tail = np.where(curved, k3 - k2, 1.0)
    terms = _spline_terms(x, knots, span, tail)
    return np.where(curved[..., None], np.stack(terms, axis=-1), 0.0)


def _spline_terms(
    x: np.ndarray, knots: np.ndarray, span: np.ndarray, tail: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Return both terms of `spline_basis` for k_3 - k_0 and k_3 - k_2 that are not 0."""

    def cube(knot: np.ndarray) -> np.ndarray:
        above = np.maximum(x - knot, 0.0)
        return np.asarray(above * above * above)  # a power takes five times as long

    k0, k1, k2, k3 = np.moveaxis(knots, -1, 0)
    from_k2, from_k3 = cube(k2), cube(k3)
    first, second = (
        (cube(k) - from_k2 * ((k3 - k) / tail) + from_k3 * ((k2 - k) / tail)) / span**2
        for k in (k0, k1)
    )
    return first, second


def spline_slope(x: np.ndarray, knots: np.ndarray) -> np.ndarray:
    """Return the derivatives of both terms of `spline_basis`, for the same arguments."""

    # With the C_j of `spline_basis`, C_j'(x) = 3 [ (x - k_j)+^2 - ... ] / (k_3 - k_0)^2: the same
    # sum with squares in place of cubes.
    def square(knot: np.ndarray) -> np.ndarray:
        return np.asarray(np.maximum(x - knot, 0.0) ** 2)

    k0, k1, k2, k3 = np.moveaxis(knots, -1, 0)
    curved = k3 > k2
    span = np.where(curved, k3 - k0, 1.0)
    tail = np.where(curved, k3 - k2, 1.0)
    terms = [
        3 * (square(k) - square(k2) * (k3 - k) / tail + square(k3) * (k2 - k) / tail) / span**2
        for k in (k0, k1)
    ]
    return np.where(curved[..., None], np.stack(terms, axis=-1), 0.0)


def linear_matrix(raw: np.ndarray, scaling: Scaling) -> np.ndarray:
    """Return the columns of the linear part, NaN where not measured.

    Parameters
    ----------
    raw : ndarray of float, shape (n_patients, n_columns)
        From `raw_matrix`.
    scaling : Scaling
        Of the leading columns of `raw`, which are numbers.

    Returns
    -------
    ndarray of float, shape (n_patients, n_linear_columns)
        Standardised values, their bends (twice), then levels. A bend is a spline term less its
        regression on the straight line, so that the two are uncorrelated in training.
    """
    n_numbers = len(scaling.log)
    if not n_numbers:  # JSON, from which a bundle is read, keeps no shape of what is empty
        return raw.copy()
    out = np.empty((len(raw), 2 * n_numbers + raw.shape[1]))
    out[:, 3 * n_numbers :] = raw[:, n_numbers:]
    curved = np.flatnonzero(scaling.knots[:, 3] > scaling.knots[:, 2])
    knots = scaling.knots[curved]
    span, tail = knots[:, 3] - knots[:, 0], knots[:, 3] - knots[:, 2]
    # A few hundred rows of all intermediate results stay in the processor's cache.
    for start in range(0, len(raw), _ROWS_IN_CACHE):
        rows = slice(start, start + _ROWS_IN_CACHE)
        x = raw[rows, :n_numbers].copy()
        x[:, scaling.log] = np.log1p(np.maximum(x[:, scaling.log], 0.0))
        z = (np.clip(x, scaling.low, scaling.high) - scaling.center) / scaling.scale
        out[rows, :n_numbers] = z
        terms = _spline_terms(z[:, curved], knots, span, tail)
        for place, term in enumerate(terms):
            bend = np.zeros(z.shape)
            bend[:, curved] = term
            # A missing z makes the last product, and so the bend, NaN in straight columns too.
            bend -= scaling.bend_offset[:, place]
            bend -= scaling.bend_line[:, place] * z
            out[rows, (place + 1) * n_numbers : (place + 2) * n_numbers] = bend
    return out


def missing_columns(raw: np.ndarray, n_numbers: int) -> np.ndarray:
    """Return where `linear_matrix` would hold NaN, (n_patients, n_linear_columns)."""
    missing = np.isnan(raw)
    numbers = missing[:, :n_numbers]
    return np.concatenate([numbers, numbers, numbers, missing[:, n_numbers:]], axis=-1)


def linear_column_features(encoding: Encoding) -> list[str]:
    """Return the feature that each column of `linear_matrix` belongs to."""
    numbers = list(encoding.numbers)
    return numbers * 3 + [feature for feature, _ in level_columns(encoding)]


def horizon_basis(log_h: np.ndarray, horizon: HorizonBasis) -> tuple[np.ndarray, np.ndarray]:
    """Return the standardised spline of log horizon.

    Parameters
    ----------
    log_h : ndarray of float, shape (n,)
    horizon : HorizonBasis
        Or those of several parts, stacked on a first axis of n_parts and a second of 1.

    Returns
    -------
    tuple of ndarray of float, shapes (n, 3) and (n,), or (n_parts, ...) of those
        All three terms, and the linear one alone.
    """
    curved = spline_basis(log_h, horizon.knots)
    straight = np.broadcast_to(log_h, curved.shape[:-1])[..., None]
    basis = np.concatenate([straight, curved], axis=-1)
    basis = (basis - horizon.mean) / horizon.scale
    return basis, basis[..., 0]


def standard_log(log_h: np.ndarray, horizon: HorizonBasis) -> np.ndarray:
    """Return the linear term of `horizon_basis` alone, (n,)."""
    return np.asarray((log_h - horizon.mean[..., 0]) / horizon.scale[..., 0])


def _numbers_of(column: pd.Series) -> np.ndarray:
    """Return a column as float, NaN where it holds no number."""
    return pd.to_numeric(column, errors="coerce").to_numpy(dtype=float, na_value=np.nan)


def texts_of(frame: pd.DataFrame, column: str) -> np.ndarray:
    """Return a column as text, None where not measured."""
    texts = frame[column].map(str).to_numpy(dtype=object, copy=True)
    texts[frame[column].isna().to_numpy()] = None
    return texts


def as_known_levels(texts: np.ndarray, levels: Sequence[str]) -> np.ndarray:
    """Return texts with another spelling of a level as that level; others stay as they are.

    Spellings differ in case, spaces, Unicode form, or as 1 and 1.0. A spelling of two levels is
    none of them.

    >>> as_known_levels(np.array(["icu  A", "x", None], dtype=object), ["ICU A"]).tolist()
    ['ICU A', 'x', None]
    """
    known = {None, *levels}
    if all(text in known for text in texts):
        return texts
    by_key: dict[str, str | None] = {}
    for level in levels:
        key = _level_spelling(level)
        by_key[key] = None if key in by_key else level
    read = [text if text in known else by_key.get(_level_spelling(text)) or text for text in texts]
    return np.array(read, dtype=object)


def _level_spelling(text: str) -> str:
    # As `data_schema.values.level_key`, which a bundle cannot import.
    composed = " ".join(unicodedata.normalize("NFC", text).casefold().split())
    return re.sub(r"^(-?\d+)\.0+$", r"\1", composed)


def not_categorical(values: pd.Series) -> pd.Series:
    """Return which rows of a column hold neither text, nor true or false, nor null."""
    is_text = values.map(lambda value: isinstance(value, str | bool | np.bool_)).astype(bool)
    return values.notna() & ~is_text


def expit(x: np.ndarray) -> np.ndarray:
    """Return the inverse logit without overflow."""
    return 0.5 * (1.0 + np.tanh(0.5 * np.asarray(x, dtype=float)))
