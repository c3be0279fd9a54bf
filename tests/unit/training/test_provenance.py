from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from training.provenance import git_revision, versions

needs_git = pytest.mark.skipif(shutil.which("git") is None, reason="git is not installed")


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    def git(*arguments: str) -> None:
        subprocess.run(["git", "-C", str(tmp_path), *arguments], check=True, capture_output=True)

    git("init")
    (tmp_path / "code.py").write_text("x = 1\n")
    git("add", "code.py")
    git("-c", "user.name=t", "-c", "user.email=t@example.org", "commit", "-m", "first")
    return tmp_path


@needs_git
def test_the_revision_of_a_checkout_says_whether_files_differ_from_it(checkout: Path) -> None:
    clean = git_revision(checkout)
    assert clean is not None
    assert len(clean) == 40
    (checkout / "code.py").write_text("x = 2\n")
    assert git_revision(checkout) == f"{clean}+changes"


@needs_git
def test_an_installation_inside_another_checkout_does_not_borrow_its_revision(
    checkout: Path,
) -> None:
    (checkout / "site-packages").mkdir()
    assert git_revision(checkout / "site-packages") is None


def test_outside_a_checkout_there_is_no_revision(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert git_revision(tmp_path) is None
    monkeypatch.setenv("PATH", "")
    assert git_revision(tmp_path) is None


def test_versions_name_what_fits_and_stores_a_model() -> None:
    assert {"python", "numpy", "xgboost", "mlflow"} <= set(versions())
