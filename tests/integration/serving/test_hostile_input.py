"""What no client of good will sends: each is refused with a 4xx, and nothing of it comes back."""

from __future__ import annotations

import json
import socket
from typing import TYPE_CHECKING, Any

import pytest

from serving import door
from serving.app import create_app
from serving.settings import Settings

if TYPE_CHECKING:
    import httpx

    from serving.served import ServedModel

SENTINEL = "Sentinel4711"
JSON = {"content-type": "application/json"}
VALID: dict[str, Any] = {
    "patient_id": "p",
    "time_zero": "2026-11-01T08:00:00+01:00",
    "birth_date": "1958-03-02",
    "outcomes": ["mortality"],
    "measurements": [{"variable": "lactate", "value": 2.8, "unit": "mmol/L"}],
}


@pytest.fixture(scope="module")
def client(serve: Any, mortality: ServedModel) -> httpx.Client:
    return serve(create_app(Settings(), models=[mortality]))


def raw(client: httpx.Client, request: bytes) -> bytes:
    """Send bytes as they are, and return the whole answer."""
    address = (client.base_url.host, client.base_url.port)
    with socket.create_connection(address, timeout=30) as connection:
        connection.sendall(request)
        answer = b""
        while part := connection.recv(65_536):
            answer += part
        return answer


def status_of(answer: bytes) -> int:
    return int(answer.split(b" ", 2)[1])


@pytest.mark.parametrize(
    "body",
    [
        json.dumps(VALID)[:-1] + ', "patient_id": "Sentinel4711"}',
        json.dumps(VALID).replace('"value": 2.8', '"value": 2.8, "value": 47110'),
    ],
    ids=["at the top", "in a measurement"],
)
def test_a_key_that_stands_twice_is_refused(client: httpx.Client, body: str) -> None:
    answer = client.post("/v1/predict", content=body, headers=JSON)
    assert answer.status_code == 422
    assert [entry["rule"] for entry in answer.json()["errors"]] == ["json"]
    assert SENTINEL not in answer.text
    assert "47110" not in answer.text


def test_fifty_megabytes_are_not_read(client: httpx.Client) -> None:
    answer = raw(
        client,
        b"POST /v1/predict HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
        b"Content-Length: 52428800\r\nConnection: close\r\n\r\n",
    )
    assert status_of(answer) == 413


@pytest.mark.parametrize(
    "path",
    [
        "/../../etc/passwd",
        "/..%2f..%2fetc%2fpasswd",
        "/static/../../settings.py",
        "/static/..%2f..%2fsettings.py",
        "/v1/../v1/%2e%2e/models",
        "/%00",
    ],
)
def test_no_path_leads_out(client: httpx.Client, path: str) -> None:
    answer = raw(
        client, f"GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n".encode()
    )
    assert 400 <= status_of(answer) < 500
    assert b"root:" not in answer
    assert b"BaseSettings" not in answer


@pytest.mark.parametrize(
    "line",
    [
        b"Idempotency-Key: a\rX-Injected: Sentinel4711",
        b"Idempotency-Key: a\x00Sentinel4711",
        b"Bad Name: Sentinel4711",
        b"Transfer-Encoding: chunked\r\nContent-Length: 3",
        b"Content-Length: 3\r\nContent-Length: 4",
        b"Content-Length: -1",
    ],
    ids=["injection", "null", "name", "smuggling", "two lengths", "negative length"],
)
def test_a_header_that_is_none_is_refused(
    client: httpx.Client, monkeypatch: pytest.MonkeyPatch, line: bytes
) -> None:
    monkeypatch.setattr(door, "_SECONDS_FOR_A_BODY", 0.3)
    answer = raw(
        client,
        b"POST /v1/predict HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n"
        + line
        + b"\r\n\r\n",
    )
    assert 400 <= status_of(answer) < 500
    assert SENTINEL.encode() not in answer
    assert b"X-Injected" not in answer


def test_a_slow_client_is_not_waited_for(
    client: httpx.Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(door, "_SECONDS_FOR_A_BODY", 0.3)
    answer = raw(
        client,
        b"POST /v1/predict HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
        b'Content-Length: 1000\r\n\r\n{"patient_id": "Sentinel4711"',
    )
    assert status_of(answer) == 408
    assert SENTINEL.encode() not in answer
    assert client.get("/health/live").status_code == 200
