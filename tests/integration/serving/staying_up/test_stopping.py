"""A service that is reloaded, given a new certificate, drained and stopped."""

from __future__ import annotations

import signal
import ssl
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest

from certificates import certificate

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
            assert client.post("/v1/predict", json=request).status_code == 200

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
        log = service.process.stderr.read()
    assert "SIGHUP: the registry is polled at once" in log
    assert "The renewed certificate is used" in log
    assert "draining for 60 s" in log
    assert site.actions()[-1] == "stop"
