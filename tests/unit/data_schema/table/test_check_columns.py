"""Numbers as laboratories print them, and columns that a mapping names or declares."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from checked_cohorts import N, check, clean, only, put
from data_schema.biomarkers import VARIABLES
from data_schema.errors import UsageError


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


def test_a_limit_under_the_range_may_stand_for_a_maximum() -> None:
    low = VARIABLES["ctx_s"].low
    assert low is not None
    table = put("ctx_s", f"<{low / 2}")(clean()).rename(columns={"ctx_s": "ctx_s__max"})
    cohort = check(table).cohort
    assert cohort is not None
    assert cohort.features["ctx_s__max"].iloc[0] == low / 2
    assert only(check(put("ctx_s__max", f"{low / 2}")(table))).rule == "range"


@pytest.mark.parametrize("dtype", [bool, "boolean", object])
def test_true_and_false_are_not_numbers(dtype: object) -> None:
    table = clean().assign(lactate=pd.Series([True, False] * (N // 2), dtype=dtype))
    finding = only(check(table))
    assert (finding.rule, finding.count) == ("not_a_number", N)


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


def test_a_number_beyond_32_bits_is_refused_where_there_is_no_range() -> None:
    table = clean()
    table["lactate__slope"] = ["1e300", "NA", "-3.5e38"] + ["1.5"] * (N - 3)
    finding = only(check(table))
    assert (finding.rule, finding.variable, finding.count) == ("too_large", "lactate__slope", 2)
    assert finding.message == (
        f"lactate__slope must lie between -3.4e+38 and 3.4e+38; 2 of {N} rows do not. Check "
        "values and unit."
    )


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


@pytest.mark.parametrize("kind", ["flag", "category"])
def test_a_flag_or_category_of_the_site_has_no_unit(kind: str) -> None:
    mapping = f'[columns.shock]\nvariable = "mine"\nkind = "{kind}"\npathway = "person"\n'
    assert check(clean(), mapping).cohort is not None
    assert only(check(clean(), mapping + 'unit = "mg/dL"\n')).rule == "unit"


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
