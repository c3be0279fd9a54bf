"""How long one explained request takes beside XGBoost's own part of it, and how fast Osteon starts.

    python tests/benchmark/request_speed.py models:/osteon-mortality-simulated/1 FOLDER_OF_A_BUNDLE
    python tests/benchmark/request_speed.py --start models:/osteon-mortality-simulated/1

CPU time of one thread, in one process: the model's synthetic patient with every value entered, and
the same with a third of the values left out. The floor is what XGBoost itself takes for the same
answer: the joint booster at every day of the curve, and contributions at each default horizon.
`--start` times `osteon --help`, `osteon serve` until it is ready, and logging the model to MLflow
as `osteon train` does it, each in its own process. Prints one JSON object per model; exit 1 beyond
a limit.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import platform
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import xgboost as xgb
from threadpoolctl import threadpool_limits

from models.inference.matrices import raw_matrix
from models.inference.parameters import Encoding
from models.inference.records import record_of
from models.inference.request import checked_table
from models.inference.risk_model import RiskModel
from models.inference.trees import (
    booster_at_horizon,
    booster_document,
    booster_files,
    joint_booster,
    load_booster,
)
from models.registry.lifecycle import load
from training.benchmark.scale import processor

REQUEST_LIMIT = 2.2
"""Times the floor, for an explained request with its curve."""

START_LIMITS = {
    "help": ("cpu_s", 0.3),
    "serve_until_ready": ("wall_s", 5.0),  # its processes start side by side
    "log_model": ("cpu_s", 1.0),
}
"""CPU seconds."""

ROUNDS = 60
HELP = "import osteon; osteon.main()"
SERVE = "import typer; from serving.cli.serve import serve; typer.run(serve)"
LOG = """
import gc, os, resource, sys
import osteon
gc.set_threshold(osteon.OBJECTS_BEFORE_COLLECTION)
import mlflow
import mlflow.pyfunc
from models.registry.lifecycle import load
from models.registry.mlflow_model import log_model
from models.registry.tracking import connect
risk_model = load(sys.argv[1]).risk_model
os.environ["MLFLOW_TRACKING_URI"] = sys.argv[2]
client = connect().MlflowClient()
run = client.create_run(client.create_experiment("speed"))
before = resource.getrusage(resource.RUSAGE_SELF).ru_utime
log_model(risk_model, run_id=run.info.run_id)
print(resource.getrusage(resource.RUSAGE_SELF).ru_utime - before)
"""


def main() -> int:
    """Run the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("models", nargs="+", help="URI of a registered model, or a bundle's folder")
    parser.add_argument("--start", action="store_true", help="time the start instead of requests")
    stated = parser.parse_args()
    within = True
    for uri in stated.models:
        with threadpool_limits(1):
            figures = start(uri) if stated.start else request(uri)
        within &= figures["within_limits"]
        print(json.dumps({"model": uri, "machine": machine(), **figures}, indent=2), flush=True)
    return 0 if within else 1


def machine() -> str:
    """Return the machine and the versions that the times depend on."""
    cores = f"{os.cpu_count()} cores of {processor()}"
    return f"{cores}, Python {platform.python_version()}, XGBoost {xgb.__version__}"


def request(uri: str) -> dict[str, Any]:
    """Return the times of one request, and their ratios to the floor of the same round."""
    started = time.process_time()
    risk_model = load(uri).risk_model
    loaded = time.process_time()
    risk_model.prepare()
    prepared = time.process_time()
    figures: dict[str, Any] = {
        "columns": len(risk_model.features),
        "load_ms": 1e3 * (loaded - started),
        "prepare_ms": 1e3 * (prepared - loaded),
    }
    whole = pd.DataFrame([risk_model.contract.example]).reindex(columns=list(risk_model.features))
    kept = {name: value for j, name in enumerate(whole) if j % 3 != 1 for value in whole[name]}
    blanked = pd.DataFrame([kept]).reindex(columns=whole.columns)
    within = True
    for name, frame in (("every_value", whole), ("a_third_missing", blanked)):
        table = checked_table(risk_model.contract, frame)
        work = {
            "floor": floor(risk_model, frame),
            "explained_with_curve": lambda t=table: risk_model.predict_with_curve(t, explain=True),
            "explained": lambda t=table: risk_model.predict(t, explain=True),
            "with_curve": lambda t=table: risk_model.predict_with_curve(t),
            "explained_frame": lambda f=frame: risk_model.predict(f, explain=True),
        }
        times = in_turns(work)
        least = {kind: min(each) for kind, each in times.items()}
        ratio = {kind: value / least["floor"] for kind, value in least.items()}
        figures[name] = {
            "ms": least,
            "median_ms": {kind: statistics.median(each) for kind, each in times.items()},
            "times_the_floor": ratio,
        }
        within &= ratio["explained_with_curve"] <= REQUEST_LIMIT
    day = float(
        np.sqrt(risk_model.contract.min_horizon_days * risk_model.contract.max_horizon_days)
    )
    started = time.process_time()
    risk_model.predict(table, [day], explain=True)
    figures["new_horizon_ms"] = 1e3 * (time.process_time() - started)
    started = time.process_time()
    risk_model.with_contract(risk_model.contract)
    figures["with_contract_ms"] = 1e3 * (time.process_time() - started)
    return {**figures, "within_limits": within}


def floor(risk_model: RiskModel, frame: pd.DataFrame) -> Callable[[], object]:
    """Return XGBoost's own work for one explained request with its curve."""
    files = risk_model.files()
    parameters = json.loads(files["model.json"])
    competing = parameters["competing"] is not None
    names = booster_files(len(parameters["folds"]), competing=competing)
    boosters = [load_booster(files[name], 1) for name in names]
    others = [boosters.pop()] if competing else []
    joint = [joint_booster(boosters, 1), *others]
    days = risk_model.horizons(None)
    log_h = np.log(np.unique([*risk_model.contract.grid_days, *days]))
    document = booster_document(boosters[0])
    resolved = [booster_at_horizon(document, math.log(day), threads=1) for day in days]
    table = checked_table(risk_model.contract, frame)
    raw = raw_matrix(table, record_of(Encoding, parameters["encoding"]))
    on_grid = np.column_stack([np.repeat(raw, len(log_h), axis=0), log_h]).astype(np.float32)
    alone = np.column_stack([raw, [np.nan]]).astype(np.float32)

    def work() -> None:
        for booster in joint:
            booster.inplace_predict(
                on_grid, predict_type="margin", missing=np.nan, validate_features=False
            )
        rows = xgb.DMatrix(alone, nthread=1)
        for booster in resolved:
            booster.predict(rows, pred_contribs=True, validate_features=False)

    return work


def in_turns(work: dict[str, Callable[[], object]]) -> dict[str, list[float]]:
    """Return ms of CPU of each kind of work, one after the other, so that all share the noise."""
    times: dict[str, list[float]] = {name: [] for name in work}
    for turn in range(ROUNDS + 2):
        for name, one in work.items():
            started = time.thread_time()
            one()
            if turn >= 2:
                times[name].append(1e3 * (time.thread_time() - started))
    return times


def start(uri: str) -> dict[str, Any]:
    """Return CPU and wall seconds of a start, each in its own process."""
    with tempfile.TemporaryDirectory() as scratch:
        figures = {
            "help": of_process([sys.executable, "-c", HELP, "--help"]),
            "serve_until_ready": until_ready(uri, Path(scratch)),
            "log_model": of_logging(uri, Path(scratch)),
        }
    within = {name: figures[name][of] <= limit for name, (of, limit) in START_LIMITS.items()}
    return {**figures, "within_limits": all(within.values())}


def of_process(command: list[str]) -> dict[str, float]:
    """Return the least CPU and wall seconds of three runs of a command."""
    runs = []
    for _ in range(3):
        before, started = children(), time.perf_counter()
        subprocess.run(command, stdout=subprocess.DEVNULL, check=True)
        runs.append((children() - before, time.perf_counter() - started))
    return {"cpu_s": min(cpu for cpu, _ in runs), "wall_s": min(wall for _, wall in runs)}


def until_ready(uri: str, scratch: Path) -> dict[str, float]:
    """Return CPU and wall seconds of `osteon serve`, all its processes, until it is ready."""
    before, started = children(), time.perf_counter()
    process = subprocess.Popen(
        [sys.executable, "-c", SERVE, "--port", "0", "--json", "--model", uri],
        env=os.environ | {"OSTEON_STATE_DIR": str(scratch / "state")},
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    try:
        assert process.stdout is not None
        json.loads(process.stdout.readline())
        wall = time.perf_counter() - started
    finally:
        process.terminate()
        process.communicate()
    return {"cpu_s": children() - before, "wall_s": wall}


def of_logging(uri: str, scratch: Path) -> dict[str, float]:
    """Return the CPU seconds of logging the model, MLflow imported and its database made before."""
    done = subprocess.run(
        [
            *(sys.executable, "-c", LOG),
            str(Path(uri).resolve()) if Path(uri).exists() else uri,
            f"sqlite:///{scratch}/mlflow.db",
        ],
        cwd=scratch,
        capture_output=True,
        text=True,
        check=True,
    )
    return {"cpu_s": float(done.stdout.split()[-1])}


def children() -> float:
    """Return the CPU seconds of all processes started from here that have ended."""
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


if __name__ == "__main__":
    sys.exit(main())
