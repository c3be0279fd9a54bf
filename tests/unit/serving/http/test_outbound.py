"""What the service fetches is bounded, whatever the other side does."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from serving.http import outbound
from serving.http.outbound import Unreachable, get_json, is_allowed


class Handler(BaseHTTPRequestHandler):
    """Answers each path in its own bad way."""

    def do_GET(self) -> None:
        if self.path == "/moved":
            self.send_response(302)
            self.send_header("Location", "/good")
            self.end_headers()
            return
        self.send_response(200)
        self.end_headers()
        if self.path == "/good":
            self.wfile.write(b'{"a": 1}')
        elif self.path == "/long":
            self.wfile.write(b'"' + b"a" * 5_000 + b'"')
        elif self.path == "/drip":
            try:
                for _ in range(100):
                    self.wfile.write(b" ")
                    self.wfile.flush()
                    time.sleep(0.1)
            except OSError:
                pass  # whoever asked has left
        else:
            self.wfile.write(b'{"a": 1, "a": 2}')

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture(scope="module")
def base() -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


def test_a_document_is_fetched(base: str) -> None:
    assert get_json(f"{base}/good") == {"a": 1}


def test_a_redirect_is_not_followed(base: str) -> None:
    with pytest.raises(Unreachable, match="got 302"):
        get_json(f"{base}/moved")


def test_what_is_not_plain_json_is_refused(base: str) -> None:
    with pytest.raises(Unreachable, match="must answer with JSON"):
        get_json(f"{base}/twice")


def test_a_long_answer_is_cut(base: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(outbound, "_MAX_BYTES", 1_000)
    with pytest.raises(Unreachable, match="at most 1000 bytes"):
        get_json(f"{base}/long")


def test_a_server_that_sends_byte_by_byte_is_left_in_time(base: str) -> None:
    started = time.monotonic()
    with pytest.raises(Unreachable):
        get_json(f"{base}/drip", seconds=0.5)
    assert time.monotonic() - started < 3  # it would drip for ten seconds


def test_nobody_there_says_so_without_the_address() -> None:
    with pytest.raises(Unreachable, match="did not answer") as raised:
        get_json("http://127.0.0.1:9/Patient/PatientSentinel")
    assert "Sentinel" not in str(raised.value)


@pytest.mark.parametrize(
    "url",
    [
        "http://ehr.example/fhir",
        "file:///etc/passwd",
        "ftp://127.0.0.1/a",
        "https://user:secret@ehr.example/",
        "https://ehr.example/#part",
        "https:///nobody",
        "https://ehr.example:port/",
        "https://ehr.example/a b",
        "https://ehr.example/a\r\nHost: other",
        "https://ehr.example/é",
        "",
    ],
)
def test_an_address_that_is_not_safe_is_not_asked(url: str) -> None:
    assert not is_allowed(url)
    with pytest.raises(Unreachable, match="must be https"):
        get_json(url)
