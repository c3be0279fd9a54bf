"""Follow-up of a table that begins late, and what a mapping file can state about it."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from checked_cohorts import check, clean, only
from data_schema.errors import UsageError
from data_schema.mapping.file import parse_mapping
from late_entries import left_truncated
from places import SHARED

FROM_ENTRY = """
[outcome.mortality]
days = "mortality_days"
event = "mortality_event"
entry_days = "enrolled_on_day"
time_zero = "entry"
"""
AS_PREDICTOR = """
[columns.enrolled_on_day]
variable = "days_before_entry"
kind = "number"
pathway = "person"
unit = "d"
"""


def test_an_entry_that_no_mapping_names_is_refused() -> None:
    finding = only(check(left_truncated().astype(str)))
    assert (finding.rule, finding.variable) == ("delayed_entry", "enrolled_on_day")


def test_an_entry_mapped_as_a_predictor_of_days_from_the_start_is_refused() -> None:
    assert only(check(left_truncated(), AS_PREDICTOR)).rule == "delayed_entry"


def test_an_entry_by_date_is_refused() -> None:
    table = left_truncated()
    table["time_zero"] = "2020-01-01"
    start = pd.Timestamp("2020-01-01")
    enrolled = start + pd.to_timedelta(table.pop("enrolled_on_day"), "D")
    table["consent"] = enrolled.dt.strftime("%Y-%m-%d")
    finding = only(check(table))
    assert (finding.rule, finding.variable) == ("delayed_entry", "consent")


def test_an_entry_without_a_stated_clock_is_refused() -> None:
    finding = only(check(left_truncated(), FROM_ENTRY.replace('time_zero = "entry"', "")))
    assert (finding.rule, finding.variable) == ("delayed_entry", "enrolled_on_day")


def test_days_from_entry_are_the_days_less_the_entry() -> None:
    table = left_truncated()
    checked = check(table, FROM_ENTRY + AS_PREDICTOR)
    assert checked.report.warnings == ()
    assert checked.cohort is not None
    outcome = checked.cohort.outcome
    assert outcome is not None
    assert outcome.from_entry
    expected = table["mortality_days"] - table["enrolled_on_day"]
    assert outcome.time_days.tolist() == pytest.approx(expected.tolist())
    assert checked.cohort.features["days_before_entry"].tolist() == (
        table["enrolled_on_day"].tolist()
    )
    assert checked.cohort.take(np.arange(10)).outcome.from_entry  # type: ignore[union-attr]


def test_an_entry_that_is_no_predictor_is_warned_of() -> None:
    warnings = check(left_truncated(), FROM_ENTRY).report.warnings
    assert [(f.rule, f.variable) for f in warnings] == [("entry_not_read", "enrolled_on_day")]


@pytest.mark.parametrize(
    ("column", "values", "rule", "count"),
    [
        ("enrolled_on_day", [-1.0, -2.0], "entry_days", 2),
        ("enrolled_on_day", [9999.0], "entry_days", 1),
        ("enrolled_on_day", [None], "missing_outcome", 1),
    ],
)
def test_impossible_entries_are_counted(
    column: str, values: list[float], rule: str, count: int
) -> None:
    table = left_truncated().astype(object)
    table.loc[: len(values) - 1, column] = values
    finding = only(check(table, FROM_ENTRY))
    assert (finding.rule, finding.count) == (rule, count)
    assert "9999" not in finding.message


@pytest.mark.parametrize(
    "stated",
    [
        'days = "mortality_days"\nevent = "mortality_event"\ntime_zero = "entry"',
        'horizon_days = 28\nevent = "mortality_event"\nentry_days = "x"\ntime_zero = "entry"',
    ],
)
def test_entry_and_clock_go_with_days_and_event(stated: str) -> None:
    table = left_truncated().rename(columns={"enrolled_on_day": "x"})
    rules = {f.rule for f in check(table, f"[outcome.mortality]\n{stated}").report.fatal}
    assert "outcome_mapping" in rules


def test_another_clock_than_entry_is_a_wrong_usage() -> None:
    with pytest.raises(UsageError, match='time_zero must be "entry"'):
        parse_mapping('[outcome.mortality]\ntime_zero = "admission"')


def test_start_and_stop_rows_are_refused_as_a_counting_process() -> None:
    table = clean()
    days = table["mortality_days"].astype(float)
    longer = days > 30
    first = table.assign(begun=0, mortality_days=days.clip(upper=30))
    first.loc[longer, "mortality_event"] = "0"
    rows = pd.concat([first, table[longer].assign(begun=30)]).reset_index(drop=True)
    rows["stay_id"] = [f"s{i}" for i in range(len(rows))]
    finding = only(check(rows.astype(str)))
    assert (finding.rule, finding.variable) == ("counting_process", "begun")
    assert finding.count == int(longer.sum())


def test_days_without_an_event_are_warned_of() -> None:
    table = clean(600)
    dead = table["mortality_event"] == "1"
    days = np.random.default_rng(0).exponential(20, len(table)) + 10
    table["mortality_days"] = np.where(dead, np.ceil(days), 400).astype(str)
    checked = check(table)
    assert [f.rule for f in checked.report.warnings] == ["immortal_time"]
    assert checked.cohort is not None


@pytest.mark.skipif(not (SHARED / "data" / "burk2024").is_dir(), reason="the data are not here")
def test_the_channing_house_enters_late_on_the_age_scale_and_not_from_entry() -> None:
    """Residents are followed from entry; by age, none could die before the age of entry."""
    table = pd.read_csv(SHARED / "data" / "burk2024" / "channing.csv.gz")
    table = table.assign(mortality_event=table["status"], age=(table["ageentry"] / 12).round())
    by_age = table.assign(mortality_days=30.4 * (table["ageentry"] + table["time"]))
    by_age["entered"] = 30.4 * table["ageentry"]
    finding = only(check(by_age.drop(columns=["time", "ageentry"])))
    assert (finding.rule, finding.variable) == ("delayed_entry", "entered")
    since_entry = table.assign(mortality_days=30.4 * table["time"] + 0.1)
    rules = {f.rule for f in check(since_entry.drop(columns="time")).report.fatal}
    assert "delayed_entry" not in rules
