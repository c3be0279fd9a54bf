"""Machines that call with the certificate of their connection."""

from __future__ import annotations

import ssl
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import httpx
import pytest

from certificates import Authority, authority, certificate
from data_schema.errors import UsageError
from predict_requests import VALID
from serving.app import create_app
from serving.processes.server import server_of
from serving.processes.tls_files import check_tls
from serving.settings import RoleGroup, Settings, read_settings

if TYPE_CHECKING:
    from fastapi import FastAPI

    from serving.prediction.served import ServedModel

ROLES = (
    RoleGroup("predict", "interface"),
    RoleGroup("outcomes", "interface"),
    RoleGroup("metrics", "prometheus"),
)


@contextmanager
def running(app: FastAPI, settings: Settings) -> Iterator[int]:
    """Serve an application as a worker does, and give its port."""
    server = server_of(app, settings)
    server.config.port = 0
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    while not server.started:
        time.sleep(0.01)
    yield server.servers[0].sockets[0].getsockname()[1]
    server.should_exit = True
    thread.join()


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("tls")


@pytest.fixture(scope="module")
def trusted(folder: Path) -> Authority:
    return authority(folder)


@pytest.fixture(scope="module")
def url(folder: Path, trusted: Authority, mortality: ServedModel) -> Iterator[str]:
    """A service that knows two machines by their certificates."""
    pem, key = certificate(folder)
    settings = Settings(
        state_dir=folder / "state",
        authentication="required",
        tls_certificate=pem,
        tls_key=key,
        tls_client_roles=ROLES,
        tls_client_authorities=trusted.pem,
    )
    with running(create_app(settings, models=[mortality]), settings) as port:
        yield f"https://127.0.0.1:{port}"


def connected(url: str, folder: Path, pair: tuple[Path, Path] | None = None) -> httpx.Client:
    context = ssl.create_default_context(cafile=str(folder / "certificate.pem"))
    if pair is not None:
        context.load_cert_chain(*pair)
    return httpx.Client(base_url=url, verify=context, timeout=60)


def test_a_named_machine_needs_no_key_and_is_on_record_by_its_name(
    url: str, folder: Path, trusted: Authority
) -> None:
    with connected(url, folder, trusted.client(folder, "interface")) as client:
        answer = client.post("/v1/predict", json=VALID)
        assert answer.status_code == 200
        sent = {"prediction_id": answer.json()["prediction_id"], "outcome": "mortality"}
        happened = client.post("/v1/outcomes", json=sent | {"event": 0, "days": 3})
        assert happened.status_code == 201
        assert client.get("/metrics").status_code == 403
    with connected(url, folder, trusted.client(folder, "prometheus")) as client:
        assert client.get("/metrics").status_code == 200
        assert client.post("/v1/predict", json=VALID).status_code == 403


def test_no_certificate_and_that_of_an_unknown_machine_identify_nobody(
    url: str, folder: Path, trusted: Authority
) -> None:
    for pair in (None, trusted.client(folder, "another")):
        with connected(url, folder, pair) as client:
            assert client.get("/v1/models").status_code == 401
            assert client.get("/health/ready").status_code == 200


def test_a_certificate_of_another_authority_ends_the_connection(
    url: str, folder: Path, tmp_path: Path
) -> None:
    stranger = authority(tmp_path).client(tmp_path, "interface")
    with (
        connected(url, folder, stranger) as client,
        pytest.raises((httpx.ConnectError, httpx.ReadError, httpx.RemoteProtocolError)),
    ):
        client.get("/v1/models")


@pytest.mark.parametrize(
    "header", [{"Origin": "https://evil.example"}, {"Sec-Fetch-Site": "cross-site"}]
)
def test_a_browser_is_not_identified_by_the_certificate_of_its_machine(
    url: str, folder: Path, trusted: Authority, header: dict[str, str]
) -> None:
    with connected(url, folder, trusted.client(folder, "interface")) as client:
        assert client.post("/v1/predict", json=VALID, headers=header).status_code == 403
        assert client.get("/v1/models", headers=header).status_code == 401


def test_a_cds_client_still_signs_each_call(url: str, folder: Path, trusted: Authority) -> None:
    with connected(url, folder, trusted.client(folder, "interface")) as client:
        assert client.post("/cds-services/osteon-mortality", json={}).status_code == 401


HEADER = "X-Client-Certificate"
OVER_TLS = {"X-Forwarded-Proto": "https", "X-Forwarded-For": "192.0.2.7"}


def passed_on(pair: tuple[Path, Path]) -> dict[str, str]:
    """Return the headers of a proxy, as nginx's `$ssl_client_escaped_cert` writes a certificate."""
    return OVER_TLS | {HEADER: quote(pair[0].read_text(), safe="")}


@pytest.fixture(scope="module")
def proxied(folder: Path, trusted: Authority, mortality: ServedModel) -> Iterator[httpx.Client]:
    """The same behind a proxy that ends TLS."""
    settings = Settings(
        state_dir=folder / "proxied",
        authentication="required",
        trusted_proxies=("127.0.0.1",),
        tls_client_roles=ROLES,
        tls_client_authorities=trusted.pem,
        tls_client_header=HEADER,
    )
    with running(create_app(settings, models=[mortality]), settings) as port:
        url = f"http://127.0.0.1:{port}"
        with httpx.Client(base_url=url, headers=OVER_TLS, timeout=60) as client:
            yield client


def test_a_proxy_passes_the_certificate_of_a_machine_on(
    proxied: httpx.Client, folder: Path, trusted: Authority
) -> None:
    named = passed_on(trusted.client(folder, "interface"))
    assert proxied.post("/v1/predict", json=VALID, headers=named).status_code == 200
    assert proxied.get("/metrics", headers=named).status_code == 403
    assert (
        proxied.get("/v1/models", headers=passed_on(trusted.client(folder, "other"))).status_code
        == 401
    )


def test_a_certificate_that_a_proxy_passes_on_is_checked_again(
    proxied: httpx.Client, folder: Path, trusted: Authority, tmp_path: Path
) -> None:
    stranger = passed_on(authority(tmp_path).client(tmp_path, "interface"))
    old = passed_on(trusted.client(folder, "interface", days=-1))
    nonsense = {HEADER: "no%20certificate"}
    for headers in (stranger, old, nonsense, {HEADER: ""}):
        assert proxied.get("/v1/models", headers=headers).status_code == 401


def test_only_a_trusted_proxy_passes_certificates_on(
    folder: Path, trusted: Authority, mortality: ServedModel
) -> None:
    pem, key = certificate(folder)
    settings = Settings(
        state_dir=folder / "direct",
        authentication="required",
        trusted_proxies=("192.0.2.1",),
        tls_certificate=pem,
        tls_key=key,
        tls_client_roles=ROLES,
        tls_client_authorities=trusted.pem,
        tls_client_header=HEADER,
    )
    named = passed_on(trusted.client(folder, "interface"))
    with (
        running(create_app(settings, models=[mortality]), settings) as port,
        connected(f"https://127.0.0.1:{port}", folder) as client,
    ):
        assert client.get("/v1/models", headers=named).status_code == 401


@pytest.mark.parametrize(
    "lacking", ["TLS_CLIENT_ROLES", "TLS_CLIENT_AUTHORITIES", "TLS_CERTIFICATE", "AUTHENTICATION"]
)
def test_certificates_of_machines_need_all_that_they_rest_on(
    monkeypatch: pytest.MonkeyPatch, lacking: str
) -> None:
    stated: dict[str, Any] = {
        "AUTHENTICATION": "required",
        "TLS_CERTIFICATE": "certificate.pem",
        "TLS_KEY": "key.pem",
        "TLS_CLIENT_ROLES": "predict=interface",
        "TLS_CLIENT_AUTHORITIES": "authorities.pem",
    }
    for name, value in stated.items():
        if name != lacking:
            monkeypatch.setenv(f"OSTEON_{name}", value)
    with pytest.raises(UsageError, match="OSTEON_TLS_CLIENT_AUTHORITIES must be stated with"):
        read_settings()


def test_a_file_without_authorities_is_refused(folder: Path, tmp_path: Path) -> None:
    pem, key = certificate(tmp_path)
    nonsense = tmp_path / "authorities.pem"
    nonsense.write_text("no certificate")
    with pytest.raises(UsageError, match="OSTEON_TLS_CLIENT_AUTHORITIES must be a readable PEM"):
        check_tls(pem, key, nonsense)
