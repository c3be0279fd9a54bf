"""Rules that rows and columns of a cohort keep: all are reported at once, with their counts."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pandas as pd
import pytest

from checked_cohorts import N, check, clean, only, put
from data_schema.errors import UsageError
from data_schema.table.check import WARNING_RULES, Report, check_cohort


def test_a_clean_cohort_passes_without_a_word() -> None:
    checked = check(clean())
    assert checked.report == Report(N, (), (), checked.report.follow_up)
    cohort = checked.cohort
    assert cohort is not None
    assert list(cohort.features.columns) == [
        *("age", "sex", "sofa", "ctx_s", "lactate", "estradiol", "shock"),
    ]
    assert cohort.outcome is not None
    assert cohort.outcome.time_days.dtype == np.float64
    assert cohort.outcome.event.dtype == np.int64
    assert cohort.patient_id[:2].tolist() == ["p0", "p1"]
    assert set(cohort.variables) == set(cohort.features.columns)


def test_numbers_text_and_parquet_give_the_same_cohort() -> None:
    as_text = check(clean()).cohort
    typed = clean().apply(pd.to_numeric, errors="coerce")
    typed[["patient_id", "sex"]] = clean()[["patient_id", "sex"]]
    as_numbers = check(typed).cohort
    assert as_text is not None
    assert as_numbers is not None
    assert as_text.fingerprint() == as_numbers.fingerprint()


@pytest.mark.parametrize(
    ("change", "rule", "variable", "count"),
    [
        (put("lactate", "high", "3 mmol"), "not_a_number", "lactate", 2),
        (put("lactate", "inf", "-inf"), "infinite", "lactate", 2),
        (put("ctx_s", "1,471"), "ambiguous_number", "ctx_s", 1),
        (put("ctx_s", "<", "> x"), "comparator", "ctx_s", 2),
        (put("lactate", "1e9", "-3"), "range", "lactate", 2),
        (put("shock", "maybe"), "flag", "shock", 1),
        (put("shock", "2"), "flag", "shock", 1),
        (put("age", "17", "3"), "under_18", "age", 2),
        (put("mortality_event", "2"), "competing_event", "mortality_event", 1),
        (put("mortality_event", "3", "dead"), "event_code", "mortality_event", 2),
        (put("mortality_event", "", None), "missing_outcome", "mortality", 2),
        (put("mortality_days", None, "NA"), "missing_outcome", "mortality", 2),
        (put("mortality_days", "0", "-5"), "time_not_positive", "mortality_days", 2),
        (put("mortality_days", "1e9"), "time_too_long", "mortality_days", 1),
        (put("mortality_days", "soon"), "not_a_number", "mortality_days", 1),
        (put("mortality_days", ">365"), "comparator", "mortality_days", 1),
        (put("mortality_days", "inf"), "infinite", "mortality_days", 1),
        (put("patient_id", None, ""), "missing_id", "patient_id", 2),
        (lambda t: t.assign(pregnant=["1"] + ["0"] * (N - 1)), "pregnant", "pregnant", 1),
        (lambda t: pd.concat([t, t.head(3)]), "duplicate_stays", "stay_id", 3),
        (lambda t: put("patient_id", "p1")(t.assign(stay_id="1")), "duplicate_stays", "stay_id", 1),
        (lambda t: t.assign(mortality_event="0"), "one_class", "mortality", N),
        (lambda t: t.head(49), "too_few", "patient_id", 49),
        (
            lambda t: t.assign(mortality_event=["1"] * 9 + ["0"] * (N - 9)),
            "too_few",
            "mortality",
            9,
        ),
    ],
)
def test_a_broken_rule_is_fatal_and_counted(
    change: Callable[[pd.DataFrame], pd.DataFrame], rule: str, variable: str, count: int
) -> None:
    checked = check(change(clean()))
    fatal = [f for f in checked.report.fatal if f.rule == rule]
    assert [(f.variable, f.count) for f in fatal] == [(variable, count)]
    assert str(count) in fatal[0].message
    assert checked.cohort is None


def test_a_missing_outcome_column_is_named() -> None:
    finding = only(check(clean().drop(columns="mortality_event")))
    assert (finding.rule, finding.variable) == ("missing_column", "mortality_event")


def test_a_cohort_without_a_usable_variable_is_refused() -> None:
    table = clean()[["patient_id", "mortality_days", "mortality_event"]]
    assert only(check(table.assign(foo="1"))).rule == "no_variable"


@pytest.mark.parametrize(
    ("table", "rule"),
    [
        (clean().head(0), "no_rows"),
        (pd.DataFrame(), "no_rows"),
        (pd.concat([clean(), clean()["age"]], axis=1), "duplicate_columns"),
    ],
)
def test_a_frame_that_is_no_table_is_refused_at_once(table: pd.DataFrame, rule: str) -> None:
    assert only(check(table)).rule == rule


def test_ten_patients_are_too_few_in_one_report_without_a_traceback() -> None:
    rules = [f.rule for f in check(clean(10)).report.fatal]
    assert "too_few" in rules


def test_all_findings_come_in_one_pass() -> None:
    table = put("lactate", "high")(put("mortality_event", "7")(put("shock", "maybe")(clean())))
    table = put("ctx_s", "1,471")(put("mortality_days", "0", start=5)(table))
    rules = {f.rule for f in check(table).report.fatal}
    assert rules == {"not_a_number", "event_code", "flag", "ambiguous_number", "time_not_positive"}


def test_survivors_censored_exactly_at_a_horizon_are_valid() -> None:
    table = clean()
    table.loc[table["mortality_event"] == "0", "mortality_days"] = "28"
    assert check(table).cohort is not None


# --- warnings -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("change", "rule", "variable", "count"),
    [
        (lambda t: t.assign(extra="x", other="y"), "ignored_columns", "", 2),
        (lambda t: t.assign(crp=None), "all_missing", "crp", N),
        (lambda t: t.assign(shock=None), "all_missing", "shock", N),
        (lambda t: t.assign(sex=float("nan")), "all_missing", "sex", N),
        (lambda t: t.assign(crp="120"), "constant", "crp", N),
        (put("sex", "martian", "venusian"), "category", "sex", 2),
        (put("ctx_s", ">6000"), "above_limit", "ctx_s", 1),
        (put("patient_id", "p5"), "several_stays", "patient_id", 1),
        (lambda t: t.drop(columns="patient_id"), "no_patient_id", "patient_id", N),
    ],
)
def test_a_warning_is_counted_and_leaves_the_cohort(
    change: Callable[[pd.DataFrame], pd.DataFrame], rule: str, variable: str, count: int
) -> None:
    checked = check(change(clean()))
    assert [(f.rule, f.variable, f.count) for f in checked.report.warnings] == [
        (rule, variable, count)
    ]
    assert rule in WARNING_RULES
    assert checked.cohort is not None


def test_an_unknown_category_becomes_missing_and_sex_unknown_does_so_silently() -> None:
    checked = check(put("sex", "martian", "unknown", "FEMALE")(clean()))
    assert checked.cohort is not None
    assert checked.cohort.features["sex"].tolist()[:3] == [None, None, "female"]
    assert [f.count for f in checked.report.warnings] == [1]


def test_a_variable_all_missing_is_left_out_with_its_reason() -> None:
    cohort = check(clean().assign(crp="")).cohort
    assert cohort is not None
    assert "crp" not in cohort.features
    assert cohort.dropped == {"crp": "all missing"}


def test_strict_makes_ignored_columns_fatal() -> None:
    checked = check_cohort(clean().assign(extra="x"), outcome="mortality", strict=True)
    assert only(checked).rule == "ignored_columns"
    assert "extra" in only(checked).message


def test_scoring_needs_no_outcome_and_only_warns_of_patients_the_model_refuses() -> None:
    table = put("age", "12")(clean(5)).drop(columns=["mortality_days", "mortality_event"])
    checked = check(table.assign(pregnant=["1", "0", "0", "0", "0"]), outcome=None)
    assert {f.rule for f in checked.report.warnings} == {"under_18", "pregnant"}
    assert checked.cohort is not None
    assert checked.cohort.outcome is None


def test_an_unknown_outcome_is_wrong_usage() -> None:
    with pytest.raises(UsageError, match="outcome must be one of"):
        check_cohort(clean(), outcome="happiness")
