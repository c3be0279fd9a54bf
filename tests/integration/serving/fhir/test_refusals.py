"""What FHIR is not answered with a risk, and what the service says of itself and never logs."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING, Any

import pytest

from serving.app import create_app
from serving.settings import Settings

if TYPE_CHECKING:
    import httpx

    from serving.prediction.served import ServedModel
from fhir_bundles import (
    PATH,
    _lactate,
    answered,
    ask,
    assert_valid,
    bundle,
    issues,
    observation,
    resources,
)


def test_a_patient_the_model_is_not_for_gets_no_prediction(client: httpx.Client) -> None:
    child = resources()
    child[0]["birthDate"] = "2012-05-01"
    found = answered(client, bundle(*child))
    assert found["status"] == "cancelled"
    assert "prediction" not in found
    assert found["note"][0]["text"].startswith("No risk is given. The model is for adults")


def test_a_simulated_model_never_answers(
    serve: Any, mortality: ServedModel, real_fracture: ServedModel
) -> None:
    simulated = serve(create_app(Settings(), models=[mortality]))
    assert issues(ask(simulated, bundle(*resources())), 503) == {("outcome", "simulated")}
    assert issues(simulated.post(PATH, json=bundle(*resources())), 503) == {
        ("outcome", "simulated")
    }
    mixed = serve(create_app(Settings(), models=[mortality, real_fracture]))
    found = answered(mixed, bundle(*resources()), "horizonDays=90")
    assert found["code"]["coding"][0]["code"] == "fracture"
    both = ask(mixed, bundle(*resources()), "outcome=mortality&outcome=fracture")
    assert issues(both, 503) == {("outcome", "simulated")}


def test_two_subjects_are_an_error(client: httpx.Client) -> None:
    other = observation("x", "http://loinc.org", "2524-7", valueQuantity=_lactate(1))
    other["subject"] = {"reference": "Patient/p2"}
    assert issues(ask(client, bundle(*resources(), other))) == {("Bundle", "two_subjects")}


def test_what_cannot_be_read_is_listed_and_withholds_the_number_if_it_counts_much(
    client: httpx.Client,
) -> None:
    sent = resources()
    sent[1]["valueQuantity"]["code"] = "furlong"
    sent[2]["valueQuantity"]["value"] = 90210471
    found = answered(client, bundle(*sent), "outcome=mortality&horizonDays=28")
    assert found["status"] == "cancelled"
    assert "prediction" not in found
    notes = " ".join(note["text"] for note in found["note"])
    assert "Code of the refusal: unreadable_value." in notes
    assert "Not read: Bundle.entry[1].resource [unit]: lactate: " in notes
    assert "Not read: Bundle.entry[2].resource [range]: albumin: " in notes
    assert "90210471" not in notes
    assert "furlong" not in notes


def test_a_broken_parameter_is_an_issue_with_its_place(client: httpx.Client) -> None:
    assert issues(ask(client, bundle(*resources()), "outcome=mortality&horizonDays=100000")) == {
        ("horizonDays", "horizon")
    }
    assert issues(ask(client, bundle(*resources()), "outcome=Sentinel4711")) == {
        ("outcome", "unknown_outcome")
    }


@pytest.mark.parametrize(
    ("query", "rule"),
    [
        ("horizonDays=soon", "not_a_number"),
        ("horizonDays=nan", "not_a_number"),
        ("horizon=28", "unknown_field"),
    ],
)
def test_a_parameter_that_cannot_be_read_is_refused(
    client: httpx.Client, query: str, rule: str
) -> None:
    found = issues(ask(client, bundle(*resources()), f"outcome=mortality&{query}"))
    assert [said for _, said in found] == [rule]


@pytest.mark.parametrize("stated", ["2026-11-01", "2026-11-01T08:00:00", "now"])
def test_a_time_zero_states_its_offset(client: httpx.Client, stated: str) -> None:
    answer = client.post(f"{PATH}?timeZero={stated}", json=bundle(*resources()))
    assert issues(answer) == {("timeZero", "time")}


@pytest.mark.parametrize(
    ("content", "rule"),
    [
        (b"{", "json"),
        (b"[" * 100_000, "json"),
        (b'{"resourceType": "Bundle", "entry": [{"resource": {"value": NaN}}]}', "json"),
        (b'{"resourceType": "Bundle", "resourceType": "Bundle"}', "json"),
        (b"\xff", "json"),
        (b"3", "structure"),
        (b'{"resourceType": "Observation"}', "structure"),
        (b'{"resourceType": "Bundle"}', "subject"),
        (b'{"resourceType": "Parameters"}', "required"),
    ],
)
def test_what_is_no_bundle_is_refused(client: httpx.Client, content: bytes, rule: str) -> None:
    answer = client.post(PATH, content=content, headers={"content-type": "application/json"})
    assert [said for _, said in issues(answer)] == [rule]


def test_every_other_error_is_an_operation_outcome_too(client: httpx.Client, serve: Any) -> None:
    def first(answer: httpx.Response, status: int) -> str:
        assert answer.status_code == status
        assert answer.headers["content-type"].startswith("application/fhir+json")
        assert_valid(answer.json())
        return str(answer.json()["issue"][0]["code"])

    assert first(client.get("/fhir/Patient/1"), 404) == "not-found"
    assert first(client.get(PATH), 405) == "not-supported"
    xml = client.post(PATH, content=b"<x/>", headers={"content-type": "application/fhir+xml"})
    assert first(xml, 415) == "not-supported"
    assert first(client.post(PATH, content=b" " * 9_000_000), 413) == "too-long"
    bare = serve(create_app(Settings()))
    assert first(bare.post(PATH, json=bundle(*resources())), 503) == "not-supported"


@pytest.mark.parametrize(
    ("accept", "expected"),
    [
        ("*/*", "4.0.1"),
        ("application/fhir+json; fhirVersion=4.3", "4.3.0"),
        ("application/fhir+json; fhirVersion=5.0", "5.0.0"),
    ],
)
def test_the_service_says_what_it_can_do(client: httpx.Client, accept: str, expected: str) -> None:
    statement = client.get("/fhir/metadata", headers={"accept": accept}).json()
    assert_valid(statement)
    assert statement["fhirVersion"] == expected
    (assessment,) = (
        one for one in statement["rest"][0]["resource"] if one["type"] == "RiskAssessment"
    )
    definition = client.get("/fhir/OperationDefinition/RiskAssessment-predict").json()
    assert_valid(definition)
    assert definition["url"] == assessment["operation"][0]["definition"]
    assert definition["code"] == "predict"


def test_there_is_one_local_code_system_and_the_answers_keep_to_it(client: httpx.Client) -> None:
    system = client.get("/fhir/CodeSystem/osteon").json()
    assert_valid(system)
    known = {concept["code"] for concept in system["concept"]}
    assert {"osteopontin", "rankl_free", "saps2", "mortality", "fracture"} <= known
    found = answered(client, bundle(*resources()))
    concepts = [found["code"], *(one["outcome"] for one in found["prediction"])]
    for local, snomed in (concept["coding"] for concept in concepts):
        assert local["system"] == system["url"]
        assert local["code"] in known
        assert (snomed["system"], snomed["code"]) == ("http://snomed.info/sct", "419099009")


@pytest.mark.parametrize(
    ("accept", "format_", "status"),
    [
        ("application/fhir+xml", "", 406),
        ("text/html", "", 406),
        ("application/fhir+json", "xml", 406),
        ("application/fhir+xml, application/fhir+json;q=0.5", "", 200),
        ("application/fhir+xml", "json", 200),
        ("application/json+fhir", "", 200),
        ("application/fhir+json; fhirVersion=4.0", "application/fhir+json", 200),
        ("", "", 200),
    ],
)
def test_an_answer_that_must_not_be_json_is_refused(
    client: httpx.Client, accept: str, format_: str, status: int
) -> None:
    query = f"?_format={format_}" if format_ else ""
    for answer in (
        client.get(f"/fhir/metadata{query}", headers={"accept": accept}),
        client.post(
            f"{PATH}{query or '?'}&outcome=mortality&timeZero=2026-11-01T08:00:00%2B01:00",
            json=bundle(*resources()),
            headers={"accept": accept},
        ),
    ):
        assert answer.status_code == status, answer.text
        if status == 406:
            assert issues_without_place(answer) == "not-supported"


def issues_without_place(answer: httpx.Response) -> str:
    assert answer.headers["content-type"].startswith("application/fhir+json")
    (issue,) = answer.json()["issue"]
    return str(issue["code"])


def test_the_media_type_of_earlier_versions_is_read(client: httpx.Client) -> None:
    answer = client.post(
        f"{PATH}?outcome=mortality&timeZero=2026-11-01T08:00:00%2B01:00",
        content=json.dumps(bundle(*resources())),
        headers={"content-type": "application/json+fhir"},
    )
    assert answer.status_code == 200


def test_diagnostics_name_elements_of_fhir(client: httpx.Client) -> None:
    for query, name in (
        ("outcome=mortality&horizonDays=100000", "horizonDays"),
        ("outcome=nothing", "outcome"),
    ):
        (issue,) = ask(client, bundle(*resources()), query).json()["issue"]
        assert issue["diagnostics"].startswith(f"{name} must ")


def test_no_identifier_reaches_the_log(
    client: httpx.Client, caplog: pytest.LogCaptureFixture
) -> None:
    sent = resources()
    for one in sent:
        one["subject"] = {"reference": "Patient/Sentinel4711"}
    sent[0]["id"] = "Sentinel4711"
    with caplog.at_level("DEBUG", logger="serving"):
        answered(client, bundle(*sent))
        # The line of a request is written after the client has the whole answer.
        deadline = time.monotonic() + 10
        while "$predict" not in caplog.text and time.monotonic() < deadline:
            time.sleep(0.01)
    ours = [record.getMessage() for record in caplog.records if record.name.startswith("serving")]
    assert any("/fhir/RiskAssessment/$predict" in line for line in ours)
    assert "Sentinel4711" not in " ".join(ours)
