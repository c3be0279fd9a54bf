"""What `osteon doctor` says of disk, clock, certificates and servers: each cause, made for real."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import pytest

from audit_records import fill
from certificates import authority, certificate
from serving.audit.opening import open_trail
from serving.cli.surroundings import clock, disk, fhir_servers, tls_certificates, token_keys
from serving.settings import Settings

KEY = "a key of more than sixteen characters"


@dataclass
class Server:
    """A server of the hospital whose clock is ahead of this machine's."""

    url: str
    ahead: timedelta = timedelta(0)


@pytest.fixture
def server() -> Iterator[Server]:
    running: list[Server] = []

    class Handler(BaseHTTPRequestHandler):
        def date_time_string(self, timestamp: float | None = None) -> str:
            return format_datetime(datetime.now(UTC) + running[0].ahead, usegmt=True)

        def do_GET(self) -> None:
            body = b'{"resourceType": "CapabilityStatement"}'
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as listening:
        running.append(Server(f"http://127.0.0.1:{listening.server_port}"))
        Thread(target=listening.serve_forever, daemon=True).start()
        yield running[0]
        listening.shutdown()


def test_a_clock_beyond_the_leeway_of_tokens_is_named(tmp_path: Path, server: Server) -> None:
    settings = Settings(state_dir=tmp_path, fhir_servers=(server.url,))
    (agrees,) = clock(settings)
    assert agrees.ok
    for ahead, side in ((timedelta(minutes=5), "behind"), (timedelta(minutes=-5), "ahead of")):
        server.ahead = ahead
        (differs,) = clock(settings)
        assert (differs.ok, differs.trouble) == (False, "outside")
        assert f"s {side} {server.url}: sign-ins and tokens are refused" in differs.detail
        assert "NTP" in differs.detail
    assert [*clock(Settings(state_dir=tmp_path))] == []  # nothing to compare with


def test_a_fhir_server_that_does_not_answer_is_named(tmp_path: Path, server: Server) -> None:
    silent = "http://127.0.0.1:9/fhir"
    settings = Settings(state_dir=tmp_path, fhir_servers=(server.url, silent))
    there, gone = fhir_servers(settings)
    assert (there.ok, gone.ok) == (True, False)
    assert gone.detail.startswith(f"{silent} does not answer")


def test_signers_without_keys_are_named(tmp_path: Path, server: Server) -> None:
    settings = Settings(
        state_dir=tmp_path,
        authentication="required",
        public_url="https://osteon.example",
        oidc_issuers=("http://127.0.0.1:9/realm", server.url),
        oidc_audience="osteon",
        cds_clients={"https://ehr.example": "http://127.0.0.1:9/jwks.json"},
    )
    unreachable, another, client = token_keys(settings)
    assert "127.0.0.1:9/realm: The server did not answer" in unreachable.detail
    assert "must be a JSON Web Key Set" in another.detail
    assert (client.check, client.ok) == ("CDS client", False)
    assert "Its tokens are refused" in client.detail


@pytest.mark.parametrize(
    ("days", "ok", "says"), [(-1, False, "expired on"), (3, True, "Renew it now"), (60, True, "")]
)
def test_the_date_of_a_certificate_is_read(tmp_path: Path, days: int, ok: bool, says: str) -> None:
    pem, key = authority(tmp_path).client(tmp_path, "osteon.example", days=days)
    (check,) = tls_certificates(Settings(state_dir=tmp_path, tls_certificate=pem, tls_key=key))
    assert check.ok is ok
    assert says in check.detail
    assert ("Renew" in check.detail) is (days < 14)


def test_files_that_are_no_pair_are_named(tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    pem, _ = certificate(tmp_path)
    _, key = certificate(tmp_path / "other")
    (check,) = tls_certificates(Settings(state_dir=tmp_path, tls_certificate=pem, tls_key=key))
    assert (check.ok, check.trouble) == (False, "usage")
    assert "OSTEON_TLS_KEY" in check.detail


def test_a_full_disk_is_named_before_and_after_it_stops_the_trail(tmp_path: Path) -> None:
    small = tmp_path / "small"
    small.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(small)]
    if os.geteuid() != 0 or subprocess.run(mount, check=False, capture_output=True).returncode:
        pytest.skip("this account may not mount a small file system")
    try:
        settings = Settings(state_dir=small / "state", audit_key=KEY)
        assert disk(Settings(state_dir=tmp_path)).ok
        with closing(open_trail(settings)) as trail:
            fill(trail, 1)
            check = disk(settings)
            assert (check.ok, check.trouble) == (False, "outside")
            assert "Without a record no prediction is answered (503)" in check.detail
            (small / "filler").write_bytes(bytes(os.statvfs(small).f_bavail * 4096))
            with pytest.raises(Exception, match=r"refused .*Free space where its files lie"):
                fill(trail, 2_000)
    finally:
        subprocess.run(["umount", str(small)], check=True)
