"""How long it takes to put a prediction on record, beside what the disk alone takes.

    python tests/benchmark/audit_latency.py

Prints one JSON object, times in ms: one caller after another, then several at once, who share
transactions. `disk` is one write of 500 bytes brought to the same disk (fdatasync).
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

from ulid import ULID

from serving.audit.opening import open_trail
from serving.audit.record import AuditEvent
from serving.audit.trail import AuditTrail, Entry
from serving.settings import Settings


def main() -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--records", type=int, default=2_000)
    parser.add_argument("--callers", type=int, default=8)
    parser.add_argument("--database-url", help="PostgreSQL; a file of SQLite without it")
    stated = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=".") as folder:
        disk = _disk(Path(folder) / "file", stated.records)
        settings = Settings(state_dir=Path(folder), database_url=stated.database_url)
        with closing(open_trail(settings)) as trail:
            alone = [_timed(lambda: _append(trail)) for _ in range(stated.records)]
            processor = time.process_time()
            for _ in range(stated.records):
                _append(trail)
            processor = (time.process_time() - processor) / stated.records
            started = time.perf_counter()
            with ThreadPoolExecutor(stated.callers) as pool:
                together = list(
                    pool.map(lambda _: _timed(lambda: _append(trail)), range(stated.records))
                )
            rate = stated.records / (time.perf_counter() - started)
    said = {
        "records": stated.records,
        "disk": _quantiles(disk),
        "one_caller": _quantiles(alone),
        "processor_per_record": round(1_000 * processor, 3),
        "callers": stated.callers,
        "together": _quantiles(together),
        "together_per_second": round(rate),
    }
    print(json.dumps(said))


def _append(trail: AuditTrail) -> None:
    model = {"name": "osteon-mortality", "version": "3", "sha256": "0" * 64, "status": "ok"}
    trail.append_all(
        [
            Entry(
                AuditEvent(
                    action="predict",
                    actor="local",
                    status="ok",
                    route="/v1/predict",
                    prediction_id=str(ULID()),
                    patient=trail.keys.patient("opaque"),
                    input=trail.keys.input("x" * 2_000),
                    outcomes=["mortality"],
                    models=[model],
                )
            )
        ]
    )


def _disk(path: Path, count: int) -> list[float]:
    with path.open("wb", buffering=0) as file:

        def write() -> None:
            file.write(b"x" * 500)
            os.fdatasync(file.fileno())

        return [_timed(write) for _ in range(count)]


def _timed(work: Callable[[], None]) -> float:
    started = time.perf_counter()
    work()
    return 1_000 * (time.perf_counter() - started)


def _quantiles(times: list[float]) -> dict[str, float]:
    cuts = statistics.quantiles(times, n=100)
    return {"p50": round(cuts[49], 3), "p99": round(cuts[98], 3)}


if __name__ == "__main__":
    main()
