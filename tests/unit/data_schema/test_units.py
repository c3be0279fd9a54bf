"""A unit converts because the catalogue says so for that variable, or it does not convert."""

from __future__ import annotations

import numpy as np
import pytest

from data_schema.biomarkers import VARIABLES, variable
from data_schema.errors import DataError
from data_schema.units import (
    canonical_unit_spelling,
    conversion,
    in_range,
    plausible_units,
    range_text,
    to_canonical,
    unit_rule,
    units_in_words,
)


def refused(name: str, unit: str) -> bool:
    """Whether a variable refuses a unit, both as a spelling and as a conversion."""
    spelling = canonical_unit_spelling(variable(name), unit)
    if spelling is not None:
        return False
    with pytest.raises(DataError, match=f"{name} must be in an accepted unit"):
        conversion(variable(name), unit)
    return True


@pytest.mark.parametrize("unit", ["RU/mL", "{RU}/mL", "[arb'U]/mL", "ru/ml", "RU / mL"])
def test_relative_units_of_fgf23_never_become_picograms(unit: str) -> None:
    assert conversion(variable("fgf23_c"), unit)[0] == 1.0
    assert refused("fgf23_i", unit)


@pytest.mark.parametrize("unit", ["pg/mL", "ng/L", "ng/mL", "pmol/L"])
def test_mass_and_molar_fgf23_never_become_relative_units(unit: str) -> None:
    assert refused("fgf23_c", unit)
    assert refused("fgf23_i_units", unit)


def test_relative_units_are_not_the_arbitrary_units_of_intact_fgf23() -> None:
    assert refused("fgf23_i_units", "RU/mL")


def test_arbitrary_units_are_neither_international_units_nor_counts() -> None:
    assert refused("fgf23_c", "[IU]/mL")
    assert refused("fgf23_c", "/mL")
    assert refused("platelets", "[arb'U]/mL")


@pytest.mark.parametrize("unit", ["ug/L", "ng/mL", "mcg/L", "µg/L"])
def test_bone_alkaline_phosphatase_mass_is_never_activity(unit: str) -> None:
    assert conversion(variable("bsap_mass"), unit)[0] == 1.0
    assert refused("bsap_act", unit)


@pytest.mark.parametrize("unit", ["U/L", "IU/L", "u/l"])
def test_bone_alkaline_phosphatase_activity_is_never_mass(unit: str) -> None:
    assert conversion(variable("bsap_act"), unit)[0] == 1.0
    assert refused("bsap_mass", unit)


def test_free_rankl_is_never_total_rankl() -> None:
    assert refused("rankl_free", "nmol/L")
    assert conversion(variable("rankl_total"), "nmol/L")[0] == 1000.0
    assert variable("rankl_free").codes != variable("rankl_total").codes


@pytest.mark.parametrize("name", ["opg", "rankl_free", "rankl_total", "sclerostin", "dkk1"])
def test_molar_kits_never_read_mass(name: str) -> None:
    assert refused(name, "pg/mL")
    assert refused(f"{name}_mass", "pmol/L")


def test_phosphate_is_counted_as_phosphorus() -> None:
    assert 1 / conversion(variable("phosphate"), "mmol/L")[0] == pytest.approx(0.32285, rel=1e-4)


def test_hydroxyproline_per_gram_of_creatinine_is_not_a_pure_number() -> None:
    assert conversion(variable("hyp_u_cr"), "mg/g{creat}")[0] == pytest.approx(0.8626, abs=5e-5)
    assert conversion(variable("hyp_u_cr"), "mg/g creatinine") == conversion(
        variable("hyp_u_cr"), "mg/g{creat}"
    )


def test_a_day_s_excretion_keeps_its_brackets() -> None:
    assert conversion(variable("hyp_u_24h"), "mg/(24.h)")[0] == 1.0
    assert conversion(variable("hyp_u_24h"), "mg/24 h")[0] == 1.0
    assert refused("hyp_u_24h", "mg/24.h")
    assert refused("hyp_u_24h", "mg/24·h")


def test_filtration_keeps_its_body_surface() -> None:
    for printed in (
        "mL/min/{1.73_m2}",
        "mL/min/1.73m2",
        "mL/min/1.73 m²",
        "ml/min/1.73m^2",
    ):
        assert conversion(variable("egfr"), printed)[0] == 1.0
    assert refused("egfr", "mL/min/1.73.m2")
    assert refused("egfr", "mL/min")


def test_collagen_fragments_have_no_conversion_between_mass_and_moles() -> None:
    for unit in ("nmol/L", "umol/L"):
        assert refused("ctx_s", unit)
    for unit in ("ng/mL", "ug/L"):
        assert refused("ntx_s", unit)


def test_bone_collagen_equivalents_are_the_printed_unit_of_ntx() -> None:
    assert canonical_unit_spelling(variable("ntx_s"), "nM BCE") == "nmol/L"
    assert canonical_unit_spelling(variable("ntx_u_cr"), "nmol BCE/mmol Cr") == "nmol/mmol{creat}"
    assert refused("opg", "nM BCE")


def test_nanograms_of_ctx_are_a_thousand_picograms() -> None:
    assert to_canonical(variable("ctx_s"), [0.68, np.nan], "ng/mL").tolist() == pytest.approx(
        [680.0, np.nan], nan_ok=True
    )


def test_a_milliequivalent_of_calcium_is_half_a_millimole() -> None:
    for name in ("calcium", "calcium_ion", "magnesium"):
        entry = variable(name)
        assert conversion(entry, "meq/L")[0] == pytest.approx(conversion(entry, "mmol/L")[0] / 2)
    assert conversion(variable("sodium"), "mEq/L")[0] == conversion(variable("sodium"), "mmol/L")[0]


@pytest.mark.parametrize(
    ("name", "unit", "published"),
    [
        ("estradiol", "pmol/L", 3.6713),
        ("vitd25", "nmol/L", 2.4960),
        ("vitd125", "pmol/L", 2.4002),
        ("pth", "pmol/L", 0.10610),
        ("calcium", "mmol/L", 0.24951),
        ("phosphate", "mmol/L", 0.32285),
        ("creatinine", "umol/L", 88.403),
        ("bilirubin", "umol/L", 17.104),
        ("osteocalcin", "nmol/L", 0.1711),
    ],
)
def test_a_canonical_unit_holds_the_published_number_of_moles(
    name: str, unit: str, published: float
) -> None:
    # Published to five figures, osteocalcin to four.
    assert 1 / conversion(variable(name), unit)[0] == pytest.approx(published, rel=2e-4)


def test_lactate_in_milligrams_is_lactic_acid() -> None:
    assert conversion(variable("lactate"), "mg/dL")[0] == pytest.approx(0.11101, rel=1e-4)


def test_pressure_in_kilopascals() -> None:
    for name in ("pf_ratio", "pao2", "map", "paco2"):
        assert 1 / conversion(variable(name), "kPa")[0] == pytest.approx(0.133322, rel=1e-5)


def test_urea_and_its_nitrogen_differ_by_their_masses() -> None:
    assert conversion(variable("urea_nitrogen"), "mmol/L")[0] == pytest.approx(2.8013, rel=1e-4)


@pytest.mark.parametrize("unit", ["[degF]", "°F", "degF", "F"])
def test_fahrenheit_is_converted_though_it_is_no_multiple_of_celsius(unit: str) -> None:
    np.testing.assert_allclose(
        to_canonical(variable("temperature"), [32.0, 98.6, 212.0], unit), [0.0, 37.0, 100.0]
    )
    assert "°F" in unit_rule(variable("temperature"), "furlong")


def test_a_unit_with_an_offset_is_no_unit_of_another_variable() -> None:
    assert refused("weight", "[degF]")


@pytest.mark.parametrize(
    ("name", "printed", "ucum"),
    [
        ("trap5b", "IU/L", "U/L"),
        ("bsap_mass", "mcg/L", "ug/L"),
        ("bsap_mass", "μg/l", "ug/L"),
        ("map", "mmHg", "mm[Hg]"),
        ("map", "mm Hg", "mm[Hg]"),
        ("ctx_s", "PG/ML", "pg/mL"),
        ("platelets", "x10^9/L", "10*9/L"),
        ("platelets", "×10⁹/L", "10*9/L"),
        ("platelets", "10E9/l", "10*9/L"),
        ("platelets", "K/µL", "10*3/uL"),
        ("platelets", "G/L", "10*9/L"),
        ("albumin", "G/L", "g/L"),
        ("temperature", "°C", "Cel"),
        ("age", "years", "a"),
        ("bmi", "kg/m²", "kg/m2"),
        ("l1_hu", "HU", "[hnsf'U]"),
        ("vitamin_d_dose", "IU/day", "[iU]/d"),
        ("urine_output", "mL/24h", "mL/d"),
    ],
)
def test_what_laboratories_print_is_understood(name: str, printed: str, ucum: str) -> None:
    assert canonical_unit_spelling(variable(name), printed) == ucum


@pytest.mark.parametrize("name", ["sofa", "t_fn", "ph", "rankl_opg_ratio", "aki_stage", "falls"])
def test_a_score_or_ratio_may_leave_its_unit_unsaid(name: str) -> None:
    assert canonical_unit_spelling(variable(name), "  ") == variable(name).unit


@pytest.mark.parametrize("name", ["ctx_s", "fio2", "age", "temperature", "hematocrit"])
def test_any_other_unit_must_be_said(name: str) -> None:
    assert refused(name, "")


def test_a_flag_takes_no_unit() -> None:
    assert canonical_unit_spelling(variable("rrt"), "") == ""
    assert canonical_unit_spelling(variable("rrt"), "1") is None


def test_a_refused_unit_is_not_repeated_in_the_message() -> None:
    with pytest.raises(DataError) as caught:
        conversion(variable("fgf23_i"), "1471 RU/mL")[0]
    assert "1471" not in str(caught.value)
    assert "pg/mL, ng/L, ng/mL" in str(caught.value)


def test_a_range_includes_its_ends_and_what_was_not_measured() -> None:
    gcs = variable("gcs")
    assert in_range(gcs, [2.999, 3, 15, 15.001, np.nan]).tolist() == [
        False,
        True,
        True,
        False,
        True,
    ]


def test_a_detection_limit_may_lie_under_the_plausible_range() -> None:
    ctx = variable("ctx_s")
    values = [1.0, 1.0, 0.0, 1e9]
    assert in_range(ctx, values, below=[True, False, True, True]).tolist() == [
        True,
        False,
        False,
        False,
    ]


def test_fio2_of_one_or_less_in_per_cent_is_out_of_range_and_fits_a_fraction() -> None:
    fio2 = variable("fio2")
    assert not in_range(fio2, [0.21, 0.5, 1.0]).any()
    assert plausible_units(fio2, [0.21, 0.5, 1.0]) == ("1",)
    assert in_range(fio2, to_canonical(fio2, [0.21, 1.0], "1")).all()


def test_swapped_units_that_the_range_can_tell_apart_are_named() -> None:
    assert plausible_units(variable("albumin"), [28.0, 41.0]) == ("g/L",)
    assert plausible_units(variable("creatinine"), [80.0, 250.0]) == ("mg/L", "umol/L")
    assert plausible_units(variable("platelets"), [210_000.0]) == ("/uL",)
    assert plausible_units(variable("ctx_s"), [0.3, 0.97]) == ("ng/mL",)


def test_units_that_the_range_cannot_tell_apart_are_all_named() -> None:
    assert set(plausible_units(variable("vitd25"), [20.0, 60.0])) == {"ng/mL", "nmol/L"}


def test_a_range_is_printed_with_its_unit() -> None:
    assert range_text(variable("albumin")) == "0.2 to 12 g/dL"
    assert range_text(variable("fgf23_c")) == "1 to 1000000 RU/mL"


@pytest.mark.parametrize("entry", VARIABLES.values(), ids=lambda entry: entry.name)
def test_a_unit_in_a_message_can_be_typed_and_means_the_same(entry) -> None:
    for unit in entry.units:
        for word in units_in_words(entry, [unit]):
            assert conversion(entry, word)[0] == entry.units[unit]


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("temperature", {"°C"}),
        ("map", {"mmHg"}),
        ("white_cells", {"× 10³/µL", "× 10⁹/L"}),
        ("fio2", {"%", "fraction"}),
        ("heart_rate", {"per minute"}),
        ("apache2", set()),
        # RU/mL without a word on the assay is read as C-terminal FGF23 only.
        ("fgf23_i_units", {"[arb'U]/mL"}),
    ],
)
def test_a_message_lists_units_as_they_are_printed(name, words) -> None:
    entry = variable(name)
    assert words <= set(units_in_words(entry, entry.units))
    assert words or not units_in_words(entry, entry.units)
