"""Data of one browser, in the database, encrypted with a secret that only its cookie holds.

The cookie holds a random secret. One hash of it identifies the row, another encrypts it, so that a
copy of the database neither opens a session nor shows its content. Each row bears a mac of the
audit key, so that write access to the database creates no session.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import re
import secrets
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Generic, Literal, TypeVar, cast

from cryptography.fernet import Fernet, InvalidToken
from sqlalchemy import Connection, delete, insert, or_, select, update

from serving.audit.record import AuditKeys
from serving.audit.signed_rows import is_genuine, row_mac
from serving.store.database import Database
from serving.store.tables import SEALED

__all__ = ["Sealed", "SealedStore"]

_C = TypeVar("_C", bound=Mapping[str, object])

_SECRET = re.compile(r"[0-9a-f]{64}")
# Use is written to a row at most this often, so the idle time is exact to it.
_SECONDS_BETWEEN_TOUCHES = 15


@dataclass(frozen=True, slots=True)
class Sealed(Generic[_C]):
    """The content of one row, empty if it was changed, and the seconds until the row ends.

    `over` is why it has ended; the row is then deleted.
    """

    content: _C
    ends_in: float
    over: Literal["idle", "lifetime"] | None = None


class SealedStore(Generic[_C]):
    """The rows of one purpose, which end after a time without use, and after a lifetime."""

    def __init__(
        self,
        database: Database,
        keys: AuditKeys,
        purpose: str,
        *,
        idle_seconds: int,
        lifetime_seconds: int,
    ) -> None:
        self._database = database
        self._keys = keys
        self._purpose = purpose
        self._idle = idle_seconds
        self._lifetime = lifetime_seconds

    def new(self, content: _C) -> tuple[str, Callable[[Connection], None]]:
        """Return a new secret, and a function that writes the row for it."""
        secret, moment = secrets.token_hex(32), _now()
        row = {
            "id": self._id(secret),
            "sealed": self._seal(secret).encrypt(json.dumps(content).encode()).decode(),
            "seen": moment,
            "idle": self._idle,
            "ends": moment + self._lifetime,
        }
        row["mac"] = row_mac(self._keys, SEALED, row)

        def write(connection: Connection) -> None:
            # Rows that have ended are deleted whenever a new one is written.
            over = or_(SEALED.c.ends < moment, SEALED.c.seen + SEALED.c.idle < moment)
            connection.execute(delete(SEALED).where(over))
            connection.execute(insert(SEALED).values(row))

        return secret, write

    def put(self, content: _C) -> str:
        """Write a row at once, and return its secret."""
        secret, write = self.new(content)
        with self._database.writing() as connection:
            write(connection)
        return secret

    def get(self, secret: str) -> Sealed[_C] | None:
        """Return the row of a secret, and count this as use; None if there is none."""
        if not _SECRET.fullmatch(secret):
            return None
        here = SEALED.c.id == self._id(secret)
        with self._database.reading() as connection:
            row = connection.execute(select(SEALED).where(here)).one_or_none()
        if row is None:
            return None
        moment = _now()
        is_ours = is_genuine(self._keys, SEALED, row)
        content = self._opened(secret, row.sealed) if is_ours else cast("_C", {})
        if moment > row.ends or moment > row.seen + row.idle:
            ended = Sealed(content, 0.0, "lifetime" if moment > row.ends else "idle")
            return ended if self.end(secret) else None
        if is_ours and moment - row.seen >= _SECONDS_BETWEEN_TOUCHES:
            mac = row_mac(self._keys, SEALED, {**row._mapping, "seen": moment})
            with self._database.writing() as connection:
                connection.execute(update(SEALED).where(here).values(seen=moment, mac=mac))
        return Sealed(content, row.ends - moment)

    def take(self, secret: str) -> _C | None:
        """Return the content of a secret's row and delete it; only one caller gets it."""
        row = self.get(secret)
        if row is None or row.over is not None or not self.end(secret):
            return None
        return row.content

    def end(self, secret: str) -> bool:
        """Delete the row of a secret, and return whether there was one."""
        with self._database.writing() as connection:
            result = connection.execute(delete(SEALED).where(SEALED.c.id == self._id(secret)))
        return bool(result.rowcount)

    def _id(self, secret: str) -> str:
        return self._hash(secret, "id").hex()

    def _seal(self, secret: str) -> Fernet:
        return Fernet(base64.urlsafe_b64encode(self._hash(secret, "seal")))

    def _hash(self, secret: str, what: str) -> bytes:
        return hmac.digest(
            secret.encode(), f"osteon {self._purpose} {what}".encode(), hashlib.sha256
        )

    def _opened(self, secret: str, sealed: str) -> _C:
        try:
            content = json.loads(self._seal(secret).decrypt(sealed.encode()))
        except InvalidToken:  # the row was changed
            content = {}
        assert isinstance(content, dict)
        return cast("_C", content)


def _now() -> int:
    return int(time.time())
