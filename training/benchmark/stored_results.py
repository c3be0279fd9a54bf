"""Results of long comparisons, one line each, so that a run that was stopped continues.

The file is named by a fingerprint of the code and the settings that the results depend on: results
of a changed version go to another file and are never mixed with these.
"""

from __future__ import annotations

import ast
import hashlib
import json
import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

__all__ = ["ESTIMATOR_CODE", "ResultFile", "code_fingerprint", "results_folder"]

ESTIMATOR_CODE = (
    "models/censoring.py",
    "models/estimator.py",
    "models/fitting",
    "models/folds.py",
    "models/inference",
    "models/targets.py",
    "data_schema/disclosure.py",
    "data_schema/outcomes.py",
)
"""The files and folders that decide what the estimator predicts."""

_ROOT = Path(__file__).resolve().parents[2]
_PACKAGES = ("numpy", "pandas", "scipy", "scikit-learn", "xgboost", "scikit-survival")


@dataclass(frozen=True, slots=True)
class ResultFile:
    """A file of results, one JSON object a line.

    Parameters
    ----------
    path : Path
        Created with the first result.
    """

    path: Path

    def read(self) -> list[dict[str, object]]:
        """Return the results; a last line that was cut off when the run was stopped is left out."""
        if not self.path.is_file():
            return []
        lines = self.path.read_text(encoding="utf-8").split("\n")
        # What follows the last line break was not written to its end.
        return [json.loads(line) for line in lines[:-1] if line]

    def append(self, result: Mapping[str, object]) -> None:
        """Add one result, in place of a last line that was cut off."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with self.path.open("ab+") as file:
            file.seek(0)
            written = file.read()
            file.truncate(written.rfind(b"\n") + 1)
            file.write(json.dumps(result).encode() + b"\n")


def results_folder(stated: Path | None = None) -> Path:
    """Return the folder of results: the argument, or `benchmark` in OSTEON_STATE_DIR (.osteon)."""
    return stated or Path(os.environ.get("OSTEON_STATE_DIR", ".osteon")) / "benchmark"


def code_fingerprint(
    places: Iterable[str], settings: Mapping[str, object], *, root: Path = _ROOT
) -> str:
    """Return 16 hexadecimal digits of a hash of code, settings and versions of packages.

    Comments, docstrings and layout do not count: they change no result.

    Parameters
    ----------
    places : iterable of str
        Files and folders, relative to `root`.
    settings : mapping of str to object
        Whatever else the results depend on, with a stable `repr`.
    root : Path
        Folder of the code (default: this repository).
    """
    digest = hashlib.sha256()
    for path in sorted({file for place in places for file in _files(root / place)}):
        digest.update(path.relative_to(root).as_posix().encode())
        digest.update(_statements(path).encode())
    for name, setting in sorted(settings.items()):
        digest.update(f"{name}={setting!r}".encode())
    for package in _PACKAGES:
        digest.update(f"{package}={_version(package)}".encode())
    return digest.hexdigest()[:16]


def _files(place: Path) -> list[Path]:
    if place.is_dir():
        return list(place.rglob("*.py"))
    if not place.is_file():
        raise ValueError(f"places must be files or folders of the code; got {place.name}.")
    return [place]


def _statements(path: Path) -> str:
    """Return the statements of a module as text, without comments and docstrings."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    for node in ast.walk(tree):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef) and ast.get_docstring(
            node
        ):
            node.body = node.body[1:] or [ast.Pass()]
    return ast.dump(tree)


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None
