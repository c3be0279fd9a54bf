"""Discharge alive: no censoring of death from any cause, a competing event of that in hospital."""

from __future__ import annotations

import re

import numpy as np
import pandas as pd
import pytest

from checked_cohorts import check, clean, only
from data_schema.table.discharge import is_stay_by_name
from places import SHARED

N = 400
MORTALITY = '[outcome.mortality]\ndays = "{days}"\nevent = "{event}"\n'
IN_HOSPITAL = """
[outcome.in_hospital_mortality]
days = "los"
event = "hospital_death"
event_map = {0 = 2, 1 = 1}
"""
FOLLOWED = "followed_after_discharge = true\n"


def _hospital(n: int = N) -> pd.DataFrame:
    """Return patients whom the hospital saw until death or discharge, a median of ten days."""
    rng = np.random.default_rng(5)
    table = clean(n).drop(columns=["mortality_days", "mortality_event"])
    died = rng.random(n) < 0.2
    table["los"] = (np.exp(rng.normal(2.3, 0.7, n)).round(1) + 0.5).astype(str)
    return table.assign(hospital_death=died.astype(int).astype(str))


def _renamed(**names: str) -> pd.DataFrame:
    return _hospital().rename(columns=names)


@pytest.mark.parametrize(
    ("table", "days", "event", "evidence"),
    [
        (_renamed(los="fu"), "fu", "hospital_death", "hospital_death is death in hospital"),
        (_renamed(hospital_death="x"), "los", "x", "los ends at discharge"),
        (_renamed(los="fu", hospital_death="x"), "fu", "x", "censored rows end before day 28"),
        (
            _renamed(los="fu", hospital_death="x").assign(slos=lambda t: t["fu"].astype(float) + 1),
            "fu",
            "x",
            r"censored rows end with the stay \(slos\)",
        ),
    ],
    ids=["event", "days", "times", "stay"],
)
def test_discharge_as_censoring_is_refused(
    table: pd.DataFrame, days: str, event: str, evidence: str
) -> None:
    mapping = MORTALITY.format(days=days, event=event)
    finding = only(check(table, mapping))
    assert (finding.rule, finding.variable) == ("discharge_censors", "mortality")
    assert finding.count == int((table[event] == "0").sum())
    assert re.search(evidence, finding.message)
    assert "in_hospital_mortality" in finding.message
    assert check(table, mapping + FOLLOWED).cohort is not None


@pytest.mark.parametrize(
    "event", ["In-hospital_death", "hospital_expire_flag", "diedInHospital", "discharge_status"]
)
def test_death_in_hospital_by_one_horizon_is_not_death_from_any_cause(event: str) -> None:
    table = _renamed(hospital_death=event)
    mapping = f'[outcome.mortality]\nhorizon_days = 28\nevent = "{event}"\n'
    assert only(check(table, mapping)).rule == "discharge_censors"
    renamed = mapping.replace("mortality]", "in_hospital_mortality]")
    cohort = check(table, renamed, "in_hospital_mortality").cohort
    assert cohort is not None
    assert cohort.outcome is not None
    assert cohort.outcome.horizon_days == 28.0


def test_follow_up_to_one_day_for_all_is_complete() -> None:
    assert check(clean().assign(length_of_stay="12", mortality_days="28")).cohort is not None


def test_other_names_are_not_those_of_a_stay() -> None:
    names = ("days_to_death", "followup_days", "death_90d", "days_after_discharge", "lost")
    assert not any(map(is_stay_by_name, names))


def test_discharged_alive_competes_with_death_in_hospital() -> None:
    table = _hospital()
    checked = check(table, IN_HOSPITAL, "in_hospital_mortality")
    assert checked.report.warnings == ()
    assert checked.cohort is not None
    assert checked.cohort.outcome is not None
    died = table["hospital_death"].astype(int).to_numpy()
    assert checked.cohort.outcome.name == "in_hospital_mortality"
    assert checked.cohort.outcome.event.tolist() == np.where(died == 1, 1, 2).tolist()


def test_death_in_hospital_needs_discharge_alive_as_an_event() -> None:
    mapping = IN_HOSPITAL.replace("0 = 2", "0 = 0")
    finding = only(check(_hospital(), mapping, "in_hospital_mortality"))
    assert (finding.rule, finding.variable) == ("discharge_censors", "in_hospital_mortality_event")


def test_a_row_without_an_outcome_in_hospital_is_refused_though_the_patient_died() -> None:
    """Both clocks start at 24 h: whoever died later was at risk."""
    table = _hospital().assign(mortality_days="400", mortality_event="1")
    table.loc[0, ["los", "hospital_death"]] = ""
    assert only(check(table, IN_HOSPITAL, "in_hospital_mortality")).rule == "missing_outcome"


BY_DATES = """
[ids]
time_zero = "admitted"
[outcome.in_hospital_mortality]
event_date = "died"
competing_date = "discharged"
last_seen_date = "seen"
"""


def test_dates_tell_death_in_hospital_from_death_at_home() -> None:
    table = _hospital().drop(columns=["los", "hospital_death"])
    n = len(table)
    table = table.assign(admitted="2020-01-01", discharged=None, died=None, seen="2021-01-01")
    table = table.astype({"discharged": object, "died": object})
    table.loc[: n - 11, "discharged"] = "2020-01-11"
    table.loc[:19, "died"] = "2020-01-05"  # in hospital, and the discharge on the same day
    table.loc[:19, "discharged"] = "2020-01-05"
    table.loc[20:39, "died"] = "2020-03-01"  # at home
    table.loc[n - 10 :, "seen"] = "2020-02-01"  # still in hospital
    checked = check(table, BY_DATES, "in_hospital_mortality")
    assert checked.cohort is not None, checked.report.fatal
    outcome = checked.cohort.outcome
    assert outcome is not None
    assert outcome.event.tolist() == [1] * 20 + [2] * (n - 30) + [0] * 10
    assert set(outcome.time_days.tolist()) == {4.0, 10.0, 31.0}


def test_a_discharge_written_down_before_the_death_of_that_day_is_none() -> None:
    table = _hospital().drop(columns=["los", "hospital_death"])
    table = table.assign(admitted="2020-01-01T06:00", discharged="2020-01-09T10:00", died=None)
    table["seen"] = "2021-01-01T00:00"
    table.loc[:49, "died"] = "2020-01-09T11:30"
    checked = check(table, BY_DATES, "in_hospital_mortality")
    assert checked.cohort is not None, checked.report.fatal
    assert checked.cohort.outcome is not None
    assert np.bincount(checked.cohort.outcome.event).tolist() == [0, 50, len(table) - 50]


@pytest.mark.skipif(not (SHARED / "data" / "physionet2012").is_dir(), reason="no data here")
def test_physionet_and_support2_are_recognised_by_their_times_alone() -> None:
    physionet = pd.read_csv(SHARED / "data" / "physionet2012" / "set_a.csv.gz")
    support = pd.read_csv(SHARED / "data" / "support2" / "support2.csv")
    outcomes = [
        (physionet, physionet["Age"], physionet["Length_of_stay"] - 2, "In-hospital_death"),
        (support, support["age"], support["slos"] - 2, "hospdead"),
    ]
    for raw, age, days, event in outcomes:
        table = pd.DataFrame({"age": age, "mortality_days": days, "mortality_event": raw[event]})
        table = table[(table["age"] >= 18) & (table["mortality_days"] > 0)]
        assert "discharge_censors" in {f.rule for f in check(table).report.fatal}
    followed = pd.DataFrame(
        {"age": support["age"], "mortality_days": support["d.time"] - 2.5, "lactate": 1.0}
    ).assign(mortality_event=support["death"], lactate=np.linspace(1, 2, len(support)))
    fatal = check(followed[followed["age"] >= 18]).report.fatal
    assert "discharge_censors" not in {f.rule for f in fatal}
