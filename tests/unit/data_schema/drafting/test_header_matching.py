"""Headers as laboratories print them, and the variables they may mean."""

from __future__ import annotations

import pytest

from data_schema.biomarkers import VARIABLES
from data_schema.drafting.header_matching import match_header


@pytest.mark.parametrize(
    ("header", "feature", "unit"),
    [
        ("FGF-23 (RU/mL)", "fgf23_c", "RU/mL"),
        ("FGF23 pg/mL", "fgf23_i", "pg/mL"),
        ("FGF-23 C-term", "fgf23_c", ""),
        ("Estradiol pg/mL", "estradiol", "pg/mL"),
        ("CTX [ng/mL]", "ctx_s", "ng/mL"),
        ("β-CTX", "ctx_s", ""),
        ("BSAP U/L", "bsap_act", "U/L"),
        ("BSAP (µg/L)", "bsap_mass", "µg/L"),
        ("RANKL (free) pmol/L", "rankl_free", "pmol/L"),
        ("Serum osteopontin, ng/mL", "osteopontin_serum", "ng/mL"),
        ("OPN plasma", "osteopontin", ""),
        ("sclerostin pmol/L", "sclerostin", "pmol/L"),
        ("DKK-1 (pg/mL)", "dkk1_mass", "pg/mL"),
        ("25(OH)D ng/mL", "vitd25", "ng/mL"),
        ("creatinine_umol_l", "creatinine", "umol/l"),
        ("weight_kg", "weight", "kg"),
        ("Lactate_max", "lactate__max", ""),
        ("lowest GCS", "gcs__min", ""),
        ("TNF-α [pg/mL]", "tnfa", "pg/mL"),
        ("BMD (femoral neck)", "bmd_fn", ""),
        ("Gender", "sex", ""),
        ("WBC", "white_cells", ""),
        ("ctx_s", "ctx_s", ""),
        ("Creatine kinase (CK)", "creatine_kinase", ""),
        ("Potassium, whole blood", "potassium", ""),
        ("Corrected calcium (mmol/L)", "corrected_calcium", "mmol/L"),
    ],
)
def test_a_clear_header_is_settled(header: str, feature: str, unit: str) -> None:
    match = match_header(header)
    assert match is not None
    assert match.variable is not None
    assert (match.variable.name + match.suffix, match.unit) == (feature, unit)
    assert match.unit_is_accepted == bool(unit)


@pytest.mark.parametrize(
    "header",
    [
        *("FGF23", "BSAP", "Bone alkaline phosphatase", "RANKL", "sRANKL pg/mL", "OPN ng/mL"),
        *(
            "25-OH-D3",
            "25-OH-D3 (ng/mL)",
            "OPG",
            "sclerostin",
            "DKK1",
            "vitamin D",
            "BMD",
            "T-score",
        ),
        *("TRAP", "NTX", "Ca mmol/L", "urea mg/dL", "SAPS", "IFN", "norepinephrine"),
    ],
)
def test_an_ambiguous_header_stays_open(header: str) -> None:
    match = match_header(header)
    assert match is not None
    assert match.variable is None


@pytest.mark.parametrize(
    "header",
    [
        *("dzgroup", "id", "race", "x1", "", "income ($)", "42"),
        # Of urine, where the catalogue has the test of blood.
        *("Urine creatinine [mg/dL]", "Magnesium, urine", "urinary calcium mmol/L"),
    ],
)
def test_an_unknown_header_is_unknown(header: str) -> None:
    assert match_header(header) is None


def test_a_unit_that_is_not_accepted_is_seen_and_not_used() -> None:
    match = match_header("FGF23 C-term (pmol/L)")
    assert match is not None
    assert match.variables == ("fgf23_c",)
    assert (match.unit, match.unit_is_accepted) == ("pmol/L", False)


def test_every_variable_is_known_by_its_name_and_its_label() -> None:
    for name, variable in VARIABLES.items():
        for header in (name, variable.label):
            match = match_header(header)
            assert match is not None, header
            assert name in match.variables, header


def test_every_synonym_leads_to_its_variable() -> None:
    for name, variable in VARIABLES.items():
        for header in (*variable.synonyms, *variable.near_synonyms):
            match = match_header(header)
            assert match is not None, header
            assert name in match.variables, header
            assert not (match.is_settled and header in variable.near_synonyms), header


@pytest.mark.parametrize(
    ("header", "why"),
    [
        ("FGF23", "which fragment?"),
        ("intact FGF23", ""),  # mass or units, which the unit settles
        ("BMD", "femoral neck, total hip or lumbar spine?"),
        ("25-OH-D3", "D3 alone is not total 25-OH vitamin D"),
        ("vitamin D", ""),
        ("urea", "in mmol/L they are one"),
    ],
)
def test_what_must_be_known_is_said_where_it_settles_the_header(header: str, why: str) -> None:
    match = match_header(header)
    assert match is not None
    assert not match.is_settled
    assert why in match.why if why else match.why == ""


@pytest.mark.parametrize(
    "header", ["ctx_s__not_done", "CTX not done", "CTX [ng/mL] not performed", "ctx.not.measured"]
)
def test_a_flag_of_what_was_not_done_has_no_unit(header: str) -> None:
    match = match_header(header)
    assert match is not None
    assert (match.variables, match.suffix, match.unit) == (("ctx_s",), "__not_done", "")
