"""What a model reads from the cells of a frame, and which frames it rejects."""

from __future__ import annotations

from decimal import Decimal

import numpy as np
import pandas as pd
import pytest

from models.inference.request import InferenceError, checked_table


def with_column(ordinary, name: str, values: object, dtype: object = None) -> pd.DataFrame:
    """Return two patients with this column of two values in place of their own."""
    patients = pd.concat([ordinary, ordinary], ignore_index=True).drop(columns=name)
    return patients.assign(**{name: pd.Series(values, dtype=dtype)})


@pytest.mark.parametrize(
    ("values", "dtype", "expected"),
    [
        ([1.5, None], None, [1.5, np.nan]),
        ([1, None], "Int64", [1.0, np.nan]),
        ([1.5, None], "Float64", [1.5, np.nan]),
        ([True, None], "boolean", [1.0, np.nan]),
        ([True, False], None, [1.0, 0.0]),
        ([1.5, None], "float64[pyarrow]", [1.5, np.nan]),
        (pd.arrays.SparseArray([1.5, np.nan]), None, [1.5, np.nan]),
        (pd.Categorical([1.5, 2.0]), None, [1.5, 2.0]),
        ([Decimal("1.5"), pd.NA], object, [1.5, np.nan]),
        ([Decimal("NaN"), pd.NaT], object, [np.nan, np.nan]),
        ([np.True_, 2], object, [1.0, 2.0]),
        ([np.float32(0.5), None], object, [0.5, np.nan]),
    ],
)
def test_a_number_is_read_from_every_type_of_column(
    risk_model, ordinary, values, dtype, expected
) -> None:
    table = checked_table(risk_model.contract, with_column(ordinary, "lactate", values, dtype))

    assert table.numbers["lactate"].dtype == np.float64
    np.testing.assert_array_equal(table.numbers["lactate"], expected)


@pytest.mark.parametrize(
    ("values", "dtype", "rule"),
    [
        (["1.0", "high"], None, "must hold numbers or null; 2 of 2 rows"),
        (["", None], object, "must hold numbers or null; 1 of 2 rows"),
        (pd.to_datetime(["2020-01-01", None]), None, "must hold numbers or null; 1 of 2 rows"),
        (pd.to_timedelta([1, 2], unit="D"), None, "must hold numbers or null; 2 of 2 rows"),
        ([1j, 1.0], None, "must hold numbers or null; 2 of 2 rows"),
        ([[1.0], 2.0], object, "must hold numbers or null; 1 of 2 rows"),
        (pd.Categorical(["a", "b"]), None, "must hold numbers or null; 2 of 2 rows"),
        ([10**400, 1], object, "must lie between .*; 1 of 2 rows"),
        ([-1e300, 1.0], None, "must lie between .*; 1 of 2 rows"),
    ],
)
def test_what_is_no_number_is_rejected_by_name(risk_model, ordinary, values, dtype, rule) -> None:
    with pytest.raises(InferenceError, match=f"^lactate {rule}"):
        checked_table(risk_model.contract, with_column(ordinary, "lactate", values, dtype))


def test_the_first_broken_column_is_named(risk_model, ordinary) -> None:
    numbers = [f.name for f in risk_model.contract.features if f.kind == "number"]
    first, second = numbers[0], numbers[-1]
    broken = ordinary.astype({first: object, second: float})
    broken[first], broken[second] = "text", 1e300

    with pytest.raises(InferenceError, match=f"^{first} must hold numbers"):
        checked_table(risk_model.contract, broken)


@pytest.mark.parametrize(
    ("values", "dtype", "expected"),
    [
        (["male", None], None, ["male", None]),
        (["male", np.nan], object, ["male", None]),
        (["male", None], "string", ["male", None]),
        (pd.Categorical(["male", None]), None, ["male", None]),
        ([" MALE ", pd.NA], object, ["male", None]),
        ([True, False], None, ["True", "False"]),
    ],
)
def test_text_is_read_from_every_type_of_column(
    risk_model, ordinary, values, dtype, expected
) -> None:
    table = checked_table(risk_model.contract, with_column(ordinary, "sex", values, dtype))

    assert table.texts["sex"].tolist() == expected


@pytest.mark.parametrize("values", [[1.0, 2.0], [b"male", "male"], pd.Categorical([1.0, None])])
def test_what_is_no_text_is_rejected_by_name(risk_model, ordinary, values) -> None:
    with pytest.raises(InferenceError, match=r"^sex must hold text or null; [12] of 2 rows"):
        checked_table(risk_model.contract, with_column(ordinary, "sex", values, None))


def test_a_column_that_is_read_must_not_be_repeated(risk_model, ordinary) -> None:
    repeated = ordinary.copy()
    repeated.insert(0, "lactate", [1.0], allow_duplicates=True)
    with pytest.raises(InferenceError, match=r"every column once; repeated: lactate\."):
        checked_table(risk_model.contract, repeated)

    # A column that the model does not read may be.
    notes = pd.concat([ordinary, pd.DataFrame([["x", "y"]], columns=["note", "note"])], axis=1)
    notes.index = ordinary.index
    np.testing.assert_array_equal(risk_model.risk(notes), risk_model.risk(ordinary))
