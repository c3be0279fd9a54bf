from __future__ import annotations

import logging
import os
import time
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import pytest
from prometheus_client.parser import text_string_to_metric_families

from predict_requests import VALID
from serving.app import create_app
from serving.settings import Settings

if TYPE_CHECKING:
    import httpx

    from serving.prediction.served import ServedModel


@pytest.fixture
def client(serve: Any, mortality: ServedModel) -> httpx.Client:
    return serve(create_app(Settings(), models=[mortality]))


def samples(client: httpx.Client, name: str) -> dict[tuple[str, ...], float]:
    answer = client.get("/metrics")
    assert answer.status_code == 200
    return {
        tuple(sample.labels.values()): sample.value
        for family in text_string_to_metric_families(answer.text)
        for sample in family.samples
        if sample.name == name
    }


def test_requests_are_counted_by_route_and_nothing_that_was_sent_is_a_label(
    client: httpx.Client,
) -> None:
    for _ in range(3):
        client.get("/health/live", params={"patient": "Sentinel4711"})
    client.get("/patients/Sentinel4711")
    client.post("/v1/predict", json={})
    client.request("SENTINEL4711", "/v1/predict")
    wanted = {
        ("GET", "/health/live", "200"): 3,
        ("GET", "(no route)", "404"): 1,
        ("POST", "/v1/predict", "422"): 1,
        ("other", "/v1/predict", "405"): 1,
    }
    deadline = time.monotonic() + 10  # the server counts after the client has the whole answer
    while True:
        found = samples(client, "osteon_requests_total")
        if wanted.items() <= found.items() or time.monotonic() > deadline:
            break
        time.sleep(0.01)
    assert wanted.items() <= found.items()
    assert "sentinel" not in client.get("/metrics").text.lower()


def test_the_served_model_is_named_with_its_hash(
    client: httpx.Client, mortality: ServedModel
) -> None:
    assert samples(client, "osteon_model_info") == {
        # By the alphabet: alias, name, sha256, version.
        ("champion", "osteon-mortality-simulated", mortality.loaded.sha256, "3"): 1
    }


def test_predictions_are_counted_by_model_status_refusal_and_door(client: httpx.Client) -> None:
    for _ in range(2):
        assert client.post("/v1/predict", json=VALID).status_code == 200
    child = VALID | {"birth_date": "2020-01-01"}
    refused = client.post("/v1/predict/batch", json={"requests": [child]}).json()
    (code, *_) = [one["code"] for one in refused["answers"][0]["predictions"][0]["refusals"]]
    name = "osteon-mortality-simulated"
    # By the alphabet: door, model, refusal_code, status, version.
    assert samples(client, "osteon_predictions_total") == {
        ("api", name, "", "ok", "3"): 2,
        ("batch", name, code, "refused", "3"): 1,
    }
    assert samples(client, "osteon_model_seconds_count") == {(name,): 3}
    assert samples(client, "osteon_trail_seconds_count")[()] == 3


def test_a_repeated_request_is_logged_and_not_counted_again(
    client: httpx.Client, lines: list[dict[str, Any]]
) -> None:
    for _ in range(2):
        answer = client.post("/v1/predict", json=VALID, headers={"Idempotency-Key": "a-key"})
        assert answer.status_code == 200
    deadline = time.monotonic() + 10
    while len(lines) < 2 and time.monotonic() < deadline:
        time.sleep(0.01)
    first, second = (line["prediction_ids"] for line in lines)
    assert first == second
    assert sum(samples(client, "osteon_predictions_total").values()) == 1


def test_a_process_states_its_memory_and_its_time(client: httpx.Client) -> None:
    pid = (str(os.getpid()),)
    assert samples(client, "process_resident_memory_bytes")[pid] > 1_000_000
    assert samples(client, "process_cpu_seconds_total")[pid] > 0
    assert samples(client, "process_open_fds")[pid] > 0


@pytest.fixture
def lines() -> Iterator[list[dict[str, Any]]]:
    """The fields of the log's lines of requests."""
    found: list[dict[str, Any]] = []

    class Handler(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            found.append(record.fields)  # type: ignore[attr-defined]

    handler, logger = Handler(), logging.getLogger("serving.access")
    before = logger.level
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)
    yield found
    logger.removeHandler(handler)
    logger.setLevel(before)


TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"


@pytest.mark.parametrize(
    ("headers", "request_id"),
    [
        ({"traceparent": f"00-{TRACE}-00f067aa0ba902b7-01"}, TRACE),
        (
            {"X-Request-Id": "0A1B2C3D-0000-4000-8000-00000000000F"},
            "0a1b2c3d00004000800000000000000f",
        ),
        ({"X-Request-Id": "Sentinel4711"}, None),
        ({"traceparent": f"00-{'0' * 32}-00f067aa0ba902b7-01"}, None),
        ({"traceparent": "Sentinel4711"}, None),
        ({}, None),
    ],
)
def test_a_request_is_logged_under_the_id_that_its_answer_names(
    client: httpx.Client,
    lines: list[dict[str, Any]],
    headers: dict[str, str],
    request_id: str | None,
) -> None:
    answer = client.post("/v1/predict", json=VALID, headers=headers)
    deadline = time.monotonic() + 10
    while not lines and time.monotonic() < deadline:
        time.sleep(0.01)
    (line,) = lines
    sent = answer.headers["x-request-id"]
    assert len(sent) == 32
    assert request_id in (sent, None)
    assert line.pop("milliseconds") > 0
    assert line == {
        "request_id": sent,
        "method": "POST",
        "route": "/v1/predict",
        "door": "api",
        "caller": "local",
        "prediction_ids": [answer.json()["prediction_id"]],
        "status": 200,
    }


@pytest.mark.parametrize(
    ("path", "door"),
    [
        ("/fhir/metadata", "fhir"),
        ("/cds-services", "cds"),
        ("/health/live", "operations"),
        ("/v1/models", "api"),
        ("/", "page"),
        ("/nowhere", "page"),
    ],
)
def test_the_door_of_a_request_is_logged(
    client: httpx.Client, lines: list[dict[str, Any]], path: str, door: str
) -> None:
    client.get(path)
    deadline = time.monotonic() + 10
    while not lines and time.monotonic() < deadline:
        time.sleep(0.01)
    assert lines[0]["door"] == door
    assert lines[0]["prediction_ids"] == []
