"""The service's database: one SQLite file by default, or PostgreSQL.

It holds the audit trail, reported outcomes, and callers' keys; never a measurement.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Engine, create_engine, event
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError, OperationalError, ProgrammingError, SQLAlchemyError

from data_schema.errors import OsteonError, OutsideError, UsageError
from serving.store import tables

__all__ = ["Database", "database_at"]

_SECONDS_TO_WAIT = 10
_TO_CHECK = "Check OSTEON_DATABASE_URL: host, port, user, password and database."
_FULL = "Free space where its files lie, or move them to a larger disk."
_REFUSALS = {
    "DiskFull": _FULL,
    "SQLITE_FULL": _FULL,
    "SQLITE_READONLY": "Its file and folder must be writable by the account of the service.",
    "InsufficientPrivilege": "Its role needs more rights: `osteon doctor` lists them.",
    "ReadOnlySqlTransaction": "It is a standby or set to read only: name the primary server.",
}
"""Advice by the name of an error that a database answers with."""
_DRIVERS = {
    "sqlite": "sqlite",
    "postgresql": "postgresql+psycopg",
    "postgresql+psycopg": "postgresql+psycopg",
}
# A commit is on the disk when it returns, whatever the server's default, and every statement has a
# time limit.
_POSTGRESQL = {
    "connect_timeout": _SECONDS_TO_WAIT,
    "tcp_user_timeout": 1_000 * _SECONDS_TO_WAIT,
    "options": f"-c synchronous_commit=on -c statement_timeout={_SECONDS_TO_WAIT}s "
    f"-c lock_timeout={_SECONDS_TO_WAIT}s",
}


class Database:
    """One database, open: transactions that read and transactions that write.

    Each raises OutsideError if the database fails.
    """

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._writer = engine.execution_options(osteon_writes=True)

    @property
    def is_sqlite(self) -> bool:
        """Whether it is one file on this machine."""
        return self._engine.dialect.name == "sqlite"

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        """Yield a connection that sees the database as of its first statement."""
        with _outside_errors(self.is_sqlite), self._engine.connect() as connection:
            if not self.is_sqlite:
                connection = connection.execution_options(
                    isolation_level="REPEATABLE READ", postgresql_readonly=True
                )
            yield connection

    @contextmanager
    def writing(self) -> Iterator[Connection]:
        """Yield a connection whose changes are durable after the block, or are rolled back."""
        with _outside_errors(self.is_sqlite), self._writer.begin() as connection:
            yield connection

    @property
    def is_missing(self) -> bool:
        """Whether it is a file that does not exist."""
        return self.is_sqlite and not Path(self._engine.url.database or "").exists()

    def is_empty(self) -> bool:
        """Return whether the database exists without tables of Osteon."""
        with self.reading() as connection:
            return not tables.are_made(connection)

    def make(self) -> None:
        """Create and migrate the tables as needed, and SQLite's file.

        Raises
        ------
        UsageError
            If the database is of a newer version of Osteon.
        """
        if self.is_missing:
            _make_file(Path(self._engine.url.database or ""))
        with self.writing() as connection:
            tables.migrate(connection)

    def close(self) -> None:
        """Close every connection; the next transaction opens new ones."""
        self._engine.dispose()


def database_at(url: str) -> Database:
    """Return a database without connecting to it; it may be down until `make` succeeds.

    Parameters
    ----------
    url : str
        `sqlite:///FILE` or `postgresql://USER:PASSWORD@HOST/NAME`.

    Raises
    ------
    UsageError
        If the URL is not one of these.
    """
    try:
        stated = make_url(url)
        stated = stated.set(drivername=_DRIVERS[stated.drivername])
        engine = _sqlite(stated) if stated.drivername == "sqlite" else _postgresql(stated)
    except (ArgumentError, KeyError, ValueError):  # ValueError: a port that is not a number
        # The URL is not shown, since it may hold a password.
        raise UsageError(
            "OSTEON_DATABASE_URL must be sqlite:///FILE or postgresql://USER@HOST/NAME."
        ) from None
    return Database(engine)


def _sqlite(url: URL) -> Engine:
    if not url.database or url.database == ":memory:":
        raise UsageError(
            "OSTEON_DATABASE_URL must name a file; a database in memory cannot hold an audit trail."
        )
    path = Path(url.database).absolute()

    def connect() -> sqlite3.Connection:
        # A deleted file is not created again, since that would be an empty trail.
        return sqlite3.connect(
            f"{path.as_uri()}?mode=rw", uri=True, timeout=_SECONDS_TO_WAIT, check_same_thread=False
        )

    engine = create_engine(url, creator=connect)
    event.listen(engine, "connect", _durable)
    event.listen(engine, "begin", _begin)
    return engine


def _make_file(path: Path) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        # SQLite gives its other files the mode of this file.
        os.close(os.open(path, os.O_CREAT | os.O_RDWR, 0o600))
    except OSError as error:
        raise OutsideError(f"The database file must be writable ({error.strerror}).") from None


def _durable(connection: Any, record: Any) -> None:
    """Make commits survive a loss of power, and leave transactions to `_begin`."""
    connection.isolation_level = None
    (_, _, path) = connection.execute("PRAGMA database_list").fetchone()
    record.info["file"] = path, _file_at(path)
    for pragma in ("journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON"):
        connection.execute(f"PRAGMA {pragma}").close()


def _file_at(path: str) -> tuple[int, int] | None:
    """Return device and inode of the file at a path, or None if there is none."""
    try:
        status = Path(path).stat()
    except FileNotFoundError:
        return None
    return status.st_dev, status.st_ino


def _begin(connection: Connection) -> None:
    # SQLite would continue to write to a file that was moved or deleted.
    path, opened = connection.info["file"]
    if _file_at(path) != opened:
        connection.invalidate()
        raise OutsideError("The database file must stay where it is; it was moved or replaced.")
    # A transaction that reads before it writes would fail if another one wrote in between.
    writes = connection.get_execution_options().get("osteon_writes", False)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")


def _postgresql(url: URL) -> Engine:
    try:
        import psycopg  # noqa: F401 - only to report that it is missing
    except ImportError:
        raise UsageError(
            "The driver of PostgreSQL is not installed. "
            "Install it with `pip install -e '.[postgres]'` in Osteon's folder."
        ) from None
    # Connections are tested before use, so that a restart of the server fails no request.
    return create_engine(url, connect_args=_POSTGRESQL, pool_pre_ping=True)


@contextmanager
def _outside_errors(is_sqlite: bool) -> Iterator[None]:
    """Raise OutsideError without the database's own text, which holds statements and values."""
    try:
        yield
    except OsteonError:
        raise
    except SQLAlchemyError as error:
        original = getattr(error, "orig", None) or error
        cause = type(original).__name__
        refusal = _REFUSALS.get(_code(original) or cause)
        if refusal is not None:
            raise OutsideError(f"The database refused ({cause}). {refusal}") from None
        advice = "" if is_sqlite or not _is_unreachable(error) else f" {_TO_CHECK}"
        raise OutsideError(f"The database did not answer ({cause}).{advice}") from None


def _code(error: object) -> str:
    """Return SQLite's code of an error without its extension, or empty text."""
    return "_".join(str(getattr(error, "sqlite_errorname", None) or "").split("_")[:2])


def _is_unreachable(error: SQLAlchemyError) -> bool:
    """Return whether PostgreSQL was never reached: a statement that it rejects has a state."""
    return (
        isinstance(error, OperationalError | ProgrammingError)
        and getattr(error.orig, "sqlstate", None) is None
    )
