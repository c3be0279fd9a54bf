"""Ask one worker for many patients at once: is every answer right, and does its memory stay?

    python tests/benchmark/service_load.py --model models:/osteon-mortality-support2@champion

Each of 64 patients is first asked for alone; then 64 clients, one of each patient, ask 20,000 times
and compare every answer with that one, byte by byte. Then wrk (Debian: `apt install wrk`) goes on
until the worker has answered 100,000 requests; its resident memory is compared with that after
1,000. Prints one JSON object; exit 1 if an answer differs or fails, or memory grew by over 10 %.
"""

from __future__ import annotations

import argparse
import http.client
import json
import os
import random
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

GROWTH_LIMIT = 0.10
EARLY = 1_000
SERVE = "import typer; from serving.cli.serve import serve; typer.run(serve)"
JSON = {"Content-Type": "application/json"}
ROTATE = """local bodies = { {bodies} }
local at = 0
request = function()
  at = at % #bodies + 1
  return wrk.format("POST", nil, {["Content-Type"] = "application/json"}, bodies[at])
end
"""


def main() -> int:
    """Run the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", required=True, help="URI or folder of the model to serve")
    parser.add_argument("--clients", type=int, default=64)
    parser.add_argument("--requests", type=int, default=20_000, help="of all clients together")
    parser.add_argument("--until", type=int, default=100_000, help="requests before memory is read")
    stated = parser.parse_args()
    if stated.until and shutil.which("wrk") is None:
        parser.error("wrk must be installed; it is not (Debian: apt install wrk)")
    with tempfile.TemporaryDirectory() as folder:
        service = subprocess.Popen(
            [sys.executable, "-c", SERVE, "--port", "0", "--json", "--model", stated.model],
            env=os.environ | {"OSTEON_STATE_DIR": folder, "OMP_NUM_THREADS": "1"},
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        try:
            assert service.stdout is not None
            address = urlsplit(json.loads(service.stdout.readline())["url"]).netloc
            worker = worker_of(service.pid)
            patients = different_patients(address, stated.clients)
            said = compared(address, patients, stated.requests, worker)
            if stated.until:
                said |= grown(address, patients, stated.until, worker, Path(folder))
                said["memory_growth"] = round(said["memory_mb"] / said["memory_mb_early"] - 1, 3)
        finally:
            service.terminate()
            service.communicate()
    print(json.dumps(said))
    whole = said["different"] == said["errors"] == 0
    return 0 if whole and abs(said.get("memory_growth", 0.0)) <= GROWTH_LIMIT else 1


def different_patients(address: str, count: int) -> list[bytes]:
    """Return requests of different patients, from the one that the service documents."""
    status, document = ask(http.client.HTTPConnection(address), "GET", "/openapi.json")
    assert status == 200
    operation = json.loads(document)["paths"]["/v1/predict"]["post"]
    example = operation["requestBody"]["content"]["application/json"]["example"]
    draw = random.Random(4)
    return [json.dumps(_another(example, number, draw)).encode() for number in range(count)]


def _another(example: dict[str, Any], number: int, draw: random.Random) -> dict[str, Any]:
    """Return a patient of another age, with other values and some of them left out."""
    measurements = [
        one | {"value": round(one["value"] * draw.uniform(0.97, 1.03), 3)}
        if isinstance(one["value"], float) and one["value"] not in (0.0, 1.0)
        else one
        for one in example["measurements"]
        if draw.random() < 0.9
    ]
    born = f"{draw.randint(1940, 1980)}-{draw.randint(1, 12):02}-15"
    return example | {
        "patient_id": f"patient-{number}",
        "birth_date": born,
        "measurements": measurements,
    }


def compared(address: str, patients: list[bytes], requests: int, pid: int) -> dict[str, Any]:
    """Ask for each patient alone, then for all of them at once."""
    connection = http.client.HTTPConnection(address)
    alone = [_comparable(*ask(connection, "POST", "/v1/predict", body)) for body in patients]
    assert all(alone), "every patient must be answered alone; one was not"
    counts = {"right": 0, "different": 0, "errors": 0}
    early: list[float] = []
    lock = threading.Lock()

    def client(number: int) -> None:
        body, expected = patients[number], alone[number]
        connection = http.client.HTTPConnection(address, timeout=120)
        for _ in range(-(-requests // len(patients))):
            answer = _comparable(*ask(connection, "POST", "/v1/predict", body))
            kind = "errors" if answer is None else "right" if answer == expected else "different"
            with lock:
                counts[kind] += 1
                if not early and sum(counts.values()) >= EARLY:
                    early.append(resident_mb(pid))

    started = time.perf_counter()
    with ThreadPoolExecutor(len(patients)) as pool:
        list(pool.map(client, range(len(patients))))
    return {
        "clients": len(patients),
        "requests": sum(counts.values()),
        **counts,
        "different_answers_alone": len(set(alone)),
        "per_second": round(sum(counts.values()) / (time.perf_counter() - started), 1),
        "memory_mb_early": early[0] if early else resident_mb(pid),
    }


def grown(
    address: str, patients: list[bytes], until: int, pid: int, folder: Path
) -> dict[str, Any]:
    """Go on asking, and return the memory when so many requests were answered."""
    script = folder / "rotate.lua"
    bodies = ",\n".join(f"[==[{body.decode()}]==]" for body in patients)
    script.write_text(ROTATE.replace("{bodies}", bodies))
    while answered(address) < until:
        subprocess.run(
            ["wrk", "-t1", "-c8", "-d10s", "-s", str(script), f"http://{address}/v1/predict"],
            capture_output=True,
            check=True,
        )
    return {"answered": answered(address), "memory_mb": resident_mb(pid)}


def answered(address: str) -> int:
    """Return how many predictions the worker has answered, as it tells Prometheus."""
    _, text = ask(http.client.HTTPConnection(address), "GET", "/metrics")
    counted = [
        float(line.rpartition(" ")[2])
        for line in text.decode().splitlines()
        if line.startswith("osteon_requests_total") and '"/v1/predict"' in line and '"200"' in line
    ]
    return int(sum(counted))


def ask(
    connection: http.client.HTTPConnection, method: str, path: str, body: bytes | None = None
) -> tuple[int, bytes]:
    """Return status and body of one answer."""
    connection.request(method, path, body, JSON)
    answer = connection.getresponse()
    return answer.status, answer.read()


def worker_of(pid: int) -> int:
    """Return the one worker that a service started."""
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    workers = [
        one
        for one in children
        if b"serving.processes.worker" in Path(f"/proc/{one}/cmdline").read_bytes()
    ]
    assert len(workers) == 1, f"the service must have one worker; it has {len(workers)}"
    return int(workers[0])


def resident_mb(pid: int) -> float:
    """Return the resident memory of a process."""
    status = Path(f"/proc/{pid}/status").read_text()
    return round(int(status.partition("VmRSS:")[2].split()[0]) / 1_024, 1)


def _comparable(status: int, body: bytes) -> bytes | None:
    """Return the answer without its own id and time, or None if it is none."""
    return body.partition(b'"time_zero"')[2] if status == 200 else None


if __name__ == "__main__":
    sys.exit(main())
