"""What the service keeps for one browser: in the database, and readable with its cookie alone.

The cookie holds a random secret. A row is found by one hash of it and sealed with another, so that
whoever copies the database can neither use a session nor read what it holds.
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
from typing import Any, Literal

from cryptography.fernet import Fernet, InvalidToken
from sqlalchemy import Connection, delete, insert, or_, select, update

from serving.store.database import Database
from serving.store.tables import SEALED

__all__ = ["Kept", "SealedStore"]

_SECRET = re.compile(r"[0-9a-f]{64}")
# A row is written only so often for being used; the idle time is exact to this.
_SECONDS_BETWEEN_TOUCHES = 15


@dataclass(frozen=True, slots=True)
class Kept:
    """What was kept.

    Parameters
    ----------
    content : mapping
    ends_in : float
        Seconds until it ends whatever happens.
    over : {"idle", "lifetime"} or None
        Why it has ended; then it is gone.
    """

    content: Mapping[str, Any]
    ends_in: float
    over: Literal["idle", "lifetime"] | None = None


class SealedStore:
    """Rows of one purpose; those of another are not found.

    Parameters
    ----------
    database : Database
    purpose : str
    idle_seconds : int
        Unused for so long, a row ends.
    lifetime_seconds : int
        After so long it ends in any case.
    """

    def __init__(
        self, database: Database, purpose: str, *, idle_seconds: int, lifetime_seconds: int
    ) -> None:
        self._database = database
        self._purpose = purpose
        self._idle = idle_seconds
        self._lifetime = lifetime_seconds

    def new(self, content: Mapping[str, Any]) -> tuple[str, Callable[[Connection], None]]:
        """Return a new secret, and what writes the row that it opens."""
        secret, moment = secrets.token_hex(32), _now()
        row = {
            "id": self._id(secret),
            "sealed": self._seal(secret).encrypt(json.dumps(content).encode()).decode(),
            "seen": moment,
            "idle": self._idle,
            "ends": moment + self._lifetime,
        }

        def write(connection: Connection) -> None:
            # What has ended and was never asked for again goes when something new comes.
            over = or_(SEALED.c.ends < moment, SEALED.c.seen + SEALED.c.idle < moment)
            connection.execute(delete(SEALED).where(over))
            connection.execute(insert(SEALED).values(row))

        return secret, write

    def put(self, content: Mapping[str, Any]) -> str:
        """Keep something at once, and return its secret."""
        secret, write = self.new(content)
        with self._database.writing() as connection:
            write(connection)
        return secret

    def get(self, secret: str) -> Kept | None:
        """Return what a secret opens, and count it as used; None if it opens nothing.

        Raises
        ------
        OutsideError
            If the database fails.
        """
        if not _SECRET.fullmatch(secret):
            return None
        here = SEALED.c.id == self._id(secret)
        with self._database.reading() as connection:
            row = connection.execute(select(SEALED).where(here)).one_or_none()
        if row is None:
            return None
        moment = _now()
        content = self._opened(secret, row.sealed)
        if moment > row.ends or moment > row.seen + row.idle:
            over: Literal["idle", "lifetime"] = "lifetime" if moment > row.ends else "idle"
            return Kept(content, 0.0, over) if self.end(secret) else None
        if moment - row.seen >= _SECONDS_BETWEEN_TOUCHES:
            with self._database.writing() as connection:
                connection.execute(update(SEALED).where(here).values(seen=moment))
        return Kept(content, row.ends - moment)

    def take(self, secret: str) -> Mapping[str, Any] | None:
        """Return what a secret opens, once: of several who ask at a time one gets it."""
        kept = self.get(secret)
        if kept is None or kept.over is not None or not self.end(secret):
            return None
        return kept.content

    def end(self, secret: str) -> bool:
        """Forget what a secret opens, and say whether there was anything."""
        with self._database.writing() as connection:
            gone = connection.execute(delete(SEALED).where(SEALED.c.id == self._id(secret)))
        return bool(gone.rowcount)

    def _id(self, secret: str) -> str:
        return self._hash(secret, "id").hex()

    def _seal(self, secret: str) -> Fernet:
        return Fernet(base64.urlsafe_b64encode(self._hash(secret, "seal")))

    def _hash(self, secret: str, what: str) -> bytes:
        return hmac.digest(
            secret.encode(), f"osteon {self._purpose} {what}".encode(), hashlib.sha256
        )

    def _opened(self, secret: str, sealed: str) -> Mapping[str, Any]:
        try:
            found = json.loads(self._seal(secret).decrypt(sealed.encode()))
        except InvalidToken:  # somebody changed the row
            return {}
        assert isinstance(found, dict)
        return found


def _now() -> int:
    return int(time.time())
