"""Where a model comes from: the revision of the code and the versions it ran with."""

from __future__ import annotations

import platform
import subprocess
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

__all__ = ["git_revision", "versions"]

_ROOT = Path(__file__).resolve().parents[1]
_PACKAGES = ("osteon", "numpy", "pandas", "scikit-learn", "xgboost", "mlflow")


def git_revision(root: Path = _ROOT) -> str | None:
    """Return the commit of the running code, or None if it is not a checkout of Osteon.

    Parameters
    ----------
    root : Path
        Folder of the code.

    Returns
    -------
    str or None
        The hash, with `+changes` where tracked files differ from it.
    """
    top = _git(root, "rev-parse", "--show-toplevel")
    # An installation inside the checkout of another project must not report that revision.
    if top is None or Path(top).resolve() != root:
        return None
    revision = _git(root, "rev-parse", "HEAD")
    if revision is None:
        return None
    changed = _git(root, "status", "--porcelain", "--untracked-files=no")
    return f"{revision}+changes" if changed else revision


def versions() -> dict[str, str]:
    """Return the versions of Python and of the installed packages that fit and store a model."""
    installed = {"python": platform.python_version()}
    for package in _PACKAGES:
        try:
            installed[package] = version(package)
        except PackageNotFoundError:
            continue
    return installed


def _git(root: Path, *arguments: str) -> str | None:
    """Return the output of git, or None if it is not installed or fails."""
    try:
        process = subprocess.run(
            ["git", "-C", str(root), *arguments],
            capture_output=True,
            text=True,
            check=True,
            timeout=10,
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return process.stdout.strip()
