"""Which counts stay hidden, and that nothing small follows from those that do not."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from data_schema.disclosure import SMALLEST_CELL, hidden_cells

COUNTS = st.one_of(st.integers(0, 25), st.integers(0, 400))


def whole_and_groups(counts: np.ndarray) -> np.ndarray:
    return np.hstack([counts.sum(axis=1, keepdims=True), counts])


def test_a_cell_that_its_row_would_tell_is_hidden_with_another() -> None:
    table = whole_and_groups(np.array([[57, 3], [60, 40], [120, 80]]))

    hidden = hidden_cells(table)

    assert hidden[0].tolist() == [False, True, True]
    assert hidden[1].tolist() == [False, True, True]
    assert not hidden[2].any()


def test_two_small_cells_that_hold_few_together_hide_a_third() -> None:
    assert hidden_cells(np.array([[103, 3, 2, 48, 50]]))[0].tolist() == [
        *(False, True, True, True, False)
    ]


def test_nothing_is_hidden_where_no_cell_is_small() -> None:
    assert not hidden_cells(whole_and_groups(np.array([[10, 0], [500, 30]]))).any()


def test_a_hidden_total_is_not_the_sum_of_a_second_division() -> None:
    # The first level is small; the second is hidden with it, and must stay so in both divisions.
    counts = np.array([[7, 4, 3, 7, 0], [40, 20, 20, 20, 20], [500, 250, 250, 250, 250]])

    hidden = hidden_cells(counts, [2, 2])

    for row in np.flatnonzero(hidden[:, 0]):
        assert hidden[row, 1:3].any()
        assert hidden[row, 3:].any()


@given(arrays(np.int64, st.tuples(st.integers(1, 5), st.integers(1, 4)), elements=COUNTS))
def test_no_line_tells_of_fewer_than_ten_patients(counts: np.ndarray) -> None:
    table = whole_and_groups(counts)

    hidden = hidden_cells(table)

    assert hidden[(table > 0) & (table < SMALLEST_CELL)].all()
    lines = [(table[:, j], hidden[:, j]) for j in range(table.shape[1])]
    lines += [(row[1:], mask[1:]) for row, mask in zip(table, hidden, strict=True) if not mask[0]]
    for numbers, mask in lines:
        everything_hidden = not (~mask & (numbers > 0)).any()
        enough = mask.sum() > 1 and numbers[mask].sum() >= SMALLEST_CELL
        assert not mask.any() or enough or everything_hidden
