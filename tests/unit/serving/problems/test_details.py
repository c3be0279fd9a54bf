from __future__ import annotations

import json
import time
from typing import Any

import httpx
import pytest
from fastapi import FastAPI

from data_schema.errors import OutsideError
from serving.app import create_app
from serving.settings import Settings

JSON = {"content-type": "application/json"}
SENTINEL = "Sentinel4711"

VALID: dict[str, Any] = {
    "patient_id": "p",
    "time_zero": "2026-11-01T08:00:00+01:00",
    "outcomes": ["mortality"],
    "measurements": [],
}


@pytest.fixture(scope="module")
def app() -> FastAPI:
    app = create_app(Settings(max_body_bytes=10_000))

    @app.get("/fails")
    def fails() -> None:
        raise KeyError(SENTINEL)

    @app.get("/registry-fails")
    def registry_fails() -> None:
        raise OutsideError(f"The registry at {SENTINEL} must answer; it does not.")

    return app


@pytest.fixture(scope="module")
def client(app: FastAPI, serve: Any) -> httpx.Client:
    return serve(app)


def problem(answer: httpx.Response, status: int) -> dict[str, Any]:
    """Check what every problem must be, and return it."""
    assert answer.status_code == status
    assert answer.headers["content-type"] == "application/problem+json"
    body = answer.json()
    assert set(body) == {"type", "title", "status", "errors"}
    assert body["type"].startswith("urn:osteon:problem:")
    assert body["status"] == status
    for entry in body["errors"]:
        assert set(entry) == {"field", "rule", "message", "count"}
        assert entry["count"] >= 1
    assert SENTINEL not in answer.text
    return body


def entries(answer: httpx.Response, status: int = 422) -> set[tuple[str, str]]:
    return {(entry["field"], entry["rule"]) for entry in problem(answer, status)["errors"]}


def test_an_unknown_address_is_a_problem(client: httpx.Client) -> None:
    problem(client.get(f"/v1/{SENTINEL}"), 404)


def test_a_wrong_method_is_a_problem_and_names_the_right_one(client: httpx.Client) -> None:
    answer = client.get("/v1/predict")
    problem(answer, 405)
    assert answer.headers["allow"] == "POST"


def test_a_slash_too_many_is_not_redirected(client: httpx.Client) -> None:
    problem(client.post("/v1/predict/", json=VALID), 404)


@pytest.mark.parametrize(
    "body",
    [
        b'{"patient_id": "Sentinel4711"',
        b"Sentinel4711",
        b"\xff\xfe",
        b'{"a":' + b"[" * 5_000,
        b'{"a": ' + b"9" * 5_000 + b"}",
    ],
    ids=["cut short", "text", "not UTF-8", "deep", "endless number"],
)
def test_what_is_not_json_is_a_problem(client: httpx.Client, body: bytes) -> None:
    assert entries(client.post("/v1/predict", content=body, headers=JSON)) == {("body", "json")}


def test_an_empty_body_is_a_problem(client: httpx.Client) -> None:
    assert entries(client.post("/v1/predict", headers=JSON)) == {("body", "required")}


@pytest.mark.parametrize("body", [[VALID], SENTINEL, 4711, None])
def test_json_that_is_no_object_is_a_problem(client: httpx.Client, body: object) -> None:
    answer = client.post("/v1/predict", content=json.dumps(body), headers=JSON)
    assert len(entries(answer)) == 1


def test_a_body_of_another_type_is_a_problem(client: httpx.Client) -> None:
    answer = client.post(
        "/v1/predict", content=json.dumps(VALID), headers={"content-type": "text/plain"}
    )
    assert entries(answer) == {("body", "object")}


def test_a_body_that_says_it_is_too_large_is_not_read(client: httpx.Client) -> None:
    problem(client.post("/v1/predict", content=b" " * 10_001, headers=JSON), 413)


def test_a_body_that_does_not_say_how_large_it_is_is_stopped(client: httpx.Client) -> None:
    chunks = (b" " * 1_000 for _ in range(11))
    problem(client.post("/v1/predict", content=chunks, headers=JSON), 413)


@pytest.mark.parametrize("field", sorted(VALID))
def test_a_missing_field_is_named(client: httpx.Client, field: str) -> None:
    body = {name: value for name, value in VALID.items() if name != field}
    assert entries(client.post("/v1/predict", json=body)) == {(field, "required")}


def test_an_unknown_field_is_named(client: httpx.Client) -> None:
    body = VALID | {"birthdate": SENTINEL, "measurements": [{"value": 1, "vlaue": SENTINEL}]}
    assert entries(client.post("/v1/predict", json=body)) == {
        ("birthdate", "unknown_field"),
        ("measurements[0].vlaue", "unknown_field"),
    }


def test_an_unknown_field_that_is_no_name_is_not_repeated(client: httpx.Client) -> None:
    answer = client.post("/v1/predict", json=VALID | {f"{SENTINEL} was born in 1958": 1})
    assert entries(answer) == {("(unnamed)", "unknown_field")}


@pytest.mark.parametrize(
    ("changed", "field", "rule"),
    [
        ({"patient_id": 4711}, "patient_id", "text"),
        ({"patient_id": ""}, "patient_id", "text_length"),
        ({"patient_id": SENTINEL * 100}, "patient_id", "text_length"),
        ({"time_zero": "2026-11-01T08:00:00"}, "time_zero", "naive_time"),
        ({"time_zero": "2026-02-30T08:00:00Z"}, "time_zero", "time"),
        ({"time_zero": SENTINEL}, "time_zero", "time"),
        ({"time_zero": 1_793_520_000}, "time_zero", "time"),
        ({"birth_date": "1958-02-30"}, "birth_date", "date"),
        ({"birth_date": "02.03.1958"}, "birth_date", "date"),
        ({"sex": SENTINEL}, "sex", "not_allowed"),
        ({"outcomes": []}, "outcomes", "too_few"),
        ({"outcomes": "mortality"}, "outcomes", "list"),
        ({"horizons_days": []}, "horizons_days", "too_few"),
        ({"horizons_days": [28, 28]}, "horizons_days", "repeated"),
        ({"horizons_days": [0]}, "horizons_days[0]", "range"),
        ({"horizons_days": [28, "90"]}, "horizons_days[1]", "not_a_number"),
        ({"horizons_days": [True]}, "horizons_days[0]", "not_a_number"),
        ({"measurements": {}}, "measurements", "list"),
        ({"measurements": [{}]}, "measurements[0].value", "required"),
        ({"measurements": [{"value": {"x": 1}}]}, "measurements[0].value", "value_type"),
        ({"measurements": [{"value": [1]}]}, "measurements[0].value", "value_type"),
        (
            {"measurements": [{"value": 1, "comparator": "~"}]},
            "measurements[0].comparator",
            "not_allowed",
        ),
        (
            {"measurements": [{"value": 1, "time": "2026-11-01T08:00:00"}]},
            "measurements[0].time",
            "naive_time",
        ),
    ],
)
def test_each_rule_of_form_is_named_with_its_field(
    client: httpx.Client, changed: dict[str, Any], field: str, rule: str
) -> None:
    assert entries(client.post("/v1/predict", json=VALID | changed)) == {(field, rule)}


@pytest.mark.parametrize(
    ("value", "rule"),
    [("NaN", "not_a_number"), ("Infinity", "infinite"), ("-1e999", "infinite")],
)
def test_a_number_must_be_finite(client: httpx.Client, value: str, rule: str) -> None:
    body = json.dumps(VALID | {"measurements": [{"value": 0}]}).replace(": 0}", f": {value}}}")
    answer = client.post("/v1/predict", content=body, headers=JSON)
    assert entries(answer) == {("measurements[0].value", rule)}


def test_ten_thousand_measurements_are_refused(serve: Any) -> None:
    large = serve(create_app(Settings()))
    answer = large.post("/v1/predict", json=VALID | {"measurements": [{"value": 1}] * 10_000})
    assert entries(answer) == {("measurements", "too_many")}


def test_without_a_champion_the_service_is_alive_and_not_ready(client: httpx.Client) -> None:
    assert client.get("/health/live").json() == {"status": "live"}
    assert entries(client.get("/health/ready"), 503) == {("models", "no_champion")}
    assert entries(client.post("/v1/predict", json=VALID), 503) == {("outcomes[0]", "no_champion")}


def test_an_unknown_outcome_is_no_missing_champion(client: httpx.Client) -> None:
    answer = client.post("/v1/predict", json=VALID | {"outcomes": ["mortality", SENTINEL]})
    assert entries(answer) == {("outcomes[1]", "unknown_outcome")}


def test_an_unforeseen_failure_shows_and_logs_where_and_not_what(
    client: httpx.Client, caplog: pytest.LogCaptureFixture
) -> None:
    problem(client.get("/fails"), 500)
    assert "KeyError at" in caplog.text
    assert "test_details.py" in caplog.text
    assert SENTINEL not in caplog.text


def test_a_failure_outside_does_not_say_where_the_outside_is(client: httpx.Client) -> None:
    problem(client.get("/registry-fails"), 503)


def test_the_access_log_has_the_route_and_never_the_address(
    client: httpx.Client, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level("INFO", logger="serving.access"):
        client.get("/health/live", params={"patient": SENTINEL})
        client.get(f"/patients/{SENTINEL}")
        # A line of an earlier test may come late, too.
        expected = {"GET /health/live 200", "GET (no route) 404"}
        assert expected <= _access_lines(caplog, expected)
    assert SENTINEL not in caplog.text


def _access_lines(caplog: pytest.LogCaptureFixture, expected: set[str]) -> set[str]:
    """Wait for the lines: the server writes one after the client has the whole answer."""
    deadline = time.monotonic() + 10
    while True:
        records = [r for r in caplog.records if r.name == "serving.access"]
        lines = {r.getMessage().rsplit(" ", 2)[0] for r in records}
        if lines >= expected or time.monotonic() > deadline:
            return lines
        time.sleep(0.01)
