"""`osteon serve` as processes: registry and database gone, workers killed, ended and started."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest

# MLflow 3.17 warns about its own code under SQLAlchemy 2.1 and pandas 3; it answers right.
pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore:::mlflow")]

Until = Callable[[Callable[[], Any], str], None]


def test_without_the_registry_it_goes_on(service: Any, site: Any, until: Until) -> None:
    database, away = site.folder / "mlflow.db", site.folder / "away.db"
    request = service.request()
    database.rename(away)
    try:
        until(lambda: service.ready()["status"] == "degraded", "it must say so")
        (reason,) = service.ready()["degraded"]
        assert reason["code"] == "registry"
        assert "mlflow.db" not in reason["message"]
        assert service.predict(request).status_code == 200
        assert not database.exists()
    finally:
        away.rename(database)
    until(lambda: service.ready()["status"] == "ready", "it must be over")


def test_without_the_database_nothing_is_answered_that_could_not_be_recorded(
    registry: Any, service: Any, site: Any, until: Until
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
    assert service.get("/v1/models").json()["models"][0]["name"] == registry.name
    assert not database.exists()
    for path in away.iterdir():
        path.rename(database.parent / path.name)
    assert service.predict(request).status_code == 200
    # The worker that failed says so until it succeeds, or for ten seconds.
    until(lambda: service.ready()["status"] == "ready", "it must be well")
    assert [record["action"] for record in site.records(after=before)] == ["predict"] * 2


def test_a_killed_worker_is_restarted_and_one_chain_and_one_count_go_on(
    service: Any, site: Any, until: Until
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
    # A request is counted once it is answered, which a client may hear of sooner.
    until(lambda: service.predicted() == counted + 6, "all must be counted before one is killed")
    os.kill(first[0], signal.SIGKILL)
    until(lambda: len(service.workers()) == 2 and first[0] not in service.workers(), "two")
    for _ in range(4):
        assert service.predict(request).status_code == 200
    until(lambda: service.predicted() == counted + 10, "all workers must be counted")
    assert [r["action"] for r in site.records(after=before)].count("predict") == 5


def test_what_was_asked_before_it_ends_is_answered_and_it_starts_again_from_the_disk(
    registry: Any, site_with: Callable[..., Any], until: Until, tmp_path: Path
) -> None:
    first = registry.first
    registry.promote(first)
    # A registry that this test may take away.
    site = site_with(OSTEON_STATE_DIR=str(tmp_path / "state"))
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
        until(lambda: _refused(service), "new ones must be refused")
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
            assert said["models"] == [
                {"name": registry.name, "version": first.version, "alias": "champion"}
            ]
            assert service.predict(request).status_code == 200
            # Nor do workers outlive their supervisor.
            workers = service.workers()
            service.process.kill()
            until(lambda: not any(Path(f"/proc/{w}").exists() for w in workers), "they end")
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
    registry: Any,
    site_with: Callable[..., Any],
    until: Until,
    stoppable_postgresql: Any,
    tmp_path: Path,
) -> None:
    server = stoppable_postgresql
    url = server.url.format(name="postgres")
    site = site_with(OSTEON_STATE_DIR=str(tmp_path / "state"), OSTEON_DATABASE_URL=url)
    server.stop()
    with site.serving() as service:
        request = service.request()
        assert service.predict(request).status_code == 503
        assert service.get("/health/ready").status_code == 503
        assert service.get("/v1/models").json()["models"][0]["name"] == registry.name
        server.start()
        assert service.predict(request).status_code == 200
        until(lambda: service.ready()["status"] == "ready", "it must be well")
        server.stop()
        assert service.predict(request).status_code == 503
        server.start()
        assert service.predict(request).status_code == 200
    records = [record["action"] for record in site.records()]
    assert sorted(records) == ["predict", "predict", "start", "stop"]


def _refused(service: Any) -> bool:
    try:
        service.get("/health/live")
    except httpx.TransportError:
        return True
    return False
