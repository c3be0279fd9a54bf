"""A shared MLflow server for tests: PostgreSQL, sign-in, an artifact proxy, and nginx before it."""

from __future__ import annotations

import os
import shutil
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

from nginx import free_port

RECIPE = Path(__file__).parents[2] / "deploy" / "mlflow" / "aliases.conf"
ADMIN = "osteon-gate"
PASSWORD = "a password of twelve or more"

_NGINX = """
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
  client_max_body_size 1g;
  proxy_set_header Host $http_host;
  upstream mlflow {{ server 127.0.0.1:{server}; }}
  server {{
    listen 127.0.0.1:{port};
    include {recipe};
    location / {{ proxy_pass http://mlflow; }}
  }}
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
    program = shutil.which("nginx", path=f"{os.environ['PATH']}:/usr/sbin")
    if program is None:
        pytest.skip("nginx is not installed (Debian: nginx)")
    server, port = free_port(), free_port()
    artifacts = folder / "artifacts"
    (folder / "auth.ini").write_text(
        f"[mlflow]\ndefault_permission = READ\ndatabase_uri = {sign_in}\n"
    )
    user = "user root;" if os.geteuid() == 0 else ""
    (folder / "nginx.conf").write_text(
        _NGINX.format(folder=folder, server=server, port=port, recipe=RECIPE, user=user)
    )
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
    with (folder / "server.log").open("w") as log:
        processes = [
            subprocess.Popen(
                one, cwd=folder, env=environment, stdout=log, stderr=log, start_new_session=True
            )
            for one in (command, [program, "-c", str(folder / "nginx.conf"), "-e", "stderr"])
        ]
        try:
            url = f"http://127.0.0.1:{port}"
            _wait_until_healthy(url, processes, folder / "server.log")
            yield SharedServer(url, artifacts)
        finally:
            for process in processes:
                os.killpg(process.pid, signal.SIGTERM)
            for process in processes:
                process.wait(timeout=120)


def _wait_until_healthy(url: str, processes: list[subprocess.Popen[bytes]], log: Path) -> None:
    deadline = time.monotonic() + 180
    while time.monotonic() < deadline:
        assert all(process.poll() is None for process in processes), log.read_text()
        try:
            if httpx.get(f"{url}/health", timeout=10).status_code == 200:
                return
        except httpx.HTTPError:
            pass
        time.sleep(0.5)
    raise AssertionError(log.read_text())
