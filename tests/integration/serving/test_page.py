"""The page as a program sees it: headers, files, the echo of entries, escaping."""

from __future__ import annotations

import re
import zipfile
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from contracts import restated
from data_schema.biomarkers import VARIABLES
from models.wording import NOTICE
from places import ROOT
from serving.app import create_app
from serving.page import assets
from serving.settings import Settings

if TYPE_CHECKING:
    import httpx

    from serving.prediction.served import ServedModel


def asked(*measurements: dict[str, Any], **fields: Any) -> dict[str, Any]:
    return {
        "patient_id": "p",
        "time_zero": "2026-11-01T08:00:00+01:00",
        "outcomes": ["mortality"],
        "measurements": list(measurements),
    } | fields


def echoed(client: httpx.Client, *measurements: dict[str, Any], **fields: Any) -> dict[str, Any]:
    answer = client.post("/page/entries", json=asked(*measurements, **fields))
    assert answer.status_code == 200
    found = answer.json()
    assert isinstance(found, dict)
    return found


def test_every_variable_that_a_model_can_use_can_be_entered_and_no_other(
    page_service: httpx.Client,
) -> None:
    columns = re.findall(r'data-column="([^"]+)"', page_service.get("/").text)
    read = {"age", "lactate", "albumin", "fgf23_c", "ctx_s", "diabetes", "aps", "sex", "dzgroup"}
    assert read <= set(columns)
    assert {"rrt", "pregnant"} <= set(columns)  # refused or warned of
    assert "trail" not in columns
    assert set(columns) <= set(VARIABLES) | {"aps", "dzgroup"}
    assert len(columns) == len(set(columns))


def test_every_answer_says_what_a_browser_may_do_with_it(page_service: httpx.Client) -> None:
    for path, status in (
        ("/", 200),
        ("/facts/mortality-simulated", 200),
        ("/facts/nothing", 404),
        ("/v1/variables", 200),
        ("/nowhere", 404),
    ):
        answer = page_service.get(path)
        assert answer.status_code == status
        policy = answer.headers["content-security-policy"]
        assert "default-src 'none'" in policy
        assert "unsafe" not in policy
        assert "frame-ancestors 'none'" in policy
        assert answer.headers["cache-control"] == "no-store"
        assert answer.headers["referrer-policy"] == "no-referrer"
        assert answer.headers["x-content-type-options"] == "nosniff"
    assert "form-action 'none'" in page_service.get("/").headers["content-security-policy"]


def test_the_page_has_no_script_and_no_style_inside(page_service: httpx.Client) -> None:
    for path in ("/", "/facts/fracture-simulated"):
        html = page_service.get(path).text
        scripts = re.findall(r"<script\b([^>]*)>([^<]*)", html)
        assert scripts
        assert all("src=" in a or 'type="application/json"' in a for a, _ in scripts)
        assert not re.search(r"<style|\sstyle=|\son[a-z]+=|javascript:", html)
        assert not re.search(r'(src|href)="(?!/|#)', html)
        assert NOTICE in html


def test_files_may_be_kept_for_ever_under_an_address_that_changes_with_them(
    page_service: httpx.Client,
) -> None:
    html = page_service.get("/").text
    for path in set(re.findall(r'"(/static/[^"]+)"', html)):
        answer = page_service.get(path)
        assert answer.status_code == 200, path
        assert "immutable" in answer.headers["cache-control"]
    assert page_service.get("/static/0000/osteon.css").status_code == 404
    for name in ("nothing.js", "..%2fapp.py", "%2e%2e%2f%2e%2e%2fapp.py"):
        assert page_service.get(f"/static/{assets.version()}/{name}").status_code == 404


def test_pages_and_files_are_compressed_and_answers_are_not(page_service: httpx.Client) -> None:
    html = page_service.get("/").text
    [script] = set(re.findall(r'"(/static/[^"]+/page\.js)"', html))
    for path in ("/", "/facts/mortality-simulated", script):
        zipped = page_service.get(path, headers={"accept-encoding": "br, gzip"})
        assert zipped.headers["content-encoding"] == "gzip"
        assert "accept-encoding" in zipped.headers["vary"].lower()
        assert int(zipped.headers["content-length"]) < len(zipped.content) / 2
        for accepted in ("identity", "gzip;q=0", ""):
            plain = page_service.get(path, headers={"accept-encoding": accepted})
            assert "content-encoding" not in plain.headers
            assert plain.content == zipped.content
    body = asked({"variable": "lactate", "value": "2", "unit": "mmol/L"})
    answer = page_service.post("/v1/predict", json=body, headers={"accept-encoding": "gzip"})
    assert "content-encoding" not in answer.headers


def test_an_entry_is_read_as_the_prediction_reads_it(page_service: httpx.Client) -> None:
    found = echoed(
        page_service,
        {"variable": "age", "value": "70", "unit": "a"},
        {"variable": "menopausal_status", "value": "post"},
        {"variable": "ctx_s", "value": "1.5", "unit": "ng/mL"},
        {"variable": "albumin", "value": "29", "unit": "g/L"},
        {"variable": "fgf23_c", "value": "<1.5", "unit": "[arb'U]/mL"},
        {"variable": "diabetes", "value": True},
        {"variable": "calcium", "value": "2.1", "unit": "mmol/L"},
        {"variable": "lactate", "value": "1,471", "unit": "mmol/L"},
        {"variable": "lactate", "value": "147", "unit": "mmol/L"},
        sex="female",
    )
    read = [
        (one["read_as"], one["canonical"], one["reference"], one["multiple"])
        for one in found["entries"]
    ]
    # The upper limit of CTX after the menopause is 1018 pg/mL, the lower one of albumin 3.5 g/dL.
    assert read[0] == ("70 years", "", "", "")
    assert read[1][0] == "post"
    assert read[2][:2] == ("1.5 ng/mL", "1500 pg/mL")
    assert read[2][2].endswith("1.02 ng/mL")
    assert read[2][3] == "1.5 × upper limit"
    assert read[3] == ("29 g/L", "2.9 g/dL", "35 to 50 g/L", "0.83 × lower limit")
    assert read[4][0] == "<1.5 RU/mL"
    assert read[4][3] == ""
    assert read[5][0] == "yes"
    assert read[6][:2] == ("2.1 mmol/L", "8.416 mg/dL")
    ambiguous, impossible = (one["problem"] for one in found["entries"][7:])
    assert ambiguous.startswith("Lactate must be a number with a point as decimal mark")
    assert impossible.startswith("Lactate must be 0.05 to 60 mmol/L")
    assert "1,471" not in ambiguous
    assert "147" not in impossible


def test_a_value_beside_its_reference_and_outside_the_cohort_is_flagged(
    page_service: httpx.Client,
) -> None:
    found = echoed(
        page_service,
        {"variable": "albumin", "value": "2.0", "unit": "g/dL"},
        {"variable": "fgf23_c", "value": "90000", "unit": "[arb'U]/mL"},
        {"variable": "albumin", "value": "4.2", "unit": "g/dL"},
        {"variable": "lactate", "value": "<0.3", "unit": "mmol/L"},
    )["entries"]
    assert [one["flag"] for one in found] == ["L", "H", "", ""]
    assert found[1]["unusual"].endswith("RU/mL")
    assert found[2]["unusual"] == found[2]["multiple"] == found[3]["unusual"] == ""


def test_a_number_that_is_ordinary_in_another_unit_is_asked_about(
    page_service: httpx.Client,
) -> None:
    # Albumin in the fixture is about 3 g/dL, CTX about 490 pg/mL.
    found = echoed(
        page_service,
        {"variable": "ctx_s", "value": "490", "unit": "pg/mL"},
        {"variable": "ctx_s", "value": "0.49", "unit": "pg/mL"},
        {"variable": "albumin", "value": "30", "unit": "g/dL"},
        {"variable": "lactate", "value": "900", "unit": "mmol/L"},
    )["entries"]
    assert [one["meant"] and one["meant"]["read_as"] for one in found] == [
        None,
        "0.49 ng/mL",
        "30 g/L",
        None,
    ]
    assert found[2]["problem"].startswith("Albumin must be")


def test_derived_values_are_shown_with_what_they_come_from(page_service: httpx.Client) -> None:
    answer = page_service.post("/page/entries", json=asked(birth_date="1958-11-01"))
    assert answer.json()["derived"] == [
        {"column": "age", "read_as": "68 years", "parts": ["the date of birth"]}
    ]


def test_pasted_results_are_read_for_the_model(page_service: httpx.Client) -> None:
    text = "Alb 24 g/L; CTX 0.9 ng/mL\nLactate: 4,1 mmol/L\nTRAIL 60 pg/mL\nno diabetes"
    answer = page_service.post("/page/pasted", json={"outcome": "mortality", "text": text})
    rows = answer.json()["rows"]
    assert [row["settled"] for row in rows] == [True] * 5
    assert [row["choices"][0]["read_as"] for row in rows] == [
        *("24 g/L", "0.9 ng/mL", "4.1 mmol/L", "60 pg/mL", "no"),
    ]
    assert [row["choices"][0]["is_used"] for row in rows] == [True, True, True, False, True]
    long = page_service.post("/page/pasted", json={"outcome": "mortality", "text": "x" * 20_001})
    assert long.status_code == 422
    assert "xxx" not in long.text


def test_a_dropped_bundle_fills_in_what_a_record_would(page_service: httpx.Client) -> None:
    patient = {"resourceType": "Patient", "id": "p1", "gender": "female", "birthDate": "1958-03-02"}
    lactate = {
        "resourceType": "Observation",
        "status": "final",
        "code": {"coding": [{"system": "http://loinc.org", "code": "2524-7"}]},
        "subject": {"reference": "Patient/p1"},
        "effectiveDateTime": "2026-11-01T06:00:00+01:00",
        "valueQuantity": {
            "value": 2.8, "code": "mmol/L", "unit": "mmol/L", "system": "http://unitsofmeasure.org",
        },
    }  # fmt: skip

    def dropped(*resources: dict[str, Any]) -> httpx.Response:
        bundle = {
            "resourceType": "Bundle",
            "type": "collection",
            "entry": [{"resource": one} for one in resources],
        }
        body = {"time_zero": "2026-11-01T08:00:00+01:00", "bundle": bundle}
        return page_service.post("/page/bundle", json=body)

    filled = {one["column"]: one["value"] for one in dropped(patient, lactate).json()["filled"]}
    assert filled == {"sex": "female", "age": "68.7", "lactate": "2.8"}
    other = lactate | {"subject": {"reference": "Patient/p2"}}
    for refused in (dropped(lactate), dropped(patient, lactate, other)):
        assert refused.status_code == 422
        assert {one["field"] for one in refused.json()["errors"]} == {"bundle"}


def test_references_are_for_the_person_and_in_every_unit(page_service: httpx.Client) -> None:
    unknown = echoed(page_service)["references"]
    assert unknown["ctx_s"] == dict.fromkeys(("pg/mL", "ng/L", "ng/mL", "ug/L"), "")
    her = echoed(page_service, {"variable": "menopausal_status", "value": "post"}, sex="female")[
        "references"
    ]
    assert her["ctx_s"]["pg/mL"].endswith("1018 pg/mL")
    assert her["ctx_s"]["ng/mL"].endswith("1.02 ng/mL")
    assert unknown["albumin"]["g/L"] == "35 to 50 g/L"


def test_an_echo_is_asked_for_like_a_prediction(page_service: httpx.Client) -> None:
    answer = page_service.post("/page/entries", json=asked(outcomes=["nothing"]))
    assert answer.status_code == 422
    answer = page_service.post("/page/entries", json=asked(time_zero="2026-11-01T08:00:00"))
    assert answer.json()["errors"][0]["rule"] == "naive_time"


def test_what_a_model_says_of_itself_is_escaped(serve: Any, mortality: ServedModel) -> None:
    hostile = "<script>alert(1)</script>\"'"
    contract = mortality.contract
    features = tuple(
        replace(feature, label=hostile, categories=(hostile,))
        if feature.name == "dzgroup"
        else feature
        for feature in contract.features
    )
    risk_model = restated(
        mortality.loaded.risk_model,
        population=hostile,
        outcome_label=hostile,
        event_label=hostile,
        features=features,
    )
    model = replace(mortality, loaded=replace(mortality.loaded, risk_model=risk_model))
    client = serve(create_app(Settings(), models=[model]))
    for path in ("/", "/facts/mortality-simulated"):
        html = client.get(path).text
        assert "<script>alert" not in html
        assert "&lt;script&gt;alert" in html


def test_model_facts_have_the_cohort_the_figures_and_all_source_attributes(
    page_service: httpx.Client, mortality: ServedModel
) -> None:
    html = page_service.get("/facts/mortality-simulated").text
    assert "Made-up patients of a test." in html
    assert f'<td class="num">{mortality.contract.training.patients}</td>' in html
    assert "Discrimination (AUROC)" in html
    assert "0.80 (0.70 to 0.90)" in html
    assert "This model learned from simulated patients" in html
    assert mortality.loaded.sha256 in html
    numbers = re.findall(r'<tr><td class="num">(\d+)</td>', html)
    assert numbers == [str(n) for n in range(1, 32)]


def test_the_wheel_carries_the_page(tmp_path: Path) -> None:
    wheel = pytest.importorskip("hatchling.builders.wheel")
    [built] = wheel.WheelBuilder(str(ROOT)).build(directory=str(tmp_path), versions=["standard"])
    names = set(zipfile.ZipFile(built).namelist())
    page = ROOT / "serving" / "page"
    shipped = [*page.glob("templates/*.html"), *page.glob("static/*")]
    assert len(shipped) > 8
    assert {str(one.relative_to(ROOT)) for one in shipped} <= names
