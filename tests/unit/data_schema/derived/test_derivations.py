"""A variable follows from others only where every part of it is known and comparable."""

import numpy as np
import pandas as pd
import pytest

from data_schema.biomarkers import VARIABLES
from data_schema.derived.columns import columns_of_frame
from data_schema.derived.derivations import DERIVATIONS, derived_value, differs


def derived(name, **row):
    frame = pd.DataFrame({column: [value] for column, value in row.items()})
    return derived_value(name, columns_of_frame(frame))[0]


def test_only_variables_of_the_catalogue_are_derived():
    assert set(DERIVATIONS) <= set(VARIABLES)
    assert all("doi:" in one.source for one in DERIVATIONS.values())


def test_each_ratio_is_derived_from_its_parts():
    assert derived("bmi", weight=81.0, height=180.0) == 25.0
    assert derived("pf_ratio", pao2=80.0, fio2=40.0) == 200.0
    assert derived("rankl_opg_ratio", rankl_free=0.4, opg=8.0) == 0.05


def test_a_detection_limit_has_no_ratio():
    assert np.isnan(derived("rankl_opg_ratio", rankl_free=0.01, rankl_free__below=1.0, opg=8.0))


def test_total_rankl_and_mass_units_are_not_taken_for_free_rankl():
    assert np.isnan(derived("rankl_opg_ratio", rankl_total=400.0, opg=8.0))
    assert np.isnan(derived("rankl_opg_ratio", rankl_free=0.4, opg_mass=200.0))


def test_egfr_needs_stable_creatinine_an_adult_and_a_sex():
    stable = {"creatinine": 1.2, "age": 55.0, "sex": "male", "aki_stage": 0.0}
    assert round(derived("egfr", **stable)) == 71
    assert np.isnan(derived("egfr", **(stable | {"aki_stage": np.nan})))
    assert np.isnan(derived("egfr", **(stable | {"age": 17.0})))
    assert np.isnan(derived("egfr", **(stable | {"sex": None})))


def test_a_result_outside_the_plausible_range_is_none():
    assert np.isnan(derived("bmi", weight=80.0, height=60.0))


def test_rounding_is_no_difference_and_another_value_is():
    entered = np.array([25.3, 29.0, np.nan])
    np.testing.assert_array_equal(differs("bmi", entered, np.array([25.0] * 3)), [0, 1, 0])
    np.testing.assert_array_equal(
        differs("sofa", np.array([7.0, 8.0]), np.array([7.0] * 2)), [0, 1]
    )


@pytest.mark.parametrize("name", sorted(DERIVATIONS))
def test_nothing_follows_from_nothing(name):
    assert np.isnan(derived(name, lactate=2.0))
