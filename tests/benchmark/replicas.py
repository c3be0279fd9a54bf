"""Kill and replace replicas of one PostgreSQL under load: is every acknowledged record there?

    MLFLOW_TRACKING_URI=... OSTEON_GATE_KEY=... python tests/benchmark/replicas.py

Each replica has a state folder of its own, which is lost with it: every few seconds one replica is
killed with SIGKILL, workers and all, and a new one with an empty folder takes its place. Clients
send each prediction with an `Idempotency-Key` until some replica acknowledges it. Prints one JSON
object; exit 1 if an acknowledged prediction is missing or recorded twice, the chain is not whole,
or a replica does not start by itself. The champions are those of the registry.
"""

from __future__ import annotations

import argparse
import itertools
import json
import random
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
from sqlalchemy import func, select

sys.path.insert(0, str(Path(__file__).parents[1] / "support"))

from postgresql import running_postgresql
from service_process import ServiceProcess
from serving.audit.head import read_head
from serving.audit.opening import audit_keys, database_of, head_path
from serving.audit.verification import verify
from serving.settings import Settings
from serving.store.tables import RECORDS

AUDIT_KEY = "a key of more than sixteen characters"


def main() -> int:
    """Run the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--replicas", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=180.0)
    parser.add_argument("--every", type=float, default=10.0, help="seconds between two kills")
    parser.add_argument("--clients", type=int, default=8)
    parser.add_argument("--database-url", help="an empty PostgreSQL (default: a server of its own)")
    stated = parser.parse_args()
    with ExitStack() as running:
        folder = Path(running.enter_context(tempfile.TemporaryDirectory()))
        url = stated.database_url
        if url is None:
            server = running.enter_context(running_postgresql())
            url = running.enter_context(_new_database(server.url))
        said = _under_load(Fleet(folder, url), stated)
    print(json.dumps(said))
    return 0 if said["lost"] == said["twice"] == said["flaws"] == said["manual_steps"] == 0 else 1


@contextmanager
def _new_database(url: str) -> Iterator[str]:
    import psycopg

    with psycopg.connect(url.format(name="postgres"), autocommit=True) as connection:
        connection.execute("CREATE DATABASE replicas")
    yield url.format(name="replicas")


@dataclass
class Fleet:
    """The replicas that run, each with a folder of its own."""

    folder: Path
    database_url: str
    running: dict[str, tuple[ServiceProcess, Settings]] = field(default_factory=dict)
    lock: threading.Lock = field(default_factory=threading.Lock)
    numbers: Iterator[int] = field(default_factory=lambda: itertools.count(1))

    def add(self) -> str:
        """Start one more replica with an empty folder and return its address."""
        state = self.folder / f"replica-{next(self.numbers)}"
        settings = Settings(state_dir=state, audit_key=AUDIT_KEY, database_url=self.database_url)
        environment = {
            "OSTEON_STATE_DIR": str(state),
            "OSTEON_DATABASE_URL": self.database_url,
            "OSTEON_AUDIT_KEY": AUDIT_KEY,
            "OSTEON_DRAIN_SECONDS": "1",
        }
        service = ServiceProcess(state, environment, "--port", "0")
        url = service.address()
        with self.lock:
            self.running[url] = service, settings
        return url

    def any_address(self) -> str | None:
        with self.lock:
            return random.choice([*self.running]) if self.running else None

    def lose_one(self) -> None:
        """Kill a replica at random, as if its machine had failed, with all of its files.

        While all others are still starting, the last one that answers is spared.
        """
        while True:
            with self.lock:
                if len(self.running) > 1:
                    url = random.choice([*self.running])
                    service, settings = self.running.pop(url)
                    break
            time.sleep(0.1)
        service.kill()
        for path in settings.state_dir.glob("audit.*"):
            path.unlink()


@dataclass
class Load:
    """What clients received."""

    acknowledged: dict[str, str] = field(default_factory=dict)
    retried: int = 0
    lock: threading.Lock = field(default_factory=threading.Lock)
    over: threading.Event = field(default_factory=threading.Event)


def _under_load(fleet: Fleet, stated: argparse.Namespace) -> dict[str, Any]:
    with ThreadPoolExecutor(stated.replicas) as starting:
        urls = list(starting.map(lambda _: fleet.add(), range(stated.replicas)))
    document = httpx.get(f"{urls[0]}/openapi.json", timeout=60).json()
    operation = document["paths"]["/v1/predict"]["post"]
    request = operation["requestBody"]["content"]["application/json"]["example"]
    load, failures = Load(), 0
    began, replacements = time.monotonic(), []
    with ThreadPoolExecutor(stated.clients) as pool, ThreadPoolExecutor() as replacing:
        clients = [pool.submit(_ask, fleet, request, load) for _ in range(stated.clients)]
        try:
            while (next_kill := (len(replacements) + 1) * stated.every) < stated.seconds:
                time.sleep(max(0.0, began + next_kill - time.monotonic()))
                fleet.lose_one()
                replacements.append(replacing.submit(fleet.add))
                counted = len(load.acknowledged)
                print(f"{len(replacements)} killed, {counted} acknowledged", file=sys.stderr)
            time.sleep(max(0.0, began + stated.seconds - time.monotonic()))
            for replacement in replacements:
                try:
                    replacement.result()
                except AssertionError as error:  # it would need a person
                    failures += 1
                    print(error, file=sys.stderr)
        finally:
            load.over.set()
        for client in clients:
            client.result()
    replicas = [*fleet.running.values()]
    for service, _ in replicas:
        service.stop()
    return {
        "replicas": stated.replicas,
        "seconds": stated.seconds,
        "killed_and_replaced": len(replacements),
        "acknowledged": len(load.acknowledged),
        "retried": load.retried,
        "manual_steps": failures,
        **_examined([settings for _, settings in replicas], load),
    }


def _ask(fleet: Fleet, request: dict[str, Any], load: Load) -> None:
    """Send predictions, each until a replica acknowledges it."""
    key, url = str(uuid4()), None
    client = httpx.Client(timeout=30)
    while not load.over.is_set():
        if url is None:
            url = fleet.any_address()
            continue
        try:
            answer = client.post(
                f"{url}/v1/predict", json=request, headers={"Idempotency-Key": key}
            )
        except httpx.HTTPError:
            answer = None
        if answer is not None and answer.status_code == 200:
            with load.lock:
                load.acknowledged[key] = answer.json()["prediction_id"]
            key = str(uuid4())
        else:
            with load.lock:
                load.retried += 1
            time.sleep(0.05)
        url = fleet.any_address()
    client.close()


def _examined(machines: list[Settings], load: Load) -> dict[str, Any]:
    """Verify the trail with the head of each machine, and look for what was acknowledged."""
    flaws, records = 0, 0
    for settings in machines:
        keys = audit_keys(settings)
        with closing(database_of(settings)) as database:
            found = verify(database, keys, read_head(head_path(settings), keys))
        flaws += found.flaw_count
        records = found.records
    with closing(database_of(machines[0])) as database, database.reading() as connection:
        recorded = set(connection.execute(select(RECORDS.c.prediction_id)).scalars())
        keyed = connection.execute(
            select(func.count()).where(RECORDS.c.request_key.is_not(None))
        ).scalar_one()
    lost = set(load.acknowledged.values()) - recorded
    return {
        "records": records,
        "lost": len(lost),
        "twice": len(load.acknowledged) - len(set(load.acknowledged.values())),
        "recorded_but_never_acknowledged": keyed - len(load.acknowledged),
        "flaws": flaws,
    }


if __name__ == "__main__":
    sys.exit(main())
