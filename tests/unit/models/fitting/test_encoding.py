"""Which columns are numbers, and how the linear part scales them."""

from __future__ import annotations

from decimal import Decimal

import numpy as np
import pandas as pd
import pytest

from data_schema.disclosure import SMALLEST_CELL
from data_schema.errors import DataError
from models.fitting.encoding import fit_encoding, fit_scaling, in_encoding
from models.inference.matrices import (
    level_columns,
    linear_column_features,
    linear_matrix,
    raw_matrix,
)
from models.inference.parameters import Encoding


@pytest.fixture
def frame() -> pd.DataFrame:
    return pd.DataFrame(
        {
            "age": [50.0, np.nan, 70.0],
            "sex": np.array(["male", "female", None], dtype=object),
            "diabetes": [1.0, 0.0, np.nan],
            "group": np.array(["b", "c", "a"], dtype=object),
        }
    )


def encoding_of(frame: pd.DataFrame) -> Encoding:
    """Return the encoding of a cohort with enough patients of every level."""
    return fit_encoding(pd.concat([frame] * SMALLEST_CELL))


def test_numeric_columns_are_numbers_and_all_others_are_categories(frame) -> None:
    assert encoding_of(frame) == Encoding(
        numbers=("age", "diabetes"),
        levels=(("sex", ("female", "male")), ("group", ("a", "b", "c"))),
    )


def test_two_levels_need_one_column_and_three_need_three(frame) -> None:
    assert level_columns(encoding_of(frame)) == [
        ("sex", "male"),
        ("group", "a"),
        ("group", "b"),
        ("group", "c"),
    ]


def test_a_level_of_fewer_than_ten_patients_is_left_out() -> None:
    frame = pd.DataFrame({"diagnosis": ["sepsis"] * 12 + ["trauma"] * 12 + ["one of a kind"] * 9})

    assert fit_encoding(frame).levels == (("diagnosis", ("sepsis", "trauma")),)
    stays = np.array([*range(12), *[20, 21] * 6, *range(30, 39)])
    assert fit_encoding(frame, stays).levels == (("diagnosis", ("sepsis",)),)


def test_numbers_among_objects_are_refused_and_not_taken_for_categories() -> None:
    frame = pd.DataFrame({"lactate": np.array([2.5, None, np.nan, 4], dtype=object)})

    with pytest.raises(DataError, match="lactate must be numeric or hold text; 2 of 4 rows"):
        fit_encoding(frame)


@pytest.mark.parametrize(
    "column",
    [
        pd.Series(pd.Categorical([1, 2, None])),
        pd.Series(pd.Categorical([1.0, 2.5, None])),
        pd.Series([Decimal("1.5"), Decimal("2.5"), None], dtype=object),
        pd.Series(pd.to_datetime(["2020-01-01", "2020-01-02", None])),
        pd.Series(pd.to_timedelta([1, 2, None], unit="D")),
        pd.Series([1 + 2j, 3.0, np.nan]),
    ],
)
def test_whatever_is_neither_a_number_nor_text_is_no_category(column) -> None:
    with pytest.raises(DataError, match="stage must be numeric or hold text; 2 of 3 rows") as error:
        fit_encoding(pd.DataFrame({"stage": column}))

    assert "2020" not in str(error.value)


def test_yes_and_no_with_gaps_are_a_category() -> None:
    frame = pd.DataFrame({"ventilated": pd.Series([True, False, None], dtype=object)})

    assert encoding_of(frame).levels == (("ventilated", ("False", "True")),)


def test_categories_alone_need_no_number_beside_them() -> None:
    frame = pd.DataFrame({"sex": ["female", "male", None]})
    encoding = encoding_of(frame)
    raw = raw_matrix(frame, encoding)

    columns = linear_matrix(raw, fit_scaling(raw, 0))

    np.testing.assert_array_equal(columns, [[0.0], [1.0], [np.nan]])


def test_what_is_not_measured_or_was_never_seen_is_nan_in_all_its_columns(frame) -> None:
    encoding = encoding_of(frame)
    asked = frame.assign(group=np.array(["b", "never seen", None], dtype=object))

    np.testing.assert_array_equal(
        raw_matrix(asked, encoding),
        [
            [50.0, 1.0, 1.0, 0.0, 1.0, 0.0],
            [np.nan, 0.0, 0.0, np.nan, np.nan, np.nan],
            [70.0, np.nan, np.nan, np.nan, np.nan, np.nan],
        ],
    )


def test_categories_of_text_are_matched_as_text_is() -> None:
    frame = pd.DataFrame({"stage": pd.Categorical(["1", "2", "3", None])})

    raw = raw_matrix(frame, encoding_of(frame))

    np.testing.assert_array_equal(raw[:3], np.eye(3))
    assert np.isnan(raw[3]).all()


def test_a_category_called_nan_is_not_the_missing_one() -> None:
    frame = pd.DataFrame({"word": np.array(["nan", "other", None], dtype=object)})

    np.testing.assert_array_equal(raw_matrix(frame, encoding_of(frame)), [[0.0], [1.0], [np.nan]])


def test_a_skewed_variable_enters_as_its_logarithm_and_a_symmetric_one_as_it_is() -> None:
    rng = np.random.default_rng(0)
    raw = np.column_stack(
        [rng.lognormal(2, 1, 500), rng.normal(5, 1, 500), -rng.exponential(1, 500)]
    )

    assert fit_scaling(raw, 3).log.tolist() == [True, False, False]


def test_a_standardised_variable_has_mean_0_and_deviation_1_and_missing_is_nan() -> None:
    rng = np.random.default_rng(1)
    raw = rng.lognormal(2, 1, (500, 1))
    raw[::5] = np.nan

    columns = linear_matrix(raw, fit_scaling(raw, 1))

    measured = columns[~np.isnan(raw[:, 0]), 0]
    assert measured.mean() == pytest.approx(0)
    assert measured.std() == pytest.approx(1)
    assert np.isnan(columns[::5]).all()


def test_bends_have_mean_0_and_are_uncorrelated_with_the_straight_line() -> None:
    raw = np.random.default_rng(1).lognormal(2, 1, (500, 1))

    straight, *bends = linear_matrix(raw, fit_scaling(raw, 1)).T

    for bend in bends:
        assert bend.std() > 0.01
        assert bend.mean() == pytest.approx(0, abs=1e-12)
        assert straight @ bend == pytest.approx(0, abs=1e-9)


def test_one_extreme_entry_carries_nothing() -> None:
    raw = np.linspace(0, 1, 2_000)[:, None]
    scaling = fit_scaling(np.vstack([raw, [[1e9]]]), 1)

    columns = linear_matrix(np.array([[1e9], [1e12]]), scaling)

    np.testing.assert_array_equal(columns[0], columns[1])
    assert columns[0, 0] < 3


def test_a_variable_of_few_values_enters_as_a_straight_line() -> None:
    raw = np.tile(np.arange(7.0), 20)[:, None]

    columns = linear_matrix(raw, fit_scaling(raw, 1))

    assert np.ptp(columns[:, 0]) > 2
    assert (columns[:, 1:3] == 0).all()  # its spline terms


def test_a_variable_that_is_mostly_one_value_enters_as_a_straight_line() -> None:
    raw = np.concatenate([np.zeros(400), np.arange(1.0, 101.0)])[:, None]

    columns = linear_matrix(raw, fit_scaling(raw, 1))

    assert (columns[:, 1:3] == 0).all()


@pytest.mark.parametrize("values", [np.nan, 3.0])
def test_a_variable_without_variation_is_constant(values) -> None:
    raw = np.full((30, 1), values)

    columns = linear_matrix(raw, fit_scaling(raw, 1))

    np.testing.assert_array_equal(columns, np.repeat(columns[:1], 30, axis=0))
    assert np.isfinite(columns).all() == np.isfinite(values)


def test_every_column_of_the_linear_part_belongs_to_a_feature(frame) -> None:
    encoding = encoding_of(frame)
    raw = raw_matrix(frame, encoding)

    names = linear_column_features(encoding)

    assert len(names) == linear_matrix(raw, fit_scaling(raw, 2)).shape[1]
    assert names.count("age") == 3  # line and two bends
    assert names.count("sex") == 1  # male
    assert names.count("group") == 3


@pytest.mark.parametrize("known", ["abcd", "abd", "bd", "c", ""])
@pytest.mark.parametrize("levels", ["abcd", "bd", "c"])
def test_a_matrix_is_read_as_by_an_encoding_that_lacks_levels(levels: str, known: str) -> None:
    frame = pd.DataFrame(
        {
            "age": [50.0, np.nan, 70.0, 1.0, 2.0, 3.0],
            "first": np.array(["a", "b", "c", "d", None, "e"], dtype=object),
            "sex": np.array(["male", None, "female", "female", "male", "other"], dtype=object),
        }
    )
    sexes = ("female", "male")
    own = Encoding(("age",), (("first", tuple(levels)), ("sex", sexes)))
    fewer = tuple(level for level in known if level in levels)
    other = Encoding(("age",), (("first", fewer), ("sex", sexes[:1])))

    read = in_encoding(raw_matrix(frame, own), own, other)

    np.testing.assert_array_equal(read, raw_matrix(frame, other))
