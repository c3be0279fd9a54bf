"""A changed copy of Osteon's source, run in a process of its own."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

from places import ROOT

_PACKAGES = ("data_schema", "models", "training", "serving")


def copy_source(folder: Path) -> Path:
    """Copy the four packages and `osteon.py` to a folder, and return it."""
    for package in _PACKAGES:
        shutil.copytree(
            ROOT / package, folder / package, ignore=shutil.ignore_patterns("__pycache__")
        )
    shutil.copy(ROOT / "osteon.py", folder)
    return folder


def changed_files(source_tree: Path) -> set[str]:
    """Return the files of a copy that the working tree does not hold, or holds with other text."""
    files = {path.relative_to(source_tree) for path in source_tree.rglob("*.py")}
    return {
        str(file)
        for file in files
        if not (ROOT / file).exists()
        or (source_tree / file).read_bytes() != (ROOT / file).read_bytes()
    }


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
