"""nginx for tests, with its files in one folder; and one that offers a service at a path by TLS."""

from __future__ import annotations

import os
import re
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

_PROCESS = """
{user}
daemon off;
pid {folder}/pid;
error_log {folder}/error.log;
"""
_FILES = """
  access_log off;
  client_body_temp_path {folder}/body;
  proxy_temp_path {folder}/proxy;
  fastcgi_temp_path {folder}/fastcgi;
  scgi_temp_path {folder}/scgi;
  uwsgi_temp_path {folder}/uwsgi;
"""
_SERVICE = """
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


def own_files(text: str, folder: Path) -> str:
    """Return a configuration that runs in the foreground and writes to one folder only.

    Parameters
    ----------
    text : str
        A whole configuration, with a section `events` and one line `http {`.
    """
    user = "user root;" if os.geteuid() == 0 else ""
    text = re.sub(r"(?m)^ *(pid|daemon|error_log|user|access_log) .*;$", "", text)
    assert text.count("http {\n") == 1
    text = text.replace("http {\n", f"http {{\n{_FILES.format(folder=folder)}")
    return _PROCESS.format(user=user, folder=folder) + text


@contextmanager
def nginx_of(folder: Path, text: str, *, port: int) -> Iterator[None]:
    """Run nginx with a configuration until the block ends; skip the test if it is not installed.

    Parameters
    ----------
    folder : Path
        Exists, and takes every file that nginx writes.
    text : str
        As for `own_files`.
    port : int
        One that nginx listens on.
    """
    program = shutil.which("nginx") or shutil.which("nginx", path="/usr/sbin")
    if program is None:
        pytest.skip("nginx is not installed (Debian: nginx-light)")
    (folder / "nginx.conf").write_text(own_files(text, folder))
    process = subprocess.Popen(
        [
            *(program, "-e", str(folder / "error.log"), "-p", str(folder)),
            *("-c", str(folder / "nginx.conf")),
        ]
    )
    try:
        _wait_for(port, process)
        yield
    finally:
        process.terminate()
        process.wait(30)


@contextmanager
def running_nginx(
    folder: Path, *, service: str, port: int, path: str, removes: bool
) -> Iterator[Nginx]:
    """Offer a service at a path, which the proxy removes or leaves in; skip if not installed."""
    folder.mkdir(parents=True, exist_ok=True)
    pem, _ = certificate(folder)
    servers = _SERVICE.format(
        folder=folder, service=service, port=port, path=path, removed="/" if removes else ""
    )
    with nginx_of(folder, f"events {{ }}\nhttp {{\n{servers}}}\n", port=port):
        yield Nginx(f"https://127.0.0.1:{port}{path}", pem)


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
