"""What a table to be scored states beside its values."""

from __future__ import annotations

from types import MappingProxyType

import numpy as np
import pandas as pd
import pytest

from data_schema.errors import RulesBroken
from data_schema.mapping.file import CohortMapping, IdMapping, OutcomeMapping
from training.cohorts.policy import policy_columns, with_age

ZERO = "2026-11-01T08:00:00+01:00"


def table(**columns: list[object]) -> pd.DataFrame:
    rows = len(next(iter(columns.values())))
    return pd.DataFrame({"time_zero": [ZERO] * rows, **columns})


def stated(mapping: CohortMapping | None = None, **columns: list[object]) -> list[float]:
    (found,) = policy_columns(table(**columns), mapping or CohortMapping()).T.to_numpy()
    return list(found)


def test_a_death_by_time_zero_is_one_and_a_later_or_no_death_is_none() -> None:
    deaths = [None, "2026-10-30", "2026-11-01", "2026-11-01T07:00:00Z", "2026-11-01T07:00:01Z"]
    assert stated(death_time=deaths) == [0, 1, 1, 1, 0]


def test_the_date_of_death_of_a_mapped_outcome_counts_too() -> None:
    outcomes = {"mortality": OutcomeMapping(event_date="died_on", last_seen_date="seen")}
    mapping = CohortMapping(outcomes=MappingProxyType(outcomes))
    assert stated(mapping, died_on=["2026-10-30", "2026-12-01"]) == [1, 0]


def test_comfort_care_is_read_as_any_flag_and_unknown_where_it_is_empty() -> None:
    found = stated(comfort_care=["yes", "0", None, "unknown", True])
    np.testing.assert_array_equal(found, [1, 0, np.nan, np.nan, 1])
    with pytest.raises(RulesBroken, match="1 of 2 rows are not"):
        stated(comfort_care=["yes", "perhaps"])


def test_a_request_is_compared_with_the_time_zero_of_its_row() -> None:
    found = stated(asked_at=["2026-11-02T08:00:00+01:00", "2026-10-31T07:00:00Z", None])
    np.testing.assert_allclose(found, [1, -1, np.nan])


@pytest.mark.parametrize("name", ["death_time", "asked_at"])
def test_a_date_needs_a_time_zero_and_must_be_readable(name: str) -> None:
    with pytest.raises(RulesBroken, match=f"time_zero must be a column where {name} is"):
        policy_columns(pd.DataFrame({name: ["2026-11-01"]}), CohortMapping())
    with pytest.raises(RulesBroken, match=f"{name} must be a date"):
        stated(**{name: ["soon"]})


def test_the_time_zero_may_have_another_name() -> None:
    mapping = CohortMapping(ids=IdMapping(time_zero="landmark"))
    frame = pd.DataFrame({"landmark": [ZERO], "death_time": ["2026-10-01"]})
    assert policy_columns(frame, mapping)["dead_at_time_zero"].tolist() == [1]


def test_dates_of_birth_give_the_age_that_the_service_computes() -> None:
    born = table(birth_date=["1958-11-01", "2008", "2008-11", "2007", None])
    aged, policy = with_age(born, CohortMapping())
    np.testing.assert_allclose(aged["age"].to_numpy()[:4], [68, 18.33, 17.96, 19.33], atol=0.02)
    assert (policy["lowest_age"] < 18).tolist() == [False, True, True, False, False]
    assert np.isnan(aged["age"].to_numpy()[4])


def test_a_stated_age_stands() -> None:
    stated_age = table(birth_date=["1958"], age=[50.0])
    aged, policy = with_age(stated_age, CohortMapping())
    assert aged["age"].tolist() == [50.0]
    assert policy.empty


def test_a_birth_after_time_zero_is_counted() -> None:
    with pytest.raises(RulesBroken, match="birth_date must not be after time_zero; 1 of 2 rows"):
        with_age(table(birth_date=["2026-11-02", "2026"]), CohortMapping())


def test_what_is_no_date_of_birth_is_counted() -> None:
    with pytest.raises(RulesBroken, match=r"birth_date must be a date, .* 1 of 2 rows are not"):
        with_age(table(birth_date=["1958", "old"]), CohortMapping())
