"""Entries into observation by name and by value, counting processes, and immortal time."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from data_schema.delayed_entry import (
    counting_process,
    delayed_entry,
    entries_by_value,
    immortal_time,
    is_entry_by_name,
    refuse_delayed_entry,
)
from data_schema.errors import RulesBroken
from late_entries import left_truncated

NAMES = (
    *("entry_days", "Entry", "t_entry", "delayed.entry", "study entry", "tstart", "start"),
    *("start_time", "left_trunc", "left truncation", "ltrunc", "trunc_time", "days_to_enrolment"),
)


@pytest.mark.parametrize("name", NAMES)
def test_usual_names_of_an_entry_are_known(name: str) -> None:
    assert is_entry_by_name(name)


@pytest.mark.parametrize(
    "name", ["age_at_entry", "entry_mode", "startle", "country", "albumin", "restart", "sentry"]
)
def test_other_names_are_not_those_of_an_entry(name: str) -> None:
    assert not is_entry_by_name(name)


def test_an_entry_is_known_by_its_values_whatever_its_name() -> None:
    table = left_truncated()
    columns = {"x": table["enrolled_on_day"].to_numpy(), "age": table["age"].to_numpy(float)}
    days = table["mortality_days"].to_numpy()
    assert entries_by_value(columns, days) == ["x"]
    (finding,) = delayed_entry(columns, days)
    assert (finding.rule, finding.variable) == ("delayed_entry", "x")
    assert finding.count == int((table["enrolled_on_day"] > 0).sum())
    assert 'time_zero = "entry"' in finding.message


def test_the_same_numbers_in_another_order_are_no_entry() -> None:
    table = left_truncated()
    shuffled = np.random.default_rng(1).permutation(table["enrolled_on_day"].to_numpy())
    assert entries_by_value({"x": shuffled}, table["mortality_days"].to_numpy()) == []


def test_an_entry_is_none_where_some_are_missing_or_all_are_zero() -> None:
    table = left_truncated()
    entry, days = table["enrolled_on_day"].to_numpy().copy(), table["mortality_days"].to_numpy()
    assert not list(delayed_entry({"entry_days": np.zeros(len(days))}, days))
    entry[0] = np.nan
    assert not list(delayed_entry({"entry_days": entry}, days))


def test_numbers_of_rows_in_a_table_sorted_by_time_are_no_entry() -> None:
    days = np.sort(np.random.default_rng(0).exponential(2_000, 400)) + np.arange(400) + 2
    assert entries_by_value({"row": np.arange(400.0)}, days) == []


def test_a_flag_of_patients_who_outlive_the_first_day_is_no_entry() -> None:
    days = np.repeat([1.0, 30.0], [500, 500])
    flag = np.repeat([0.0, 1.0, 0.0], [500, 300, 200])
    assert entries_by_value({"fracture_of_a_parent": flag}, days) == []
    assert entries_by_value({"day": np.where(flag == 1, 2.0, 0.0)}, days) == ["day"]


def test_the_more_columns_the_more_late_entries_must_be_expected() -> None:
    days = np.repeat([1.0, 30.0], [100, 900])
    entry = np.concatenate([np.zeros(880), np.full(120, 2.0)])  # 12 are expected to be late
    assert entries_by_value({"x": entry}, days) == ["x"]
    others = {f"marker_{number}": np.full(1_000, 50.0) for number in range(100)}
    assert entries_by_value({"x": entry, **others}, days) == []


@pytest.mark.parametrize("in_another_unit", [lambda days: days / 30.4, lambda days: days - 0.5])
def test_the_follow_up_in_another_unit_is_no_entry(in_another_unit) -> None:
    days = np.random.default_rng(0).exponential(100, 2_000) + 0.5
    assert entries_by_value({"months": in_another_unit(days)}, days) == []


def test_a_name_alone_needs_numbers_before_every_end() -> None:
    days = np.array([10.0, 20.0, 30.0])
    entry = np.array([1.0, 2.0, 3.0])
    assert [f.variable for f in delayed_entry({"tstart": entry}, days)] == ["tstart"]
    assert not list(delayed_entry({"tstart": entry}, days, known_at_time_zero=["tstart"]))
    assert not list(delayed_entry({"tstart": np.array([1.0, 20.0, 3.0])}, days))


def test_a_table_that_holds_an_entry_is_refused_without_any_value() -> None:
    table = left_truncated().drop(columns=["mortality_event"])
    days = table.pop("mortality_days").to_numpy()
    with pytest.raises(RulesBroken, match="enrolled_on_day must not be a delayed entry") as caught:
        refuse_delayed_entry(table, days)
    assert len(caught.value.findings) == 1
    refuse_delayed_entry(table, days - table["enrolled_on_day"].to_numpy())


def _split_at(table: pd.DataFrame, day: float) -> pd.DataFrame:
    """Return start and stop rows, cut at a day as R's survSplit cuts them."""
    first = table.assign(start=0.0, stop=table["mortality_days"].clip(upper=day))
    later = table[table["mortality_days"] > day]
    return pd.concat([first, later.assign(start=day, stop=later["mortality_days"])])


def test_rows_that_follow_one_another_are_a_counting_process() -> None:
    rows = _split_at(left_truncated(), 60.0)
    patient = rows["patient_id"].to_numpy(dtype=object)
    found = list(
        counting_process({"start": rows["start"].to_numpy()}, rows["stop"].to_numpy(), patient)
    )
    assert [(f.rule, f.variable) for f in found] == [("counting_process", "start")]
    assert found[0].count == int((left_truncated()["mortality_days"] > 60).sum())


def test_several_stays_of_a_patient_are_no_counting_process() -> None:
    rng = np.random.default_rng(0)
    patient = np.repeat([f"p{i}" for i in range(50)], 2).astype(object)
    stop = rng.uniform(10, 300, 100)
    assert not list(counting_process({"start": rng.uniform(0, 5, 100)}, stop, patient))


def test_days_without_any_event_before_many_are_immortal() -> None:
    rng = np.random.default_rng(0)
    time = np.ceil(rng.exponential(30, 600))
    event = np.ones(600, dtype=np.int64)
    assert not list(immortal_time("mortality", time, event))
    lived = time > 5
    (finding,) = immortal_time("mortality", time[lived], event[lived])
    assert (finding.rule, finding.variable) == ("immortal_time", "mortality")
    assert finding.count == int(((time > 5) & (time <= 10)).sum())
    assert "in the first 5 days" in finding.message


def test_too_few_events_show_no_immortal_time() -> None:
    time = np.array([50.0, 60.0, 70.0, 400.0])
    assert not list(immortal_time("mortality", time, np.array([1, 1, 1, 0])))
    assert not list(immortal_time("mortality", time, np.zeros(4, dtype=np.int64)))
