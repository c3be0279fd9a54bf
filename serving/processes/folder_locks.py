"""Locks on folders, which end with the process that holds them, however it ends."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

__all__ = ["hold", "locked"]


def hold(folder: Path) -> int | None:
    """Share a folder with everybody who holds it, and keep it from who would lock it for himself.

    Parameters
    ----------
    folder : Path

    Returns
    -------
    int or None
        File descriptor, which holds the folder until it is closed; None if there is no such folder.

    Raises
    ------
    OSError
        If the folder cannot be locked.
    """
    try:
        held = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    except FileNotFoundError:
        return None
    fcntl.flock(held, fcntl.LOCK_SH)
    return held


@contextmanager
def locked(folder: Path, *, wait: bool = True) -> Iterator[None]:
    """Have a folder for oneself.

    Parameters
    ----------
    folder : Path
    wait : bool
        Until nobody else has or holds it.

    Yields
    ------
    None

    Raises
    ------
    BlockingIOError
        If somebody has or holds it, without waiting.
    OSError
        If there is no such folder, or it cannot be locked.
    """
    opened = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.flock(opened, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
        yield
    finally:
        os.close(opened)
