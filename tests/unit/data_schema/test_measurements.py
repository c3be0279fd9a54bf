"""One measurement is read only when it is certain what was measured, and in what."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest

from data_schema.biomarkers import VARIABLES
from data_schema.errors import Finding
from data_schema.measurements import (
    CanonicalMeasurement,
    Measurement,
    absent_variable,
    canonical_measurement,
)
from data_schema.variables import Variable


def accepted(sent: Measurement) -> CanonicalMeasurement:
    """Read a measurement that keeps every rule."""
    found = canonical_measurement(sent)
    assert isinstance(found, CanonicalMeasurement), found
    return found


def refusal(sent: Measurement) -> Finding:
    """Read a measurement that breaks a rule."""
    found = canonical_measurement(sent)
    assert isinstance(found, Finding), found
    return found


def test_a_measurement_by_name_comes_out_in_the_canonical_unit() -> None:
    found = accepted(Measurement(0.68, variable="ctx_s", unit="ng/mL"))
    assert (found.column, found.value, found.below) == (
        "ctx_s",
        pytest.approx(680.0),
        False,
    )


def test_a_measurement_by_code_finds_its_variable() -> None:
    found = accepted(Measurement(100.0, loinc="14715-7", unit="pmol/L"))
    assert (found.column, found.value) == ("estradiol", pytest.approx(27.2382))


@pytest.mark.parametrize(
    "sent",
    [
        Measurement(9.99, variable="estradiol", unit="pg/mL", comparator="<"),
        Measurement(9.99, variable="estradiol", unit="pg/mL", comparator="<="),
        Measurement("<9.99", variable="estradiol", unit="pg/mL"),
    ],
)
def test_a_value_below_the_limit_enters_as_the_limit_and_says_so(
    sent: Measurement,
) -> None:
    found = accepted(sent)
    assert (found.value, found.below, found.above) == (9.99, True, False)


def test_a_value_above_the_limit_enters_as_the_limit_and_says_so() -> None:
    found = accepted(Measurement(">5000", variable="fgf23_c", unit="RU/mL"))
    assert (found.value, found.below, found.above) == (5000.0, False, True)


def test_relative_units_never_enter_intact_fgf23() -> None:
    assert refusal(Measurement(1471, variable="fgf23_i", unit="RU/mL")).rule == "unit"
    assert refusal(Measurement(1471, loinc="54390-0", unit="RU/mL")).rule == "unit"
    assert refusal(Measurement(60, loinc="47855-2", unit="pg/mL")).rule == "unit"
    assert accepted(Measurement(1471, loinc="47855-2", unit="RU/mL")).column == "fgf23_c"


def test_a_molar_code_refuses_a_mass_unit_that_the_variable_would_accept() -> None:
    assert accepted(Measurement(30, variable="estradiol", unit="pg/mL")).value == 30
    found = refusal(Measurement(30, loinc="14715-7", unit="pg/mL"))
    assert found.rule == "unit"
    assert "a unit of its code (pmol/L, nmol/L)" in found.message


@pytest.mark.parametrize(
    ("loinc", "unit", "column"),
    [
        ("46699-5", "RU/mL", "fgf23_c"),
        ("1989-3", "ng/mL", "vitd25"),
        ("14635-7", "nmol/L", "vitd25"),
        ("48987-2", "nmol/mmol{creat}", "pyd_u_cr"),
        ("13881-8", "nmol/mmol{creat}", "dpd_u_cr"),
    ],
)
def test_a_code_that_does_not_say_what_was_measured_needs_the_assay(
    loinc: str, unit: str, column: str
) -> None:
    sent = Measurement(30, loinc=loinc, unit=unit)
    assert refusal(sent).rule == "assay"
    assert refusal(replace(sent, assay="  ")).rule == "assay"
    assert accepted(replace(sent, assay="as the laboratory names it")).column == column


def test_vitamin_d3_alone_is_not_the_total_without_a_stated_assay() -> None:
    assert refusal(Measurement(18, loinc="1989-3", unit="ng/mL")).rule == "assay"
    assert accepted(Measurement(18, loinc="62292-8", unit="ng/mL")).column == "vitd25"


def test_serum_osteopontin_is_not_plasma_osteopontin() -> None:
    plasma = Measurement(60, variable="osteopontin", unit="ng/mL")
    assert refusal(replace(plasma, specimen="serum")).rule == "specimen"
    assert refusal(replace(plasma, specimen="serum or plasma")).rule == "specimen"
    assert accepted(replace(plasma, specimen="EDTA plasma")).column == "osteopontin"
    assert accepted(plasma).column == "osteopontin"
    serum = Measurement(60, variable="osteopontin_serum", unit="ng/mL")
    assert refusal(replace(serum, specimen="Plasma")).rule == "specimen"


def test_what_either_matrix_would_do_for_may_come_from_either() -> None:
    sent = Measurement(30, variable="fgf23_i", unit="pg/mL", specimen="serum or plasma")
    assert accepted(sent).value == 30
    blood_plasma = Measurement(60, variable="osteopontin", unit="ng/mL", specimen="Blood plasma")
    assert accepted(blood_plasma).value == 60
    assert refusal(replace(blood_plasma, specimen="whole blood or plasma")).rule == "specimen"


@pytest.mark.parametrize(
    ("variable", "unit", "assay"),
    [
        ("fgf23_c", "RU/mL", "intact FGF23"),
        ("fgf23_i", "pg/mL", "C-Term ELISA"),
        ("rankl_free", "pmol/L", "Total sRANKL"),
    ],
)
def test_an_assay_of_another_variable_is_refused(variable: str, unit: str, assay: str) -> None:
    sent = Measurement(30, variable=variable, unit=unit, assay=assay)
    assert refusal(sent).rule == "assay"
    assert assay not in refusal(sent).message
    assert accepted(replace(sent, assay="as the laboratory names it")).value == 30


def test_a_code_of_unstated_fragment_refuses_the_assay_of_the_other_fragment() -> None:
    sent = Measurement(30, loinc="46699-5", unit="RU/mL", assay="intact FGF23")
    assert refusal(sent).rule == "assay"


def test_urine_markers_refuse_serum() -> None:
    sent = Measurement(40, variable="ntx_u_cr", unit="nmol/mmol{creat}", specimen="serum")
    assert refusal(sent).rule == "specimen"


def test_a_blood_test_may_come_from_any_blood_and_from_nothing_else() -> None:
    sent = Measurement(45, variable="creatinine", unit="mg/dL", specimen="venous blood")
    assert accepted(sent).value == 45
    assert accepted(replace(sent, specimen="as the laboratory names it")).value == 45
    for specimen in ("24 h urine", "CSF", "Pleural fluid"):
        found = refusal(replace(sent, specimen=specimen))
        assert found.rule == "specimen"
        assert "must be measured in blood" in found.message
    gas = Measurement(80, variable="pao2", unit="mm[Hg]")
    assert accepted(replace(gas, specimen="Arterial blood specimen")).value == 80
    assert accepted(replace(gas, specimen="Blood")).value == 80
    for specimen in ("Venous blood specimen", "VEN.", "Mixed venous", "Capillary blood"):
        assert refusal(replace(gas, specimen=specimen)).rule == "specimen"
    urine = Measurement(1.5, variable="urine_output", unit="mL/kg/h", specimen="urine")
    assert accepted(replace(urine, unit=VARIABLES["urine_output"].unit)).column == "urine_output"


@pytest.mark.parametrize(
    ("sent", "words"),
    [
        (Measurement(1, unit="pg/mL"), "variable or loinc must be given"),
        (Measurement(1, variable="osteoclacin"), "Did you mean osteocalcin"),
        (Measurement(1, variable="estradiol__below"), "must be in the catalogue"),
        (Measurement(1, variable=""), "must be in the catalogue"),
        (Measurement(1, loinc="00000-0"), "must be a code of the catalogue"),
        (Measurement(1, variable="ctx_s", loinc="2243-4"), "belongs to another variable"),
    ],
)
def test_what_was_measured_must_be_known(sent: Measurement, words: str) -> None:
    found = refusal(sent)
    assert found.rule == "unknown_variable"
    assert words in found.message


def test_name_and_code_may_agree() -> None:
    sent = Measurement(30, variable="estradiol", loinc="2243-4", unit="pg/mL")
    assert accepted(sent).value == 30


@pytest.mark.parametrize("value", [1e9, -1.0, 0.0])
def test_a_value_outside_the_plausible_range_is_refused(value: float) -> None:
    found = refusal(Measurement(value, variable="creatinine", unit="mg/dL"))
    assert found.rule == "range"
    assert "creatinine must be 0.05 to 50 mg/dL" in found.message


def test_fio2_as_a_fraction_with_unit_per_cent_is_refused_and_the_unit_named() -> None:
    found = refusal(Measurement(0.5, loinc="19994-3", unit="%"))
    assert found.rule == "range"
    assert "It would fit the unit fraction." in found.message
    assert accepted(Measurement(0.5, loinc="19994-3", unit="1")).value == 50.0


def test_albumin_in_grams_per_litre_sent_per_decilitre_is_refused() -> None:
    found = refusal(Measurement(28, variable="albumin", unit="g/dL"))
    assert found.rule == "range"
    assert "It would fit the unit g/L." in found.message


def test_a_detection_limit_under_the_plausible_range_is_kept() -> None:
    found = accepted(Measurement("<0.5", variable="ctx_s", unit="pg/mL"))
    assert (found.value, found.below) == (0.5, True)
    assert refusal(Measurement("<-0.5", variable="ctx_s", unit="pg/mL")).rule == "range"


@pytest.mark.parametrize(
    ("value", "rule"),
    [
        ("abc", "not_a_number"),
        (True, "not_a_number"),
        (math.inf, "infinite"),
        ("1e400", "infinite"),
        (10**309, "infinite"),
        ("1,471", "ambiguous_number"),
        ("<", "comparator"),
        ("\ud800", "not_a_number"),
    ],
)
def test_what_is_not_one_finite_number_is_refused(value: float | str, rule: str) -> None:
    assert refusal(Measurement(value, variable="lactate", unit="mmol/L")).rule == rule


@pytest.mark.parametrize("value", ["", "NA", " n/a ", ".", math.nan])
@pytest.mark.parametrize("name", ["lactate", "rrt", "sex"])
def test_a_word_for_missing_states_that_nothing_was_measured(value: float | str, name: str) -> None:
    assert accepted(Measurement(value, variable=name)).value is None


def test_a_comparator_needs_a_number() -> None:
    sent = Measurement("NA", variable="lactate", unit="mmol/L", comparator="<")
    assert refusal(sent).rule == "comparator"


def test_an_unknown_or_second_comparator_is_refused() -> None:
    sent = Measurement(5, variable="lactate", unit="mmol/L", comparator="ad")
    assert refusal(sent).rule == "comparator"
    assert refusal(replace(sent, value="<5", comparator="<")).rule == "comparator"


def test_a_unit_must_be_stated_unless_the_variable_has_none_to_state() -> None:
    assert refusal(Measurement(30, variable="estradiol")).rule == "unit"
    assert "none is stated" in refusal(Measurement(30, variable="estradiol")).message
    assert accepted(Measurement(9, variable="sofa")).value == 9


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (True, 1.0),
        (False, 0.0),
        (1, 1.0),
        (0.0, 0.0),
        ("Yes", 1.0),
        ("n", 0.0),
        ("1", 1.0),
        ("1.0", 1.0),
    ],
)
def test_a_flag_is_true_false_one_zero_or_a_word_for_them(
    value: float | str | bool, expected: float
) -> None:
    assert accepted(Measurement(value, variable="rrt")).value == expected


@pytest.mark.parametrize("value", ["perhaps", "1.5", 2, math.inf])
def test_a_flag_is_nothing_else(value: float | str) -> None:
    assert refusal(Measurement(value, variable="rrt")).rule == "flag"


def test_flags_and_categories_take_neither_unit_nor_comparator() -> None:
    assert refusal(Measurement(True, variable="rrt", unit="1")).rule == "unit"
    sent = Measurement("female", variable="sex", comparator="<")
    assert refusal(sent).rule == "comparator"


def test_a_category_is_one_of_its_words_whatever_the_case() -> None:
    assert accepted(Measurement(" Female ", variable="sex")).value == "female"
    assert accepted(Measurement("unknown", variable="menopausal_status")).value == "unknown"
    assert refusal(Measurement("x", variable="sex")).rule == "category"
    assert refusal(Measurement(1, variable="sex")).rule == "category"


@pytest.mark.parametrize("word", ["other", "Unknown"])
def test_sex_other_or_unknown_is_missing(word: str) -> None:
    assert accepted(Measurement(word, variable="sex")).value is None


def test_a_feature_of_a_variable_obeys_its_unit_and_range() -> None:
    found = accepted(Measurement(18, variable="lactate__max", unit="mg/dL"))
    assert (found.column, found.variable.name) == ("lactate__max", "lactate")
    assert found.value == pytest.approx(1.998, abs=0.001)
    assert refusal(Measurement(1e9, variable="lactate__max", unit="mmol/L")).rule == "range"


def test_a_slope_may_fall_and_a_count_has_no_unit() -> None:
    assert accepted(Measurement(-3, variable="lactate__slope", unit="mmol/L")).value == -3
    assert accepted(Measurement(4, variable="lactate__count")).value == 4


@pytest.mark.parametrize("value", [1e300, -3.5e38, "1e39"])
def test_a_number_beyond_32_bits_is_refused_where_there_is_no_range(value: float | str) -> None:
    own = {"kappa": Variable("kappa", "Kappa", "person", unit="mg/dL", units={"mg/dL": 1.0})}
    found = canonical_measurement(Measurement(value, variable="kappa", unit="mg/dL"), own)
    assert isinstance(found, Finding)
    assert (found.rule, found.variable) == ("too_large", "kappa")
    assert found.message.startswith("kappa must lie between -3.4e+38 and 3.4e+38. Check")
    assert refusal(Measurement(value, variable="lactate__slope", unit="mmol/L")).rule == "too_large"
    assert refusal(Measurement(value, variable="lactate", unit="mmol/L")).rule == "range"


def test_a_model_s_own_variables_are_read_like_the_catalogue_s() -> None:
    own = {
        **VARIABLES,
        "dzgroup": Variable("dzgroup", "Disease group", "person", "category"),
        "kappa": Variable("kappa", "Kappa", "person", unit="mg/dL", units={"mg/dL": 1.0}),
    }
    group = canonical_measurement(Measurement("Coma", variable="dzgroup"), own)
    assert isinstance(group, CanonicalMeasurement)
    assert group.value == "Coma"
    kappa = canonical_measurement(Measurement(1e12, variable="kappa", unit="mg/dL"), own)
    assert isinstance(kappa, CanonicalMeasurement)  # no range was declared
    numbered = canonical_measurement(Measurement(2, variable="dzgroup"), own)
    assert isinstance(numbered, CanonicalMeasurement)
    assert numbered.value == "2"  # as a column of numbers is read


@pytest.mark.parametrize(
    "sent",
    [
        Measurement(48151.62, variable="creatinine", unit="mg/dL"),
        Measurement("48151.62x", variable="creatinine", unit="mg/dL"),
        Measurement("48151.62", variable="sex"),
        Measurement(48151.62, variable="rrt"),
        Measurement(48151.62, variable="creatinine", unit="48151.62 mg"),
        Measurement(1, variable="48151.62"),
        Measurement(1, loinc="48151.62"),
        Measurement(1, variable="osteopontin", unit="ng/mL", specimen="48151.62"),
        Measurement(1, variable="lactate", unit="mmol/L", comparator="48151.62"),
    ],
)
def test_a_refusal_never_repeats_what_was_sent(sent: Measurement) -> None:
    found = refusal(sent)
    assert found.count == 1
    assert "48151" not in found.message
    assert "48151" not in found.variable


def test_null_is_no_value_of_any_kind() -> None:
    for name in ("ctx_s", "sex", "shock"):
        read = canonical_measurement(Measurement(None, variable=name))
        assert isinstance(read, CanonicalMeasurement)
        assert read.value is None
    refused = canonical_measurement(Measurement(None, variable="ctx_s", comparator="<"))
    assert isinstance(refused, Finding)
    assert refused.rule == "comparator"


def test_a_flag_of_what_was_not_done_is_no_measurement() -> None:
    refused = canonical_measurement(Measurement(1, variable="ctx_s__not_done"))
    assert isinstance(refused, Finding)
    assert refused.rule == "unknown_variable"


@pytest.mark.parametrize("name", ["ctx_s__max", "ctx_s__not_done", "ctx", ""])
def test_what_is_recorded_as_not_done_is_a_variable_of_the_catalogue(name: str) -> None:
    refused = absent_variable(name)
    assert isinstance(refused, Finding)
    assert refused.rule == "unknown_variable"
