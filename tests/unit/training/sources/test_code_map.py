import pytest

from data_schema.errors import UsageError
from training.sources.code_map import (
    GLASGOW,
    CodeMap,
    Meaning,
    meanings,
    mimic_iv_map,
    parse_code_map,
    per_minute,
    read_code_map,
    scale,
)
from training.sources.draft import Draft, DraftedCode

STATED = """
[codes."LAB//1"]
variable = "creatinine"
unit = "mg/dL"
specimen = "serum"
[[codes."INF//2"]]
variable = "norepinephrine_dose"
unit = "ug/kg/min"
[[codes."INF//2"]]
variable = "catecholamines"
value = 1
[codes."ADM//3"]
variable = "admission_type"
value = "medical"
[complete]
variables = ["catecholamines"]
"""


def test_the_map_of_mimic_iv_is_whole_and_states_no_unit_that_is_refused():
    mapped = mimic_iv_map()
    assert len(mapped.codes) == 139
    assert {m.variable for m in mapped.codes["INFUSION_START//221906"]} == {
        "norepinephrine_dose",
        "catecholamines",
    }


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('[codes."X"]\nvariable = ""', "1 are blank"),
        ('[codes."X"]\nvariable = "creatinin"', "'creatinin' is none. Did you mean creatinine"),
        ('[codes."X"]\nvariable = "creatinine"\nunit = "furlong"', "must state an accepted unit"),
        ('[codes."X"]\nvariable = "creatinine"\nunits = "mg/dL"', "holds something else"),
        ("[code]\n", "hold \\[codes\\] and \\[complete\\] only"),
        ('[complete]\nvariables = "rrt"', "list names as variables"),
        ('[codes."X"]\nvariable = "creatinine"\nspecimen = "urine"', "state the specimen"),
        ('[codes."X"]\nvariable = "rrt"\nvalue = 2', "state a value that the variable can have"),
        ('[codes."X"]\nvariable = "urine_volume"\nunit = "mg"', "must state an accepted unit"),
        (
            '[[codes."X"]]\nvariable = "rrt"\nvalue = 1\n'
            '[[codes."X"]]\nvariable = "rrt"\nvalue = 0',
            "each variable of a code once; 'X' has one twice",
        ),
    ],
)
def test_a_code_map_that_cannot_be_meant_is_refused(text, message):
    with pytest.raises(UsageError, match=message):
        parse_code_map(text)


def test_a_code_of_a_system_is_read_by_the_catalogue():
    assert [m.variable for m in meanings("ICD10CM//E11.9", CodeMap())] == ["diabetes"]
    assert meanings("ICD10PCS//0SR9019", CodeMap()) == []


def test_units_are_converted_by_the_catalogue_and_another_specimen_is_refused():
    assert scale(Meaning("creatinine"), "umol/L", "").factor == pytest.approx(0.01131179)
    fahrenheit = scale(Meaning("temperature"), "°F", "")
    assert 98.6 * fahrenheit.factor + fahrenheit.offset == pytest.approx(37)
    assert scale(Meaning("creatinine"), "mg/dL", "urine").broken == "specimen"


def test_a_loinc_code_that_needs_an_assay_or_a_site_says_nothing_alone():
    assert meanings("LOINC//46699-5", CodeMap()) == []
    assert meanings("LOINC//38263-0", CodeMap()) == []
    assert meanings("OSTEON//fgf23_c", CodeMap()) == [Meaning("fgf23_c")]
    assert meanings("OSTEON//none", CodeMap()) == []


def test_a_code_that_a_draft_guards_against_spreadsheets_reads_as_it_was(tmp_path):
    draft = Draft((DraftedCode("=LAB", "@about", variable="creatinine", unit="mg/dL"),))
    file = tmp_path / "codes.csv"
    file.write_text(draft.as_csv, encoding="utf-8")
    assert "\n'=LAB,creatinine" in draft.as_csv
    assert ",'@about" in draft.as_csv
    assert list(read_code_map(file).codes) == ["=LAB"]


@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
def test_a_code_map_is_the_same_as_toml_and_as_csv(tmp_path, delimiter):
    rows = [
        ("code", "variable", "unit", "specimen", "value", "complete", "note"),
        ("# SITE//9", "", "", "", "", "", "resembles no variable"),
        ("LAB//1", "creatinine", "mg/dL", "serum", "", "", "from the laboratory"),
        ("INF//2", "norepinephrine_dose", "ug/kg/min", "", "", "", ""),
        ("INF//2", "catecholamines", "", "", "1", "yes", ""),
        ("ADM//3", "admission_type", "", "", "medical", "", ""),
    ]
    file = tmp_path / "codes.csv"
    file.write_text("\n".join(delimiter.join(row) for row in rows), encoding="utf-8-sig")
    assert read_code_map(file) == parse_code_map(STATED)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("code,variable\nX,", "1 are blank"),
        ("code,variable\nX,creatinin", "'creatinin' is none. Did you mean creatinine"),
        ("code,variable,unit\nX,creatinine,furlong", "must state an accepted unit"),
        ("code,variable,units\nX,creatinine,mg/dL", "it has units"),
        ("code,unit\nX,mg/dL", "it lacks variable"),
        ("code,variable\n,creatinine", "a code in each row; 1 have none"),
        ("code,variable,complete\nX,rrt,perhaps", "state complete as yes or no"),
        ("code,variable,value\nX,rrt,2", "state a value that the variable can have"),
        ("code,variable,value\nX,rrt,1\nX,rrt,0", "each variable of a code once"),
        ("code,variable\nX,creatinine,1", r"must be one table; \[ragged_rows\]"),
        ("", r"must be one table; \[empty_file\]"),
    ],
)
def test_a_table_that_is_no_code_map_is_refused_by_the_same_rules(tmp_path, text, message):
    file = tmp_path / "codes.csv"
    file.write_text(text, encoding="utf-8")
    with pytest.raises(UsageError, match=message):
        read_code_map(file)


def test_a_code_map_that_does_not_exist_is_wrong_usage(tmp_path):
    for name in ("codes.csv", "codes.toml"):
        with pytest.raises(UsageError, match="code map must be a"):
            read_code_map(tmp_path / name)


def test_a_dose_and_a_volume_are_converted_or_refused_by_their_units():
    assert scale(Meaning("norepinephrine_dose"), "mg/kg/h", "").factor == pytest.approx(
        16.667, 1e-4
    )
    # One in mg is a dose with the weight.
    assert scale(Meaning("norepinephrine_dose"), "mg/h", "").variable == per_minute(
        "norepinephrine_dose"
    )
    # A rate by volume says nothing without the concentration.
    for unit in ("mL/h", "units/h", ""):
        assert scale(Meaning("norepinephrine_dose"), unit, "").broken == "unit"
    assert scale(Meaning("urine_volume"), "L", "").factor == 1000
    assert scale(Meaning("urine_volume"), "mL/h", "").broken == "unit"


def test_a_record_that_is_the_value_has_no_unit_of_its_own():
    given = Meaning("catecholamines", value=1)
    assert scale(given, "mg", "").broken == ""


def test_the_parts_of_the_glasgow_score_have_their_loinc_codes():
    for name, loinc in GLASGOW.items():
        assert meanings(f"LOINC//{loinc}", CodeMap()) == [Meaning(name)]
    assert scale(Meaning("gcs_eye"), "mm[Hg]", "").broken == "unit"


def test_a_code_of_blood_gases_must_say_that_blood_is_arterial():
    assert scale(Meaning("pao2", unit="mm[Hg]"), "", "").broken == "specimen"
    assert scale(Meaning("pao2", unit="mm[Hg]"), "", "ART.").broken == ""
    stated = Meaning("pao2", unit="mm[Hg]", specimen="arterial blood")
    assert scale(stated, "", "").broken == ""
    assert scale(stated, "", "VEN.").broken == "specimen"
