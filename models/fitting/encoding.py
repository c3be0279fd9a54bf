"""The columns a model reads, and their scales in the linear part: fitted on training rows only."""

from __future__ import annotations

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from data_schema.disclosure import SMALLEST_CELL
from data_schema.errors import DataError
from models.folds import patient_codes
from models.inference.matrices import not_categorical, spline_basis, texts_of
from models.inference.parameters import Encoding, Scaling

__all__ = ["fit_encoding", "fit_scaling", "in_encoding", "outer_share", "patients_by_level"]

KNOT_SHARES = (0.05, 0.35, 0.65, 0.95)
"""Where Harrell places four knots of a restricted cubic spline."""

SKEWED = 1.0
"""A non-negative variable skewed beyond this is taken as log(1 + x) by the linear part."""

FEW_VALUES = 8
"""A variable with fewer distinct values gets a straight line instead of a spline."""


def fit_encoding(frame: pd.DataFrame, groups: ArrayLike | None = None) -> Encoding:
    """Return which columns are numbers and which levels each category has.

    Numeric and boolean columns are numbers; every other is a category and holds text. A level of
    fewer than `SMALLEST_CELL` patients would be learned from them alone and disclose something
    about them; like a level that was never seen, it counts as not measured.

    Raises
    ------
    DataError
        If a column holds neither numbers nor text, as dates do, or a row has no patient.
    """
    patient = patient_codes(groups, len(frame))
    numbers, levels = [], []
    for name in frame.columns:
        if pd.api.types.is_numeric_dtype(frame[name]) and frame[name].dtype.kind != "c":
            numbers.append(str(name))
            continue
        _refuse_other_than_text(frame[name], str(name))
        patients = patients_by_level(frame, name, patient)
        enough = sorted(patients.index[patients >= SMALLEST_CELL])
        levels.append((str(name), tuple(enough)))
    return Encoding(tuple(numbers), tuple(levels))


def patients_by_level(frame: pd.DataFrame, name: str, patient: NDArray[np.int64]) -> pd.Series[int]:
    """Return how many patients have each level of a category, by level."""
    seen = pd.DataFrame({"level": texts_of(frame, name), "patient": patient})
    return seen.groupby("level")["patient"].nunique()


def _refuse_other_than_text(column: pd.Series, name: str) -> None:
    """Refuse numbers among objects or categories, and dates: each would become a level."""
    count = int(not_categorical(column).sum())
    if count:
        raise DataError(
            f"{name} must be numeric or hold text; {count} of {len(column)} rows are neither. "
            "Convert the column."
        )


def in_encoding(raw: NDArray[np.float64], own: Encoding, other: Encoding) -> NDArray[np.float64]:
    """Return rows of one encoding's raw matrix in that of another, which may lack levels.

    As in `matrices.raw_matrix`, a level that the other does not know counts as not measured. Both
    have the same numbers and categories.
    """
    if own == other:
        return raw
    blocks = [raw[:, : len(own.numbers)]]
    start = len(own.numbers)
    for (_, levels), (_, known) in zip(own.levels, other.levels, strict=True):
        width = len(levels) - (len(levels) == 2)
        block = raw[:, start : start + width]
        start += width
        if width < len(levels):  # the one column of two levels is that of the second
            block = np.hstack([1 - block, block])
        of_known = block[:, [level in known for level in levels]]
        read = np.where((of_known == 1).any(axis=1, keepdims=True), of_known, np.nan)
        blocks.append(read[:, 1:] if len(known) == 2 else read)
    return np.hstack(blocks)


def fit_scaling(raw: NDArray[np.float64], n_numbers: int) -> Scaling:
    """Return how to standardise each number: log or not, limits, centre, scale and spline knots.

    Values are clipped to the quantiles of `outer_share`, so that one extreme entry cannot dominate
    a linear prediction; knots are in standardised units. Without enough distinct values, all knots
    coincide and the spline terms are 0. The numbers are the first `n_numbers` columns of `raw`,
    (n_patients, n_columns), from `matrices.raw_matrix`.
    """
    columns = []
    for values in np.ascontiguousarray(raw[:, :n_numbers].T):
        # In order throughout: every step below keeps it, and quantiles lie at places.
        x = np.sort(values[~np.isnan(values)])
        distinct = int((np.diff(x) > 0).sum()) + 1 if len(x) else 0
        log = bool(distinct >= FEW_VALUES and x[0] >= 0 and _skewness(x) > SKEWED)
        x = np.log1p(x) if log else x
        outer = outer_share(len(x))
        low, high = _quantiles(x, np.array([outer, 1 - outer])) if distinct else (0.0, 0.0)
        x = np.clip(x, low, high)
        center = float(x.mean()) if distinct else 0.0
        scale = float(x.std()) or 1.0 if distinct else 1.0
        knots = np.zeros(4)
        if distinct >= FEW_VALUES:
            at = _quantiles((x - center) / scale, np.array(KNOT_SHARES))
            knots = at if len(np.unique(at)) == len(at) else knots
        offset, line = _line_of_bends((x - center) / scale, knots)
        columns.append((log, low, high, center, scale, knots, offset, line))
    if not columns:
        none = np.zeros(0)
        return Scaling(none.astype(bool), *[none] * 4, *(np.zeros((0, k)) for k in (4, 2, 2)))
    return Scaling(*map(np.asarray, zip(*columns, strict=True)))


def _quantiles(ordered: NDArray[np.float64], shares: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return quantiles of values in ascending order, interpolated as `np.quantile` does."""
    at = shares * (len(ordered) - 1)
    below = np.floor(at).astype(int)
    left, right = ordered[below], ordered[np.minimum(below + 1, len(ordered) - 1)]
    out: NDArray[np.float64] = left + (right - left) * (at - below)
    return out


def _line_of_bends(
    z: NDArray[np.float64], knots: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return intercepts and slopes of both spline terms regressed on the standardised value."""
    if knots[3] <= knots[0]:
        return np.zeros(2), np.zeros(2)
    splines = spline_basis(z, knots)
    # z has mean 0 and variance 1, up to rounding.
    line = (z - z.mean()) @ (splines - splines.mean(0)) / ((z - z.mean()) ** 2).sum()
    return splines.mean(0) - line * z.mean(), line


def outer_share(patients: int) -> float:
    """Return the outermost quantile to keep: 0.1 %, but with `SMALLEST_CELL` patients beyond it.

    >>> outer_share(100_000), outer_share(500), outer_share(12)
    (0.001, 0.02, 0.25)
    """
    return max(0.001, min(SMALLEST_CELL / max(patients, 1), 0.25))


def _skewness(x: NDArray[np.float64]) -> float:
    """Return the third standardised moment, 0 for a constant."""
    spread = x.std()
    return float((((x - x.mean()) / spread) ** 3).mean()) if spread > 0 else 0.0
