"""Time and memory of a command, for the benchmarks of scale."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from training.benchmark.scale import processor

__all__ = ["OSTEON", "Measured", "machine", "measured"]

OSTEON = (sys.executable, "-c", "import osteon; osteon.main()")
"""The command line of the running version."""


@dataclass(frozen=True, slots=True)
class Measured:
    """What one command took: seconds, and the largest memory of its process, without children."""

    wall_s: float
    cpu_s: float
    peak_mb: float
    printed: str


def measured(
    command: Sequence[str], *, folder: Path, environment: Mapping[str, str] | None = None
) -> Measured:
    """Run a command in a folder and return what it took; its progress goes to stderr."""
    print(" ".join(command).replace("\n", " ")[-100:], file=sys.stderr, flush=True)
    started = time.perf_counter()
    with tempfile.TemporaryFile("w+") as printed:
        process = subprocess.Popen(
            command, cwd=folder, env=os.environ | dict(environment or {}), stdout=printed
        )
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        printed.seek(0)
        if process.returncode:
            end = printed.read()[-2_000:]
            raise RuntimeError(f"the command ended with {process.returncode}. It printed: {end}")
        # On Linux the usage of a child that was waited for holds that of its own children.
        return Measured(
            time.perf_counter() - started,
            usage.ru_utime + usage.ru_stime,
            usage.ru_maxrss / 1024,
            printed.read(),
        )


def machine() -> str:
    """Return the machine, as far as times depend on it."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    return (
        f"{os.cpu_count()} cores of {processor()}, {memory:.0f} GiB, load {os.getloadavg()[0]:.1f}"
    )
