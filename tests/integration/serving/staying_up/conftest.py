"""A registry with two approved versions, and `osteon serve` as processes."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from contracts import restated
from models.registry import lifecycle as model_registry
from models.registry.bundle import bundle_sha256
from models.registry.gate import GateRecord
from models.registry.lifecycle import Version, register
from models.registry.tracking import connect

if TYPE_CHECKING:
    from models.inference.risk_model import RiskModel
    from serving.prediction.served import ServedModel
    from serving.settings import Settings

COMMAND = "import typer; from serving.cli.serve import serve; typer.run(serve)"
KEY = "a key of more than sixteen characters"


class Registry:
    """A registry in a folder, with versions of one model that differ in whom they learned from."""

    name = "osteon-mortality-simulated"

    def __init__(self, folder: Path, model: RiskModel) -> None:
        self.folder = folder
        self._model = model
        client = connect().MlflowClient()
        self._run_id = client.create_run(client.create_experiment("test")).info.run_id
        self.first, self.second = self.register("1"), self.register("2")

    def register(self, number: str) -> Version:
        model = restated(self._model, population=f"Patients, {number}.")
        return register(model, run_id=self._run_id)

    def promote(self, version: Version) -> None:
        record = GateRecord(
            model_sha256=version.sha256,
            cohort_fingerprint="0" * 64,
            metrics=[],
            decision="promote",
            by="a test",
            at="2026-11-01T08:00:00+01:00",
        )
        model_registry.promote(self.name, version.version, record, key=KEY.encode())

    def bundle_of(self, version: Version) -> Path:
        """Return the folder of a version's bundle in the artifact store."""
        bundles = (path.parent for path in self.folder.glob("mlruns/**/manifest.json"))
        (found,) = (path for path in bundles if bundle_sha256(path) == version.sha256)
        return found


@pytest.fixture(scope="module")
def registry(
    mortality: ServedModel, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Registry]:
    """A registry with two approved versions, the first of them champion."""
    folder = tmp_path_factory.mktemp("registry")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{folder / 'mlflow.db'}")
        made = Registry(folder, mortality.loaded.risk_model)
        made.promote(made.second)
        made.promote(made.first)
        yield made


@dataclass
class Site:
    """A registry and a state of its own, and the service as processes."""

    folder: Path
    settings: dict[str, str] = field(default_factory=dict)

    @property
    def environment(self) -> dict[str, str]:
        return {
            "MLFLOW_TRACKING_URI": f"sqlite:///{self.folder / 'mlflow.db'}",
            "OSTEON_GATE_KEY": KEY,
            "OSTEON_STATE_DIR": str(self.folder / "state"),
            "OSTEON_REGISTRY_POLL_SECONDS": "1",
            "OSTEON_DRAIN_SECONDS": "0",
            **self.settings,
        }

    @contextmanager
    def serving(self, *options: str) -> Iterator[Service]:
        process = subprocess.Popen(
            [sys.executable, "-c", COMMAND, "--port", "0", "--json", *options],
            cwd=self.folder,
            env=os.environ | self.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        assert process.stdout is not None
        try:
            printed = process.stdout.readline()
            assert printed, process.communicate()[1]
            yield Service(process, json.loads(printed)["url"])
        finally:
            process.send_signal(signal.SIGTERM)
            process.communicate(timeout=60)

    def records(self, *, after: int = 0) -> list[dict[str, Any]]:
        """Verify the trail and return its records, those after the first so many."""
        from contextlib import closing

        from sqlalchemy import select

        from serving.audit.head import read_head
        from serving.audit.opening import audit_keys, database_of, head_path
        from serving.audit.verification import verify
        from serving.store.tables import RECORDS

        settings = self.audit_settings()
        keys = audit_keys(settings)
        with closing(database_of(settings)) as database:
            assert verify(database, keys, read_head(head_path(settings), keys)).ok
            with database.reading() as connection:
                bodies = connection.execute(select(RECORDS.c.body).order_by(RECORDS.c.seq))
                return [json.loads(body) for body in bodies.scalars()][after:]

    def audit_settings(self) -> Settings:
        """Return settings that name the trail of the service."""
        from serving.settings import Settings

        url = self.settings.get("OSTEON_DATABASE_URL")
        return Settings(state_dir=Path(self.environment["OSTEON_STATE_DIR"]), database_url=url)

    def actions(self, *, after: int = 0) -> list[str]:
        found = [record["action"] for record in self.records(after=after)]
        return [action for action in found if action != "predict"]


@dataclass
class Service:
    """The supervisor and where its workers answer."""

    process: subprocess.Popen[str]
    url: str

    def client(self) -> httpx.Client:
        return httpx.Client(base_url=self.url, timeout=60)

    def get(self, path: str) -> httpx.Response:
        # A new connection each time, so that any worker may answer.
        return httpx.get(self.url + path, timeout=60)

    def request(self) -> dict[str, Any]:
        operation = self.get("/openapi.json").json()["paths"]["/v1/predict"]["post"]
        example: dict[str, Any] = operation["requestBody"]["content"]["application/json"]["example"]
        return example

    def predict(self, request: dict[str, Any], **headers: str) -> httpx.Response:
        return httpx.post(self.url + "/v1/predict", json=request, headers=headers, timeout=60)

    def ready(self) -> dict[str, Any]:
        said: dict[str, Any] = self.get("/health/ready").json()
        return said

    def predicted(self) -> float:
        """How many predictions the counters of all workers know of."""
        sample = 'osteon_requests_total{method="POST",route="/v1/predict",status="200"} '
        lines = self.get("/metrics").text.splitlines()
        found = [line.removeprefix(sample) for line in lines if line.startswith(sample)]
        return float(found[0]) if found else 0.0

    def workers(self) -> list[int]:
        """The processes that listen."""
        pid = self.process.pid
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
        return [
            int(child)
            for child in children
            if b"serving.processes.worker" in Path(f"/proc/{child}/cmdline").read_bytes()
        ]


def wait_until(holds: Callable[[], Any], what: str) -> None:
    deadline = time.monotonic() + 90
    while not holds():
        assert time.monotonic() < deadline, what
        time.sleep(0.1)


@pytest.fixture(scope="session")
def until() -> Callable[[Callable[[], Any], str], None]:
    """Return a function that waits until something holds."""
    return wait_until


@pytest.fixture(scope="module")
def site(registry: Registry) -> Site:
    """The registry with its first version champion, and a state of its own."""
    return Site(registry.folder)


@pytest.fixture(scope="module")
def running(site: Site) -> Iterator[Service]:
    """The service with two workers."""
    with site.serving("--workers", "2") as service:
        yield service


@pytest.fixture
def service(running: Service, registry: Registry) -> Service:
    """The same, as it was before a test: it serves the first version and is well."""
    # A second approval is a swap on record, which the test would take for its own.
    models = running.ready().get("models", [])
    if any(model["version"] != registry.first.version for model in models):
        registry.promote(registry.first)
    wait_until(
        lambda: all(
            (said := running.ready())["status"] == "ready"
            and said["models"][0]["version"] == registry.first.version
            for _ in range(6)
        ),
        "it must be well",
    )
    return running


@pytest.fixture
def site_with(registry: Registry) -> Callable[..., Site]:
    """Return a function of settings that gives the registry with a state of its own."""
    return lambda **settings: Site(registry.folder, settings)
