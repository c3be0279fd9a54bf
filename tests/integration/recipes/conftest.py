"""A copy of Osteon's source that a recipe of CONTRIBUTING.md may change."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from places import ROOT

_PACKAGES = ("data_schema", "models", "training", "serving")


@pytest.fixture
def source_tree(tmp_path: Path) -> Path:
    """A folder with a copy of the four packages and of `osteon.py`."""
    folder = tmp_path / "source"
    for package in _PACKAGES:
        shutil.copytree(
            ROOT / package, folder / package, ignore=shutil.ignore_patterns("__pycache__")
        )
    shutil.copy(ROOT / "osteon.py", folder)
    return folder
