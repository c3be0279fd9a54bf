"""A copy of Osteon's source that a recipe of CONTRIBUTING.md may change."""

from __future__ import annotations

from pathlib import Path

import pytest

from source_trees import copy_source


@pytest.fixture
def source_tree(tmp_path: Path) -> Path:
    """A folder with a copy of the four packages and of `osteon.py`."""
    return copy_source(tmp_path / "source")
