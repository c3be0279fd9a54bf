"""A PostgreSQL server for tests, without a port and with its files in a temporary folder."""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

# Debian keeps the server's own programs out of PATH.
_SERVERS = sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda path: int(path.parent.name))


def _program(name: str) -> str | None:
    return shutil.which(name, path=os.pathsep.join([str(_SERVERS[-1])] if _SERVERS else [])) or (
        shutil.which(name)
    )


def _as_nobody_special() -> dict[str, Any]:
    """Return the account that the server runs as: it refuses to be root."""
    if os.geteuid() != 0:
        return {}
    names = {entry.pw_name for entry in pwd.getpwall()}
    user = pwd.getpwnam("postgres" if "postgres" in names else "nobody")
    return {"user": user.pw_uid, "group": user.pw_gid, "extra_groups": []}


@dataclass(frozen=True)
class PostgreSQL:
    """A server that can be stopped; `url` lacks the name of its database."""

    url: str
    start: Callable[[], object]
    stop: Callable[[], object]


@contextmanager
def running_postgresql(superuser: str = "osteon") -> Iterator[PostgreSQL]:
    """Run a server of its own while the block runs; skip the test where it is not installed."""
    initdb, pg_ctl = _program("initdb"), _program("pg_ctl")
    if initdb is None or pg_ctl is None:
        pytest.skip("PostgreSQL is not installed (Debian: postgresql)")
    pytest.importorskip("psycopg", reason="psycopg is not installed (osteon[postgres])")
    # Short, as the path of a socket must be, and not below a folder that only root can enter.
    folder = Path(tempfile.mkdtemp(prefix="osteon-pg-"))
    identity = _as_nobody_special()
    if identity:
        os.chown(folder, identity["user"], identity["group"])
    said: dict[str, Any] = {"cwd": folder, "check": True, "stdout": subprocess.DEVNULL, **identity}
    data, log = str(folder / "data"), str(folder / "log")
    options = f"-c listen_addresses='' -c unix_socket_directories='{folder}' -c fsync=off"
    start = [pg_ctl, "-D", data, "-l", log, "-o", options, "-w", "start"]
    stop = [pg_ctl, "-D", data, "-m", "immediate", "-w", "stop"]
    try:
        subprocess.run(
            [initdb, "-D", data, "-U", superuser, "-A", "trust", "-E", "UTF8", "--no-sync"], **said
        )
        subprocess.run(start, **said)
        try:
            yield PostgreSQL(
                f"postgresql://{superuser}@/{{name}}?host={folder}",
                start=lambda: subprocess.run(start, **said),
                stop=lambda: subprocess.run(stop, **said),
            )
        finally:
            subprocess.run(stop, **(said | {"check": False, "stderr": subprocess.DEVNULL}))
    finally:
        shutil.rmtree(folder)
