from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import pytest
from prometheus_client.parser import text_string_to_metric_families

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
