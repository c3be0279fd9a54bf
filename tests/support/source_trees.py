"""A changed copy of Osteon's source, run in a process of its own."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path


def run_python(source_tree: Path, code: str, *arguments: str, cwd: Path) -> str:
    """Run code that imports the copy instead of the working tree, and return what it printed."""
    run = subprocess.run(
        [sys.executable, "-P", "-c", code, *arguments],
        cwd=cwd,
        env=os.environ | {"PYTHONPATH": str(source_tree), "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode == 0, run.stderr
    return run.stdout
