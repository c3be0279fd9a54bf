"""Send requests through nginx, which ends TLS and offers the service at a path: are all answered?

    MLFLOW_TRACKING_URI=... OSTEON_GATE_KEY=... python tests/benchmark/behind_nginx.py

Eight clients predict, read models, CDS services, the page and readiness, and pause now and then for
longer than uvicorn's usual 5 s, so that a connection that the service closes too early meets a
request. Prints one JSON object; exit 1 if a request fails. The champions are those of the registry.
"""

from __future__ import annotations

import argparse
import json
import ssl
import statistics
import sys
import tempfile
import threading
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Any

import httpx

sys.path.insert(0, str(Path(__file__).parents[1] / "support"))

from nginx import Nginx, free_port, running_nginx
from service_process import ServiceProcess
from serving.access.api_keys import create
from serving.audit.opening import open_trail
from serving.settings import Settings

PATH = "/osteon"
AUDIT_KEY = "a key of more than sixteen characters"
READS = ("/v1/models", "/cds-services", "/health/ready", "/", "/openapi.json")


def main() -> int:
    """Run the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--requests", type=int, default=10_000)
    parser.add_argument("--clients", type=int, default=8)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--pause", type=float, default=6.0, help="seconds, ten times per client")
    parser.add_argument("--leave-path", action="store_true", help="nginx does not remove the path")
    stated = parser.parse_args()
    with ExitStack() as running:
        folder = Path(running.enter_context(tempfile.TemporaryDirectory()))
        said = sent(*served(running, folder, stated), stated)
    print(json.dumps(said))
    return 0 if said["errors"] == 0 and said["requests"] >= stated.requests else 1


def served(running: ExitStack, folder: Path, stated: argparse.Namespace) -> tuple[Nginx, str]:
    """Start the service and nginx before it; return nginx and a key of a caller."""
    port = free_port()
    environment = {
        "OSTEON_STATE_DIR": str(folder / "state"),
        "OSTEON_AUDIT_KEY": AUDIT_KEY,
        "OSTEON_AUTHENTICATION": "required",
        "OSTEON_TRUSTED_PROXIES": "127.0.0.1",
        "OSTEON_PUBLIC_URL": f"https://127.0.0.1:{port}{PATH}",
        "OSTEON_REQUESTS_PER_MINUTE": "1000000",
    }
    settings = Settings(state_dir=folder / "state", audit_key=AUDIT_KEY)
    with closing(open_trail(settings)) as trail:
        _, key = create(trail, "a client", ["predict"], days=1, actor="command:a")
    service = ServiceProcess(
        folder / "service", environment, "--port", "0", "--workers", str(stated.workers)
    )
    running.callback(service.stop)
    address = service.address().removeprefix("http://")
    proxy = running.enter_context(
        running_nginx(
            folder / "nginx",
            service=address,
            port=port,
            path=PATH,
            removes=not stated.leave_path,
        )
    )
    return proxy, key


def sent(proxy: Nginx, key: str, stated: argparse.Namespace) -> dict[str, Any]:
    """Send the requests and count their answers."""
    context = ssl.create_default_context(cafile=str(proxy.certificate))
    headers = {"Authorization": f"Bearer {key}"}
    with httpx.Client(verify=context, headers=headers, timeout=60) as client:
        document = client.get(f"{proxy.url}/openapi.json").json()
    assert document["servers"] == [{"url": proxy.url}], "the contract must name the public address"
    operation = document["paths"]["/v1/predict"]["post"]
    request = operation["requestBody"]["content"]["application/json"]["example"]
    each = -(-stated.requests // stated.clients)
    answers: Counter[str] = Counter()
    milliseconds: list[float] = []
    lock = threading.Lock()

    def one_client(number: int) -> None:
        with httpx.Client(verify=context, headers=headers, timeout=60) as client:
            for at in range(each):
                if stated.pause and at % max(each // 10, 1) == number:
                    time.sleep(stated.pause)
                began = time.perf_counter()
                try:
                    if at % 2:
                        answer = client.get(proxy.url + READS[at // 2 % len(READS)])
                    else:
                        answer = client.post(f"{proxy.url}/v1/predict", json=request)
                    kind = str(answer.status_code)
                except httpx.HTTPError as error:
                    kind = type(error).__name__
                with lock:
                    answers[kind] += 1
                    milliseconds.append(1_000 * (time.perf_counter() - began))
                    done = sum(answers.values())
                if done % 1_000 == 0:
                    print(f"{done} answered: {dict(answers)}", file=sys.stderr)

    began = time.monotonic()
    with ThreadPoolExecutor(stated.clients) as pool:
        list(pool.map(one_client, range(stated.clients)))
    total = sum(answers.values())
    return {
        "requests": total,
        "errors": total - answers["200"],
        "answers": dict(answers),
        "path": "left in" if stated.leave_path else "removed",
        "seconds": round(time.monotonic() - began, 1),
        "p50_ms": round(statistics.median(milliseconds), 1),
        "p99_ms": round(statistics.quantiles(milliseconds, n=100)[98], 1),
    }


if __name__ == "__main__":
    sys.exit(main())
