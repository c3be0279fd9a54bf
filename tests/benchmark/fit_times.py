"""How long `osteon train` takes: the whole run, report included, and each fit.

    python tests/benchmark/fit_times.py --out times.jsonl --rows 300,1000,3000,20000

Each size is a simulated cohort, trained with the default settings by the command itself, in a
folder and a registry of its own; its progress is shown. It writes one line; a run that was stopped
goes on where it was. CPU seconds are of all threads.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from training.simulation.cohort import simulated_table

ROWS = "300,1000,3000,20000"
COMMAND = "import osteon; osteon.main()"


def main() -> None:
    """Time what is missing of the sizes, then print all as a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--rows", default=ROWS)
    parser.add_argument("--settings", default="", help="lines of the settings (TOML), joined by ;")
    stated = parser.parse_args()
    sizes = [int(size) for size in stated.rows.split(",")]
    done = {row["rows"] for row in _rows(stated.out, stated.settings)}
    for size in sizes:
        if size in done:
            continue
        row = _timed(size, stated.settings)
        with stated.out.open("a") as file:
            file.write(json.dumps(row) + "\n")
    columns = (
        *("rows", "method", "folds", "repeats", "wall_seconds", "cpu_seconds"),
        *("registered_fit_seconds", "interval_fits_seconds", "judging_seconds"),
        *("seconds_per_judged_fit", "rest_seconds"),
    )
    print("\t".join(columns))
    for row in sorted(_rows(stated.out, stated.settings), key=lambda row: row["rows"]):
        print("\t".join(str(row[column]) for column in columns))


def _timed(size: int, settings: str) -> dict[str, Any]:
    """Train on a cohort of one size with the command, and return its times."""
    with tempfile.TemporaryDirectory() as folder:
        simulated_table(size, seed=1).to_parquet(Path(folder, "cohort.parquet"))
        Path(folder, "run.toml").write_text(settings.replace(";", "\n") + "\n")
        print(f"training on {size:,} rows", file=sys.stderr, flush=True)
        started, used = time.perf_counter(), _cpu_seconds()
        finished = subprocess.run(
            [
                *(sys.executable, "-c", COMMAND, "train", "cohort.parquet"),
                *("--outcome", "mortality", "--config", "run.toml", "--json"),
            ],
            cwd=folder,
            env=os.environ | {"MLFLOW_TRACKING_URI": "sqlite:///mlflow.db"},
            stdout=subprocess.PIPE,
            check=True,
        )
        wall, cpu = time.perf_counter() - started, _cpu_seconds() - used
        printed = json.loads(finished.stdout)
        seconds = _logged_seconds(folder, printed["run_id"])
    evaluation = printed["evaluation"]
    fits = evaluation["folds"] * evaluation["repeats"]
    return {
        "rows": size,
        "settings": settings,
        **{name: evaluation[name] for name in ("method", "folds", "repeats")},
        "wall_seconds": round(wall, 1),
        "cpu_seconds": round(cpu, 1),
        "registered_fit_seconds": round(seconds["core"], 1),
        "interval_fits_seconds": round(seconds["fold"], 1),
        "judging_seconds": round(seconds["judging"], 1),
        "seconds_per_judged_fit": round(seconds["judging"] / fits, 2),
        "rest_seconds": round(wall - sum(seconds.values()), 1),
    }


def _logged_seconds(folder: str, run_id: str) -> dict[str, float]:
    """Return the times that the run logged to MLflow."""
    import mlflow

    client = mlflow.MlflowClient(f"sqlite:///{folder}/mlflow.db")
    logged = client.get_run(run_id).data.metrics
    return {part: logged[f"fit/{part}_seconds"] for part in ("core", "fold", "judging")}


def _cpu_seconds() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def _rows(path: Path, settings: str) -> Iterator[dict[str, Any]]:
    lines = path.read_text().splitlines() if path.is_file() else []
    rows = map(json.loads, lines)
    yield from (row for row in rows if row["settings"] == settings)


if __name__ == "__main__":
    main()
