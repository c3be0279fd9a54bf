"""Time and memory of `osteon landmark` by number of rows, from the MIMIC demo with new ids.

    python tests/benchmark/landmark_speed.py EVENTS.parquet --out build/landmark [--millions 5 50]

Writes the replicated events once for each size, runs the command in a process of its own, and adds
one line of JSON a size to `results.jsonl`; a size that has a line is not run again.
"""

import argparse
import json
import os
import resource
import subprocess
import sys
import time
from pathlib import Path

import duckdb


def replicated(events: Path, out: Path, millions: float) -> Path:
    """Return the events, written as often as needed, each time with new ids."""
    file = out / f"events_{millions:g}.parquet"
    if file.exists():
        return file
    unfinished = out / "unfinished.parquet"
    with duckdb.connect() as db:
        db.execute("SET memory_limit = '1GB'")
        db.execute("SET preserve_insertion_order = false")
        (rows,) = db.execute(f"SELECT count(*) FROM '{events}'").fetchone() or (0,)
        times = max(1, round(millions * 1e6 / rows))
        db.execute(
            f"COPY (SELECT * REPLACE (subject_id + r.range * 100000000 AS subject_id) FROM "
            f"'{events}', range({times}) r) TO '{unfinished}' (FORMAT parquet)"
        )
    return unfinished.rename(file)


def measured(events: Path, out: Path, memory: str) -> dict[str, float]:
    """Return seconds and the most memory of one run of the command."""
    began = time.monotonic()
    command = [sys.executable, "-m", "osteon", "landmark", str(events)]
    command += ["--source", "mimic-iv-meds", "--time-zero", "icu_admission+24h", "--json"]
    command += ["--memory", memory, "--out", str(out / "cohort.parquet")]
    answer = subprocess.run(command, check=True, stdout=subprocess.PIPE, env=os.environ)
    most = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024**2
    stays = json.loads(answer.stdout)["stays"]
    return {"seconds": time.monotonic() - began, "gigabytes": most, "stays": stays}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("events", type=Path)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--millions", type=float, nargs="+", default=[5, 10, 20, 35, 50])
    parser.add_argument("--memory", default="2GB")
    arguments = parser.parse_args()
    arguments.out.mkdir(parents=True, exist_ok=True)
    results = arguments.out / "results.jsonl"
    lines = results.read_text().splitlines() if results.exists() else []
    done = {json.loads(line)["millions"] for line in lines}
    # Memory is the largest of all children so far: sizes run in ascending order.
    for millions in sorted(set(arguments.millions) - done):
        events = replicated(arguments.events, arguments.out, millions)
        line = {"millions": millions, **measured(events, arguments.out, arguments.memory)}
        with results.open("a") as file:
            print(json.dumps(line), file=file)
        print(json.dumps(line), flush=True)


if __name__ == "__main__":
    main()
