"""A shared MLflow server for tests: PostgreSQL, sign-in, an artifact proxy, and nginx before it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest

from nginx import free_port, nginx_of

RECIPE = Path(__file__).parents[2] / "deploy" / "mlflow" / "aliases.conf"
ADMIN = "osteon-gate"
PASSWORD = "a password of twelve or more"

_SERVERS = """
  client_max_body_size 1g;
  proxy_set_header Host $http_host;
  upstream mlflow {{ server 127.0.0.1:{server}; }}
  server {{
    listen 127.0.0.1:{port};
    include {recipe};
    location / {{ proxy_pass http://mlflow; }}
  }}
"""


@dataclass(frozen=True)
class SharedServer:
    """An MLflow server behind nginx, whose administrator is the account of the gate."""

    url: str
    artifacts: Path

    def environment(self, account: str) -> dict[str, str]:
        """Return the variables with which a client signs in as an account."""
        return {
            "MLFLOW_TRACKING_URI": self.url,
            "MLFLOW_TRACKING_USERNAME": account,
            "MLFLOW_TRACKING_PASSWORD": PASSWORD,
        }

    def create_account(self, name: str) -> None:
        """Create an account that may read everything, and edit what it makes."""
        answer = httpx.post(
            f"{self.url}/api/2.0/mlflow/users/create",
            json={"username": name, "password": PASSWORD},
            auth=(ADMIN, PASSWORD),
            timeout=60,
        )
        answer.raise_for_status()


@contextmanager
def shared_server(folder: Path, *, tracking: str, sign_in: str) -> Iterator[SharedServer]:
    """Run a server over two databases; skip the test where a part of it is not installed."""
    pytest.importorskip("flask_wtf", reason="MLflow's sign-in is not installed (mlflow[auth])")
    server, port = free_port(), free_port()
    artifacts = folder / "artifacts"
    (folder / "auth.ini").write_text(
        f"[mlflow]\ndefault_permission = READ\ndatabase_uri = {sign_in}\n"
    )
    servers = _SERVERS.format(server=server, port=port, recipe=RECIPE)
    configuration = f"events {{ }}\nhttp {{\n{servers}}}\n"
    environment = os.environ | {
        "MLFLOW_AUTH_CONFIG_PATH": str(folder / "auth.ini"),
        "MLFLOW_AUTH_ADMIN_USERNAME": ADMIN,
        "MLFLOW_AUTH_ADMIN_PASSWORD": PASSWORD,
        "MLFLOW_FLASK_SERVER_SECRET_KEY": "a secret of the tests",
        "MLFLOW_DISABLE_TELEMETRY": "true",
        # Its seven processes for jobs are of no use here.
        "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
    }
    command = [
        *(sys.executable, "-m", "mlflow", "server", "--app-name=basic-auth", "--workers=1"),
        *("--host=127.0.0.1", f"--port={server}", f"--backend-store-uri={tracking}"),
        *("--serve-artifacts", f"--artifacts-destination={artifacts}"),
    ]
    with (
        (folder / "server.log").open("w") as log,
        nginx_of(folder, configuration, port=port),
        ended_with_its_group(
            subprocess.Popen(
                command, cwd=folder, env=environment, stdout=log, stderr=log, start_new_session=True
            )
        ) as process,
    ):
        url = f"http://127.0.0.1:{port}"
        wait_until_healthy(url, process, folder / "server.log")
        yield SharedServer(url, artifacts)


@contextmanager
def ended_with_its_group(process: subprocess.Popen[bytes]) -> Iterator[subprocess.Popen[bytes]]:
    """End a process and all that it started, which share its session."""
    try:
        yield process
    finally:
        os.killpg(process.pid, signal.SIGTERM)
        process.wait(timeout=120)


def wait_until_healthy(url: str, process: subprocess.Popen[bytes], log: Path) -> None:
    """Wait until an MLflow server answers, for three minutes at most."""
    deadline = time.monotonic() + 180
    while time.monotonic() < deadline:
        assert process.poll() is None, log.read_text()
        try:
            if httpx.get(f"{url}/health", timeout=10).status_code == 200:
                return
        except httpx.HTTPError:
            pass
        time.sleep(0.5)
    raise AssertionError(log.read_text())
