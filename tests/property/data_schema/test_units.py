"""Whatever is written as a unit, a variable's own list decides; conversion keeps its meaning."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from data_schema.biomarkers import VARIABLES
from data_schema.units import (
    canonical_unit_spelling,
    conversion,
    in_range,
    is_in_range,
    plausible_units,
    to_canonical,
)
from data_schema.variables import Variable

NUMBERS = st.sampled_from([entry for entry in VARIABLES.values() if entry.kind == "number"])
UNITS = sorted({unit for entry in VARIABLES.values() for unit in entry.units})
ANY_UNIT = st.one_of(
    st.sampled_from(UNITS),
    st.sampled_from(["RU/mL", "IU/L", "mcg/L", "mmHg", "x10^9/L", "mg/24 h", "°C", "", "%"]),
    st.text(max_size=12),
)
VALUES = st.lists(
    st.floats(1e-6, 1e6, allow_nan=False) | st.just(float("nan")), min_size=1, max_size=20
)


@given(entry=NUMBERS, value=st.floats(), below=st.booleans())
def test_one_value_is_in_range_exactly_when_a_column_is(
    entry: Variable, value: float, below: bool
) -> None:
    assert is_in_range(entry, value, below=below) == in_range(entry, value, below=below)


@given(entry=NUMBERS, text=ANY_UNIT)
def test_every_spelling_resolves_inside_the_variable_s_own_list(entry: Variable, text: str) -> None:
    spelling = canonical_unit_spelling(entry, text)
    assert spelling is None or spelling in entry.units


@given(entry=NUMBERS, data=st.data())
def test_an_accepted_unit_is_its_own_spelling(entry: Variable, data: st.DataObject) -> None:
    unit = data.draw(st.sampled_from(sorted(entry.units)))
    assert canonical_unit_spelling(entry, unit) == unit
    assert conversion(entry, unit)[0] == entry.units[unit]


@given(entry=NUMBERS, data=st.data())
def test_case_and_spaces_never_change_what_a_value_becomes(
    entry: Variable, data: st.DataObject
) -> None:
    unit = data.draw(st.sampled_from(sorted(entry.units)))
    respelled = data.draw(st.sampled_from([unit.upper(), unit.lower(), f" {unit} "]))
    assert conversion(entry, respelled)[0] == entry.units[unit]


@given(entry=NUMBERS, data=st.data())
def test_every_alias_leads_to_an_accepted_unit(entry: Variable, data: st.DataObject) -> None:
    if entry.aliases:
        alias, unit = data.draw(st.sampled_from(sorted(entry.aliases.items())))
        assert canonical_unit_spelling(entry, alias) == unit


@given(entry=NUMBERS, values=VALUES, data=st.data())
def test_conversion_there_and_back_returns_the_value(
    entry: Variable, values: list[float], data: st.DataObject
) -> None:
    unit = data.draw(st.sampled_from(sorted(entry.units)))
    back = to_canonical(entry, values, unit) / conversion(entry, unit)[0]
    np.testing.assert_allclose(back, values, rtol=1e-12)


@given(entry=NUMBERS, values=VALUES, data=st.data())
def test_conversion_keeps_the_order_and_the_gaps(
    entry: Variable, values: list[float], data: st.DataObject
) -> None:
    unit = data.draw(st.sampled_from(sorted(entry.units)))
    converted = to_canonical(entry, values, unit)
    assert np.isnan(converted).tolist() == np.isnan(values).tolist()
    order = np.argsort(values, kind="stable")
    assert (np.diff(converted[order][: np.count_nonzero(~np.isnan(values))]) >= 0).all()


@given(entry=NUMBERS, data=st.data())
def test_two_units_convert_into_each_other_through_the_canonical_one(
    entry: Variable, data: st.DataObject
) -> None:
    one, other = data.draw(st.tuples(*[st.sampled_from(sorted(entry.units))] * 2))
    in_other = to_canonical(entry, [1.0], one) / conversion(entry, other)[0]
    np.testing.assert_allclose(to_canonical(entry, in_other, other), [entry.units[one]], rtol=1e-12)


@given(entry=NUMBERS, values=VALUES)
def test_the_canonical_unit_is_plausible_exactly_when_the_range_says_so(
    entry: Variable, values: list[float]
) -> None:
    assert (entry.unit in plausible_units(entry, values)) == bool(in_range(entry, values).all())
