"""Every rule of the door, each broken alone in a cohort that otherwise keeps them all."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pytest

from data_schema.biomarkers import VARIABLES
from data_schema.checking import WARNING_RULES, Checked, check_cohort
from data_schema.errors import Finding, UsageError
from data_schema.mapping import parse_mapping

N = 120


def clean(n: int = N) -> pd.DataFrame:
    """Return a cohort that keeps every rule, as text, as a CSV gives it."""
    rng = np.random.default_rng(3)
    severity = rng.normal(size=n)
    event = (severity + rng.normal(size=n) > 0.3).astype(int)
    table = pd.DataFrame(
        {
            "patient_id": [f"p{i}" for i in range(n)],
            "age": rng.integers(40, 90, n),
            "sex": rng.choice(["female", "male"], n),
            "sofa": np.clip(np.round(7 + 3 * severity), 0, 24).astype(int),
            "ctx_s": np.round(np.exp(6.5 + 0.4 * rng.normal(size=n)), 1),
            "lactate": np.round(np.exp(0.7 + 0.3 * severity + 0.3 * rng.normal(size=n)), 2),
            "estradiol": np.round(np.exp(3.5 + 0.5 * rng.normal(size=n)), 2),
            "shock": rng.choice(["0", "1"], n),
            "mortality_days": np.where(event == 1, rng.integers(1, 300, n), 365),
            "mortality_event": event,
        }
    )
    return table.astype(str)


def check(table: pd.DataFrame, mapping: str = "", outcome: str | None = "mortality") -> Checked:
    return check_cohort(table, outcome=outcome, mapping=parse_mapping(mapping))


def put(column: str, *values: Any, start: int = 0) -> Callable[[pd.DataFrame], pd.DataFrame]:
    """Return a change of the first cells of a column."""

    def change(table: pd.DataFrame) -> pd.DataFrame:
        table = table.astype(object)
        for place, value in enumerate(values, start=start):
            table.loc[place, column] = value
        return table

    return change


def only(checked: Checked) -> Finding:
    """Return the one fatal finding of a report."""
    assert [f.rule for f in checked.report.fatal] == [checked.report.fatal[0].rule]
    return checked.report.fatal[0]


def test_a_clean_cohort_passes_without_a_word() -> None:
    checked = check(clean())
    assert checked.report.as_json() == {"rows": N, "fatal": [], "warnings": []}
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


# --- units ----------------------------------------------------------------------------------------


def _ctx(unit: str) -> str:
    return f'[columns.CTX]\nvariable = "ctx_s"\nunit = "{unit}"\n'


def test_values_are_converted_to_the_canonical_unit() -> None:
    table = clean().rename(columns={"ctx_s": "CTX"})
    table["CTX"] = (table["CTX"].astype(float) / 1000).astype(str)
    cohort = check(table, _ctx("ng/mL")).cohort
    assert cohort is not None
    assert np.allclose(cohort.features["ctx_s"], clean()["ctx_s"].astype(float))


def test_a_unit_that_the_variable_does_not_accept_is_fatal() -> None:
    finding = only(check(clean().rename(columns={"ctx_s": "CTX"}), _ctx("mg/dL")))
    assert (finding.rule, finding.variable, finding.count) == ("unit", "ctx_s", N)
    assert "pg/mL, ng/L, ng/mL, ug/L" in finding.message
    assert "mg/dL" not in finding.message  # a free-text unit may hold a value


@pytest.mark.parametrize(
    ("variable", "stated", "true_median", "fits"),
    [
        ("ctx_s", "pg/mL", 0.6, "ng/mL"),
        ("ctx_s", "ng/mL", 600.0, "pg/mL"),
        ("phosphate", "mg/dL", 1.1, "mmol/L"),
        ("phosphate", "mmol/L", 3.4, "mg/dL"),
        ("glucose", "mg/dL", 7.5, "mmol/L"),
        ("creatinine", "mg/dL", 95.0, "umol/L"),
        ("albumin", "g/dL", 29.0, "g/L"),
        ("lactate", "mmol/L", 20.0, "mg/dL"),
        ("calcium", "mg/dL", 2.1, "mmol/L"),
        ("fio2", "%", 0.45, "1"),
        ("height", "cm", 1.72, "m"),
        ("weight", "kg", 172.0, "[lb_av]"),
    ],
)
def test_swapped_units_are_fatal_and_the_fitting_unit_is_named(
    variable: str, stated: str, true_median: float, fits: str
) -> None:
    spread = np.exp(np.random.default_rng(1).normal(scale=0.15, size=N))
    table = clean().drop(columns=["ctx_s", "lactate"])
    table["lab"] = np.round(true_median * spread, 4).astype(str)
    mapping = f'[columns.lab]\nvariable = "{variable}"\nunit = "{stated}"\n'
    finding = only(check(table, mapping))
    assert (finding.rule, finding.variable) == ("unit_suspect", variable)
    assert f"fit {fits}" in finding.message


def test_a_catalogue_name_in_another_unit_is_suspect_too() -> None:
    table = clean()
    table["ctx_s"] = (table["ctx_s"].astype(float) / 1000).astype(str)
    assert only(check(table)).rule == "unit_suspect"


@pytest.mark.parametrize(
    ("variable", "unit"),
    [("bsap_mass", "U/L"), ("bsap_act", "ug/L"), ("fgf23_i", "RU/mL"), ("fgf23_c", "pg/mL"),
     ("opg", "pg/mL"), ("rankl_free", "pg/mL"), ("sclerostin", "pg/mL")],
)  # fmt: skip
def test_look_alike_units_are_never_converted(variable: str, unit: str) -> None:
    mapping = f'[columns.ctx_s]\nvariable = "{variable}"\nunit = "{unit}"\n'
    assert only(check(clean(), mapping)).rule == "unit"


@pytest.mark.parametrize(
    ("column", "variable", "unit", "stated"),
    [
        ("lactate", "rankl_free", "pmol/L", 'assay = "Total sRANKL ELISA"'),
        ("ctx_s", "fgf23_c", "RU/mL", 'assay = "Intact FGF23"'),
        ("ctx_s", "fgf23_i", "pg/mL", 'assay = "C-Term FGF23"'),
    ],
)
def test_an_assay_of_another_variable_is_fatal(
    column: str, variable: str, unit: str, stated: str
) -> None:
    mapping = f'[columns.{column}]\nvariable = "{variable}"\nunit = "{unit}"\n{stated}\n'
    assert only(check(clean(), mapping)).rule == "assay"


def test_an_assay_that_names_both_fragments_is_of_the_variable_it_names() -> None:
    mapping = '[columns.ctx_s]\nvariable = "fgf23_c"\nunit = "RU/mL"\n'
    mapping += 'assay = "C-terminal (intact and fragments)"\n'
    assert check(clean(), mapping).cohort is not None


@pytest.mark.parametrize(
    ("variable", "unit", "specimen"),
    [("osteopontin", "ng/mL", "serum"), ("fgf23_c", "RU/mL", "urine")],
)
def test_another_specimen_is_another_variable(variable: str, unit: str, specimen: str) -> None:
    mapping = f'[columns.ctx_s]\nvariable = "{variable}"\nunit = "{unit}"\n'
    finding = only(check(clean(), mapping + f'specimen = "{specimen}"\n'))
    assert finding.rule == "specimen"


def test_a_specimen_is_no_matter_where_it_is_no_part_of_the_variable() -> None:
    mapping = '[columns.ctx_s]\nvariable = "ctx_s"\nunit = "pg/mL"\nspecimen = "EDTA plasma"\n'
    assert check(clean(), mapping).cohort is not None


def test_each_row_may_state_its_unit() -> None:
    table = clean().rename(columns={"ctx_s": "CTX"})
    table["unit"] = ["ng/mL", "pg/mL"] * (N // 2)
    values = table["CTX"].astype(float)
    table["CTX"] = values.where(table["unit"] == "pg/mL", values / 1000).astype(str)
    mapping = '[columns.CTX]\nvariable = "ctx_s"\nunit_column = "unit"\n'
    cohort = check(table, mapping).cohort
    assert cohort is not None
    assert np.allclose(cohort.features["ctx_s"], values)
    refused = only(check(put("unit", "furlongs", None)(table), mapping))
    assert (refused.rule, refused.count) == ("unit", 2)


def test_several_assays_in_one_column_are_warned_of() -> None:
    table = clean().assign(kit=["A", "B"] * (N // 2))
    mapping = '[columns.ctx_s]\nvariable = "ctx_s"\nunit = "pg/mL"\nassay_column = "kit"\n'
    assert [f.rule for f in check(table, mapping).report.warnings] == ["assay_mixed"]


PERIODS = """
[ids]
time_zero = "t0"
[columns.CTX]
variable = "ctx_s"
[[columns.CTX.periods]]
to = 2019-12-31
unit = "ng/mL"
[[columns.CTX.periods]]
from = 2020-01-01
unit = "pg/mL"
lower_limit = 10
"""


def test_periods_apply_the_unit_of_their_time() -> None:
    table = clean().rename(columns={"ctx_s": "CTX"})
    table["t0"] = ["2019-12-31T23:00:00", "2020-01-01"] * (N // 2)
    values = table["CTX"].astype(float)
    old = table["t0"].str.startswith("2019")
    table["CTX"] = values.where(~old, values / 1000).astype(str)
    cohort = check(table, PERIODS).cohort
    assert cohort is not None
    assert np.allclose(cohort.features["ctx_s"], values)
    assert cohort.time_zero is not None
    assert cohort.time_zero[0].startswith("2019-12-31T23:00")


def test_a_period_is_that_of_the_day_as_the_site_writes_it() -> None:
    table = clean().rename(columns={"ctx_s": "CTX"})
    table["t0"] = ["2020-01-01T00:30:00+01:00", "2019-12-31T23:30:00-05:00"] * (N // 2)
    values = table["CTX"].astype(float)
    old = table["t0"].str.startswith("2019")
    table["CTX"] = values.where(~old, values / 1000).astype(str)
    cohort = check(table, PERIODS).cohort
    assert cohort is not None
    assert np.allclose(cohort.features["ctx_s"], values)


def test_a_row_outside_every_period_and_periods_without_a_date_are_fatal() -> None:
    table = clean().rename(columns={"ctx_s": "CTX"}).assign(t0="2021-01-01")
    gap = PERIODS.replace("2020-01-01", "2022-01-01")
    assert "period" in {f.rule for f in check(table, gap).report.fatal}
    without = PERIODS.replace('[ids]\ntime_zero = "t0"\n', "")
    assert "period" in {f.rule for f in check(table, without).report.fatal}


def test_points_that_may_part_thousands_are_ambiguous_beside_decimal_commas() -> None:
    table = put("ctx_s", "820.000", "12.000", "<25.500", "820")(clean())
    table["lactate"] = table["lactate"].str.replace(".", ",")
    mapping = '[columns.lactate]\nvariable = "lactate"\nunit = "mmol/L"\ndecimal = ","\n'
    found = only(check(table, mapping))
    assert (found.rule, found.variable, found.count) == ("ambiguous_number", "ctx_s", 3)
    ctx = '[columns.ctx_s]\nvariable = "ctx_s"\nunit = "pg/mL"\ndecimal = "."\n'
    cohort = check(table, mapping + ctx).cohort
    assert cohort is not None
    assert cohort.features["ctx_s"].tolist()[:2] == [820.0, 12.0]


def test_long_numbers_that_name_patients_stay_apart() -> None:
    cohort = check(clean().assign(patient_id=np.arange(N) + 2**53)).cohort
    assert cohort is not None
    assert len(set(cohort.patient_id)) == N


def test_several_levels_of_column_names_are_refused() -> None:
    table = clean()
    table.columns = pd.MultiIndex.from_product([["lab"], table.columns])
    with pytest.raises(UsageError, match="one level of column names; it has 2"):
        check(table)


# --- detection limits -----------------------------------------------------------------------------


def test_a_comparator_becomes_the_limit_with_a_flag() -> None:
    cohort = check(put("estradiol", "<9.99", "≤5")(clean())).cohort
    assert cohort is not None
    assert cohort.features["estradiol"].tolist()[:2] == [9.99, 5.0]
    flags = cohort.features["estradiol__below"]
    assert flags.tolist()[:3] == [1.0, 1.0, 0.0]
    assert flags.sum() == 2


def test_a_number_under_the_stated_limit_counts_as_below_it() -> None:
    mapping = '[columns.estradiol]\nvariable = "estradiol"\nunit = "pg/mL"\nlower_limit = 9.99\n'
    cohort = check(put("estradiol", "0", "-1", "9.99")(clean()), mapping).cohort
    assert cohort is not None
    assert cohort.features["estradiol"].tolist()[:3] == [9.99, 9.99, 9.99]
    assert cohort.features["estradiol__below"].tolist()[:3] == [1.0, 1.0, 0.0]


def test_a_limit_under_the_plausible_range_is_kept() -> None:
    low = VARIABLES["ctx_s"].low
    assert low is not None
    assert check(put("ctx_s", f"<{low / 2}")(clean())).cohort is not None
    assert only(check(put("ctx_s", f"{low / 2}")(clean()))).rule == "range"


def test_a_cohort_may_bring_its_own_flags() -> None:
    table = put("estradiol", "<9.99")(clean())
    table["estradiol__below"] = ["0", "1"] + ["0"] * (N - 2)
    cohort = check(table).cohort
    assert cohort is not None
    assert cohort.features["estradiol__below"].tolist()[:3] == [1.0, 1.0, 0.0]


def test_suffixed_features_belong_to_their_variable() -> None:
    table = clean().rename(columns={"lactate": "lactate__max"})
    table["lactate__slope"] = np.linspace(-80, 80, N).astype(str)
    table["lactate__count"] = ["3", "900"] * (N // 2)
    cohort = check(table).cohort
    assert cohort is not None
    assert "lactate" in cohort.variables
    assert "lactate" not in cohort.features
    assert only(check(put("lactate__max", "999")(table))).variable == "lactate__max"


# --- the mapping ----------------------------------------------------------------------------------


def test_blanks_are_all_named_and_never_guessed() -> None:
    mapping = """
[ids]
site = ""
[outcome.mortality]
days = "mortality_days"
event = ""
[columns.ctx_s]
variable = ""
unit = ""
[columns.lactate]
variable = "lactate"
[columns.sex]
variable = "sex"
map = {F = "", M = "male"}
[columns.estradiol]
variable = "estradiol"
unit = "pg/mL"
decimal = ""
"""
    blanks = [f for f in check(clean(), mapping).report.fatal if f.rule == "blank"]
    assert [(f.variable, f.message.split(" must ")[0]) for f in blanks] == [
        ("site", "[ids] site"),
        ("event", "[outcome.mortality] event"),
        ("ctx_s", '[columns."ctx_s"] variable'),
        ("ctx_s", '[columns."ctx_s"] unit'),
        ("sex", '[columns."sex"] map'),
        ("estradiol", '[columns."estradiol"] decimal'),
        ("lactate", '[columns."lactate"] unit'),
    ]


@pytest.mark.parametrize(
    ("mapping", "rule", "variable"),
    [
        ('[columns.gone]\nvariable = "crp"\nunit = "mg/L"', "missing_column", "gone"),
        ('[ids]\nsite = "gone"', "missing_column", "gone"),
        ('[outcome.mortality]\ndays = "gone"\nevent = "shock"', "missing_column", "gone"),
        ('[columns.sofa]\nvariable = "ctx_x"', "unknown_variable", "ctx_x"),
        ('[columns.sofa]\nvariable = "lactate"\nunit = "mmol/L"', "duplicate_variable", "lactate"),
        ('[columns.sofa]\nvariable = "mine"\nkind = "text"', "site_variable", "mine"),
        (
            '[columns.sofa]\nvariable = "a__b"\nkind = "flag"\npathway = "person"',
            "site_variable",
            "a__b",
        ),
        ('[columns.sofa]\nvariable = "sofa"\nlabel = "My SOFA"', "site_variable", "sofa"),
        ('[columns.sex]\nvariable = "sex"\nunit = "kg"', "unit", "sex"),
        (
            '[columns.ctx_s]\nvariable = "ctx_s"\nunit = "pg/mL"\nunit_column = "sex"',
            "unit",
            "ctx_s",
        ),
        ('[outcome.mortality]\ndays = "mortality_days"', "outcome_mapping", "mortality"),
        (
            '[columns.sofa]\nvariable = "mine"\nkind = "number"\npathway = "person"',
            "blank",
            "sofa",
        ),
    ],
)
def test_what_contradicts_catalogue_or_table_is_fatal(
    mapping: str, rule: str, variable: str
) -> None:
    found = {(f.rule, f.variable) for f in check(clean(), mapping).report.fatal}
    assert (rule, variable) in found


def test_a_close_name_is_suggested() -> None:
    finding = check(clean(), '[columns.sofa]\nvariable = "lactat"').report.fatal[0]
    assert "Did you mean lactate" in finding.message


SITE = """
[columns.group]
variable = "dzgroup"
kind = "category"
pathway = "person"
unit = ""
label = "Disease group"
[columns.points]
variable = "points"
kind = "number"
pathway = "severity"
unit = "1"
low = 0
high = 40
[columns.icu]
variable = "surgical"
kind = "flag"
pathway = "person"
map = {surgery = 1, medical = 0}
"""


def _with_site_columns() -> pd.DataFrame:
    rng = np.random.default_rng(5)
    return clean().assign(
        group=rng.choice(["ARF", "Coma", "unknown"], N),
        points=rng.integers(0, 40, N).astype(str),
        icu=rng.choice(["surgery", "medical"], N),
    )


def test_a_site_may_declare_variables_of_its_own() -> None:
    cohort = check(_with_site_columns(), SITE).cohort
    assert cohort is not None
    assert set(cohort.features["dzgroup"].dropna()) == {"ARF", "Coma"}
    assert set(cohort.features["surgical"]) == {0.0, 1.0}
    assert cohort.variables["points"].unit == "1"
    assert cohort.variables["dzgroup"].label == "Disease group"


def test_the_site_s_own_range_is_kept() -> None:
    finding = only(check(put("points", "41")(_with_site_columns()), SITE))
    assert (finding.rule, finding.variable) == ("range", "points")


@pytest.mark.parametrize("n_values", [N, 70])
def test_free_text_is_no_category(n_values: int) -> None:
    table = _with_site_columns().assign(group=[f"note {i % n_values}" for i in range(N)])
    assert only(check(table, SITE)).rule == "many_categories"


def test_a_row_may_lack_its_site() -> None:
    cohort = check(clean().assign(site=["A", None] * (N // 2))).cohort
    assert cohort is not None
    assert cohort.site is not None
    assert cohort.site[:2].tolist() == ["A", None]


def test_a_map_and_missing_values_are_applied() -> None:
    mapping = """
[columns.sex]
variable = "sex"
map = {"1" = "female", "2" = "male"}
[columns.lactate]
variable = "lactate"
unit = "mmol/L"
missing_values = [-999, "n.d."]
decimal = ","
"""
    table = clean().assign(sex=[1.0, 2.0] * (N // 2))
    table["lactate"] = table["lactate"].str.replace(".", ",")
    cohort = check(put("lactate", "-999", "n.d.")(table), mapping).cohort
    assert cohort is not None
    assert cohort.features["sex"].tolist()[:2] == ["female", "male"]
    assert cohort.features["lactate"].isna().sum() == 2


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
    assert [(f.rule, f.count) for f in checked.report.warnings] == [("not_at_risk", 3)]
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
