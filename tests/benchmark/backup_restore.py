"""Back up a service under load, restore it elsewhere: is every acknowledged prediction there?

    MLFLOW_TRACKING_URI=sqlite:///... OSTEON_GATE_KEY=... python tests/benchmark/backup_restore.py

`osteon serve` answers predictions of the champions of the registry; once `--predictions` of them
are acknowledged, and while clients continue, `osteon backup` copies trail, head and registry.
`osteon restore` then fills an empty database and an empty registry elsewhere. `osteon audit verify
--acknowledged` compares them with the ids that were acknowledged before the backup began, and
`osteon serve` answers the same request from them again. Prints one JSON object for each pair of
databases; exit 1 if a prediction is missing, the chain is not whole, or a risk differs.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import httpx

sys.path.insert(0, str(Path(__file__).parents[1] / "support"))

from postgresql import running_postgresql
from service_process import ServiceProcess

AUDIT_KEY = "a key of more than sixteen characters"
ALL_PAIRS = ("sqlite:sqlite", "postgresql:postgresql", "sqlite:postgresql", "postgresql:sqlite")
_OSTEON = [sys.executable, "-m", "osteon"]


def main() -> int:
    """Run the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--predictions", type=int, default=2_000)
    parser.add_argument("--clients", type=int, default=4)
    parser.add_argument("--pairs", nargs="+", default=ALL_PAIRS, help="FROM:TO, e.g. sqlite:sqlite")
    stated = parser.parse_args()
    passed = True
    with ExitStack() as running:
        server = None
        if any("postgresql" in pair for pair in stated.pairs):
            server = running.enter_context(running_postgresql()).url
        for pair in stated.pairs:
            with tempfile.TemporaryDirectory() as folder:
                result = _restored(Path(folder), pair, server, stated)
            print(json.dumps(result), flush=True)
            passed &= result["missing"] == 0 and result["ok"] and result["same_risks"]
    return 0 if passed else 1


def _restored(
    folder: Path, pair: str, server: str | None, stated: argparse.Namespace
) -> dict[str, Any]:
    """Back up one service and restore it into the other kind of database."""
    first, second = pair.split(":")
    here = _environment(folder / "here", first, server, f"{first}_{second}_here")
    here |= {"MLFLOW_TRACKING_URI": os.environ["MLFLOW_TRACKING_URI"]}
    there = _environment(folder / "there", second, server, f"{first}_{second}_there")
    copy = str(folder / "backup")
    with _serving(folder / "here", here) as url:
        request = _example(url)
        acknowledged, over = [], threading.Event()
        with ThreadPoolExecutor(stated.clients + 1) as pool:
            clients = [
                pool.submit(_ask, url, request, acknowledged, over) for _ in range(stated.clients)
            ]
            try:
                while len(acknowledged) < stated.predictions:
                    over.wait(0.05)
                ids = [one for one, _ in acknowledged[: stated.predictions]]
                backed_up = _osteon("backup", copy, environment=here)
            finally:
                over.set()
            for client in clients:
                client.result()
        before = acknowledged[0][1]
    (folder / "ids").write_text("\n".join(ids))
    artifacts = str(folder / "there" / "artifacts")
    _osteon("restore", copy, "--artifacts", artifacts, environment=there)
    _osteon("registry", environment=there)
    comparison = ("audit", "verify", "--acknowledged", str(folder / "ids"))
    verified = _osteon(*comparison, environment=there)
    with _serving(folder / "there", there) as url:
        answer = httpx.post(f"{url}/v1/predict", json=request, timeout=60).json()
    return {
        "pair": pair,
        "acknowledged_before_the_backup": verified["acknowledged"],
        "acknowledged_in_all": len(acknowledged),
        "in_the_backup": backed_up["trail"]["predictions"],
        "missing": verified["missing"],
        "ok": verified["ok"],
        "records": verified["records"],
        "models": backed_up["registry"]["models"],
        "files": backed_up["registry"]["artifacts"],
        "same_risks": _risks(answer) == _risks(before),
    }


def _environment(folder: Path, kind: str, server: str | None, name: str) -> dict[str, str]:
    """Return the settings of a machine with an empty folder and an empty database."""
    folder.mkdir()
    environment = {
        "OSTEON_STATE_DIR": str(folder / "state"),
        "OSTEON_AUDIT_KEY": AUDIT_KEY,
        "OSTEON_DRAIN_SECONDS": "0",
        "MLFLOW_TRACKING_URI": f"sqlite:///{folder / 'mlflow.db'}",
    }
    if kind == "postgresql" and server is not None:
        import psycopg

        with psycopg.connect(server.format(name="postgres"), autocommit=True) as connection:
            connection.execute(f"CREATE DATABASE {name}")
            connection.execute(f"CREATE DATABASE {name}_mlflow")
        environment["OSTEON_DATABASE_URL"] = server.format(name=name)
        mlflow = server.format(name=f"{name}_mlflow")
        environment["MLFLOW_TRACKING_URI"] = mlflow.replace("://", "+psycopg://", 1)
    return environment


@contextmanager
def _serving(folder: Path, environment: Mapping[str, str]) -> Iterator[str]:
    service = ServiceProcess(folder / "service", environment, "--port", "0")
    try:
        yield service.address()
    finally:
        service.stop()


def _example(url: str) -> dict[str, Any]:
    document = httpx.get(f"{url}/openapi.json", timeout=60).json()
    operation = document["paths"]["/v1/predict"]["post"]
    request: dict[str, Any] = operation["requestBody"]["content"]["application/json"]["example"]
    return request


def _ask(
    url: str,
    request: dict[str, Any],
    acknowledged: list[tuple[str, dict[str, Any]]],
    over: threading.Event,
) -> None:
    """Send predictions, and note each that is acknowledged."""
    with httpx.Client(timeout=60) as client:
        while not over.is_set():
            answer = client.post(f"{url}/v1/predict", json=request)
            answer.raise_for_status()
            body = answer.json()
            acknowledged.append((body["prediction_id"], body))


def _osteon(*arguments: str, environment: Mapping[str, str]) -> dict[str, Any]:
    done = subprocess.run(
        [*_OSTEON, *arguments, "--json"],
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, f"osteon {arguments[0]}: {done.stdout}{done.stderr}"
    printed: dict[str, Any] = json.loads(done.stdout)
    return printed


def _risks(answer: dict[str, Any]) -> str:
    """Return the predictions of an answer as text, without what differs from call to call."""
    return json.dumps([one.get("risks") for one in answer["predictions"]], sort_keys=True)


if __name__ == "__main__":
    sys.exit(main())
