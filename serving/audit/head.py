"""The signed head: the newest record of the trail, in a file outside the database.

The newest records can be deleted with write access to the database; this file shows that they are
missing. It is written in place, within one sector of the disk, so never in part, and the kernel
flushes it at its own time: after a loss of power it may be older than the database, which is no
sign of deletion, and it is never newer.
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

from data_schema.errors import OutsideError
from serving.audit.record import AuditKeys, canonical

__all__ = ["Head", "HeadFile", "read_head"]

_LENGTH = 512


@dataclass(frozen=True, slots=True)
class Head:
    """The newest record of a trail: its number and its mac."""

    seq: int
    mac: str


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
    expected = keys.head(head.seq, head.mac)
    return head if hmac.compare_digest(signature.encode(), expected.encode()) else None
