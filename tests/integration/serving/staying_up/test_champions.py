"""`osteon serve` as processes: which version they serve, and what they keep of it."""

from __future__ import annotations

import hashlib
import json
import os
import signal
import threading
import time
from collections import Counter
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from shutil import copytree
from typing import Any

import pytest

from models.registry.tracking import connect
from models.registry.withdrawal import withdraw
from serving.audit.commands import Decisions
from serving.audit.opening import open_trail

# MLflow 3.17 warns about its own code under SQLAlchemy 2.1 and pandas 3; it answers right.
pytestmark = pytest.mark.filterwarnings("ignore:::mlflow")

Until = Callable[[Callable[[], Any], str], None]


def test_a_new_champion_is_swapped_in_whole_under_load(
    service: Any, site: Any, registry: Any, until: Until
) -> None:
    first, second = registry.first, registry.second
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
    registry.promote(second)
    until(lambda: answers[200, second.version, "2"] > 20, "the new one must answer")
    # Each worker for itself has swapped.
    until(
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
        ("no record", "has no gate record"),
        ("record of another", "must be for the bundle that is served"),
        ("changed file", "files must have the hashes"),
        ("unknown format", "bundle_format must be"),
    ],
)
def test_a_version_that_may_not_be_served_is_refused_and_the_old_one_stays(
    service: Any,
    site: Any,
    registry: Any,
    until: Until,
    wrong: str,
    said: str,
    tmp_path: Path,
) -> None:
    first, second = registry.first, registry.second
    client = connect().MlflowClient()
    before = len(site.records())
    record = client.get_model_version(registry.name, second.version).tags["osteon.gate"]
    bundle = registry.bundle_of(second)
    copytree(bundle, tmp_path / "right")
    try:
        if wrong == "no record":
            client.delete_model_version_tag(registry.name, second.version, "osteon.gate")
        elif wrong == "record of another":
            other = client.get_model_version(registry.name, first.version).tags["osteon.gate"]
            client.set_model_version_tag(registry.name, second.version, "osteon.gate", other)
        elif wrong == "changed file":
            (bundle / "contract.json").write_text("{}")
        else:
            contract = json.loads((bundle / "contract.json").read_text()) | {"bundle_format": 99}
            changed = json.dumps(contract).encode()
            (bundle / "contract.json").write_bytes(changed)
            manifest = json.loads((bundle / "manifest.json").read_text())
            manifest["contract.json"] = hashlib.sha256(changed).hexdigest()
            (bundle / "manifest.json").write_text(json.dumps(manifest))
        client.set_registered_model_alias(registry.name, "champion", second.version)
        until(lambda: service.ready()["status"] == "degraded", "it must say so")
        ready = service.ready()
        assert ready["models"][0]["version"] == first.version
        (reason,) = ready["degraded"]
        assert reason["code"] == "version_refused"
        assert f"version {second.version} is refused" in reason["message"]
        assert said in reason["message"]
        assert service.predict(service.request()).status_code == 200
        assert 'osteon_degraded{code="version_refused"} 1.0' in service.get("/metrics").text
    finally:
        client.set_registered_model_alias(registry.name, "champion", first.version)
        try:
            # Before the version is repaired: a scan that began earlier may still load it.
            until(lambda: service.ready()["status"] == "ready", "it must be over")
        finally:
            copytree(tmp_path / "right", bundle, dirs_exist_ok=True)
            client.set_model_version_tag(registry.name, second.version, "osteon.gate", record)
    assert site.actions(after=before) == ["model_refused"]


@pytest.mark.slow
def test_a_withdrawn_version_is_dropped_and_never_served_again(
    registry: Any, site_with: Callable[..., Any], until: Until, tmp_path: Path
) -> None:
    unfit = registry.register("unfit")
    registry.promote(unfit)
    client = connect().MlflowClient()
    site = site_with(OSTEON_STATE_DIR=str(tmp_path / "state"))

    def is_served(service: Any) -> bool:
        models = service.ready().get("models", [])
        return any(model["version"] == unfit.version for model in models)

    with site.serving("--workers", "2") as service:
        request = service.request()
        began = time.monotonic()
        # Only on record, as if the registry were down: the trail alone is enough.
        with closing(open_trail(site.audit_settings())) as trail:
            note = Decisions(trail).note
            stated = {"name": registry.name, "version": unfit.version, "sha256": unfit.sha256}
            note("withdrawn", "ok", why="A unit was wrong.", **stated)
        # 422: of a simulated model that is not served, the outcome is not known here.
        until(
            lambda: {service.predict(request).status_code for _ in range(6)} == {422},
            "no worker may serve it",
        )
        assert time.monotonic() - began < 30
        assert service.get("/health/ready").status_code == 503
    # A restart, a new alias and the copy on the disk change nothing.
    client.set_registered_model_alias(registry.name, "champion", unfit.version)
    with site.serving() as service:
        assert not is_served(service)
        withdraw(registry.name, unfit.version, why="A unit was wrong.", by="a test")
        registry.promote(registry.first)
        until(lambda: service.ready().get("status") == "ready", "another may be served")
        assert not is_served(service)
    assert "model_refused" in site.actions()


@pytest.mark.slow
def test_only_what_is_served_and_what_was_before_it_stay_on_the_disk(
    registry: Any, site_with: Callable[..., Any], until: Until, tmp_path: Path
) -> None:
    first, second, third = registry.first, registry.second, registry.register("3")
    registry.promote(first)
    models = tmp_path / "state" / "models"
    half_written = models / f"{'0' * 64}.killed"
    half_written.mkdir(parents=True)

    def kept() -> set[str]:
        return {path.name for path in models.iterdir() if path.is_dir()}

    site = site_with(OSTEON_STATE_DIR=str(models.parent))
    with site.serving("--workers", "2") as service:

        def swap_to(version: Any) -> None:
            registry.promote(version)
            until(
                lambda: (
                    {service.ready()["models"][0]["version"] for _ in range(8)} == {version.version}
                ),
                "both workers must serve it",
            )

        assert kept() == {first.sha256}
        with site.serving("--model", f"models:/{registry.name}/{first.version}") as other:
            swap_to(second)
            assert kept() == {first.sha256, second.sha256}
            swap_to(third)
            assert kept() == {first.sha256, second.sha256, third.sha256}
            (worker,) = other.workers()
            os.kill(worker, signal.SIGKILL)
            until(lambda: other.workers() not in ([], [worker]), "it must be started again")
            assert other.ready()["models"][0]["version"] == first.version
        swap_to(second)
        assert kept() == {second.sha256, third.sha256}
        for worker in service.workers():
            os.kill(worker, signal.SIGKILL)
        assert service.predict(service.request()).status_code == 200
        assert service.ready()["status"] == "ready"
    assert site.actions() == [
        *("start", "start", "model_swapped", "model_swapped", "stop", "model_swapped", "stop")
    ]
