"""The counts of processes that have ended, added together, so that their files can be deleted.

Each process counts in files of its own, named by its process id. A service whose workers are
restarted for months would collect files without end, and read all of them at each scrape.
"""

from __future__ import annotations

import logging
import os
import shutil
import struct
from pathlib import Path

from prometheus_client.mmap_dict import MmapedDict

__all__ = ["ENDED", "add_counts"]

ENDED = "ended"
"""What stands for the process id in the names of the files with the sums."""

_LOG = logging.getLogger(__name__)


def add_counts(folder: Path, pid: int) -> None:
    """Add the counts of an ended process to those of all ended ones, and delete its files.

    Only one process may call this for a folder. A file that cannot be read stays as it is.
    """
    for kind in ("counter", "histogram"):
        own, ended = folder / f"{kind}_{pid}.db", folder / f"{kind}_{ENDED}.db"
        try:
            if not own.exists():
                continue
            if not ended.exists():
                own.rename(ended)
                continue
            _add(own, ended)
        except (OSError, RuntimeError, ValueError, struct.error) as error:
            _LOG.warning("Counts of process %d stay in its file (%s).", pid, type(error).__name__)


def _add(own: Path, ended: Path) -> None:
    sums = ended.with_name(f"{ended.name}.{os.getpid()}.new")
    try:
        shutil.copyfile(ended, sums)
        total = MmapedDict(str(sums))  # type: ignore[no-untyped-call]
        counted = MmapedDict(str(own), read_mode=True)  # type: ignore[no-untyped-call]
        try:
            for key, value, at in counted.read_all_values():  # type: ignore[no-untyped-call]
                before, _ = total.read_value(key)  # type: ignore[no-untyped-call]
                total.write_value(key, before + value, at)  # type: ignore[no-untyped-call]
        finally:
            counted.close()  # type: ignore[no-untyped-call]
            total.close()  # type: ignore[no-untyped-call]
        # Between the two a scrape counts the process twice; the other order would lose it.
        sums.replace(ended)
        own.unlink()
    finally:
        sums.unlink(missing_ok=True)
