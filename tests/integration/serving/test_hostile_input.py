"""What no client of good will sends: each is refused with a 4xx, and nothing of it comes back."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from serving.app import create_app
from serving.http import boundary as door
from serving.processes import timed_heads
from serving.settings import Settings

if TYPE_CHECKING:
    from serving.prediction.served import ServedModel

SENTINEL = "Sentinel4711"
JSON = {"content-type": "application/json"}
PATHS = ("/v1/predict", "/v1/predict/batch", "/v1/outcomes", "/page/entries")
CHUNKED = (
    b"POST /v1/predict HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
    b"Transfer-Encoding: chunked\r\n\r\n"
)
VALID: dict[str, Any] = {
    "patient_id": "p",
    "time_zero": "2026-11-01T08:00:00+01:00",
    "asked_at": "2026-11-01T08:00:00+01:00",
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
        b"Host: localhost",
    ],
    ids=["injection", "null", "name", "smuggling", "two lengths", "negative length", "two hosts"],
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


def test_a_request_to_no_host_is_refused(client: httpx.Client) -> None:
    answer = raw(client, b"GET /health/live HTTP/1.1\r\nConnection: close\r\n\r\n")
    assert status_of(answer) == 400


def test_a_client_that_would_rather_speak_http_2_has_its_body_read(client: httpx.Client) -> None:
    body = json.dumps(VALID).encode()
    answer = raw(
        client,
        b"POST /v1/predict HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
        b"Connection: Upgrade, HTTP2-Settings, close\r\nUpgrade: h2c\r\n"
        b"HTTP2-Settings: AAMAAABkAAQAAP__\r\nContent-Length: %d\r\n\r\n" % len(body) + body,
    )
    assert status_of(answer) == 200


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


def test_a_slow_head_is_not_waited_for(
    client: httpx.Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(timed_heads, "_SECONDS_FOR_A_HEAD", 0.3)
    address = (client.base_url.host, client.base_url.port)
    with socket.create_connection(address, timeout=30) as connection:
        connection.sendall(b"GET /health/live HTTP/1.1\r\nHost: localhost\r\n")
        answer, sent = b"", 0
        connection.settimeout(0.05)
        while sent < 100:  # a byte now and then, as long as somebody listens
            try:
                part = connection.recv(65_536)
                answer += part
                if not part:
                    break
            except TimeoutError:
                with suppress(OSError):
                    connection.sendall(b"X-Sentinel4711: a\r\n" if sent == 0 else b"X")
                sent += 1
    assert status_of(answer) == 408
    assert SENTINEL.encode() not in answer
    assert client.get("/health/live").status_code == 200


def test_who_says_nothing_is_not_waited_for(
    client: httpx.Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(timed_heads, "_SECONDS_FOR_A_HEAD", 0.3)
    assert status_of(raw(client, b"")) == 408


def test_a_connection_stays_open_between_two_requests_and_the_next_head_is_timed(
    client: httpx.Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(timed_heads, "_SECONDS_FOR_A_HEAD", 0.3)
    request = b"GET /health/live HTTP/1.1\r\nHost: localhost\r\n\r\n"
    address = (client.base_url.host, client.base_url.port)
    with socket.create_connection(address, timeout=30) as connection:
        for _ in range(2):
            connection.sendall(request)
            answer = b""
            while not answer.endswith(b"}"):  # head and body may come apart
                answer += connection.recv(65_536)
            assert status_of(answer) == 200
            time.sleep(0.6)
        connection.sendall(request[:20])
        assert status_of(connection.recv(65_536)) == 408


@pytest.mark.parametrize(
    "start",
    [b"GET /health/live HTTP/1.1\r\nHost: localhost\r\n", CHUNKED + b"1\r\n{\r\n0\r\n"],
    ids=["head", "trailers"],
)
def test_headers_without_end_are_not_kept(client: httpx.Client, start: bytes) -> None:
    address = (client.base_url.host, client.base_url.port)
    with socket.create_connection(address, timeout=30) as connection:
        connection.sendall(start)
        sent, answer = 0, b""
        with suppress(OSError):  # it stops listening
            while sent < 10_000_000:
                connection.sendall(b"X-Sentinel4711: %d\r\n" % sent * 100)
                sent += 2_000
        with suppress(OSError):
            answer = connection.recv(65_536)
    assert sent < 10_000_000
    assert SENTINEL.encode() not in answer
    assert client.get("/health/live").status_code == 200


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize(
    "body",
    [
        b"[" * 100_000,
        b'{"patient_id": ' * 50_000,
        b'{"patient_id": "Sentinel4711"',
        b"\xff\xfeSentinel4711",
        b"",
        b"null",
        b'["Sentinel4711"]',
    ],
    ids=["deep list", "deep object", "cut short", "no UTF-8", "empty", "null", "list"],
)
def test_a_body_that_is_no_request_is_refused(client: httpx.Client, path: str, body: bytes) -> None:
    answer = client.post(path, content=body, headers=JSON)
    assert answer.status_code == 422
    assert SENTINEL not in answer.text


@pytest.mark.parametrize("number", ["NaN", "Infinity", "-Infinity", "1e999", "9" * 400])
def test_a_number_that_is_none_is_refused(client: httpx.Client, number: str) -> None:
    body = json.dumps(VALID).replace("2.8", number)
    answer = client.post("/v1/predict", content=body, headers=JSON)
    assert answer.status_code == 422
    assert [entry["field"] for entry in answer.json()["errors"]] == ["measurements[0].value"]
    assert number not in answer.text


@pytest.mark.parametrize(
    "changed",
    [
        {"unit": "Sentinel4711"},
        {"unit": "Sentinel4711" * 1_000},
        {"variable": "Sentinel4711"},
        {"variable": "lactate\r\nSentinel4711: a"},
        {"loinc": "Sentinel4711"},
        {"assay": "x" * 10_000},
        {"comparator": "Sentinel4711"},
        {"value": {"Sentinel4711": 1}},
        {"value": "1,471"},
        {"Sentinel4711": 1},
    ],
    ids=str,
)
def test_a_measurement_that_breaks_a_rule_is_refused(
    client: httpx.Client, changed: dict[str, Any]
) -> None:
    broken = VALID | {"measurements": [VALID["measurements"][0] | changed]}
    answer = client.post("/v1/predict", json=broken)
    assert answer.status_code == 422
    assert SENTINEL not in answer.text
    assert "1,471" not in answer.text


def test_ten_thousand_measurements_are_refused(client: httpx.Client) -> None:
    one = VALID["measurements"][0] | {"assay": SENTINEL}
    answer = client.post("/v1/predict", json=VALID | {"measurements": [one] * 10_000})
    assert answer.status_code in (413, 422)
    assert SENTINEL not in answer.text
    many = [{"variable": "lactate", "value": 1}] * 10_000
    answer = client.post("/v1/predict", json=VALID | {"measurements": many})
    assert [entry["rule"] for entry in answer.json()["errors"]] == ["too_many"]


@pytest.mark.parametrize("path", ["/v1/predict", "/fhir/RiskAssessment/$predict", "/nothing"])
def test_a_refused_body_is_answered_before_the_connection_ends(
    client: httpx.Client, path: str
) -> None:
    # A client that sends everything before it reads: a reset would destroy the answer.
    body = b" " * 20_000_000
    head = f"POST {path} HTTP/1.1\r\nHost: localhost\r\nContent-Length: {len(body)}\r\n"
    for more in ("Connection: close\r\n\r\n", "Transfer-Encoding: chunked\r\n\r\n"):
        stated = head if "close" in more else head.partition("Content-Length")[0]
        sent = body if "close" in more else b"1312D00\r\n" + body + b"\r\n0\r\n\r\n"
        address = (client.base_url.host, client.base_url.port)
        with socket.create_connection(address, timeout=30) as connection:
            connection.sendall(f"{stated}{more}".encode() + sent)
            assert status_of(connection.recv(65_536)) in ((404, 413) if "no" in path else (413,))


def test_fifty_megabytes_that_do_not_say_so_are_not_read(client: httpx.Client) -> None:
    address = (client.base_url.host, client.base_url.port)
    part = b"10000\r\n" + b" " * 65_536 + b"\r\n"
    with socket.create_connection(address, timeout=30) as connection:
        connection.sendall(
            b"POST /v1/predict HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n"
            b"Content-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n"
        )
        sent = 0
        with suppress(OSError):  # the service stops reading, and closes
            while sent < 800:
                connection.sendall(part)
                sent += 1
        answer = connection.recv(65_536)
    assert sent < 800
    assert status_of(answer) == 413


def _unknown_keys(count: int) -> dict[str, Any]:
    return {f"key{number}": number for number in range(count)}


@pytest.mark.parametrize("path", PATHS)
def test_95_000_unknown_keys_get_a_short_answer(client: httpx.Client, path: str) -> None:
    body = json.dumps(VALID | _unknown_keys(95_000))
    answer = client.post(path, content=body, headers=JSON)
    assert answer.status_code == 422
    assert len(answer.content) < 1_000
    (problem,) = answer.json()["errors"]
    assert (problem["field"], problem["rule"]) == ("body", "too_many")
    assert "more than 200 members" in problem["message"]


def test_an_object_as_wide_as_any_resource_is_read(client: httpx.Client) -> None:
    answer = client.post("/v1/predict", json=VALID | _unknown_keys(150))
    problems = answer.json()["errors"]
    assert [problem["rule"] for problem in problems[:100]] == ["unknown_field"] * 100
    assert problems[100:] == [
        {
            "field": "body",
            "rule": "more_problems",
            "message": "50 more problems are not listed.",
            "count": 50,
        }
    ]


def test_a_long_list_of_faults_is_reported_from_its_start(client: httpx.Client) -> None:
    sent = [{"variable": "lactate", "value": 1.0, "unit": "mmol/L"} for _ in range(2_000)]
    for measurement in sent[130:]:
        measurement["units"] = "mmol/L"
    answer = client.post("/v1/predict", json=VALID | {"measurements": sent})
    fields = [problem["field"] for problem in answer.json()["errors"]]
    assert fields == [f"measurements[{number}].units" for number in range(130, 150)]
    request = VALID | {"measurements": sent}
    answer = client.post("/v1/predict/batch", json={"requests": [VALID] * 7 + [request] * 40})
    fields = [problem["field"] for problem in answer.json()["errors"]]
    assert fields[0] == "requests[7].measurements[130].units"
    assert len(fields) == 3 * 20
    answer = client.post("/v1/predict", json=VALID | {"measurements": sent + sent[:1]})
    assert [problem["rule"] for problem in answer.json()["errors"]] == ["too_many"]


@pytest.mark.parametrize("path", [*PATHS, "/fhir/RiskAssessment/$predict"])
@pytest.mark.parametrize("coding", ["gzip", "br", "zstd", "identity, deflate", "sentinel"])
def test_a_compressed_body_is_not_read(client: httpx.Client, path: str, coding: str) -> None:
    headers = JSON | {"content-encoding": coding}
    answer = client.post(path, content=json.dumps(VALID), headers=headers)
    assert answer.status_code == 415
    assert "sentinel" not in answer.text


def test_the_coding_that_means_none_is_read(client: httpx.Client) -> None:
    headers = JSON | {"content-encoding": "identity"}
    answer = client.post("/v1/predict", content=json.dumps(VALID), headers=headers)
    assert answer.status_code == 200


_SERVICE = """
import sys, uvicorn
from serving.app import create_app
from serving.settings import Settings
uvicorn.run(create_app(Settings()), port=int(sys.argv[1]), log_level="critical")
"""


@pytest.fixture
def own_process(tmp_path: Path) -> Iterator[str]:
    """The address of a service without models in a process of its own."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    environment = os.environ | {"OSTEON_STATE_DIR": str(tmp_path)}
    process = subprocess.Popen([sys.executable, "-c", _SERVICE, str(port)], env=environment)
    url = f"http://127.0.0.1:{port}"
    try:
        for _ in range(600):
            with suppress(httpx.TransportError):
                httpx.get(f"{url}/health/live")
                break
            time.sleep(0.1)
        yield url
    finally:
        process.terminate()
        process.wait(30)


def _waits(url: str, count: int) -> list[float]:
    """Return how long health checks waited, in seconds, the longest last."""
    waits = []
    with httpx.Client(base_url=url, timeout=60) as client:
        for _ in range(count):
            began = time.monotonic()
            assert client.get("/health/live").status_code == 200
            waits.append(time.monotonic() - began)
            time.sleep(0.05)
    return sorted(waits)


@pytest.mark.slow
def test_health_never_waits_for_eight_hostile_requests_in_work(own_process: str) -> None:
    wide = json.dumps(VALID | _unknown_keys(95_000))
    unknown = [{"variable": "lactate", "value": 1.0, "x": 1} for _ in range(2_000)]
    long = json.dumps({"requests": [VALID | {"measurements": unknown}] * 45})
    stop = threading.Event()
    answered: list[int] = []
    worked: list[float] = []

    def flood(path: str, body: str) -> None:
        with httpx.Client(base_url=own_process, timeout=60) as client:
            while not stop.is_set():
                began = time.monotonic()
                answered.append(client.post(path, content=body, headers=JSON).status_code)
                worked.append(time.monotonic() - began)

    bodies = [("/v1/predict", wide)] * 6 + [("/v1/predict/batch", long)] * 2
    floods = [threading.Thread(target=flood, args=one) for one in bodies]
    for thread in floods:
        thread.start()
    try:
        waits = _waits(own_process, 60)
    finally:
        stop.set()
        for thread in floods:
            thread.join()
    median = sorted(worked)[len(worked) // 2]
    print(f"health: {waits[30]:.3f} s median, {waits[-1]:.3f} s at most; a request {median:.3f} s")
    assert set(answered) == {422}
    # A ratio within one run: seconds alone would judge how busy the machine is.
    assert waits[30] < median / 2
