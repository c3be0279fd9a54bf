"""Numbers are read as laboratories write them, and never guessed."""

from __future__ import annotations

import time

import numpy as np
import pandas as pd
import pytest

from data_schema.errors import UsageError
from data_schema.values import MISSING_WORDS, parse_numbers


def read(*cells: object, **options: object) -> list[float]:
    """Read cells that break no rule."""
    parsed = parse_numbers(pd.Series(list(cells), dtype=object), **options)  # type: ignore[arg-type]
    assert parsed.problems == {}
    return parsed.values.tolist()


def problems(*cells: object, **options: object) -> dict[str, int]:
    """Read cells of which none is a number."""
    parsed = parse_numbers(pd.Series(list(cells), dtype=object), **options)  # type: ignore[arg-type]
    assert np.isnan(parsed.values).all()
    assert not (parsed.below | parsed.above).any()
    return dict(parsed.problems)


def test_plain_numbers_are_read() -> None:
    assert read("12", " 1.5 ", "-3", "+4", ".5", "6.", "1e3", "2E-2") == [
        12.0,
        1.5,
        -3.0,
        4.0,
        0.5,
        6.0,
        1000.0,
        0.02,
    ]


@pytest.mark.parametrize("text", ["<9.99", "< 9.99", " <9.99 ", "<=9.99", "\u2264 9.99"])
def test_a_value_below_the_limit_stays_censored(text: str) -> None:
    parsed = parse_numbers(pd.Series([text]))
    assert (parsed.values.tolist(), parsed.below.tolist()) == ([9.99], [True])
    assert not parsed.above.any()


@pytest.mark.parametrize("text", [">5000", "> 5000", ">=5000", "\u22655000"])
def test_a_value_above_the_limit_stays_censored(text: str) -> None:
    parsed = parse_numbers(pd.Series([text]))
    assert (parsed.values.tolist(), parsed.above.tolist()) == ([5000.0], [True])
    assert not parsed.below.any()


def test_a_number_without_comparator_is_not_censored() -> None:
    parsed = parse_numbers(pd.Series(["9.99"]))
    assert not (parsed.below | parsed.above).any()


@pytest.mark.parametrize(
    "text",
    [
        "1,471",
        "1.471,0",
        "1,471.0",
        "1,5",
        "1.471.000",
        "<1,471",
        "12 34",
        "1\u202f471",
    ],
)
def test_a_number_with_two_readings_is_refused(text: str) -> None:
    assert problems(text) == {"ambiguous_number": 1}


def test_a_stated_decimal_point_makes_the_comma_group_thousands() -> None:
    assert read("1,471", "1,471,000.5", "<1,471", "1 471", "0.5", decimal=".") == [
        1471.0,
        1471000.5,
        1471.0,
        1471.0,
        0.5,
    ]


def test_a_stated_decimal_comma_makes_the_point_group_thousands() -> None:
    assert read("1,471", "1.471,0", "1.471", "0,5", "1\u00a0471,5", ",5", decimal=",") == [
        1.471,
        1471.0,
        1471.0,
        0.5,
        1471.5,
        0.5,
    ]


@pytest.mark.parametrize(
    ("text", "decimal"),
    [
        ("1,47", "."),
        ("0,471", "."),
        ("1.471,0", "."),
        ("1.47", ","),
        ("0.471", ","),
        ("1,471.0", ","),
        ("1471,000,000", "."),
    ],
)
def test_marks_that_contradict_the_stated_one_are_refused(text: str, decimal: str) -> None:
    assert problems(text, decimal=decimal) == {"ambiguous_number": 1}


def test_a_cell_that_is_a_number_already_ignores_the_stated_mark() -> None:
    assert read(1.471, 1500, np.float32(0.5), "1,471", decimal=",") == [
        1.471,
        1500.0,
        0.5,
        1.471,
    ]


@pytest.mark.parametrize("blank", [None, np.nan, pd.NA, "", "  ", "NA", "n/a", "NaN", "null", "."])
def test_a_blank_is_not_measured_and_breaks_no_rule(blank: object) -> None:
    parsed = parse_numbers(pd.Series([blank, "5"], dtype=object))
    assert np.isnan(parsed.values[0])
    assert parsed.values[1] == 5.0
    assert parsed.problems == {}


def test_a_site_s_own_words_and_numbers_for_missing_are_not_measured() -> None:
    missing = ["not done", -999]
    cells = pd.Series(["Not Done", "-999", "-999.0", -999, "5", "<-999"], dtype=object)
    parsed = parse_numbers(cells, missing_values=missing)
    assert np.isnan(parsed.values[:4]).all()
    assert parsed.values[4] == 5.0
    assert parsed.problems == {}
    numbers = parse_numbers(pd.Series([-999.0, 5.0]), missing_values=["-999"])
    assert np.isnan(numbers.values).tolist() == [True, False]


def test_a_site_s_own_dash_for_missing_is_understood_however_it_is_typed() -> None:
    assert np.isnan(read("\u2013", "-", "\u2212", missing_values=["\u2013"])).all()


@pytest.mark.parametrize("text", ["abc", "5 mg", "5%", "--5", "1:2", "5-10", "1_000", "0x1A", "~5"])
def test_text_is_not_a_number(text: str) -> None:
    assert problems(text) == {"not_a_number": 1}


def test_true_is_not_a_number_among_text() -> None:
    assert problems(True, "false") == {"not_a_number": 2}


@pytest.mark.parametrize("text", ["inf", "-Infinity", "\u221e", "1e400", "<inf", float("inf")])
def test_infinity_is_refused(text: object) -> None:
    assert problems(text) == {"infinite": 1}


@pytest.mark.parametrize("text", ["<", "< abc", "<NA", "<<5", "< <5", ">=%"])
def test_a_comparator_without_a_number_is_refused(text: str) -> None:
    assert problems(text) == {"comparator": 1}


def test_each_rule_counts_its_rows() -> None:
    cells = ["abc", "def", "inf", "1,471", "<", "12", ""]
    parsed = parse_numbers(pd.Series(cells))
    assert parsed.problems == {
        "not_a_number": 2,
        "infinite": 1,
        "ambiguous_number": 1,
        "comparator": 1,
    }
    assert np.nansum(parsed.values) == 12.0


def test_typographic_minus_and_spaces_are_read() -> None:
    assert read("\u22122.5", "\u00a012\u00a0", "\u20133") == [-2.5, 12.0, -3.0]


@pytest.mark.parametrize("dtype", ["object", "str", "category"])
def test_every_way_pandas_holds_text_reads_alike(dtype: str) -> None:
    parsed = parse_numbers(pd.Series(["1.5", "<2", None], dtype=dtype))
    np.testing.assert_array_equal(parsed.values, [1.5, 2.0, np.nan])
    assert parsed.below.tolist() == [False, True, False]


@pytest.mark.parametrize("dtype", ["float64", "Float64", "float32"])
def test_numeric_columns_are_taken_as_they_are(dtype: str) -> None:
    parsed = parse_numbers(pd.Series([1.5, None, np.inf], dtype=dtype))
    np.testing.assert_array_equal(parsed.values, [1.5, np.nan, np.nan])
    assert parsed.problems == {"infinite": 1}


def test_an_empty_column_and_one_without_any_value_are_read() -> None:
    assert len(parse_numbers(pd.Series([], dtype=object)).values) == 0
    assert np.isnan(parse_numbers(pd.Series([None, None], dtype=object)).values).all()


def test_half_a_surrogate_pair_is_not_a_number() -> None:
    assert problems("\ud800") == {"not_a_number": 1}


def test_another_decimal_mark_is_wrong_usage() -> None:
    with pytest.raises(UsageError, match="decimal must be"):
        parse_numbers(pd.Series(["1"]), decimal=";")  # type: ignore[arg-type]


def test_missing_words_are_lower_case_since_cells_are_folded() -> None:
    assert all(word == word.lower() for word in MISSING_WORDS)


def test_a_million_cells_are_read_in_seconds() -> None:
    numbers = np.random.default_rng(0).lognormal(size=1_000_000).round(4).astype(str)
    cells = pd.Series(numbers).where(np.arange(1_000_000) % 10 > 0, "<9.99")
    started = time.perf_counter()
    parsed = parse_numbers(cells)
    # 1.5 s on two busy cores; a parser that visits cells in Python takes several times as long.
    assert time.perf_counter() - started < 15
    assert parsed.below.sum() == 100_000
