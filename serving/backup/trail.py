"""The audit trail with all tables of the service, as one SQLite file and back."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from sqlalchemy import distinct, func, select

from data_schema.errors import OutsideError, UsageError
from serving.audit.head import Head, HeadFile, read_database_head, read_head
from serving.audit.opening import audit_keys, database_of, database_url, head_path, trail_at
from serving.audit.record import AuditKeys
from serving.audit.verification import verify
from serving.backup.manifest import TrailPart
from serving.backup.rows import copy_rows, empty, restart_numbering
from serving.settings import Settings
from serving.store.database import Database, database_at
from serving.store.tables import RECORDS, TABLES

__all__ = ["TRAIL_FILES", "back_up_trail", "require_empty", "require_readable", "restore_trail"]

_DATABASE, _HEAD = "osteon.db", "audit.head"
TRAIL_FILES = (_DATABASE, _HEAD)
"""Files of the trail in a backup: every table of the service, and the signed head."""

_PAIRS = [(table, table) for table in TABLES]


def back_up_trail(settings: Settings, folder: Path) -> TrailPart:
    """Copy the tables of the service as of one moment, and verify the copy.

    The service may run meanwhile: every prediction that it answered before the call is in the copy.

    Raises
    ------
    OutsideError
        If there is no trail, or database or folder fail.
    UsageError
        If the trail's key is not set.
    """
    keys = audit_keys(settings)
    signed = read_head(head_path(settings), keys)
    with (
        closing(database_of(settings)) as database,
        closing(database_at(f"sqlite:///{(folder / _DATABASE).absolute()}")) as copy,
    ):
        copy.make()
        with database.reading() as source, copy.writing() as target:
            empty(target, TABLES)
            copy_rows(source, target, _PAIRS)
        head = _own_head(copy, keys)
        with closing(HeadFile(folder / _HEAD, keys)) as file, file.held():
            if head is not None:
                file.write(head, to_disk=True)
        found = verify(copy, keys, signed or head)
        predictions = _predictions(copy)
    return TrailPart(found.records, found.first, found.last, predictions, found.flaw_count)


def restore_trail(settings: Settings, folder: Path, *, actor: str) -> TrailPart:
    """Fill an empty database from a backup, continue its trail on record, and verify it.

    The record holds the newest record that this machine's own signed head knew, if any, so that
    what was written after the backup is known to be lost.

    Raises
    ------
    UsageError
        If the database is not empty, the trail's key is not set, or the backup's tables are of a
        newer version of Osteon.
    OutsideError
        If the database or the state folder fails.
    """
    keys = audit_keys(settings)
    require_empty(settings)
    with _migrated(folder) as copy, closing(database_at(database_url(settings))) as database:
        database.make()
        with copy.reading() as source, database.writing() as target:
            empty(target, TABLES)
            copy_rows(source, target, _PAIRS)
            restart_numbering(target, TABLES)
    with closing(trail_at(settings)) as trail:
        trail.adopt(actor=actor)
    with closing(database_of(settings)) as database:
        found = verify(database, keys, read_head(head_path(settings), keys))
        predictions = _predictions(database)
    return TrailPart(found.records, found.first, found.last, predictions, found.flaw_count)


def require_readable(folder: Path) -> None:
    """Raise UsageError if a backup's tables are of a newer version, before anything is restored."""
    with _migrated(folder):
        pass


@contextmanager
def _migrated(folder: Path) -> Iterator[Database]:
    """Yield the tables of a backup, of this version: an older one is migrated beside the backup.

    The file itself stays as it was sealed.
    """
    with tempfile.TemporaryDirectory(prefix="osteon-restore-") as beside:
        shutil.copy(folder / _DATABASE, beside)
        with closing(database_at(f"sqlite:///{Path(beside) / _DATABASE}")) as copy:
            try:
                copy.make()
            except UsageError as error:
                raise UsageError(f"The backup is of a newer version of Osteon. {error}") from None
            yield copy


def require_empty(settings: Settings) -> None:
    """Raise UsageError if the database that the settings name holds a trail already."""
    with closing(database_at(database_url(settings))) as database:
        if not database.is_missing and not database.is_empty():
            raise UsageError(
                "The database must be empty (this one holds a trail). Restore into another "
                "database, or move this one away."
            )


def _own_head(database: Database, keys: AuditKeys) -> Head | None:
    """Return the head in a database if it is signed with this key."""
    with database.reading() as connection:
        stored = read_database_head(connection)
    return stored.head if stored is not None and stored.is_signed(keys) else None


def _predictions(database: Database) -> int:
    with database.reading() as connection:
        count = select(func.count(distinct(RECORDS.c.prediction_id)))
        predictions = connection.execute(count).scalar_one()
    if not isinstance(predictions, int):
        raise OutsideError("The database did not count its records.")
    return predictions
