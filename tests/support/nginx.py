"""nginx for tests: it ends TLS and offers one service at a path, with its files in one folder."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from certificates import certificate

_CONFIGURATION = """
{user}
daemon off;
pid {folder}/pid;
error_log {folder}/error.log;
events {{ }}
http {{
  access_log off;
  client_body_temp_path {folder}/body;
  proxy_temp_path {folder}/proxy;
  fastcgi_temp_path {folder}/fastcgi;
  scgi_temp_path {folder}/scgi;
  uwsgi_temp_path {folder}/uwsgi;
  upstream osteon {{ server {service}; keepalive 16; }}
  server {{
    listen 127.0.0.1:{port} ssl;
    ssl_certificate {folder}/certificate.pem;
    ssl_certificate_key {folder}/key.pem;
    location {path}/ {{
      proxy_pass http://osteon{removed};
      proxy_http_version 1.1;
      proxy_set_header Connection "";
      proxy_set_header Host $host;
      proxy_set_header X-Forwarded-For $remote_addr;
      proxy_set_header X-Forwarded-Proto $scheme;
      client_max_body_size 8m;
    }}
  }}
}}
"""


@dataclass(frozen=True)
class Nginx:
    """A proxy that is running: its public address, and the certificate to trust."""

    url: str
    certificate: Path


def free_port() -> int:
    """Return a port that is free now."""
    with closing(socket.create_server(("127.0.0.1", 0))) as listener:
        port: int = listener.getsockname()[1]
        return port


@contextmanager
def running_nginx(
    folder: Path, *, service: str, port: int, path: str, removes: bool
) -> Iterator[Nginx]:
    """Offer a service at a path, which the proxy removes or leaves in; skip if not installed."""
    program = shutil.which("nginx") or shutil.which("nginx", path="/usr/sbin")
    if program is None:
        pytest.skip("nginx is not installed (Debian: nginx-light)")
    folder.mkdir(parents=True, exist_ok=True)
    pem, _ = certificate(folder)
    written = _CONFIGURATION.format(
        user="user root;" if os.geteuid() == 0 else "",
        folder=folder,
        service=service,
        port=port,
        path=path,
        removed="/" if removes else "",
    )
    (folder / "nginx.conf").write_text(written)
    errors = str(folder / "error.log")
    process = subprocess.Popen(
        [program, "-e", errors, "-p", str(folder), "-c", str(folder / "nginx.conf")]
    )
    try:
        _wait_for(port, process)
        yield Nginx(f"https://127.0.0.1:{port}{path}", pem)
    finally:
        process.terminate()
        process.wait(30)


def _wait_for(port: int, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + 30
    while True:
        assert process.poll() is None, "nginx must start"
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
            return
        except OSError:
            assert time.monotonic() < deadline, "nginx must listen"
            time.sleep(0.05)
