"""Print how fast one worker answers, beside `mlflow models serve` of the same registered model.

    python tests/benchmark/service_speed.py --model models:/osteon-mortality-support2@champion

Both run one worker on loopback and are asked the same by wrk (Debian: `apt install wrk`), in turns:
the model's default horizons for its synthetic patient. Osteon checks the contract and puts every
answer on record before it is sent. Prints one JSON object, times in ms; exit 1 beyond a limit.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import httpx

RATE_LIMIT = {"explained": 1.5, "bare": 4.0}
P99_LIMIT = 0.5
P50_LIMIT_MS = 8.0
OUTSIDE_LIMIT_MS = 1.0
ONE_THREAD = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"), "1")
SERVE = "import typer; from serving.cli.serve import serve; typer.run(serve)"
POST = """wrk.method = "POST"
wrk.headers["Content-Type"] = "application/json"
wrk.body = [==[{body}]==]
"""


def main() -> int:
    """Run the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", required=True, help="URI of the registered model")
    parser.add_argument("--seconds", type=int, default=8, help="of each of the two rounds")
    parser.add_argument("--connections", type=int, default=8)
    stated = parser.parse_args()
    if shutil.which("wrk") is None:
        parser.error("wrk must be installed; it is not (Debian: apt install wrk)")
    with ExitStack() as running:
        folder = Path(running.enter_context(tempfile.TemporaryDirectory(dir=".")))
        ours = running.enter_context(osteon(stated.model, folder))
        theirs = running.enter_context(mlflow(stated.model))
        said = compared(ours, theirs, folder, stated)
    said["outside_the_model"] = breakdown(stated.model, said["osteon_one_connection"]["p50"])
    said["within_limits"] = within_limits(said)
    print(json.dumps(said, indent=2))
    return 0 if all(said["within_limits"].values()) else 1


def compared(ours: str, theirs: str, folder: Path, stated: argparse.Namespace) -> dict[str, Any]:
    """Ask both in turns, so that a busy machine is busy for both."""
    request = httpx.get(f"{ours}/openapi.json", timeout=60).json()["paths"]["/v1/predict"]["post"]
    request = request["requestBody"]["content"]["application/json"]["example"]
    said: dict[str, Any] = {"seconds": stated.seconds, "connections": stated.connections}
    for kind, explain in (("explained", True), ("bare", False)):
        asked = {
            "osteon": (f"{ours}/v1/predict", request | {"explain": explain}),
            "mlflow": (f"{theirs}/invocations", as_mlflow(stated.model, request, explain)),
        }
        found: dict[str, list[dict[str, float]]] = {name: [] for name in asked}
        for _ in range(2):
            for name, (url, body) in asked.items():
                script = folder / "post.lua"
                script.write_text(POST.replace("{body}", json.dumps(body)))
                wrk(script, url, 1, connections=stated.connections)  # warm
                measured = wrk(script, url, stated.seconds, connections=stated.connections)
                found[name].append(measured)
        for name, rounds in found.items():
            said[f"{name}_{kind}"] = {
                key: statistics.median(one[key] for one in rounds) for key in rounds[0]
            }
    script = folder / "post.lua"
    script.write_text(POST.replace("{body}", json.dumps(request)))
    said["osteon_one_connection"] = wrk(script, f"{ours}/v1/predict", stated.seconds, connections=1)
    return said


def within_limits(said: dict[str, Any]) -> dict[str, bool]:
    """Say which limits hold."""
    times = {
        kind: said[f"osteon_{kind}"]["per_second"] / said[f"mlflow_{kind}"]["per_second"]
        for kind in RATE_LIMIT
    }
    p99 = said["osteon_explained"]["p99"] / said["mlflow_explained"]["p99"]
    said["ratios"] = {"per_second": times, "p99_explained": p99}
    return {
        "rate_explained": times["explained"] >= RATE_LIMIT["explained"],
        "rate_bare": times["bare"] >= RATE_LIMIT["bare"],
        "p99": p99 <= P99_LIMIT,
        "p50_one_connection": said["osteon_one_connection"]["p50"] <= P50_LIMIT_MS,
        "outside_the_model": said["outside_the_model"]["outside"] <= OUTSIDE_LIMIT_MS,
    }


def wrk(script: Path, url: str, seconds: int, *, connections: int) -> dict[str, float]:
    """Return requests per second and quantiles in ms; an answer other than a success is fatal."""
    command = ["wrk", "-t1", f"-c{connections}", f"-d{seconds}s", "--timeout", "30s", "--latency"]
    done = subprocess.run(
        [*command, "-s", str(script), url], capture_output=True, text=True, check=True
    )
    printed = done.stdout
    assert "Non-2xx" not in printed, printed
    assert "Socket errors" not in printed, printed
    quantiles = {
        f"p{quantile}": float(value) * {"us": 1e-3, "ms": 1.0, "s": 1e3}[unit]
        for quantile, value, unit in re.findall(r"(50|99)%\s+([\d.]+)(us|ms|s)", printed)
    }
    rate = re.search(r"Requests/sec:\s+([\d.]+)", printed)
    assert rate is not None
    return {"per_second": float(rate[1]), **quantiles}


def as_mlflow(model: str, request: dict[str, Any], explain: bool) -> dict[str, Any]:
    """Return the same patient and horizons as MLflow's scoring server takes them."""
    from models.registry.lifecycle import load

    example = load(model).risk_model.contract.example
    horizons_days = [float(days) for days in request["horizons_days"]]
    return {
        "dataframe_split": {"columns": list(example), "data": [list(example.values())]},
        "params": {"horizons_days": horizons_days, "explain": explain},
    }


@contextmanager
def osteon(model: str, folder: Path) -> Iterator[str]:
    """Run `osteon serve` with its trail in a folder, and give its URL."""
    process = subprocess.Popen(
        [sys.executable, "-c", SERVE, "--port", "0", "--json", "--model", model],
        env=os.environ | ONE_THREAD | {"OSTEON_STATE_DIR": str(folder / "state")},
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    try:
        assert process.stdout is not None
        yield json.loads(process.stdout.readline())["url"]
    finally:
        process.terminate()
        process.communicate()


@contextmanager
def mlflow(model: str) -> Iterator[str]:
    """Run `mlflow models serve`, and give its URL."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    programs = Path(sys.executable).parent
    process = subprocess.Popen(
        [
            programs / "mlflow",
            *("models", "serve", "-m", model, "--env-manager", "local", "--workers", "1"),
            *("--host", "127.0.0.1", "--port", str(port)),
        ],
        env=os.environ | ONE_THREAD | {"PATH": f"{programs}:{os.environ['PATH']}"},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    url = f"http://127.0.0.1:{port}"
    try:
        for _ in range(240):
            try:
                if httpx.get(f"{url}/ping").status_code == 200:
                    break
            except httpx.TransportError:
                time.sleep(0.25)
        yield url
    finally:
        os.killpg(process.pid, 15)
        process.communicate()


def breakdown(model: str, p50: float) -> dict[str, float]:
    """Return the median ms of each stage of one request, in this process, nobody else asking.

    `outside` is all that is not the model and its explanation, the audit trail's fdatasync too. The
    model is timed where it is called, within whole requests: alone, it finds its caches warm.
    """
    from contextlib import closing

    from models.registry.lifecycle import load
    from serving.audit.opening import open_trail
    from serving.audit.record import AuditEvent
    from serving.openapi import example_request
    from serving.prediction import predictor
    from serving.prediction.json_translation import question_of, response_of
    from serving.prediction.on_record import Recorder
    from serving.prediction.patient import read_patient
    from serving.prediction.schemas import PredictRequest
    from serving.prediction.served import Served, ServedModel
    from serving.settings import Settings

    one = ServedModel(load(model), promoted=False)
    served = Served([one])
    body = json.dumps(example_request(served))
    question = question_of(PredictRequest.model_validate(json.loads(body)))
    risk_model = one.loaded.risk_model
    patient = read_patient(question, own=one.own_variables)
    table = predictor.table_of_patient(one, patient)
    horizons_days = question.horizons_days
    event = AuditEvent(action="predict", actor="local", status="ok", route="/v1/predict")
    with ExitStack() as opened:
        folder = opened.enter_context(tempfile.TemporaryDirectory(dir="."))
        trail = opened.enter_context(closing(open_trail(Settings(state_dir=Path(folder)))))
        recorder = Recorder(trail, actor="local", route="/v1/predict")
        answer = predictor.predict(question, served, recorder)
        bare = median_ms(lambda: risk_model.predict_with_curve(table, horizons_days))
        in_model: list[float] = []
        risk_model.predict_with_curve = timed(risk_model.predict_with_curve, in_model)
        whole = median_ms(lambda: predictor.predict(question, served, recorder))
        explained = 1_000 * statistics.median(in_model)
        stages = {
            "parsing": median_ms(
                lambda: question_of(PredictRequest.model_validate(json.loads(body)))
            ),
            "contract": median_ms(lambda: read_patient(question, own=one.own_variables)),
            "model": bare,
            "explanation": explained - bare,
            "audit": median_ms(lambda: trail.append(event)),
            "writing": median_ms(
                lambda: response_of(question, answer).model_dump_json(exclude_unset=True)
            ),
        }
    within = stages["contract"] + explained + stages["audit"]
    stages["putting the answer together"] = whole - within
    stages["http"] = p50 - whole - stages["parsing"] - stages["writing"]
    stages["outside"] = p50 - explained
    return {name: round(value, 3) for name, value in stages.items()}


def timed(work: Callable[..., Any], seconds: list[float]) -> Callable[..., Any]:
    """Return the same work, which notes how long each call took."""

    def noted(*asked: Any, **named: Any) -> Any:
        started = time.perf_counter()
        try:
            return work(*asked, **named)
        finally:
            seconds.append(time.perf_counter() - started)

    return noted


def median_ms(work: Callable[[], object], times: int = 300) -> float:
    """Return the median time of a piece of work, once it is warm."""
    taken = []
    for _ in range(times):
        started = time.perf_counter()
        work()
        taken.append(time.perf_counter() - started)
    return 1_000 * statistics.median(taken)


if __name__ == "__main__":
    sys.exit(main())
