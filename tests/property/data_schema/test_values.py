"""A number survives being written down in any of the ways that laboratories write it."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from data_schema.values import parse_numbers

FINITE = st.floats(allow_nan=False, allow_infinity=False)
CELLS = st.lists(
    st.one_of(
        FINITE,
        FINITE.map(repr),
        st.sampled_from(["", "NA", "<9.99", ">= 5", "1,471", "1.471,0", "inf", "<", "abc", None]),
        st.text(max_size=8),
    ),
    min_size=1,
    max_size=20,
)
DECIMAL = st.sampled_from([None, ".", ","])


@given(number=FINITE)
def test_a_number_written_with_a_point_is_read_back(number: float) -> None:
    assert parse_numbers(pd.Series([repr(number)])).values[0] == number


@given(number=FINITE)
def test_a_number_written_with_a_comma_is_read_back(number: float) -> None:
    cells = pd.Series([repr(number).replace(".", ",")])
    assert parse_numbers(cells, decimal=",").values[0] == number


@given(cents=st.integers(-(10**11), 10**11))
def test_grouped_thousands_are_read_back_under_either_mark(cents: int) -> None:
    english = f"{cents / 100:,.2f}"
    german = english.translate(str.maketrans(",.", ".,"))
    assert parse_numbers(pd.Series([english]), decimal=".").values[0] == pytest.approx(cents / 100)
    assert parse_numbers(pd.Series([german]), decimal=",").values[0] == pytest.approx(cents / 100)


@given(
    number=FINITE,
    comparator=st.sampled_from(["<", "<=", ">", ">="]),
    gap=st.sampled_from(["", " "]),
)
def test_a_comparator_never_changes_the_number(number: float, comparator: str, gap: str) -> None:
    parsed = parse_numbers(pd.Series([f"{comparator}{gap}{number!r}"]))
    assert parsed.values[0] == number
    assert (parsed.below[0], parsed.above[0]) == (comparator[0] == "<", comparator[0] == ">")


@given(cells=CELLS, decimal=DECIMAL)
def test_every_cell_is_read_or_missing_or_counted_under_one_rule(
    cells: list[object], decimal: str | None
) -> None:
    series = pd.Series(cells, dtype=object)
    parsed = parse_numbers(series, decimal=decimal)  # type: ignore[arg-type]
    alone = [parse_numbers(series[[row]], decimal=decimal) for row in series.index]  # type: ignore[arg-type]
    for one in alone:
        assert sum(one.problems.values()) <= 1
        assert not (one.problems and np.isfinite(one.values[0]))
    total = sum(sum(one.problems.values()) for one in alone)
    assert sum(parsed.problems.values()) == total
    assert not np.isinf(parsed.values).any()
    assert not (parsed.below & parsed.above).any()
    assert np.isfinite(parsed.values[parsed.below | parsed.above]).all()


@given(cells=CELLS, decimal=DECIMAL)
def test_a_cell_is_read_the_same_wherever_it_stands(
    cells: list[object], decimal: str | None
) -> None:
    series = pd.Series(cells, dtype=object)
    forward = parse_numbers(series, decimal=decimal)  # type: ignore[arg-type]
    backward = parse_numbers(series[::-1], decimal=decimal)  # type: ignore[arg-type]
    np.testing.assert_array_equal(forward.values, backward.values[::-1])
    np.testing.assert_array_equal(forward.below, backward.below[::-1])
    assert forward.problems == backward.problems
