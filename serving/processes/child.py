"""Child processes that exchange lines with their parent over stdin and stdout."""

from __future__ import annotations

import asyncio
import os
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import Mapping, Sequence

__all__ = ["send", "start_process"]

_LONGEST_LINE = 2**24


async def start_process(
    module: str,
    *,
    environment: Mapping[str, str] = os.environ,
    inherits: Sequence[int] = (),
) -> Process:
    """Start a module as a child process, which inherits file descriptors under their numbers."""
    # A session of its own, so that Ctrl-C reaches only the supervisor, which ends its children; and
    # -P, so that the working directory does not shadow an installed package.
    return await asyncio.create_subprocess_exec(
        *(sys.executable, "-P", "-m", module),
        stdin=PIPE,
        stdout=PIPE,
        env=environment,
        pass_fds=inherits,
        start_new_session=True,
        limit=_LONGEST_LINE,
    )


def send(process: Process, line: str) -> None:
    """Send a line to a process; one that has ended is left to the task that waits for it."""
    if process.stdin is not None and not process.stdin.is_closing():
        process.stdin.write(line.encode() + b"\n")
