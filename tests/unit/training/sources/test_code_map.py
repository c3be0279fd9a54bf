import pytest

from data_schema.errors import UsageError
from training.sources.code_map import (
    CodeMap,
    Meaning,
    meanings,
    mimic_iv_map,
    parse_code_map,
    scale,
)


def test_the_map_of_mimic_iv_is_whole_and_states_no_unit_that_is_refused():
    mapped = mimic_iv_map()
    assert len(mapped.codes) == 135
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
