"""What holds of any entries and ends of follow-up."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from data_schema.delayed_entry import entries_by_value, expected_late_entries

DAYS = st.lists(st.tuples(st.integers(0, 50), st.integers(1, 60)), min_size=1, max_size=60).map(
    lambda pairs: tuple(np.array(column, dtype=float) for column in zip(*pairs, strict=True))
)


@given(DAYS)
def test_expected_late_entries_are_those_of_all_pairs_of_patients(days) -> None:
    entry, end = days
    pairs = (entry[:, None] >= end[None, :]).sum() / len(entry)
    assert expected_late_entries(entry, end) == pytest.approx(pairs)


@given(DAYS, st.randoms(use_true_random=False))
def test_the_order_of_the_rows_does_not_matter(days, random) -> None:
    entry, end = days
    rows = list(range(len(entry)))
    random.shuffle(rows)
    assert expected_late_entries(entry[rows], end[rows]) == pytest.approx(
        expected_late_entries(entry, end)
    )


@given(DAYS)
def test_a_patient_who_enters_at_the_end_rules_out_an_entry(days) -> None:
    entry, end = days
    entry[0] = end[0]
    assert entries_by_value({"entry": entry}, end) == []
