"""Locks on folders, released when the process that holds them ends, however it ends."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

__all__ = ["lock_shared", "locked"]


def lock_shared(folder: Path) -> int | None:
    """Take a shared lock on a folder, so that no process can lock it exclusively.

    Returns
    -------
    int or None
        File descriptor that holds the lock until it is closed; None if the folder does not exist.

    Raises
    ------
    OSError
        If the folder cannot be locked.
    """
    try:
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    except FileNotFoundError:
        return None
    fcntl.flock(descriptor, fcntl.LOCK_SH)
    return descriptor


@contextmanager
def locked(folder: Path, *, wait: bool = True) -> Iterator[None]:
    """Hold an exclusive lock on a folder.

    Parameters
    ----------
    wait : bool
        Whether to wait until no other process holds a lock on it.

    Raises
    ------
    BlockingIOError
        If another process holds a lock and `wait` is false.
    OSError
        If the folder does not exist or cannot be locked.
    """
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
        yield
    finally:
        os.close(descriptor)
