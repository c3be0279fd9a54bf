"""A process of ours that is spoken to in lines on its stdin, and answers in lines on its stdout."""

from __future__ import annotations

import asyncio
import os
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import Mapping, Sequence

__all__ = ["start_process", "tell"]

_LONGEST_LINE = 2**24


async def start_process(
    module: str,
    *,
    environment: Mapping[str, str] = os.environ,
    inherits: Sequence[int] = (),
) -> Process:
    """Start a module of ours as a process.

    Parameters
    ----------
    module : str
    environment : mapping of str to str
    inherits : sequence of int
        File descriptors that it has under the same numbers.

    Returns
    -------
    Process
    """
    # Of a group of its own, so that Ctrl-C reaches only the supervisor, which asks them to end; and
    # without the working directory in front of what is installed.
    return await asyncio.create_subprocess_exec(
        *(sys.executable, "-P", "-m", module),
        stdin=PIPE,
        stdout=PIPE,
        env=environment,
        pass_fds=inherits,
        start_new_session=True,
        limit=_LONGEST_LINE,
    )


def tell(process: Process, line: str) -> None:
    """Say a line to a process, which may have ended; whoever waits for it will notice."""
    if process.stdin is not None and not process.stdin.is_closing():
        process.stdin.write(line.encode() + b"\n")
