"""What two Dask workers of this machine gain over one process, and that a kill changes nothing.

    python tests/benchmark/dask_speed.py score --patients 1000000
    python tests/benchmark/dask_speed.py train --patients 1000000
    python tests/benchmark/dask_speed.py kill --patients 100000

`score` compares `osteon score --dask local` with one single-threaded process, `train` compares
`osteon train --dask local` with one two-threaded process, both in wall seconds of the same run on
the same simulated patients (60 variables); what they write must be equal. `kill` ends one worker
with SIGKILL in the middle of both commands. --settings are lines of the settings of `train`, joined
by a semicolon, for a trial run: `--settings "max_trees = 20;interval_folds = 3"`. Finished parts
stay in build/scale. Prints one JSON object; exit 1 if a target is missed.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TextIO

import numpy as np
import pandas as pd
import psutil
from large_cohorts import FOLDER, cohort_file
from measured_command import OSTEON, machine, measured

LEAST_TIMES_FASTER, MOST_TIMES_SLOWER, MOST_DIFFERENCE = 1.6, 1.3, 0.001
LEARNED_FROM = 3_000
DIGITS = 1e-12
"""Largest difference of risks that count as equal: the last digits depend on how rows are cut."""


def main() -> int:
    """Run the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("figure", choices=["score", "train", "kill"])
    parser.add_argument("--patients", type=int, default=1_000_000)
    parser.add_argument("--settings", default="", help="lines of the settings of train (TOML)")
    stated = parser.parse_args()
    FOLDER.mkdir(parents=True, exist_ok=True)
    settings = FOLDER.resolve() / "settings.toml"
    settings.write_text(stated.settings.replace(";", "\n") + "\n")
    figure = {"score": scoring, "train": training, "kill": killing}[stated.figure]
    result = {"patients": stated.patients, **figure(stated.patients, settings)}
    print(json.dumps({"machine": machine(), **result}, indent=2))
    return 0 if result["reached"] else 1


def scoring(patients: int, settings: Path) -> dict[str, Any]:
    """Score the same file in one process and on two workers."""
    one, two = (FOLDER.resolve() / f"score_{name}.parquet" for name in ("one", "dask"))
    alone = measured(score(patients, settings, one), folder=FOLDER, environment=single_threaded())
    dask = measured(
        [*score(patients, settings, two), "--dask", "local"],
        folder=FOLDER,
        environment=single_threaded(),
    )
    difference = largest_difference(one, two)
    faster = alone.wall_s / dask.wall_s
    return {
        "one_process_s": round(alone.wall_s, 1),
        "two_workers_s": round(dask.wall_s, 1),
        "one_process_cpu_s": round(alone.cpu_s, 1),
        "two_workers_cpu_s": round(dask.cpu_s, 1),
        "times_faster": round(faster, 2),
        "at_least": LEAST_TIMES_FASTER,
        "largest_difference": difference,
        "reached": faster >= LEAST_TIMES_FASTER and difference <= DIGITS,
    }


def training(patients: int, settings: Path) -> dict[str, Any]:
    """Train on the same file in one process of two threads and on two workers."""
    runs = {}
    for name, more in (("one", ()), ("dask", ("--dask", "local"))):
        runs[name] = measured(
            [*train(patients, settings), *more], folder=FOLDER, environment=registry(name)
        )
    one, dask = (json.loads(runs[name].printed.splitlines()[-1]) for name in ("one", "dask"))
    differences = metric_differences(one, dask)
    times = runs["dask"].wall_s / runs["one"].wall_s
    return {
        "one_process_s": round(runs["one"].wall_s, 1),
        "two_workers_s": round(runs["dask"].wall_s, 1),
        "peak_mb_of_one_process": round(runs["one"].peak_mb),
        "times_as_long": round(times, 2),
        "at_most": MOST_TIMES_SLOWER,
        "largest_difference_of_a_metric": differences,
        "reached": times <= MOST_TIMES_SLOWER and differences <= MOST_DIFFERENCE,
    }


def killing(patients: int, settings: Path) -> dict[str, Any]:
    """Kill a worker in the middle of both commands, and compare with undisturbed runs."""
    undisturbed, out = (FOLDER.resolve() / f"kill_{n}.parquet" for n in ("undisturbed", "killed"))
    measured(score(patients, settings, undisturbed), folder=FOLDER, environment=single_threaded())
    shutil.rmtree(out.with_name(f".{out.name}.parts"), ignore_errors=True)
    parts = out.with_name(f".{out.name}.parts")
    command = [*score(patients, settings, out), "--dask", "local"]
    killed_scoring = end_a_worker(command, single_threaded(), lambda: any(parts.glob("*.arrow")))
    difference = largest_difference(undisturbed, out)
    one = measured(train(patients, settings), folder=FOLDER, environment=registry("kill_one"))
    printed = FOLDER.resolve() / "kill_train.json"
    command = [*train(patients, settings), "--dask", "local"]
    progress = FOLDER.resolve() / "kill_train.txt"
    connected: list[float] = []

    def in_the_middle() -> bool:
        # Counted from the start of the workers, which takes longer than a small fit.
        if not connected and "connected to" in progress.read_text():
            connected.append(time.monotonic())
        return bool(connected) and time.monotonic() - connected[0] > one.wall_s / 4

    with progress.open("w") as file:
        killed_training = end_a_worker(
            command, registry("kill_dask"), in_the_middle, printed, stderr=file
        )
    first, second = (
        json.loads(text.splitlines()[-1]) for text in (one.printed, printed.read_text())
    )
    metrics = metric_differences(first, second)
    return {
        "workers_killed": {"score": killed_scoring, "train": killed_training},
        "largest_difference_of_a_risk": difference,
        "largest_difference_of_a_metric": metrics,
        "reached": killed_scoring
        and killed_training
        and difference <= DIGITS
        and metrics <= MOST_DIFFERENCE,
    }


def end_a_worker(
    command: Sequence[str],
    environment: dict[str, str],
    when: Callable[[], bool],
    printed: Path | None = None,
    stderr: TextIO | None = None,
) -> bool:
    """Run a command, and kill one of its Dask workers once `when()` is true."""
    with (printed or Path(os.devnull)).open("w") as file:
        process = subprocess.Popen(
            command, cwd=FOLDER, env=os.environ | environment, stdout=file, stderr=stderr
        )
        killed = False
        while process.poll() is None:
            if not killed and when():
                workers = [
                    child
                    for child in psutil.Process(process.pid).children(recursive=True)
                    if "spawn_main" in " ".join(child.cmdline())
                ]
                if workers:
                    max(workers, key=lambda child: sum(child.cpu_times()[:2])).send_signal(
                        signal.SIGKILL
                    )
                    killed = True
            time.sleep(0.2)
    if process.returncode:
        raise RuntimeError(f"the command ended with {process.returncode} after the kill.")
    return killed


def score(patients: int, settings: Path, out: Path) -> list[str]:
    """Return the command that scores so many patients by a model of the same variables."""
    out.unlink(missing_ok=True)
    cohort = cohort_file(patients, outcome=False)
    return [*OSTEON, "score", str(cohort), "--model", model(settings), "--out", str(out), "--json"]


def train(patients: int, settings: Path) -> list[str]:
    """Return the command that trains on so many patients."""
    cohort = str(cohort_file(patients))
    return [*OSTEON, "train", cohort, "--outcome", "mortality", "--config", str(settings), "--json"]


def model(settings: Path) -> str:
    """Return the URI of a model of the 60 variables, trained once."""
    uri = FOLDER.resolve() / "model_uri"
    if not uri.exists():
        # Held-out patients take one refit; 10 repeats of the cross-validation would take 50.
        command = [*train(LEARNED_FROM, settings), "--test-fraction", "0.3"]
        printed = measured(command, folder=FOLDER, environment=registry("model")).printed
        uri.write_text(json.loads(printed.splitlines()[-1])["model_uri"])
    return uri.read_text()


def registry(name: str) -> dict[str, str]:
    """Return the environment of a command that registers in a database of its own."""
    return {"MLFLOW_TRACKING_URI": f"sqlite:///{FOLDER.resolve()}/{name}.db"}


def single_threaded() -> dict[str, str]:
    """Return the environment of a command on one thread, which finds the model of `model`."""
    return {"OMP_NUM_THREADS": "1", **registry("model")}


def largest_difference(one: Path, other: Path) -> float:
    """Return the largest difference between two files of risks; infinite if more differs."""
    first, second = pd.read_parquet(one), pd.read_parquet(other)
    numbers = list(first.select_dtypes("number"))
    texts = [name for name in first if name not in numbers]
    if first.shape != second.shape or not first[texts].equals(second[texts]):
        return float("inf")
    return float(np.nanmax(np.abs(first[numbers].to_numpy() - second[numbers].to_numpy())))


def metric_differences(one: dict[str, Any], other: dict[str, Any]) -> float:
    """Return the largest difference between estimates that two runs of `train --json` print."""
    pairs = zip(one["metrics"], other["metrics"], strict=True)
    return max(abs((a["estimate"] or 0.0) - (b["estimate"] or 0.0)) for a, b in pairs)


if __name__ == "__main__":
    sys.exit(main())
