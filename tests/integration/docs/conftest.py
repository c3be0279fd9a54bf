"""The folder of the how-to pages, made once for all tests of a run."""

from __future__ import annotations

import fcntl
import shutil
from pathlib import Path

import pytest

from followed_pages import follow
from places import ROOT


@pytest.fixture(scope="session")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder that the first of the how-to pages makes; copy it before it is changed."""
    shared = tmp_path_factory.getbasetemp()
    if shared.name.startswith("popen-"):  # a process of pytest-xdist
        shared = shared.parent
    folder = shared / "how-to-pages"
    with (shared / "how-to-pages.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (folder / "is-complete").exists():
            folder.mkdir()
            shutil.copy(ROOT / "docs" / "how-to" / "hospitals.py", folder)
            follow(ROOT / "docs" / "how-to" / "index.md", folder)
            (folder / "is-complete").touch()
    return folder
