"""Outcomes by days, dates or one horizon, and columns that foretell them."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pandas as pd
import pytest

from checked_cohorts import N, check, clean, only, put

# --- outcomes -------------------------------------------------------------------------------------

DATES = """
[ids]
time_zero = "t0"
[outcome.fracture]
event_date = "fx"
last_seen_date = "seen"
competing_date = "died"
"""


def _by_dates() -> pd.DataFrame:
    table = clean().drop(columns=["mortality_days", "mortality_event"])
    table["t0"] = "2020-01-01T12:00:00"
    table["seen"] = "2021-01-01"
    table["fx"] = ["2020-02-01"] * 20 + [None] * (N - 20)
    table["died"] = [None] * 15 + ["2020-03-01"] * 25 + [None] * (N - 40)
    table.loc[table["died"].notna(), "seen"] = "2020-03-01"
    return table


def test_dates_become_days_and_the_first_event_counts() -> None:
    cohort = check(_by_dates(), DATES, "fracture").cohort
    assert cohort is not None
    assert cohort.outcome is not None
    assert cohort.outcome.event.tolist() == [1] * 20 + [2] * 20 + [0] * (N - 40)
    assert cohort.outcome.time_days[[0, 20, 40]].tolist() == [31.0, 60.0, 366.0]


@pytest.mark.parametrize("t0", ["2020-01-01T00:30:00+01:00", "2020-01-01 23:30 -0500"])
@pytest.mark.parametrize("as_text", [True, False])
def test_days_count_from_the_day_that_the_site_writes(t0: str, as_text: bool) -> None:
    table = _by_dates().assign(t0=t0 if as_text else pd.Timestamp(t0))
    cohort = check(table, DATES, "fracture").cohort
    assert cohort is not None
    assert cohort.outcome is not None
    assert cohort.outcome.time_days[[0, 20, 40]].tolist() == [31.0, 60.0, 366.0]


@pytest.mark.parametrize(
    ("change", "rule", "count"),
    [
        (put("fx", "2022-01-01", "2022-01-01"), "event_after_censoring", 2),
        (put("fx", "2020-04-01", start=15), "event_after_censoring", 1),
        (put("fx", "2019-12-31"), "time_not_positive", 1),
        (put("fx", "2020-01-01"), "time_not_positive", 1),
        (put("fx", "03/04/2020"), "not_a_date", 1),
        (put("t0", "yesterday"), "not_a_date", 1),
        (put("t0", "2020", "2020-01"), "not_a_date", 2),
        (put("seen", None, start=60), "missing_outcome", 1),
    ],
)
def test_dates_that_cannot_be_are_fatal(
    change: Callable[[pd.DataFrame], pd.DataFrame], rule: str, count: int
) -> None:
    fatal = check(change(_by_dates()), DATES, "fracture").report.fatal
    assert (rule, count) in {(f.rule, f.count) for f in fatal}


def test_dates_need_a_time_zero() -> None:
    mapping = DATES.replace('[ids]\ntime_zero = "t0"\n', "")
    assert only(check(_by_dates(), mapping, "fracture")).rule == "time_zero"


def test_a_stated_date_format_is_read() -> None:
    table = _by_dates()
    for column in ("fx", "seen", "died"):
        table[column] = pd.to_datetime(table[column]).dt.strftime("%d.%m.%Y")
    mapping = DATES + 'date_format = "%d.%m.%Y"\n'
    cohort = check(table, mapping, "fracture").cohort
    assert cohort is not None
    assert cohort.outcome is not None
    assert cohort.outcome.time_days[0] == 31.0


def test_a_fixed_horizon_needs_no_times() -> None:
    mapping = '[outcome.mortality]\nhorizon_days = 365\nevent = "status"\n'
    mapping += "event_map = {alive = 0, dead = 1}\n"
    table = clean().drop(columns=["mortality_days"])
    table["status"] = np.where(table.pop("mortality_event") == "1", "dead", "alive")
    cohort = check(table, mapping).cohort
    assert cohort is not None
    assert cohort.outcome is not None
    assert cohort.outcome.horizon_days == 365.0
    assert set(cohort.outcome.time_days) == {365.0}
    strange = only(check(put("status", "gone")(table), mapping))
    assert (strange.rule, strange.count) == ("event_code", 1)


def test_a_fracture_after_death_contradicts_the_death() -> None:
    table = clean().assign(mortality_days="300")
    table["fracture_days"] = ["200"] * 30 + ["300"] * (N - 30)
    table["fracture_event"] = ["1"] * 30 + ["0"] * (N - 30)
    assert check(table, outcome="fracture").cohort is not None
    table = put("mortality_event", "1", "1")(table)
    late = only(check(put("fracture_days", "301", "400")(table), outcome="fracture"))
    assert (late.rule, late.count) == ("event_after_censoring", 2)


def test_a_fracture_after_the_follow_up_for_death_ended_is_none() -> None:
    table = clean()
    alive = table["mortality_event"] == "0"
    table["fracture_days"] = np.where(alive, "900", "1")
    table["fracture_event"] = np.where(alive & (table.index % 2 == 0), "1", "0")
    assert check(table, outcome="fracture").cohort is not None
    first = int(np.flatnonzero(alive)[0])
    lost = put("mortality_days", "40", start=first)(put("fracture_event", "1", start=first)(table))
    assert only(check(lost, outcome="fracture")).rule == "event_after_censoring"


def _never_at_risk(*, died: bool) -> pd.DataFrame:
    """Return a cohort in which three patients have no fracture outcome, and whether they died."""
    table = clean()
    first = np.flatnonzero(table["mortality_event"] == ("1" if died else "0"))[:3]
    table["fracture_days"] = "0.5"
    table["fracture_event"] = np.where(np.arange(N) % 4 == 0, "1", "0")
    table.loc[first, ["fracture_days", "fracture_event"]] = ""
    return table


def test_who_died_before_the_clock_of_fracture_started_is_left_out_with_a_count() -> None:
    checked = check(_never_at_risk(died=True), outcome="fracture")
    assert [(f.rule, f.count) for f in checked.report.warnings] == [
        ("not_at_risk", 3),
        ("no_horizon", 117),
    ]
    assert checked.report.rows == N
    assert checked.cohort is not None
    assert len(checked.cohort) == N - 3
    assert len(check(_never_at_risk(died=True)).cohort or []) == N


def test_who_lives_and_has_no_fracture_outcome_is_still_refused() -> None:
    finding = only(check(_never_at_risk(died=False), outcome="fracture"))
    assert (finding.rule, finding.count) == ("missing_outcome", 3)


def test_half_a_fracture_outcome_is_refused_of_the_dead_as_well() -> None:
    table = _never_at_risk(died=True)
    table["fracture_event"] = table["fracture_event"].replace("", "0")
    assert "missing_outcome" in {f.rule for f in check(table, outcome="fracture").report.fatal}


def test_a_cohort_that_calls_itself_simulated_is_taken_at_its_word() -> None:
    cohort = check(clean().assign(simulated="published")).cohort
    assert cohort is not None
    assert (cohort.simulated, "simulated" in cohort.features) == (True, False)
    real = check(clean().assign(simulated="no")).cohort
    assert real is not None
    assert (real.simulated, real.population) == (False, "")


def test_outcome_columns_are_never_features() -> None:
    table = clean().assign(fracture_days="1", fracture_event="0")
    checked = check(table)
    assert checked.cohort is not None
    assert not {"fracture_days", "fracture_event"} & set(checked.cohort.features.columns)
    assert checked.report.warnings == ()


def test_the_72h_outcome_reads_the_columns_of_mortality() -> None:
    cohort = check(clean(), outcome="mortality-72h").cohort
    assert cohort is not None


# --- leakage at the door --------------------------------------------------------------------------


def _leaking() -> pd.DataFrame:
    table = clean()
    table["length_of_stay"] = np.random.default_rng(2).integers(1, 30, N).astype(str)
    return table


LEAKING = """
[columns.length_of_stay]
variable = "length_of_stay"
kind = "number"
pathway = "severity"
unit = "d"
"""


def test_a_leak_is_fatal_until_the_site_states_that_it_was_known() -> None:
    assert only(check(_leaking(), LEAKING)).rule == "leak_name"
    assert check(_leaking(), LEAKING + "known_at_time_zero = true\n").cohort is not None


def test_a_repeated_outcome_is_fatal_whatever_is_stated() -> None:
    table = _leaking().assign(length_of_stay=clean()["mortality_event"])
    checked = check(table, LEAKING + "known_at_time_zero = true\n")
    assert only(checked).rule == "leak_outcome"


def test_leakage_is_not_looked_for_when_scoring() -> None:
    table = _leaking().drop(columns=["mortality_days", "mortality_event"])
    assert check(table, LEAKING, outcome=None).cohort is not None
