"""Typical medians of cohorts, against the catalogue's ranges and reference intervals."""

from __future__ import annotations

import math

import pytest

from data_schema.biomarkers import VARIABLES
from data_schema.catalogue.typical_medians import TYPICAL_MEDIANS


@pytest.mark.parametrize("name", TYPICAL_MEDIANS)
def test_a_typical_median_lies_in_the_plausible_range(name: str) -> None:
    low, high = TYPICAL_MEDIANS[name]
    variable = VARIABLES[name]
    assert variable.low is not None
    assert variable.high is not None
    assert variable.low <= low < high <= variable.high


@pytest.mark.parametrize("name", TYPICAL_MEDIANS)
def test_the_middle_of_every_reference_interval_is_typical(name: str) -> None:
    low, high = TYPICAL_MEDIANS[name]
    for reference in VARIABLES[name].references:
        if reference.low and reference.high:
            assert low <= math.sqrt(reference.low * reference.high) <= high


@pytest.mark.parametrize("name", TYPICAL_MEDIANS)
def test_a_variable_is_listed_because_it_comes_in_units_far_apart(name: str) -> None:
    factors = set(VARIABLES[name].units.values())
    assert max(factors) / min(factors) > 2
