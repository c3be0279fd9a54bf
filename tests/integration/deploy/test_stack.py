"""The parts of `deploy/compose.yaml`, started as processes from its own files, and used.

What Compose would give each part (command, variables, files) is read from the same files; only
names of hosts, ports and paths are replaced. `tests/benchmark/compose_stack.py` runs the file
itself where a container engine can.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml

from deployed_stack import DEPLOY, REPLICAS, DeployedStack, environment_file, train, until
from mlflow_server import ended_with_its_group, wait_until_healthy
from nginx import free_port, nginx_of
from postgresql import running_postgresql
from service_process import ServiceProcess

pytestmark = pytest.mark.slow


@dataclass
class Ports:
    """A free port of this machine for each port of a container."""

    public: int = field(default_factory=free_port)
    metrics: int = field(default_factory=free_port)
    mlflow_page: int = field(default_factory=free_port)
    mlflow: int = field(default_factory=free_port)
    prometheus: int = field(default_factory=free_port)
    replicas: Mapping[str, int] = field(
        default_factory=lambda: {name: free_port() for name in REPLICAS}
    )


def replaced(text: str, places: Mapping[str, str]) -> str:
    """Replace names of hosts, ports and paths, each of which the text must hold."""
    for name, place in places.items():
        assert name in text, name
        text = text.replace(name, place)
    return text


@pytest.fixture
def stack(tmp_path: Path) -> Iterator[DeployedStack]:
    if shutil.which("prometheus") is None:
        pytest.skip("Prometheus is not installed (Debian: prometheus)")
    pytest.importorskip("flask_wtf", reason="MLflow's sign-in is not installed (mlflow[auth])")
    shutil.copytree(DEPLOY, tmp_path / "deploy", ignore=shutil.ignore_patterns("secrets"))
    compose = tmp_path / "deploy" / "compose"
    subprocess.run(["bash", str(compose / "make_secrets.sh")], check=True, capture_output=True)
    secrets, ports = compose / "secrets", Ports()
    stated = yaml.safe_load((DEPLOY / "compose.yaml").read_text())["services"]
    with ExitStack() as running:
        socket = running.enter_context(database(compose, secrets))
        running.enter_context(mlflow(tmp_path, secrets, stated["mlflow"], socket, ports))
        replicas = Replicas(tmp_path, secrets, stated, socket, ports)
        running.callback(replicas.stop_all)
        for name in REPLICAS:
            replicas.start(name)
        running.enter_context(proxy(tmp_path, secrets, ports))
        running.enter_context(prometheus(tmp_path, secrets, ports))
        yield DeployedStack(
            public=f"https://localhost:{ports.public}",
            mlflow=f"https://localhost:{ports.mlflow_page}",
            prometheus=f"http://127.0.0.1:{ports.prometheus}",
            certificate=secrets / "certificate.pem",
            secrets=secrets,
            osteon=replicas.run,
            stop=replicas.stop,
            start=replicas.start,
            seconds_to_alert=300,
        )


@contextmanager
def database(compose: Path, secrets: Path) -> Iterator[str]:
    """Run PostgreSQL with the users and databases of `databases.sh`, and yield its socket."""
    with running_postgresql("postgres") as server:
        folder = server.url.partition("host=")[2]
        subprocess.run(
            ["sh", str(compose / "postgres" / "databases.sh")],
            env=os.environ | environment_file(secrets / "postgres.env") | {"PGHOST": folder},
            check=True,
            capture_output=True,
        )
        yield folder


def at_socket(text: str, socket: str) -> str:
    """Let the addresses of databases name a socket instead of the host `postgres`."""
    return re.sub(r"@postgres/(\w+)", rf"@/\1?host={socket}", text)


@contextmanager
def mlflow(
    folder: Path, secrets: Path, stated: dict[str, Any], socket: str, ports: Ports
) -> Iterator[None]:
    auth = secrets / "mlflow_auth.ini"
    auth.write_text(at_socket(auth.read_text(), socket))
    command = replaced(
        "\n".join(stated["command"]),
        {
            "--host=0.0.0.0": "--host=127.0.0.1",
            "--port=5000": f"--port={ports.mlflow}",
            "--workers=2": "--workers=1",
            "/var/lib/mlflow": str(folder / "mlflow"),
            "mlflow:5000": f"127.0.0.1:{ports.mlflow}",
            "localhost:5443": f"localhost:{ports.mlflow_page}",
        },
    ).split("\n")
    environment = os.environ | {
        name: at_socket(value, socket)
        for name, value in environment_file(secrets / "mlflow.env").items()
    }
    environment |= {
        "MLFLOW_AUTH_CONFIG_PATH": str(auth),
        "MLFLOW_DISABLE_TELEMETRY": "true",
        # Its seven processes for jobs are of no use here.
        "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
    }
    with (
        (folder / "mlflow.log").open("w") as log,
        ended_with_its_group(
            subprocess.Popen(
                [sys.executable, "-m", "mlflow", *command],
                cwd=folder,
                env=environment,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        ) as process,
    ):
        wait_until_healthy(f"http://127.0.0.1:{ports.mlflow}", process, folder / "mlflow.log")
        yield


class Replicas:
    """The two replicas of the service, each with the settings and the state folder of its own."""

    def __init__(
        self, folder: Path, secrets: Path, stated: dict[str, Any], socket: str, ports: Ports
    ) -> None:
        self._folder = folder
        self._running: dict[str, ServiceProcess] = {}
        own = environment_file(secrets / "service.env")
        self._environment = {
            name: {
                **{key: at_socket(value, socket) for key, value in own.items()},
                **stated[name]["environment"],
                "OSTEON_TRUSTED_PROXIES": "127.0.0.1",
                "OSTEON_PUBLIC_URL": f"https://localhost:{ports.public}",
                "OSTEON_PORT": str(ports.replicas[name]),
                "OSTEON_STATE_DIR": str(folder / name / "state"),
                "OSTEON_DRAIN_SECONDS": "1",
                "OSTEON_REGISTRY_POLL_SECONDS": "20",
                "MLFLOW_TRACKING_URI": f"http://127.0.0.1:{ports.mlflow}",
                "OMP_NUM_THREADS": "1",
            }
            for name in REPLICAS
        }

    def start(self, name: str) -> None:
        service = ServiceProcess(self._folder / name, self._environment[name])
        self._running[name] = service
        service.address()

    def stop(self, name: str) -> None:
        self._running.pop(name).stop()

    def stop_all(self) -> None:
        for name in [*self._running]:
            self.stop(name)

    def run(self, name: str, arguments: Any) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "osteon", *arguments],
            cwd=self._folder / name,
            env=os.environ | self._environment[name],
            capture_output=True,
            text=True,
            check=False,
        )


def proxy(folder: Path, secrets: Path, ports: Ports) -> Any:
    """Run nginx with the configuration of Compose."""
    text = replaced(
        (DEPLOY / "compose" / "nginx.conf").read_text(),
        {
            "/etc/nginx/certificate.pem": str(secrets / "certificate.pem"),
            "/etc/nginx/key.pem": str(secrets / "key.pem"),
            "/etc/nginx/aliases.conf": str(DEPLOY / "mlflow" / "aliases.conf"),
            "listen 8443": f"listen 127.0.0.1:{ports.public}",
            "listen 9443": f"listen 127.0.0.1:{ports.metrics}",
            "listen 5443": f"listen 127.0.0.1:{ports.mlflow_page}",
            "mlflow:5000": f"127.0.0.1:{ports.mlflow}",
            **{f"{name}:8000": f"127.0.0.1:{port}" for name, port in ports.replicas.items()},
        },
    )
    place = folder / "nginx"
    place.mkdir()
    return nginx_of(place, text, port=ports.public)


@contextmanager
def prometheus(folder: Path, secrets: Path, ports: Ports) -> Iterator[None]:
    """Run Prometheus with the configuration of Compose, its times shortened to seconds."""
    place = folder / "prometheus"
    (place / "rules").mkdir(parents=True)
    text = replaced(
        (DEPLOY / "prometheus" / "prometheus.yml").read_text(),
        {
            "/etc/prometheus/rules/": f"{place}/rules/",
            "/etc/prometheus/metrics.key": str(secrets / "metrics.key"),
            "/etc/prometheus/authority.pem": str(secrets / "certificate.pem"),
            "nginx:9443": f"127.0.0.1:{ports.metrics}",
            "_interval: 15s": "_interval: 2s",
        },
    )
    (place / "prometheus.yml").write_text(text)
    for rules in (DEPLOY / "prometheus" / "rules").glob("*.yml"):
        shorter = re.sub(r"(\"?for\"?: \"?)\d+[mh]", r"\g<1>3s", rules.read_text())
        (place / "rules" / rules.name).write_text(shorter)
    command = [
        *("prometheus", f"--config.file={place}/prometheus.yml"),
        *(
            f"--storage.tsdb.path={place}/data",
            f"--web.listen-address=127.0.0.1:{ports.prometheus}",
        ),
    ]
    with (
        (folder / "prometheus.log").open("w") as log,
        ended_with_its_group(
            subprocess.Popen(command, stdout=log, stderr=log, start_new_session=True)
        ),
    ):
        ready = f"http://127.0.0.1:{ports.prometheus}/-/ready"
        until(lambda: httpx.get(ready).status_code == 200, "Prometheus is ready")
        yield


def test_a_trainer_trains_and_only_the_gate_promotes(stack: DeployedStack, tmp_path: Path) -> None:
    folder = tmp_path / "data scientist"
    folder.mkdir()
    train(stack, folder)
    listed = stack.json_of("osteon-2", "registry")["versions"]
    assert [version["aliases"] for version in listed] == [["champion"]]
