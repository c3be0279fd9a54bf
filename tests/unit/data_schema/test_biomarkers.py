"""The catalogue is complete, consistent and cautious."""

from __future__ import annotations

import math
import re

import numpy as np
import pytest

from data_schema.biomarkers import (
    VARIABLES,
    by_code,
    is_bone_marker,
    is_laboratory_test,
    is_routine,
    reference_interval,
    variable,
)
from data_schema.errors import UsageError
from data_schema.outcomes import OUTCOMES
from data_schema.units import in_range
from data_schema.variables import LOCAL_SYSTEM, LOINC, PATHWAYS, Variable, base_name

# The table "Everything the review names has a row until it works" of product.md, row by row.
PROMISED = {
    "resorption": "ctx_s ntx_s ntx_u_cr ntx_u pyd_u_cr pyd_u dpd_u_cr dpd_u hyp_u_cr hyp_u "
    "hyp_u_24h trap5b trap_total uncoupling_index fasting sampling_hour",
    "formation": "bsap_mass bsap_act osteocalcin p1np p1cp procollagen1",
    "opg_rankl": "rankl_free rankl_total opg rankl_opg_ratio mcsf trail rankl_free_mass "
    "rankl_total_mass opg_mass",
    "wnt": "sclerostin dkk1 wif1 sclerostin_mass dkk1_mass",
    "estrogen_endocrine": "estradiol exogenous_hormones testosterone shbg igf1 tgf_beta1 cortisol",
    "fgf23_mineral": "fgf23_c fgf23_i fgf23_i_units phosphate calcium calcium_ion pth vitd25 "
    "vitd125",
    "osteopontin_immune": "osteopontin osteopontin_serum crp il1b il4 il6 il7 il13 ifn_gamma "
    "ifn_type1 tnfa angiotensin2",
    "bone_mass": "bmd_fn t_fn bmd_hip t_hip bmd_ls t_ls l1_hu l1_hu_contrast prior_fracture "
    "osteoporosis",
    "severity": "apache2 sofa saps2 lactate pf_ratio pao2 fio2 gcs map bilirubin platelets albumin "
    "creatinine egfr aki_stage rrt glucose infection sepsis shock",
    "drivers": "immobilisation_days restraint_days vent_days corticosteroid corticosteroid_dose "
    "corticosteroid_days catecholamines loop_diuretic ppi opioid antibiotic malnutrition",
    "care": "enteral_feeding parenteral_feeding protein_intake calcium_dose selenium_dose "
    "vitamin_d_dose probiotic prebiotic early_mobilisation whole_body_vibration rehabilitation "
    "oxandrolone teriparatide bisphosphonate denosumab denosumab_days_since sclerostin_antibody "
    "biotin",
    "person": "age sex menopausal_status bmi weight height ckd cardiovascular_disease diabetes "
    "rheumatoid_arthritis smoking alcohol falls parental_hip_fracture comorbidity_index "
    "admission_type pregnant",
}
# Interleukins, urine and DXA stand where zero or a negative number means something.
BELOW_ZERO_IS_PLAUSIBLE = {"t_fn", "t_hip", "t_ls", "l1_hu"}

EVERY = tuple(VARIABLES.values())
NUMBERS = tuple(entry for entry in EVERY if entry.kind == "number")
WITH_MEDIAN = tuple(entry for entry in NUMBERS if entry.typical_median is not None)


@pytest.mark.parametrize("pathway", PATHWAYS)
def test_everything_the_review_names_is_in_its_pathway(pathway: str) -> None:
    found = {name for name, entry in VARIABLES.items() if entry.pathway == pathway}
    assert set(PROMISED[pathway].split()) <= found


def test_an_entry_says_what_it_is() -> None:
    for entry in EVERY:
        assert re.fullmatch(r"[a-z][a-z0-9]*(_[a-z0-9]+)*", entry.name)
        assert base_name(entry.name) == entry.name
        assert entry.label
        assert entry.pathway in PATHWAYS
        assert entry.window.words
        assert entry.codes


def test_a_number_has_a_canonical_unit_with_factor_one() -> None:
    for entry in NUMBERS:
        assert entry.units[entry.unit] == 1.0
        assert all(scale > 0 for scale in entry.units.values())
        assert set(entry.aliases.values()) <= set(entry.units)


def test_a_plausible_range_leaves_out_slips() -> None:
    for entry in NUMBERS:
        assert entry.low is not None
        assert entry.high is not None
        assert entry.low < entry.high
        slips = [1e9, -1e9] if entry.name in BELOW_ZERO_IS_PLAUSIBLE else [1e9, -1e9, -1e-6]
        assert not in_range(entry, slips).any()


def test_flags_and_categories_have_no_number_s_properties() -> None:
    for entry in EVERY:
        if entry.kind != "number":
            assert (entry.unit, dict(entry.units), entry.low, entry.high) == (
                "",
                {},
                None,
                None,
            )
            assert entry.references == ()
            assert entry.detection_limit is None
        assert bool(entry.categories) == (entry.kind == "category")


def test_a_reference_interval_is_plausible_and_names_its_source() -> None:
    for entry in NUMBERS:
        for ref in entry.references:
            ends = [end for end in (ref.low, ref.high) if end is not None]
            assert ends
            assert ends == sorted(ends)
            assert in_range(entry, ends).all()
            assert "background, unverified" in ref.source or re.search(
                r"\b(19|20)\d\d\b|review|Health2006", ref.source
            )
            assert ref.menopause is None or ref.sex == "female"


@pytest.mark.parametrize("entry", WITH_MEDIAN, ids=lambda entry: entry.name)
def test_the_middle_of_every_reference_interval_is_a_typical_median(entry: Variable) -> None:
    low, high = entry.typical_median or (0.0, 0.0)
    for reference in entry.references:
        if reference.low and reference.high:
            assert low <= math.sqrt(reference.low * reference.high) <= high


def test_a_typical_median_is_stated_where_units_are_far_apart() -> None:
    for entry in WITH_MEDIAN:
        assert max(entry.units.values()) / min(entry.units.values()) > 2


def test_what_can_be_ordered_is_measured_in_a_sample() -> None:
    ordered = {name for name in VARIABLES if is_laboratory_test(name)}
    assert {"ctx_s", "lactate", "pao2", "vitd25"} <= ordered
    for name in ("uncoupling_index", "sampling_hour", "pf_ratio", "map", "apache2", "t_fn", "rrt"):
        assert name not in ordered
    assert not is_laboratory_test("a_site_s_own")


def test_routine_laboratory_and_a_history_of_fracture_are_not_of_bone() -> None:
    assert all(map(is_bone_marker, ("ctx_s", "estradiol", "fgf23_i", "osteopontin", "pth", "t_fn")))
    for name in ("alkaline_phosphatase", "trap_total", "trail", "calcium", "crp", "prior_fracture"):
        assert not is_bone_marker(name)
    assert not is_bone_marker("a_site_s_own")


def test_a_routine_test_is_no_marker_whose_added_value_is_in_question() -> None:
    for name in ("phosphate", "calcium", "calcium_ion", "magnesium", "albumin", "crp"):
        assert is_routine(name)
    for name in ("creatinine", "egfr", "alkaline_phosphatase", "apache2", "age", "diabetes"):
        assert is_routine(name)
    markers = {name for name in VARIABLES if not is_routine(name)}
    assert all(is_bone_marker(name) <= (name in markers) for name in VARIABLES)
    assert markers - {name for name in VARIABLES if is_bone_marker(name)} == {
        *("trap_total", "trail", "testosterone", "shbg", "igf1", "tgf_beta1", "cortisol"),
        *("il1b", "il4", "il6", "il7", "il13", "ifn_gamma", "ifn_type1", "tnfa", "angiotensin2"),
        *("il8", "il10"),
    }
    assert not is_routine("a_site_s_own")


def test_a_detection_limit_is_positive_and_below_the_range_s_end() -> None:
    for entry in NUMBERS:
        if entry.detection_limit is not None:
            assert 0 < entry.detection_limit < (entry.high or np.inf)


def test_directions_are_constrained_only_where_they_are_settled() -> None:
    settled = {
        "age": {"mortality": 1, "in_hospital_mortality": 1, "fracture": 1},
        "sofa": {"mortality": 1, "in_hospital_mortality": 1},
        "apache2": {"mortality": 1, "in_hospital_mortality": 1},
        "saps2": {"mortality": 1, "in_hospital_mortality": 1},
        "lactate": {"mortality": 1},
        "fgf23_c": {"mortality": 1},
        "gcs": {"mortality": -1, "in_hospital_mortality": -1},
        "albumin": {"mortality": -1},
        "prior_fracture": {"fracture": 1},
        "bmd_fn": {"fracture": -1},
        "bmd_hip": {"fracture": -1},
        "bmd_ls": {"fracture": -1},
        "t_fn": {"fracture": -1},
        "t_hip": {"fracture": -1},
        "t_ls": {"fracture": -1},
        "l1_hu": {"fracture": -1},
    }
    constrained = {name: dict(v.direction) for name, v in VARIABLES.items() if v.direction}
    assert constrained == settled
    endpoints = {entry.endpoint for entry in OUTCOMES.values()}
    assert {key for direction in constrained.values() for key in direction} <= endpoints


@pytest.mark.parametrize("name", ["estradiol", "osteopontin", "rankl_free", "phosphate", "calcium"])
def test_unsettled_markers_are_never_constrained(name: str) -> None:
    assert not variable(name).direction


def test_a_code_stands_for_one_variable() -> None:
    coded = [(code.system, code.code) for entry in VARIABLES.values() for code in entry.codes]
    assert len(coded) == len(set(coded))


def test_a_code_allows_units_that_its_variable_accepts() -> None:
    for entry in EVERY:
        for code in entry.codes:
            assert set(code.units) <= set(entry.units)
            assert code.system in (LOINC, LOCAL_SYSTEM)
            if code.system == LOCAL_SYSTEM:
                assert (code.code, code.display) == (entry.name, entry.label)


def test_a_loinc_code_has_its_check_digit() -> None:
    for entry in EVERY:
        for code in entry.codes:
            if code.system == LOINC:
                number, check = code.code.split("-")
                # Luhn: every second digit from the right is doubled, its digits summed.
                digits = [int(digit) for digit in reversed(number)]
                doubled = [sum(divmod(2 * digit, 10)) for digit in digits[::2]]
                assert (sum(doubled) + sum(digits[1::2]) + int(check)) % 10 == 0


def test_codes_that_do_not_say_what_was_measured_require_the_assay() -> None:
    required = {c.code for entry in VARIABLES.values() for c in entry.codes if c.assay_required}
    assert required == {"46699-5", "1989-3", "14635-7", "48987-2", "13881-8"}


@pytest.mark.parametrize(
    "name",
    [
        "osteopontin",
        "osteopontin_serum",
        "trap5b",
        "rankl_free",
        "rankl_total",
        "opg",
        "p1cp",
        "sclerostin",
        "dkk1",
        "saps2",
    ],
)
def test_what_has_no_loinc_code_has_a_local_one(name: str) -> None:
    assert [(code.system, code.code) for code in variable(name).codes] == [(LOCAL_SYSTEM, name)]


@pytest.mark.parametrize("name", ["opg", "rankl_free", "rankl_total", "sclerostin", "dkk1"])
def test_mass_and_molar_kits_are_two_variables(name: str) -> None:
    assert not set(variable(name).units) & set(variable(f"{name}_mass").units)


def test_markers_that_the_kidney_retains_are_marked() -> None:
    retained = {
        name for name, v in VARIABLES.items() if v.origin and "renal_retention" in v.origin.caveats
    }
    assert retained == {
        "ctx_s",
        "ntx_s",
        "osteocalcin",
        "fgf23_c",
        "fgf23_i",
        "fgf23_i_units",
    }


def test_all_care_is_treatment_and_severity_scores_are_not() -> None:
    care = [entry for entry in VARIABLES.values() if entry.pathway == "care"]
    assert all(entry.treatment for entry in care)
    assert all(variable(name).treatment for name in ("rrt", "catecholamines", "exogenous_hormones"))
    assert not any(variable(name).treatment for name in ("sofa", "age", "ctx_s", "malnutrition"))


@pytest.mark.parametrize(
    "name",
    [
        "ctx_s",
        "p1np",
        "p1cp",
        "il1b",
        "rankl_free",
        "osteopontin",
        "osteoporosis",
        "vitd25",
        "uncoupling_index",
    ],
)
def test_where_review_and_evidence_disagree_the_note_says_so(name: str) -> None:
    assert "review" in variable(name).note


def test_menopausal_status_is_stated_in_five_words() -> None:
    categories = ("pre", "peri", "post", "unknown", "not_applicable")
    assert variable("menopausal_status").categories == categories


def test_an_unknown_name_is_refused_with_the_closest_ones() -> None:
    with pytest.raises(UsageError, match=r"'osteoclacin' is not. Did you mean osteocalcin"):
        variable("osteoclacin")
    with pytest.raises(UsageError, match="GET /v1/variables"):
        variable("zzzz")


def test_a_code_leads_to_its_variable_and_back() -> None:
    ((entry, code),) = by_code("47855-2")
    assert (entry.name, code.code) == ("fgf23_c", "47855-2")
    assert [entry.name for entry, _ in by_code("osteopontin_serum", LOCAL_SYSTEM)] == [
        "osteopontin_serum"
    ]
    assert by_code("00000-0") == ()


@pytest.mark.parametrize("code", ["53092-3", "38265-5", "4656-5", "34939-9"])
def test_codes_that_cannot_be_converted_or_mean_another_site_are_not_known(
    code: str,
) -> None:
    assert by_code(code) == ()


def test_the_reference_that_demands_most_of_the_person_wins() -> None:
    fgf23 = variable("fgf23_i")
    assert reference_interval(fgf23, age=29.9).high == 78.8
    assert reference_interval(fgf23, age=30).high == 107.0
    assert reference_interval(fgf23).high == 100.3


def test_unknown_sex_gets_no_interval_of_one_sex() -> None:
    ctx = variable("ctx_s")
    assert reference_interval(ctx, age=40) is None
    assert reference_interval(ctx, sex="female", age=40) is None
    assert reference_interval(ctx, sex="female", menopause="pre").high == 791.0
    assert reference_interval(ctx, sex="male", age=40).high == 830.0
    assert reference_interval(ctx, sex="male", age=75).high == 740.0


def test_peri_and_unknown_menopause_get_no_interval_of_pre_or_post() -> None:
    estradiol = variable("estradiol")
    for status in ("peri", "unknown", "not_applicable"):
        assert reference_interval(estradiol, sex="female", menopause=status) is None


def test_the_catalogue_cannot_be_changed_by_accident() -> None:
    with pytest.raises(TypeError):
        VARIABLES["ctx_s"] = variable("ctx_s")  # type: ignore[index]
