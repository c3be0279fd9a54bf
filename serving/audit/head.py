"""The signed head: how far the trail reached, kept in a file outside the database.

Whoever can write the database can cut the newest records off; this file shows that they are gone.
It is written in place, in less than a sector of the disk, so it is never half written, and is
brought to the disk in the kernel's own time: after a loss of power it may be older than the
database, which is no sign of a cut, and is never newer.
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

    def signed(self, keys: AuditKeys) -> str:
        """Return the text that the file holds."""
        return canonical(asdict(self) | {"signature": keys.head(self.seq, self.mac)})


class HeadFile:
    """The file, open; one worker at a time holds it while it writes the trail.

    Parameters
    ----------
    path : Path
    keys : AuditKeys

    Raises
    ------
    OutsideError
        If the file cannot be made or written.
    """

    def __init__(self, path: Path, keys: AuditKeys) -> None:
        self._keys = keys
        try:
            path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            self._file: int | None = os.open(path, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise OutsideError(
                f"The audit head must be writable; it is not ({error.strerror})."
            ) from None

    @contextmanager
    def held(self) -> Iterator[None]:
        """Keep the other workers of this machine waiting; a worker that dies lets go."""
        fcntl.flock(self._open(), fcntl.LOCK_EX)
        try:
            yield
        finally:
            fcntl.flock(self._open(), fcntl.LOCK_UN)

    def read(self) -> Head | None:
        """Return the head, or None if the file holds none with a valid signature."""
        return _parsed(os.pread(self._open(), _LENGTH, 0), self._keys)

    def write(self, head: Head, *, to_disk: bool = False) -> None:
        """Write the head; only while the file is held."""
        text = head.signed(self._keys).encode().ljust(_LENGTH - 1) + b"\n"
        try:
            os.pwrite(self._open(), text, 0)
            if to_disk:
                os.fsync(self._open())
        except OSError as error:
            raise OutsideError(
                f"The audit head must be writable; it is not ({error.strerror})."
            ) from None

    def close(self) -> None:
        """Bring the file to the disk and close it."""
        if self._file is not None:
            os.fsync(self._file)
            os.close(self._file)
            self._file = None

    def _open(self) -> int:
        if self._file is None:
            raise OutsideError("The audit trail must be open; this one was closed.")
        return self._file


def read_head(path: Path, keys: AuditKeys) -> Head | None:
    """Return the signed head that a file or a copy of it holds, or None if it holds none."""
    try:
        return _parsed(path.read_bytes(), keys)
    except OSError:
        return None


def _parsed(text: bytes, keys: AuditKeys) -> Head | None:
    """Return the head that a text holds if it is whole and signed with this key."""
    try:
        said = json.loads(text)
        head, signature = Head(int(said["seq"]), str(said["mac"])), str(said["signature"])
    except (ValueError, TypeError, KeyError):
        return None
    expected = keys.head(head.seq, head.mac)
    return head if hmac.compare_digest(signature.encode(), expected.encode()) else None
