"""A site's own codes mean what its ConceptMap or code map says."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from data_schema.errors import UsageError
from data_schema.fhir.observations import read_record
from data_schema.fhir.resources import Entry
from data_schema.fhir.site_codes import SiteCodes, read_site_codes
from data_schema.variables import LOCAL_SYSTEM

LAB = "urn:site:laboratory"


def concept_map(*elements: dict[str, Any], target: str = "http://loinc.org") -> dict[str, Any]:
    group = {"source": LAB, "target": target, "element": list(elements)}
    return {"resourceType": "ConceptMap", "status": "active", "group": [group]}


def element(code: str, target: str, equivalence: str = "equivalent") -> dict[str, Any]:
    return {"code": code, "target": [{"code": target, "equivalence": equivalence}]}


def stored(folder: Path, document: Any, name: str = "map.json") -> Path:
    path = folder / name
    path.write_text(document if isinstance(document, str) else json.dumps(document))
    return path


def measured(site: SiteCodes, code: str, unit: str | None = "mg/dL") -> list[tuple[Any, ...]]:
    observation = {
        "resourceType": "Observation",
        "status": "final",
        "code": {"coding": [{"system": LAB, "code": code}]},
        "subject": {"reference": "Patient/p"},
        "effectiveDateTime": "2026-11-01T06:00:00Z",
        "valueQuantity": {"value": 1.4} | ({"unit": unit} if unit else {}),
    }
    record = read_record([Entry(observation, "")], own={}, site=site)
    return [
        (one.measurement.variable, one.measurement.value, one.measurement.unit)
        for one in record.observations
    ]


def test_a_concept_map_translates_to_loinc_and_to_names_of_the_catalogue(tmp_path: Path) -> None:
    # The relationship is R5's; a target that is wider than a code of one analyser holds it.
    r5 = {"code": "K3", "target": [{"code": "2160-0", "relationship": "equivalent"}]}
    document = concept_map(element("K1", "2160-0"), element("K2", "2160-0", "wider"), r5)
    own = concept_map(element("K4", "creatinine", "equal"), target=LOCAL_SYSTEM)
    document["group"] += own["group"]
    site = read_site_codes(stored(tmp_path, document))
    for code in ("K1", "K2", "K3", "K4"):
        assert measured(site, code) == [("creatinine", 1.4, "mg/dL")], code
    assert site.codes == ("K1", "K2", "K3", "K4")
    assert measured(site, "K9") == []


def test_a_target_that_is_only_related_does_not_count(tmp_path: Path) -> None:
    document = concept_map(element("K1", "2160-0"), element("K2", "2160-0", "narrower"))
    site = read_site_codes(stored(tmp_path, document))
    assert measured(site, "K1")
    assert measured(site, "K2") == []


def test_a_code_map_names_variable_and_unit(tmp_path: Path) -> None:
    text = f"""
    [codes."{LAB}|K1"]
    variable = "creatinine"
    unit = "mg/dL"
    [codes.K2]
    variable = "creatinine"
    """
    site = read_site_codes(stored(tmp_path, text, "map.toml"))
    assert measured(site, "K1", unit=None) == [("creatinine", 1.4, "mg/dL")]
    assert measured(site, "K1", unit="umol/L") == [("creatinine", 1.4, "umol/L")]  # stated wins
    assert measured(site, "K2") == [("creatinine", 1.4, "mg/dL")]  # of any system


@pytest.mark.parametrize(
    ("document", "message"),
    [
        ("{", "readable ConceptMap"),
        ({"resourceType": "Patient"}, "readable ConceptMap"),
        (concept_map(), "at least one code"),
        (concept_map(element("K1", "0000-0")), "1 of its targets are unknown"),
        (
            concept_map(
                {
                    "code": "K",
                    "target": [
                        {"code": "2160-0", "equivalence": "equal"},
                        {"code": "14682-9", "equivalence": "equal"},
                    ],
                }
            ),
            "one meaning",
        ),
    ],
)
def test_a_concept_map_that_cannot_be_used_is_refused(
    tmp_path: Path, document: Any, message: str
) -> None:
    with pytest.raises(UsageError, match=message):
        read_site_codes(stored(tmp_path, document))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('[codes.K]\nvariable = "creatinin"', "Did you mean creatinine"),
        ('[codes.K]\nvariable = "creatinine"\nunit = "mmHg"', "accepted unit"),
        ('[codes.K]\nvariable = "creatinine"\nvalue = 1', "holds something else"),
        ("", "at least one code"),
        ("[codes", "readable ConceptMap"),
    ],
)
def test_a_code_map_that_cannot_be_used_is_refused(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        read_site_codes(stored(tmp_path, text, "map.toml"))


def test_a_missing_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="OSTEON_CODE_MAP"):
        read_site_codes(tmp_path / "none.json")
