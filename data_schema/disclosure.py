"""Which counts of a table must stay hidden so that no group of a few patients can be read off."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise, product

import numpy as np
from numpy.typing import NDArray

__all__ = ["SMALLEST_CELL", "hidden_cells", "shown_count"]

SMALLEST_CELL = 10
"""Groups of fewer patients are neither printed nor plotted."""


def hidden_cells(table: NDArray[np.int64], partitions: Sequence[int] = ()) -> NDArray[np.bool_]:
    """Return which cells of a table of counts to hide, including those that give others away.

    A cell of 1 to `SMALLEST_CELL - 1` patients is hidden. The smallest other cell of its row or
    column is hidden too if subtraction from the total would reveal the first, or reveal that the
    hidden cells together hold fewer than `SMALLEST_CELL` patients.

    Parameters
    ----------
    table : ndarray of int, shape (n_levels, 1 + n_groups)
        Patients. The first column counts all of them, the others one group each; the levels add up
        to each column.
    partitions : sequence of int, optional
        Number of groups in each way of dividing all patients, in the order of the columns (default:
        all groups together).

    Returns
    -------
    ndarray of bool, shape (n_levels, 1 + n_groups)

    Examples
    --------
    >>> hidden_cells(np.array([[60, 57, 3], [100, 60, 40], [200, 120, 80]]))
    array([[False,  True,  True],
           [False,  True,  True],
           [False, False, False]])
    """
    hidden: NDArray[np.bool_] = (table > 0) & (table < SMALLEST_CELL)
    ends = np.cumsum([1, *(partitions or [table.shape[1] - 1])])
    before = -1
    while hidden.sum() != before:
        before = int(hidden.sum())
        for column in range(table.shape[1]):
            _protect(table[:, column], hidden[:, column])
        for row, (start, end) in product(range(len(table)), pairwise(ends)):
            groups, masked = table[row, start:end], hidden[row, start:end]
            if not hidden[row, 0]:
                _protect(groups, masked)
            elif not masked.any():
                _hide_smallest(groups, masked)
    return hidden


def _protect(counts: NDArray[np.int64], hidden: NDArray[np.bool_]) -> None:
    """Hide more of a line whose total is known, until no small number follows from the others."""
    while hidden.any() and (hidden.sum() == 1 or counts[hidden].sum() < SMALLEST_CELL):
        if not _hide_smallest(counts, hidden):
            return


def _hide_smallest(counts: NDArray[np.int64], hidden: NDArray[np.bool_]) -> bool:
    """Hide the smallest cell with at least one patient; return whether there was such a cell."""
    others = np.flatnonzero(~hidden & (counts > 0))
    if len(others):
        hidden[others[np.argmin(counts[others])]] = True
    return bool(len(others))


def shown_count(number: int | None) -> str:
    """Return a count of patients in words, hiding one so small that it might identify a person.

    >>> shown_count(1234), shown_count(7), shown_count(None)
    ('1,234', 'fewer than 10', 'withheld')
    """
    if number is None:
        return "withheld"
    small = 0 < number < SMALLEST_CELL
    return f"fewer than {SMALLEST_CELL}" if small else f"{number:,}"
