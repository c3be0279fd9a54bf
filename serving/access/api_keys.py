"""API keys: created, listed, rotated and revoked by command; only a hash of the secret is stored.

The secret is 256 random bits, so that a plain hash of it can be neither guessed nor looked up.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import re
import secrets
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import Connection, Insert, Row, insert, select, update

from data_schema.errors import UsageError
from serving.access.caller import ROLES, Caller
from serving.audit.record import Action, AuditEvent, Detail, now
from serving.audit.trail import AuditTrail, Entry
from serving.store.database import Database
from serving.store.tables import API_KEYS

__all__ = ["ApiKey", "KeyRing", "create", "list_keys", "revoke", "rotate"]

_SHAPE = re.compile(r"osteon_([0-9a-f]{12})_([0-9a-f]{64})")
# A worker that has just seen a key accepts it for this long after it was revoked.
_SECONDS_CACHED = 5.0
_MAX_CACHED = 1_000
_LONGEST_NAME = 200


@dataclass(frozen=True, slots=True)
class ApiKey:
    """One key, without its secret; `name` is that of its holder, times are in RFC 3339."""

    id: str
    name: str
    roles: tuple[str, ...]
    created_at: str
    expires_at: str | None
    revoked_at: str | None

    @property
    def valid(self) -> bool:
        """Whether it is accepted now."""
        return self.revoked_at is None and (self.expires_at is None or self.expires_at > now())


def create(
    trail: AuditTrail, name: str, roles: Sequence[str], *, days: int | None, actor: str
) -> tuple[ApiKey, str]:
    """Create and record a key for a holder; return it with its text, which is not stored.

    Parameters
    ----------
    days : int or None
        Days until it expires; None if it never does.
    actor : str
        The user, as `AuditEvent.actor`.

    Raises
    ------
    UsageError
        If a role is unknown, none is given, or the name is not one printable line.
    """
    if not name.strip() or not name.isprintable() or len(name) > _LONGEST_NAME:
        raise UsageError(f"name must be one line of 1 to {_LONGEST_NAME} printable characters.")
    unknown = sorted(set(roles) - set(ROLES))
    if unknown or not roles:
        raise UsageError(f"role must be one or more of {', '.join(ROLES)}; got {list(roles)}.")
    ends = None if days is None else _in(timedelta(days=days))
    key, text, insertion = _new(name, tuple(dict.fromkeys(roles)), ends)
    _record(
        trail,
        "key_created",
        actor,
        {"key": key.id, "name": name, "roles": list(key.roles)},
        lambda connection: connection.execute(insertion),
    )
    return key, text


def rotate(trail: AuditTrail, key_id: str, *, grace_hours: int, actor: str) -> tuple[ApiKey, str]:
    """Replace a key as `create` does; the old key expires after some hours of grace.

    Raises
    ------
    UsageError
        If there is no valid key of that id.
    """
    old = _valid(trail.database, key_id)
    key, text, insertion = _new(old.name, old.roles, old.expires_at)
    ends = min(_in(timedelta(hours=grace_hours)), old.expires_at or "9999")

    def write(connection: Connection) -> None:
        connection.execute(insertion)
        connection.execute(update(API_KEYS).where(API_KEYS.c.id == old.id).values(expires_at=ends))

    _record(trail, "key_rotated", actor, {"key": key.id, "name": old.name, "old": old.id}, write)
    return key, text


def revoke(trail: AuditTrail, key_id: str, *, actor: str) -> None:
    """Revoke a key; a worker that has just seen it accepts it for five more seconds.

    Raises
    ------
    UsageError
        If there is no valid key of that id.
    """
    old = _valid(trail.database, key_id)
    _record(
        trail,
        "key_revoked",
        actor,
        {"key": old.id, "name": old.name},
        lambda connection: connection.execute(
            update(API_KEYS).where(API_KEYS.c.id == old.id).values(revoked_at=now())
        ),
    )


def list_keys(database: Database) -> list[ApiKey]:
    """Return every key, the oldest first."""
    with database.reading() as connection:
        rows = connection.execute(select(API_KEYS).order_by(API_KEYS.c.created_at)).all()
    return [_key(row) for row in rows]


class KeyRing:
    """The keys of a database, cached in one worker."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._cached: dict[str, tuple[float, Row[Any] | None]] = {}

    def caller(self, text: str) -> Caller | None:
        """Return the caller that a key identifies, or None if it is not valid."""
        match = _SHAPE.fullmatch(text)
        row = self._row(match[1]) if match else None
        if match is None or row is None or not _key(row).valid:
            return None
        if not hmac.compare_digest(_sha256(match[2]), row.secret_sha256):
            return None
        return Caller(f"key:{row.id}", frozenset(json.loads(row.roles)))

    def _row(self, key_id: str) -> Row[Any] | None:
        at, row = self._cached.get(key_id, (0.0, None))
        if row is None or time.monotonic() - at > _SECONDS_CACHED:
            with self._database.reading() as connection:
                row = connection.execute(
                    select(API_KEYS).where(API_KEYS.c.id == key_id)
                ).one_or_none()
            if row is not None:  # unknown keys must not fill the memory
                if len(self._cached) >= _MAX_CACHED:
                    self._cached.clear()
                self._cached[key_id] = (time.monotonic(), row)
        return row


def _new(name: str, roles: tuple[str, ...], ends: str | None) -> tuple[ApiKey, str, Insert]:
    """Return a new key, its text, and the statement that stores it."""
    secret = secrets.token_hex(32)
    key = ApiKey(secrets.token_hex(6), name, roles, now(), ends, None)
    row = asdict(key) | {"secret_sha256": _sha256(secret), "roles": json.dumps(roles)}
    return key, f"osteon_{key.id}_{secret}", insert(API_KEYS).values(row)


def _valid(database: Database, key_id: str) -> ApiKey:
    keys = [key for key in list_keys(database) if key.id == key_id and key.valid]
    if not keys:
        raise UsageError("key must be the id of a valid key. See `osteon keys list`.")
    return keys[0]


def _record(
    trail: AuditTrail,
    action: Action,
    actor: str,
    detail: Detail,
    write: Callable[[Connection], object],
) -> None:
    event = AuditEvent(action=action, actor=actor, status="ok", detail=detail)
    trail.append_all([Entry(event, beside=write)])


def _key(row: Row[Any]) -> ApiKey:
    return ApiKey(
        row.id,
        row.name,
        tuple(json.loads(row.roles)),
        row.created_at,
        row.expires_at,
        row.revoked_at,
    )


def _sha256(secret: str) -> str:
    return hashlib.sha256(secret.encode()).hexdigest()


def _in(time_left: timedelta) -> str:
    return (datetime.now(UTC) + time_left).isoformat(timespec="microseconds")
