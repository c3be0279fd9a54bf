"""`osteon serve` as processes: champions swapped, registry and database gone, workers killed."""

from __future__ import annotations

import hashlib
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from shutil import copytree
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from models import registry
from models.bundle import bundle_sha256
from models.gate import GateRecord
from models.registry import Version, register
from models.tracking import connect

if TYPE_CHECKING:
    from serving.served import ServedModel

# MLflow 3.17 warns about its own code under SQLAlchemy 2.1 and pandas 3; it answers right.
pytestmark = pytest.mark.filterwarnings("ignore:::mlflow")

COMMAND = "import typer; from serving.cli import serve; typer.run(serve)"
NAME = "osteon-mortality-simulated"
KEY = "a key of more than sixteen characters"


def promote(version: Version) -> None:
    record = GateRecord(
        model_sha256=version.sha256,
        cohort_fingerprint="0" * 64,
        metrics=[],
        decision="promote",
        by="a test",
        at="2026-11-01T08:00:00+01:00",
    )
    registry.promote(NAME, version.version, record, key=KEY.encode())


@pytest.fixture(scope="module")
def versions(
    mortality: ServedModel, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[Path, Version, Version]]:
    """A registry with two approved versions, the first of them champion."""
    folder = tmp_path_factory.mktemp("registry")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{folder / 'mlflow.db'}")
        client = connect().MlflowClient()
        run_id = client.create_run(client.create_experiment("test")).info.run_id
        made = [
            register(
                mortality.loaded.risk_model.with_contract(population=f"Patients, {number}."),
                run_id=run_id,
            )
            for number in (1, 2)
        ]
        for version in reversed(made):
            promote(version)
        yield folder, made[0], made[1]


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
        from serving.settings import Settings
        from serving.tables import RECORDS

        url = self.settings.get("OSTEON_DATABASE_URL")
        settings = Settings(state_dir=Path(self.environment["OSTEON_STATE_DIR"]), database_url=url)
        keys = audit_keys(settings)
        with closing(database_of(settings)) as database:
            assert verify(database, keys, read_head(head_path(settings), keys)).ok
            with database.reading() as connection:
                bodies = connection.execute(select(RECORDS.c.body).order_by(RECORDS.c.seq))
                return [json.loads(body) for body in bodies.scalars()][after:]

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
            if b"serving.worker" in Path(f"/proc/{child}/cmdline").read_bytes()
        ]


def wait_until(holds: Callable[[], Any], what: str) -> None:
    deadline = time.monotonic() + 90
    while not holds():
        assert time.monotonic() < deadline, what
        time.sleep(0.1)


@pytest.fixture(scope="module")
def site(versions: tuple[Path, Version, Version]) -> Site:
    """The registry with its first version champion, and a state of its own."""
    return Site(versions[0])


@pytest.fixture(scope="module")
def running(site: Site) -> Iterator[Service]:
    """The service with two workers."""
    with site.serving("--workers", "2") as service:
        yield service


@pytest.fixture
def service(running: Service, versions: tuple[Path, Version, Version]) -> Service:
    """The same, as it was before a test: it serves the first version and is well."""
    promote(versions[1])
    wait_until(
        lambda: all(
            (said := running.ready())["status"] == "ready"
            and said["models"][0]["version"] == versions[1].version
            for _ in range(6)
        ),
        "it must be well",
    )
    return running


def test_a_new_champion_is_swapped_in_whole_under_load(
    service: Service, site: Site, versions: tuple[Path, Version, Version]
) -> None:
    _, first, second = versions
    answers: Counter[tuple[int, Any, Any]] = Counter()
    before = len(site.records())
    request = service.request()
    stop = threading.Event()

    def ask() -> None:
        with service.client() as client:
            while not stop.is_set():
                answer = client.post("/v1/predict", json=request)
                said = answer.json()["predictions"][0] if answer.status_code == 200 else {}
                summary = said.get("summary", "")
                learned = next((n for n in "12" if f"Patients, {n}." in summary), None)
                answers[answer.status_code, said.get("model", {}).get("version"), learned] += 1

    asking = [threading.Thread(target=ask) for _ in range(4)]
    for thread in asking:
        thread.start()
    promote(second)
    wait_until(lambda: answers[200, second.version, "2"] > 20, "the new one must answer")
    # Each worker for itself has swapped.
    wait_until(
        lambda: {service.ready()["models"][0]["version"] for _ in range(8)} == {second.version},
        "both workers must serve the new one",
    )
    stop.set()
    for thread in asking:
        thread.join()
    # What an answer says of itself and what it was made of belong together, and none failed.
    assert set(answers) == {(200, first.version, "1"), (200, second.version, "2")}
    records = site.records(after=before)
    hashes = {first.version: first.sha256, second.version: second.sha256}
    for record in records:
        for model in record.get("models", []):
            assert model["sha256"] == hashes[model["version"]]
    assert site.actions(after=before) == ["model_swapped"]
    (swapped,) = [record for record in records if record["action"] == "model_swapped"]
    assert swapped["detail"]["before"][0]["version"] == first.version
    assert swapped["models"][0]["promoted_by"] == "a test"
    assert sum(answers.values()) == sum(record["action"] == "predict" for record in records)


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ("no record", "must have a gate record; it has none"),
        ("record of another", "must speak of the very bundle that is served"),
        ("changed file", "files must have the hashes"),
        ("unknown format", "bundle_format must be"),
    ],
)
def test_a_version_that_may_not_be_served_is_refused_and_the_old_one_stays(
    service: Service,
    site: Site,
    versions: tuple[Path, Version, Version],
    wrong: str,
    said: str,
    tmp_path: Path,
) -> None:
    _, first, second = versions
    client = connect().MlflowClient()
    before = len(site.records())
    record = client.get_model_version(NAME, second.version).tags["osteon.gate"]
    bundle = bundle_of(second)
    copytree(bundle, tmp_path / "right")
    try:
        if wrong == "no record":
            client.delete_model_version_tag(NAME, second.version, "osteon.gate")
        elif wrong == "record of another":
            other = client.get_model_version(NAME, first.version).tags["osteon.gate"]
            client.set_model_version_tag(NAME, second.version, "osteon.gate", other)
        elif wrong == "changed file":
            (bundle / "contract.json").write_text("{}")
        else:
            contract = json.loads((bundle / "contract.json").read_text()) | {"bundle_format": 99}
            changed = json.dumps(contract).encode()
            (bundle / "contract.json").write_bytes(changed)
            manifest = json.loads((bundle / "manifest.json").read_text())
            manifest["contract.json"] = hashlib.sha256(changed).hexdigest()
            (bundle / "manifest.json").write_text(json.dumps(manifest))
        client.set_registered_model_alias(NAME, "champion", second.version)
        wait_until(lambda: service.ready()["status"] == "degraded", "it must say so")
        ready = service.ready()
        assert ready["models"][0]["version"] == first.version
        (reason,) = ready["degraded"]
        assert reason["code"] == "version_refused"
        assert f"version {second.version} is refused" in reason["message"]
        assert said in reason["message"]
        assert service.predict(service.request()).status_code == 200
        assert 'osteon_degraded{code="version_refused"} 1.0' in service.get("/metrics").text
    finally:
        client.set_registered_model_alias(NAME, "champion", first.version)
        copytree(tmp_path / "right", bundle, dirs_exist_ok=True)
        client.set_model_version_tag(NAME, second.version, "osteon.gate", record)
    wait_until(lambda: service.ready()["status"] == "ready", "it must be over")
    assert site.actions(after=before) == ["model_refused"]


def bundle_of(version: Version) -> Path:
    """Return the folder of a version's bundle in the artifact store."""
    bundles = (path.parent for path in Path.cwd().glob("mlruns/**/manifest.json"))
    (found,) = (path for path in bundles if bundle_sha256(path) == version.sha256)
    return found


def test_without_the_registry_it_goes_on(service: Service, site: Site) -> None:
    database, away = site.folder / "mlflow.db", site.folder / "away.db"
    request = service.request()
    database.rename(away)
    try:
        wait_until(lambda: service.ready()["status"] == "degraded", "it must say so")
        (reason,) = service.ready()["degraded"]
        assert reason["code"] == "registry"
        assert "mlflow.db" not in reason["message"]
        assert service.predict(request).status_code == 200
        assert not database.exists()
    finally:
        away.rename(database)
    wait_until(lambda: service.ready()["status"] == "ready", "it must be over")


def test_without_the_database_nothing_is_answered_that_could_not_be_recorded(
    service: Service, site: Site
) -> None:
    database, away = site.folder / "state" / "osteon.db", site.folder / "away-audit"
    before = len(site.records())
    request = service.request()
    assert service.predict(request).status_code == 200
    away.mkdir()
    for path in database.parent.glob("osteon.db*"):
        path.rename(away / path.name)
    assert service.predict(request).status_code == 503
    ready = service.get("/health/ready")
    assert ready.status_code == 503
    assert ready.json()["errors"][0]["field"] == "audit"
    assert service.get("/v1/models").json()["models"][0]["name"] == NAME
    assert not database.exists()
    for path in away.iterdir():
        path.rename(database.parent / path.name)
    assert service.predict(request).status_code == 200
    assert service.ready()["status"] == "ready"
    assert [record["action"] for record in site.records(after=before)] == ["predict"] * 2


def test_a_killed_worker_is_restarted_and_one_chain_and_one_count_go_on(
    service: Service, site: Site
) -> None:
    before, counted = len(site.records()), service.predicted()
    request = service.request()
    first = service.workers()
    assert len(first) == 2
    ids = [
        service.predict(request, **{"Idempotency-Key": "once"}).json()["prediction_id"]
        for _ in range(6)
    ]
    assert len(set(ids)) == 1
    os.kill(first[0], signal.SIGKILL)
    wait_until(lambda: len(service.workers()) == 2 and first[0] not in service.workers(), "two")
    for _ in range(4):
        assert service.predict(request).status_code == 200
    wait_until(lambda: service.predicted() == counted + 10, "all workers must be counted")
    assert [r["action"] for r in site.records(after=before)].count("predict") == 5


def test_what_was_asked_before_it_ends_is_answered_and_it_starts_again_from_the_disk(
    versions: tuple[Path, Version, Version], tmp_path: Path
) -> None:
    _, first, _ = versions
    promote(first)
    # A registry that this test may take away.
    site = Site(versions[0], {"OSTEON_STATE_DIR": str(tmp_path / "state")})
    database, away = site.folder / "mlflow.db", site.folder / "away.db"
    with site.serving("--workers", "2") as service:
        request = service.request()
        answered: list[int] = []

        def ask() -> None:
            with service.client() as client:
                batch = {"requests": [request] * 60}
                answered.append(client.post("/v1/predict/batch", json=batch).status_code)

        asking = [threading.Thread(target=ask) for _ in range(2)]
        for thread in asking:
            thread.start()
        time.sleep(0.3)
        service.process.send_signal(signal.SIGTERM)
        wait_until(lambda: _refused(service), "new ones must be refused")
        for thread in asking:
            thread.join()
        assert answered == [200, 200]
        service.process.communicate(timeout=30)
        assert service.process.returncode == 0
    assert site.actions() == ["start", "stop"]
    assert len(site.records()) == 122
    database.rename(away)
    try:
        with site.serving() as service:
            said = service.ready()
            assert said["status"] == "degraded"
            assert said["models"] == [{"name": NAME, "version": first.version, "alias": "champion"}]
            assert service.predict(request).status_code == 200
            # Nor do workers outlive their supervisor.
            workers = service.workers()
            service.process.kill()
            wait_until(lambda: not any(Path(f"/proc/{w}").exists() for w in workers), "they end")
            assert _refused(service)
        # What was changed on the disk is not believed, and then nothing is left to serve.
        (bundle,) = (path for path in (tmp_path / "state" / "models").iterdir() if path.is_dir())
        contract = bundle / "contract.json"
        contract.write_text(contract.read_text().replace("deaths", "events"))
        with pytest.raises(AssertionError, match="registry must stay where it is"), site.serving():
            pass
    finally:
        away.rename(database)


def test_without_postgresql_it_starts_and_answers_once_it_can_record(
    versions: tuple[Path, Version, Version], stoppable_postgresql: Any, tmp_path: Path
) -> None:
    server = stoppable_postgresql
    url = server.url.format(name="postgres")
    settings = {"OSTEON_STATE_DIR": str(tmp_path / "state"), "OSTEON_DATABASE_URL": url}
    site = Site(versions[0], settings)
    server.stop()
    with site.serving() as service:
        request = service.request()
        assert service.predict(request).status_code == 503
        assert service.get("/health/ready").status_code == 503
        assert service.get("/v1/models").json()["models"][0]["name"] == NAME
        server.start()
        assert service.predict(request).status_code == 200
        wait_until(lambda: service.ready()["status"] == "ready", "it must be well")
        server.stop()
        assert service.predict(request).status_code == 503
        server.start()
        assert service.predict(request).status_code == 200
    records = [record["action"] for record in site.records()]
    assert sorted(records) == ["predict", "predict", "start", "stop"]


def _refused(service: Service) -> bool:
    try:
        service.get("/health/live")
    except httpx.TransportError:
        return True
    return False
