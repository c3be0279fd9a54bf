"""Kill the service under load, again and again: is every prediction that it answered on record?

    python tests/benchmark/audit_crash.py --model models:/osteon-mortality-support2@champion

Clients ask a service of several workers without a pause. At a moment nobody chose one worker gets a
SIGKILL; a little later the supervisor and all that is left get one. Prints one JSON object; exit 1
if an answered prediction is missing, or the chain does not verify.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from typing import Any

import httpx
from sqlalchemy import select

from serving.audit.head import read_head
from serving.audit.opening import audit_keys, database_of, head_path
from serving.audit.verification import Verification, verify
from serving.settings import Settings
from serving.store.tables import RECORDS

COMMAND = "import typer; from serving.cli.serve import serve; typer.run(serve)"
WORKERS = 2


def main() -> int:
    """Run the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", required=True, help="URI or folder of the model to serve")
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--connections", type=int, default=8)
    parser.add_argument("--database-url", help="PostgreSQL; a file of SQLite without it")
    stated = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        settings = Settings(state_dir=Path(folder), database_url=stated.database_url)
        said = crash(settings, stated.model, kills=stated.kills, connections=stated.connections)
    print(json.dumps(said))
    return 0 if said["missing"] == 0 and said["chain_verified"] == said["kills"] else 1


def crash(settings: Settings, model: str, *, kills: int, connections: int) -> dict[str, Any]:
    """Kill the service `kills` times and return what was found over all of them."""
    answered: set[str] = set()
    verified, missing, found = 0, 0, Verification()
    for number in range(1, kills + 1):
        answered |= _one_life(settings, model, connections)
        recorded, found = _examine(settings)
        missing = len(answered - recorded)
        verified += found.ok
        print(
            f"kill {number}: {len(answered)} answered so far, {missing} missing, "
            f"chain {'whole' if found.ok else found.flaws}",
            file=sys.stderr,
        )
    url = settings.database_url
    return {
        "database": "sqlite" if url is None else url.get_secret_value().partition(":")[0],
        "kills": kills,
        "workers": WORKERS,
        "connections": connections,
        "answered": len(answered),
        "missing": missing,
        "records": found.records,
        "chain_verified": verified,
    }


def _one_life(settings: Settings, model: str, connections: int) -> set[str]:
    """Start the service, load it, kill it, and return the predictions that it answered."""
    environment = os.environ | {"OSTEON_STATE_DIR": str(settings.state_dir)}
    if settings.database_url is not None:
        environment["OSTEON_DATABASE_URL"] = settings.database_url.get_secret_value()
    command = [sys.executable, "-c", COMMAND, "--port", "0", "--json", "--model", model]
    log = settings.state_dir / "log"
    with log.open("w") as stderr:
        process = subprocess.Popen(
            [*command, "--workers", str(WORKERS)],
            env=environment,
            stdout=subprocess.PIPE,
            stderr=stderr,
            text=True,
        )
    try:
        printed = process.stdout.readline()
        assert printed, f"the service must start; it said: {log.read_text()}"
        url = json.loads(printed)["url"]
        answered: set[str] = set()
        started, dead = threading.Event(), threading.Event()
        with ThreadPoolExecutor(connections) as pool:
            for _ in range(connections):
                pool.submit(_ask_until_it_dies, url, answered, started, dead)
            assert started.wait(60), "the service must answer; it did not within 60 s"
            time.sleep(random.uniform(0.05, 1.0))
            os.kill(random.choice(_workers(process.pid)), signal.SIGKILL)
            time.sleep(random.uniform(0.05, 1.0))
            dead.set()
            for pid in [process.pid, *_workers(process.pid)]:
                os.kill(pid, signal.SIGKILL)
        return answered
    finally:
        process.kill()
        process.communicate()


def _workers(pid: int) -> list[int]:
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return [
        int(child)
        for child in children
        if b"serving.processes.worker" in Path(f"/proc/{child}/cmdline").read_bytes()
    ]


def _ask_until_it_dies(
    url: str, answered: set[str], started: threading.Event, dead: threading.Event
) -> None:
    with httpx.Client(base_url=url, timeout=60) as client:
        document = client.get("/openapi.json").json()["paths"]["/v1/predict"]["post"]
        request = document["requestBody"]["content"]["application/json"]["example"]
        while not dead.is_set():
            try:
                answer = client.post("/v1/predict", json=request)
            except httpx.HTTPError:  # of a worker that was killed; another is there
                continue
            assert answer.status_code == 200
            answered.add(answer.json()["prediction_id"])
            started.set()


def _examine(settings: Settings) -> tuple[set[str], Verification]:
    """Return the predictions on record, and whether the trail is whole."""
    keys = audit_keys(settings)
    signed = read_head(head_path(settings), keys)
    with closing(database_of(settings)) as database:
        found = verify(database, keys, signed)
        with database.reading() as connection:
            recorded = set(connection.execute(select(RECORDS.c.prediction_id)).scalars())
    return recorded, found


if __name__ == "__main__":
    sys.exit(main())
