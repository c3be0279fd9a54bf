"""What a card says, and what an electronic health record must send for it."""

from __future__ import annotations

import json
import re
import uuid
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, urlsplit

import pytest

from contracts import restated
from models.wording import NOTICE
from places import SHARED
from serving.app import create_app
from serving.settings import Settings

if TYPE_CHECKING:
    import httpx

    from serving.prediction.served import ServedModel

    Ask = Callable[..., httpx.Response]
    Card = Callable[..., dict[str, Any]]

SCHEMAS = SHARED / "standards" / "schemas"
LOINC = "http://loinc.org"
CAUSAL = re.compile(r"because|due to|protect|cause[^ ]|leads? to", re.IGNORECASE)


def of_shape(name: str, document: Any) -> None:
    """Check a document against the JSON Schema of that name, where it lies beside the checkout."""
    import jsonschema

    schema = json.loads((SCHEMAS / f"cds_hooks_{name}.schema.json").read_text())
    jsonschema.Draft202012Validator(schema).validate(document)


needs_schemas = pytest.mark.skipif(
    not SCHEMAS.is_dir(), reason="shared/standards/schemas is not beside this checkout"
)


def test_discovery_names_both_services_and_what_they_need(client: httpx.Client) -> None:
    services = client.get("/cds-services").json()["services"]
    assert {(one["id"], one["hook"]) for one in services} == {
        ("osteon-mortality", "patient-view"),
        ("osteon-fracture", "encounter-discharge"),
    }
    for service in services:
        prefetch = service["prefetch"]
        observations = prefetch["observations"]
        assert observations.startswith("Observation?patient={{context.patientId}}&code=")
        assert "47855-2" in observations.partition("code=")[2].partition("&")[0].split(",")
        assert re.search(r"&date=ge\d{4}-\d\d-\d\d&_sort=-date&_count=200$", observations)
        kinds = {template.partition("?")[0].partition("/")[0] for template in prefetch.values()}
        assert kinds == {
            "Patient",
            "Encounter",
            "Observation",
            "Condition",
            "ServiceRequest",
            "MedicationRequest",
        }
        assert NOTICE in service["description"]


def test_the_radius_is_never_asked_for_as_hip_or_spine(serve: Any, tmp_path: Path) -> None:
    nothing_served = serve(create_app(Settings(state_dir=tmp_path)))
    for service in nothing_served.get("/cds-services").json()["services"]:
        asked_for = {
            code
            for key, template in service["prefetch"].items()
            if key.startswith("observations")
            for code in parse_qs(urlsplit(template).query)["code"][0].split(",")
        }
        assert {"38263-0", "38267-1"} <= asked_for  # femur and lumbar spine
        assert "38265-5" not in asked_for  # radius and ulna, whatever Synthea says
        assert {"2160-0", "38483-4", "26464-8"} <= asked_for  # siblings too


def test_every_template_fits_an_address(serve: Any, tmp_path: Path, client: httpx.Client) -> None:
    server, patient = f"https://{'f' * 200}.example/fhir", "p" * 64
    whole_catalogue = serve(create_app(Settings(state_dir=tmp_path)))
    for asked in (whole_catalogue, client):
        for service in asked.get("/cds-services").json()["services"]:
            for template in service["prefetch"].values():
                filled = template.replace("{{context.patientId}}", patient)
                filled = filled.replace(",", "%2C").replace("{{context.encounterId}}", patient)
                assert len(f"{server}/{filled}") < 2_000


@needs_schemas
def test_what_goes_out_and_comes_in_has_the_standard_shape(
    build: Any, client: httpx.Client, user: str
) -> None:
    of_shape("discovery", client.get("/cds-services").json())
    for service, hook in (
        ("osteon-mortality", "patient-view"),
        ("osteon-fracture", "encounter-discharge"),
    ):
        sent = build.call(hook, user)
        of_shape("request", sent)
        answer = client.post(f"/cds-services/{service}", json=sent).json()
        of_shape("response", answer)
        said = {
            "feedback": [
                {
                    "card": answer["cards"][0]["uuid"],
                    "outcome": "overridden",
                    "overrideReason": {"userComment": "seen"},
                    "outcomeTimestamp": build.now.isoformat(timespec="seconds"),
                }
            ]
        }
        of_shape("feedback", said)
        assert client.post(f"/cds-services/{service}/feedback", json=said).status_code == 200
        again = client.post(f"/cds-services/{service}", json=build.call(hook, user)).json()
        of_shape("response", again)


def test_a_card_of_death_informs_and_explains(card_of: Card, client: httpx.Client) -> None:
    card = card_of()
    assert card["indicator"] == "info"
    assert "suggestions" not in card
    assert uuid.UUID(card["uuid"])
    assert len(card["summary"]) < 140
    assert re.fullmatch(
        r"Of 100 such patients the model expects about \d+ deaths? within 28 days "
        r"\(95 % interval \d+ to \d+\)\. Research use only\.",
        card["summary"],
    )
    assert card["source"]["label"].startswith("Osteon, research use only: osteon-mortality version")
    assert card["source"]["topic"]["code"] == "AIAST"
    assert card["source"]["url"] == "https://osteon.example"
    detail = card["detail"]
    assert detail.startswith(f"**{NOTICE}**")
    for said in (
        "version 3 (champion)",
        "Adults of two hospitals.",
        "AIAST",
        "410 RU/mL",
        "Discrimination (AUROC) 0.80 (0.70 to 0.90)",
        "24 h after ICU admission, alive",
        "yes |",  # diabetes, from the Condition
    ):
        assert said in detail
    assert "Sentinel" not in json.dumps(card)
    assert not CAUSAL.search(detail)


def test_the_points_of_a_card_add_up(card_of: Card) -> None:
    rows = re.findall(r"\| \**([+\-]?\d+\.\d)\** \|$", card_of()["detail"], re.MULTILINE)
    *parts, total = map(float, rows)
    assert sum(parts) == pytest.approx(total, abs=0.05 * (len(parts) + 1))  # one decimal each


def test_the_card_says_what_the_prediction_says(
    card_of: Card, build: Any, client: httpx.Client
) -> None:
    summary = card_of()["summary"]
    sent = {
        "patient_id": "p1",
        "time_zero": (build.admitted + timedelta(hours=24)).isoformat(timespec="seconds"),
        "sex": "female",
        "birth_date": "1966-11-01",
        "outcomes": ["mortality"],
        "measurements": [
            {"variable": "diabetes", "value": True},
            *(
                {"variable": name, "value": value, "unit": unit}
                for name, (_, unit, value) in build.codes.items()
            ),
        ],
    }
    risk = client.post("/v1/predict", json=sent).json()["predictions"][0]["risks"][0]
    assert f"about {round(100 * risk['risk'])} death" in summary
    low, high = (round(100 * risk["interval"][end]) for end in ("low", "high"))
    assert f"interval {low} to {high})" in summary


def test_a_summary_never_reaches_140_characters(
    serve: Any, tmp_path: Path, build: Any, sure_mortality: ServedModel
) -> None:
    named = restated(sure_mortality.loaded.risk_model, event_label="long words " * 20)
    model = replace(sure_mortality, loaded=replace(sure_mortality.loaded, risk_model=named))
    client = serve(create_app(Settings(state_dir=tmp_path), models=[model]))
    (card,) = client.post("/cds-services/osteon-mortality", json=build.call()).json()["cards"]
    assert len(card["summary"]) == 139
    assert "long words" in card["summary"]


def test_a_card_of_fracture_says_who_dies_first(card_of: Card) -> None:
    card = card_of("osteon-fracture")
    assert re.search(r"fractures? \(\d+ to \d+\) and \d+ who die first within", card["summary"])
    assert len(card["summary"]) < 140
    assert "die first" in card["detail"]
    assert not CAUSAL.search(card["detail"])


def test_a_horizon_with_too_wide_an_interval_is_not_shown(
    serve: Any, tmp_path: Path, build: Any, less_sure: Callable[[float], ServedModel]
) -> None:
    client = serve(create_app(Settings(state_dir=tmp_path), models=[less_sure(28.0)]))
    answer = client.post("/cds-services/osteon-mortality", json=build.call())
    detail = answer.json()["cards"][0]["detail"]
    assert "within 28 days of time zero" in detail
    assert "within 90 days" not in detail


def local(*names: str) -> dict[str, Any]:
    return {"coding": [{"system": "urn:osteon:codes", "code": name} for name in names]}


def test_what_was_sent_and_cannot_be_read_is_counted_and_left_out(
    card_of: Card, build: Any
) -> None:
    # Words that state no number leave the value before them in force.
    later = (build.measured + timedelta(hours=1)).isoformat()
    slip = build.observation("lactate", id="other", effectiveDateTime=later)
    del slip["valueQuantity"]
    slip["valueString"] = "HEMOLYZED"
    unclear = build.observation("ctx_s", id="another", code=local("lactate", "ctx_s"))
    sent = build.record(
        observations=build.bundle(*map(build.observation, build.codes), slip, unclear)
    )
    detail = card_of(prefetch=sent)["detail"]
    assert "the unit, value or time could not be read: Lactate and 1 more." in detail
    (missing,) = re.findall(r"Not entered: (.*)", detail)
    assert "Lactate" not in missing


def test_only_what_was_taken_by_time_zero_is_used(card_of: Card, build: Any) -> None:
    late = build.observation(
        "fgf23_c", 9_000, effectiveDateTime=(build.admitted + timedelta(hours=25)).isoformat()
    )
    observations = build.bundle(*(build.observation(name) for name in build.codes), late)
    detail = card_of(prefetch=build.record(observations=observations))["detail"]
    assert "410 RU/mL" in detail
    assert f"{build.measured:%Y-%m-%d %H:%M}" in detail


def test_what_is_stated_as_not_measured_gives_no_time_to_an_earlier_value(
    card_of: Card, build: Any
) -> None:
    later = build.observation(
        "fgf23_c", effectiveDateTime=(build.measured + timedelta(hours=2)).isoformat()
    )
    del later["valueQuantity"]
    later["valueString"] = "NA"
    observations = [*(build.observation(name) for name in build.codes), later]
    detail = card_of(prefetch=build.record(observations=build.bundle(*observations)))["detail"]
    (row,) = [line for line in detail.splitlines() if "410 RU/mL" in line]
    assert f"{build.measured:%Y-%m-%d %H:%M}" in row


def test_a_subject_may_be_named_by_its_whole_address(card_of: Card, build: Any) -> None:
    entries = [
        {
            "fullUrl": f"https://ehr.example/fhir/Observation/{name}",
            "resource": build.observation(
                name, subject={"reference": "https://ehr.example/fhir/Patient/p1"}
            ),
        }
        for name in build.codes
    ]
    sent = {"resourceType": "Bundle", "type": "searchset", "entry": entries}
    card_of(prefetch=build.record(observations=sent))


def test_what_is_recorded_as_not_done_is_named_apart(card_of: Card, build: Any) -> None:
    system = "http://terminology.hl7.org/CodeSystem/data-absent-reason"
    reason = {"coding": [{"system": system, "code": "not-performed"}]}
    absent = build.observation("ctx_s", dataAbsentReason=reason)
    del absent["valueQuantity"]
    others = [build.observation(name) for name in build.codes if name != "ctx_s"]
    detail = card_of(prefetch=build.record(observations=build.bundle(*others, absent)))["detail"]
    (named,) = re.findall(r"Recorded as not done: (.*)", detail)
    assert "CTX" in named
    assert not any("CTX" in line for line in re.findall(r"Not entered: (.*)", detail))


def test_a_value_and_not_done_at_one_time_counts_as_neither(card_of: Card, build: Any) -> None:
    system = "http://terminology.hl7.org/CodeSystem/data-absent-reason"
    reason = {"coding": [{"system": system, "code": "not-performed"}]}
    absent = build.observation("ctx_s", id="again", dataAbsentReason=reason)
    del absent["valueQuantity"]
    sent = [*(build.observation(name) for name in build.codes), absent]
    detail = card_of(prefetch=build.record(observations=build.bundle(*sent)))["detail"]
    assert re.search(r"could not be read: .*CTX", detail)
    assert "Recorded as not done" not in detail
