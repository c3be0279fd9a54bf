"""Units, assays and specimens of a mapping: converted where stated, and never guessed."""

from __future__ import annotations

import numpy as np
import pytest

from checked_cohorts import N, check, clean, only, put

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
    assert "pg/mL, ng/L, ng/mL, µg/L" in finding.message
    assert "mg/dL" not in finding.message  # a free-text unit may hold a value


@pytest.mark.parametrize(
    ("variable", "stated", "true_median", "fits"),
    [
        ("ctx_s", "pg/mL", 0.6, "ng/mL"),
        ("ctx_s", "ng/mL", 600.0, "pg/mL"),
        ("phosphate", "mg/dL", 1.1, "mmol/L"),
        ("phosphate", "mmol/L", 3.4, "mg/dL"),
        ("glucose", "mg/dL", 7.5, "mmol/L"),
        ("creatinine", "mg/dL", 95.0, "µmol/L"),
        ("albumin", "g/dL", 29.0, "g/L"),
        ("lactate", "mmol/L", 20.0, "mg/dL"),
        ("calcium", "mg/dL", 2.1, "mmol/L"),
        ("fio2", "%", 0.45, "fraction"),
        ("height", "cm", 1.72, "m"),
        ("weight", "kg", 172.0, "lb"),
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
    assert f"fit the unit {fits}" in finding.message


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
    [
        ("osteopontin", "ng/mL", "serum"),
        ("osteopontin", "ng/mL", "serum or plasma"),
        ("fgf23_c", "RU/mL", "urine"),
        ("ctx_s", "pg/mL", "24 h urine"),
    ],
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


def test_only_rows_with_an_assay_of_another_variable_are_counted() -> None:
    table = clean().assign(kit=["C-term ELISA", "Intact FGF23"] + ["C-term ELISA"] * (N - 2))
    mapping = '[columns.ctx_s]\nvariable = "fgf23_c"\nunit = "RU/mL"\nassay_column = "kit"\n'
    finding = only(check(table, mapping))
    assert (finding.rule, finding.count) == ("assay", 1)


def test_each_statement_of_an_assay_counts() -> None:
    mapping = '[columns.ctx_s]\nvariable = "fgf23_c"\nunit = "RU/mL"\nassay_column = "kit"\n'
    table = clean().assign(kit="C-term ELISA")
    assert only(check(table, mapping + 'assay = "Intact FGF23"\n')).rule == "assay"


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
