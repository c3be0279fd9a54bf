"""What judging a model on a large file takes, beside judging it on a cohort in memory.

    python tests/benchmark/evaluate_scale.py --patients 1000000

Runs `osteon evaluate --model` on simulated patients with 60 variables: on --in-memory patients (a
tenth), which are read as a whole (at most 100,000), and on --patients in parts, in one process of
one thread and on the Dask workers of this machine. Memory is that of the command's process, and of
the largest worker. --model, --cohort and --smaller name a model and files that are there already;
what has been measured stays in build/scale. Prints one JSON object; exit 1 if a target is missed.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import psutil
from dask_speed import model, registry
from large_cohorts import FOLDER, cohort_file
from measured_command import OSTEON, machine

from training.benchmark.stored_results import ResultFile, code_fingerprint

MOST_TIMES_OF_MEMORY, MOST_MB, MOST_DIFFERENCE = 1.0, 2_500, 1e-9
_CODE = ("data_schema", "models", "training")


def main() -> int:
    """Run the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--patients", type=int, default=1_000_000)
    parser.add_argument("--in-memory", type=int, help="default: a tenth of --patients")
    parser.add_argument("--settings", default="", help="lines of the settings of the model (TOML)")
    parser.add_argument("--model", default="", help="URI of a model that is there already")
    parser.add_argument("--cohort", type=Path, help="file of --patients patients")
    parser.add_argument("--smaller", type=Path, help="file of --in-memory patients")
    stated = parser.parse_args()
    FOLDER.mkdir(parents=True, exist_ok=True)
    settings = FOLDER.resolve() / "settings_of_evaluated.toml"
    settings.write_text(stated.settings.replace(";", "\n") + "\n")
    uri = stated.model or model(settings)
    large = stated.cohort or cohort_file(stated.patients)
    in_memory = stated.in_memory or stated.patients // 10
    small = stated.smaller or cohort_file(in_memory)
    whole = evaluated(small, uri)
    parts = evaluated(large, uri)
    dask = evaluated(large, uri, "--dask", "local")
    difference = largest_difference(parts["metrics"], dask["metrics"])
    each = parts["cpu_s"] / stated.patients, whole["cpu_s"] / in_memory
    result = {
        "patients": stated.patients,
        "patients_in_memory": in_memory,
        **{
            name: {key: value for key, value in run.items() if key != "metrics"}
            for name, run in (("in_memory", whole), ("in_parts", parts), ("dask", dask))
        },
        "cpu_times_of_memory_per_patient": round(each[0] / each[1], 3),
        "peak_mb": parts["peak_mb"],
        "largest_difference": difference,
        "reached": each[0] <= MOST_TIMES_OF_MEMORY * each[1]
        and max(parts["peak_mb"], dask["peak_mb"], dask["worker_peak_mb"]) <= MOST_MB
        and difference <= MOST_DIFFERENCE,
    }
    print(json.dumps({"machine": machine(), **result}, indent=2))
    return 0 if result["reached"] else 1


def evaluated(cohort: Path, uri: str, *more: str) -> dict[str, Any]:
    """Evaluate a file, and return what it took and printed; from the file of results if there."""
    key = {"cohort": cohort.name, "model": uri, "more": list(more)}
    results = ResultFile(FOLDER / f"evaluations-{code_fingerprint(_CODE, {})}.jsonl")
    for row in results.read():
        if key.items() <= row.items():
            return dict(row)
    command = [*OSTEON, "evaluate", str(cohort.resolve()), "--model", uri, *more, "--json"]
    environment = {"OMP_NUM_THREADS": "1", "LOKY_MAX_CPU_COUNT": "1"} if not more else {}
    with tempfile.TemporaryFile("w+") as printed:
        print(" ".join(command)[-100:], file=sys.stderr, flush=True)
        started = time.perf_counter()
        process = subprocess.Popen(
            command,
            cwd=FOLDER,
            env=registry("model") | dict(os.environ) | {"OMP_NUM_THREADS": "1"} | environment,
            stdout=printed,
        )
        used = watched(process)
        wall = time.perf_counter() - started
        if process.returncode:
            raise RuntimeError(f"the command ended with {process.returncode}.")
        printed.seek(0)
        metrics = json.loads(printed.read().splitlines()[-1])["metrics"]
    row = key | {"wall_s": round(wall, 1), **used, "metrics": metrics}
    results.append(row)
    return row


def watched(process: subprocess.Popen[Any]) -> dict[str, float]:
    """Wait for a command; return its CPU seconds with its workers', and peaks of memory."""
    own = psutil.Process(process.pid)
    cpu: dict[int, float] = {}
    peak, of_worker = 0.0, 0.0
    while process.poll() is None:
        for each in [own, *_children(own)]:
            try:
                times, memory = each.cpu_times(), each.memory_info().rss / 2**20
            except psutil.Error:
                continue
            cpu[each.pid] = times.user + times.system
            if each.pid == process.pid:
                peak = max(peak, memory)
            else:
                of_worker = max(of_worker, memory)
        time.sleep(0.2)
    return {
        "cpu_s": round(sum(cpu.values()), 1),
        "peak_mb": round(peak),
        "worker_peak_mb": round(of_worker),
    }


def _children(process: psutil.Process) -> list[psutil.Process]:
    try:
        return process.children(recursive=True)
    except psutil.Error:
        return []


def largest_difference(one: list[dict[str, Any]], other: list[dict[str, Any]]) -> float:
    """Return the largest difference between estimates and ends of two lists of metrics."""
    first, second = (
        [
            [m[end] if m[end] is not None else np.nan for end in ("estimate", "low", "high")]
            for m in each
        ]
        for each in (one, other)
    )
    return float(np.nanmax(np.abs(np.array(first) - np.array(second))))


if __name__ == "__main__":
    sys.exit(main())
