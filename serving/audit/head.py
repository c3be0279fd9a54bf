"""The signed head: the newest record of the trail, in the database and in a file outside it.

The database's head bears a signature with the audit key. It proves that a holder of the key wrote
the newest record, so that a replica without a file continues the trail, and that a person who can
write the database, but has no key, can neither add a record nor cut one off, except by setting
everything back to a copy of an earlier moment (a backup), or to an empty database.

The file shows that too: each machine remembers the newest record that it has seen, and a copy of
the file elsewhere remembers it for a machine that is replaced. It is written in place, within one
sector of the disk, so never in part, and the kernel flushes it at its own time: after a loss of
power it may be older than the database, which is no sign of deletion, and it is never newer.
"""

from __future__ import annotations

import fcntl
import hmac
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

from sqlalchemy import Connection, select, update

from data_schema.errors import OutsideError
from serving.audit.record import AuditKeys, canonical
from serving.store.tables import HEAD

__all__ = [
    "DatabaseHead",
    "Head",
    "HeadFile",
    "read_database_head",
    "read_head",
    "write_database_head",
]

_LENGTH = 512
_SELECT = select(HEAD.c.origin, HEAD.c.seq, HEAD.c.mac, HEAD.c.signature)


@dataclass(frozen=True, slots=True)
class Head:
    """The newest record of a trail: its number and its mac."""

    seq: int
    mac: str


@dataclass(frozen=True, slots=True)
class DatabaseHead:
    """The head in the database, the random origin of the trail, and the head's signature.

    The signature is None in a database that no version that signs has written yet.
    """

    head: Head
    origin: str
    signature: str | None

    def is_signed(self, keys: AuditKeys) -> bool:
        """Return whether a holder of the key wrote it."""
        return self.signature is not None and _is_genuine(self.head, self.signature, keys)


def read_database_head(connection: Connection, *, lock: bool = False) -> DatabaseHead | None:
    """Return the head in the database, or None if it is missing.

    With `lock`, other machines that add to the trail wait for the end of the transaction.
    """
    row = connection.execute(_SELECT.with_for_update() if lock else _SELECT).one_or_none()
    if row is None:
        return None
    return DatabaseHead(Head(row.seq, row.mac), row.origin, row.signature)


def write_database_head(connection: Connection, head: Head, keys: AuditKeys) -> None:
    """Sign a head and write it to the database."""
    signature = keys.head(head.seq, head.mac)
    signed = update(HEAD).where(HEAD.c.id == 1)
    connection.execute(signed.values(seq=head.seq, mac=head.mac, signature=signature))


class HeadFile:
    """The open file; one worker at a time locks it while it writes the trail."""

    def __init__(self, path: Path, keys: AuditKeys) -> None:
        self._keys = keys
        try:
            path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            self._file: int | None = os.open(path, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise OutsideError(f"The audit head must be writable ({error.strerror}).") from None

    @contextmanager
    def held(self) -> Iterator[None]:
        """Lock the file against other workers of this machine; the lock ends with its process."""
        fcntl.flock(self._open(), fcntl.LOCK_EX)
        try:
            yield
        finally:
            fcntl.flock(self._open(), fcntl.LOCK_UN)

    def read(self) -> Head | None:
        """Return the head, or None if the file holds none with a valid signature."""
        return _parsed(os.pread(self._open(), _LENGTH, 0), self._keys)

    def write(self, head: Head, *, to_disk: bool = False) -> None:
        """Write the head; the caller must hold the file."""
        signature = self._keys.head(head.seq, head.mac)
        text = canonical(asdict(head) | {"signature": signature}).encode()
        try:
            os.pwrite(self._open(), text.ljust(_LENGTH - 1) + b"\n", 0)
            if to_disk:
                os.fsync(self._open())
        except OSError as error:
            raise OutsideError(f"The audit head must be writable ({error.strerror}).") from None

    def close(self) -> None:
        """Flush the file to the disk and close it."""
        if self._file is not None:
            os.fsync(self._file)
            os.close(self._file)
            self._file = None

    def _open(self) -> int:
        if self._file is None:
            raise OutsideError("The audit trail must be open (this one was closed).")
        return self._file


def read_head(path: Path, keys: AuditKeys) -> Head | None:
    """Return the signed head in a file or a copy of it, or None if there is none."""
    try:
        return _parsed(path.read_bytes(), keys)
    except OSError:
        return None


def _parsed(text: bytes, keys: AuditKeys) -> Head | None:
    """Return the head of a text if it is complete and signed with this key."""
    try:
        fields = json.loads(text)
        head, signature = Head(int(fields["seq"]), str(fields["mac"])), str(fields["signature"])
    except (ValueError, TypeError, KeyError):
        return None
    return head if _is_genuine(head, signature, keys) else None


def _is_genuine(head: Head, signature: str, keys: AuditKeys) -> bool:
    return hmac.compare_digest(signature.encode(), keys.head(head.seq, head.mac).encode())
