"""A service that is reloaded, given a new certificate, drained and stopped."""

from __future__ import annotations

import json
import signal
import ssl
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest

from certificates import certificate

TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"

pytestmark = [
    pytest.mark.slow,
    # MLflow 3.17 warns about its own code under SQLAlchemy 2.1 and pandas 3; it answers right.
    pytest.mark.filterwarnings("ignore:::mlflow"),
]


def test_a_service_reloads_renews_its_certificate_and_drains_before_it_ends(
    site_with: Callable[..., Any], until: Callable[..., None], tmp_path: Path
) -> None:
    pair = certificate(tmp_path)
    site = site_with(
        OSTEON_STATE_DIR=str(tmp_path / "state"),
        OSTEON_TLS_CERTIFICATE=str(pair[0]),
        OSTEON_TLS_KEY=str(pair[1]),
        OSTEON_DRAIN_SECONDS="60",
        OSTEON_LOG_FORMAT="json",
        OSTEON_REGISTRY_POLL_SECONDS="3600",
    )

    def trusting() -> httpx.Client:
        context = ssl.create_default_context(cafile=str(pair[0]))
        return httpx.Client(base_url=service.url, verify=context, timeout=60)

    with site.serving() as service:
        with trusting() as client:
            operation = client.get("/openapi.json").json()["paths"]["/v1/predict"]["post"]
            request = operation["requestBody"]["content"]["application/json"]["example"]
            service.process.send_signal(signal.SIGHUP)
            for worker in service.workers():
                Path(f"/proc/{worker}").stat()
            trace = {"traceparent": f"00-{TRACE}-00f067aa0ba902b7-01"}
            answered = client.post("/v1/predict", json=request, headers=trace)
            assert answered.status_code == 200
            counted = client.get("/metrics").text
            assert 'osteon_registry_seconds_count{result="ok"} ' in counted
            for worker in service.workers():
                assert f'process_resident_memory_bytes{{pid="{worker}"}}' in counted

        certificate(tmp_path)

        def is_renewed() -> bool:
            try:
                with trusting() as client:
                    return client.get("/health/ready").status_code == 200
            except httpx.ConnectError:  # still the certificate from before
                return False

        until(is_renewed, "the renewed certificate must be shown")
        with trusting() as client:
            service.process.send_signal(signal.SIGTERM)
            until(lambda: client.get("/health/ready").status_code == 503, "it must drain")
            assert client.get("/health/ready").json()["errors"][0]["rule"] == "draining"
            assert client.get("/health/live").status_code == 200
            answer = client.post("/v1/predict", json=request)
            assert answer.status_code == 200
            assert answer.headers["connection"] == "close"
        service.process.send_signal(signal.SIGTERM)  # a second signal ends the drain
        service.process.wait(30)
        assert service.process.stderr is not None
        log = [json.loads(line) for line in service.process.stderr.read().splitlines()]
    messages = " ".join(line["message"] for line in log)
    assert "SIGHUP: the registry is polled at once" in messages
    assert "The renewed certificate is used" in messages
    assert "draining for 60 s" in messages
    (line,) = [line for line in log if line.get("request_id") == TRACE]
    assert line["prediction_ids"] == [answered.json()["prediction_id"]]
    assert (line["caller"], line["door"], line["status"]) == ("local", "api", 200)
    assert site.actions()[-1] == "stop"
