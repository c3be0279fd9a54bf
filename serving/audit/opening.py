"""Open the audit trail that the settings name, and read the key that signs it."""

from __future__ import annotations

import os
import secrets
from pathlib import Path

from data_schema.errors import OutsideError, UsageError
from serving.audit.head import HeadFile
from serving.audit.record import AuditKeys
from serving.audit.trail import AuditTrail
from serving.settings import Settings
from serving.store.database import Database, database_at

__all__ = ["audit_keys", "database_of", "database_url", "head_path", "open_trail", "trail_at"]

_SHORTEST_KEY = 16
_KEY_FILE = "audit.key"
_TO_CHECK = "Check OSTEON_STATE_DIR and OSTEON_DATABASE_URL."


def open_trail(settings: Settings, *, make: bool = True) -> AuditTrail:
    """Open the audit trail that the settings name; with `make`, create it if there is none.

    Raises
    ------
    UsageError
        If the key is too short or the database's URL is wrong.
    GateError
        If records of the trail are missing or changed.
    OutsideError
        If the database or the state folder fails, or there is no database and `make` is false.
    """
    if not make:
        database_of(settings).close()
    trail = trail_at(settings)
    try:
        trail.start()
    except BaseException:
        trail.close()
        raise
    return trail


def trail_at(settings: Settings) -> AuditTrail:
    """Return the audit trail that the settings name, for the first addition to start.

    Its database may be down; a wrong setting or a failing state folder raises as in `open_trail`.
    """
    keys = audit_keys(settings, make=True)
    database = database_at(database_url(settings))
    return AuditTrail(database, keys, HeadFile(head_path(settings), keys))


def database_of(settings: Settings) -> Database:
    """Open the existing database that the settings name.

    Raises
    ------
    UsageError
        If the database's URL is wrong, or the database is of a newer version of Osteon.
    OutsideError
        If the file does not exist, the database holds no trail, or it cannot be reached.
    """
    database = database_at(database_url(settings))
    try:
        if database.is_missing:
            raise OutsideError(f"The database file does not exist. {_TO_CHECK}")
        if database.is_empty():  # a new trail in it would pass for a complete one
            raise OutsideError(f"The database holds no audit trail. {_TO_CHECK}")
        database.make()
    except BaseException:
        database.close()
        raise
    return database


def database_url(settings: Settings) -> str:
    """Return the URL of the database that the settings name, with its password."""
    if settings.database_url is None:
        return f"sqlite:///{settings.state_dir / 'osteon.db'}"
    return settings.database_url.get_secret_value()


def head_path(settings: Settings) -> Path:
    """Return the file of the signed head, which is outside the database."""
    return settings.state_dir / "audit.head"


def audit_keys(settings: Settings, *, make: bool = False) -> AuditKeys:
    """Return the keys of the trail, from `OSTEON_AUDIT_KEY` or a file in the state folder.

    With `make`, that file is created if there is none.

    Raises
    ------
    UsageError
        If the key is too short, or there is none and `make` is false.
    OutsideError
        If the file cannot be read or created.
    """
    if settings.audit_key is not None:
        return AuditKeys(_long_enough(settings.audit_key.get_secret_value().encode()))
    path = settings.state_dir / _KEY_FILE
    try:
        if make and not path.exists():
            _make_key(path)
        return AuditKeys(_long_enough(path.read_bytes().strip()))
    except FileNotFoundError:
        raise UsageError(
            "OSTEON_AUDIT_KEY must hold the key of the audit trail (it is not set, and "
            "OSTEON_STATE_DIR holds no key file)."
        ) from None
    except OSError as error:
        raise OutsideError(
            f"The folder of OSTEON_STATE_DIR must be writable ({error.strerror})."
        ) from None


def _make_key(path: Path) -> None:
    """Create the key file atomically, since several workers may start at once."""
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    written = path.with_name(f"{path.name}.{os.getpid()}.{secrets.token_hex(4)}")
    with os.fdopen(os.open(written, os.O_CREAT | os.O_WRONLY | os.O_EXCL, 0o600), "w") as file:
        file.write(secrets.token_hex(32))
        file.flush()
        os.fsync(file.fileno())
    try:
        os.link(written, path)
    except FileExistsError:  # another worker was first
        pass
    finally:
        written.unlink()


def _long_enough(key: bytes) -> bytes:
    if len(key) < _SHORTEST_KEY:
        raise UsageError(
            f"OSTEON_AUDIT_KEY must hold a secret of at least {_SHORTEST_KEY} characters; got "
            f"{len(key)}. Make one with "
            '`python -c "import secrets; print(secrets.token_hex(32))"`.'
        )
    return key
