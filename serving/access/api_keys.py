"""API keys: created, listed, rotated and revoked by command; only a hash of the secret is stored.

The secret is 256 random bits, so that a plain hash of it can be neither guessed nor looked up. A
row bears a mac of the audit key, and each change of it is on record: a row that was inserted,
changed or set back by other means is refused.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import re
import secrets
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import Connection, Row, insert, select, update

from data_schema.errors import UsageError
from serving.access.caller import ROLES, Caller
from serving.audit.record import Action, AuditEvent, AuditKeys, Detail, now
from serving.audit.signed_rows import has_later_change, is_genuine, row_mac
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
    """One key, without its secret; `name` is that of its holder, times are in RFC 3339.

    `genuine` is whether its row is as `osteon keys` last wrote it.
    """

    id: str
    name: str
    roles: tuple[str, ...]
    created_at: str
    expires_at: str | None
    revoked_at: str | None
    genuine: bool = True

    @property
    def valid(self) -> bool:
        """Whether it is accepted now."""
        is_current = self.expires_at is None or self.expires_at > now()
        return self.genuine and self.revoked_at is None and is_current


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
    key, text, row = _new(name, tuple(dict.fromkeys(roles)), ends, trail.keys)
    _record(
        trail,
        "key_created",
        actor,
        {"key": key.id, "name": name, "roles": list(key.roles)},
        row,
        lambda connection: connection.execute(insert(API_KEYS).values(row)),
    )
    return key, text


def rotate(trail: AuditTrail, key_id: str, *, grace_hours: int, actor: str) -> tuple[ApiKey, str]:
    """Replace a key as `create` does; the old key expires after some hours of grace.

    Raises
    ------
    UsageError
        If there is no valid key of that id.
    """
    with trail.database.reading() as connection:
        stored = _stored(connection, key_id)
        old = None if stored is None else _key(connection, trail.keys, stored)
    if stored is None or old is None or not old.valid:
        raise UsageError("key must be the id of a valid key. See `osteon keys list`.")
    key, text, row = _new(old.name, old.roles, old.expires_at, trail.keys)
    ends = min(_in(timedelta(hours=grace_hours)), old.expires_at or "9999")
    changed, request_key = _changed(trail, stored, expires_at=ends)

    def write(connection: Connection) -> None:
        connection.execute(insert(API_KEYS).values(row))
        connection.execute(update(API_KEYS).where(API_KEYS.c.id == key_id).values(changed))

    detail: Detail = {
        "key": key.id,
        "name": old.name,
        "roles": list(old.roles),
        "old": old.id,
    }
    _record(trail, "key_rotated", actor, detail, row, write, request_key=request_key)
    return key, text


def revoke(trail: AuditTrail, key_id: str, *, actor: str) -> None:
    """Revoke a key; a worker that has just seen it accepts it for five more seconds.

    A key that is refused because its row was changed can be revoked too, which settles its row.

    Raises
    ------
    UsageError
        If there is no key of that id, or it is genuine and has ended.
    """
    with trail.database.reading() as connection:
        stored = _stored(connection, key_id)
        old = None if stored is None else _key(connection, trail.keys, stored)
    if stored is None or old is None or (old.genuine and not old.valid):
        raise UsageError("key must be the id of a valid key. See `osteon keys list`.")
    changed, request_key = _changed(trail, stored, revoked_at=now())
    _record(
        trail,
        "key_revoked",
        actor,
        {"key": old.id, "name": old.name},
        {**stored._mapping, **changed},
        lambda connection: connection.execute(
            update(API_KEYS).where(API_KEYS.c.id == key_id).values(changed)
        ),
        request_key=request_key,
    )


def list_keys(database: Database, keys: AuditKeys) -> list[ApiKey]:
    """Return every key, the oldest first."""
    with database.reading() as connection:
        rows = connection.execute(select(API_KEYS).order_by(API_KEYS.c.created_at)).all()
        return [_key(connection, keys, row) for row in rows]


class KeyRing:
    """The keys of a database, cached in one worker."""

    def __init__(self, database: Database, keys: AuditKeys) -> None:
        self._database = database
        self._keys = keys
        self._cached: dict[str, tuple[float, tuple[ApiKey, str] | None]] = {}

    def caller(self, text: str) -> Caller | None:
        """Return the caller that a key identifies, or None if it is not valid."""
        match = _SHAPE.fullmatch(text)
        key, secret_sha256 = self._key(match[1]) or (None, "") if match else (None, "")
        if match is None or key is None or not key.valid:
            return None
        if not hmac.compare_digest(_sha256(match[2]), secret_sha256):
            return None
        return Caller(f"key:{key.id}", frozenset(key.roles))

    def _key(self, key_id: str) -> tuple[ApiKey, str] | None:
        """Return a key and the hash of its secret."""
        at, known = self._cached.get(key_id, (0.0, None))
        if known is None or time.monotonic() - at > _SECONDS_CACHED:
            with self._database.reading() as connection:
                row = _stored(connection, key_id)
                known = row and (_key(connection, self._keys, row), str(row.secret_sha256))
            if known is not None:  # unknown keys must not fill the memory
                if len(self._cached) >= _MAX_CACHED:
                    self._cached.clear()
                self._cached[key_id] = (time.monotonic(), known)
        return known


def _new(
    name: str, roles: tuple[str, ...], ends: str | None, keys: AuditKeys
) -> tuple[ApiKey, str, dict[str, object]]:
    """Return a new key, its text, and the row that stores it."""
    secret = secrets.token_hex(32)
    key = ApiKey(secrets.token_hex(6), name, roles, now(), ends, None)
    row: dict[str, object] = {
        "id": key.id,
        "name": name,
        "secret_sha256": _sha256(secret),
        "roles": json.dumps(roles),
        "created_at": key.created_at,
        "expires_at": ends,
        "revoked_at": None,
        "changes": 0,
    }
    row["mac"] = row_mac(keys, API_KEYS, row)
    return key, f"osteon_{key.id}_{secret}", row


def _stored(connection: Connection, key_id: str) -> Row[Any] | None:
    return connection.execute(select(API_KEYS).where(API_KEYS.c.id == key_id)).one_or_none()


def _changed(trail: AuditTrail, row: Row[Any], **values: str) -> tuple[dict[str, object], str]:
    """Return the columns of a row that a change writes, and the request key of its record."""
    number = int(row.changes) + 1
    with trail.database.reading() as connection:
        while has_later_change(connection, trail.keys, row.id, number - 1):
            number += 1  # the row was set back
    changed = {**values, "changes": number}
    mac = row_mac(trail.keys, API_KEYS, {**row._mapping, **changed})
    return {**changed, "mac": mac}, trail.keys.key_change(row.id, number)


def _record(
    trail: AuditTrail,
    action: Action,
    actor: str,
    detail: Detail,
    row: Mapping[str, object],
    write: Callable[[Connection], object],
    *,
    request_key: str | None = None,
) -> None:
    event = AuditEvent(
        action=action,
        actor=actor,
        status="ok",
        detail=detail,
        digest=trail.keys.stored(API_KEYS.name, [row]),
        request_key=request_key,
    )
    (recorded,) = trail.append_all([Entry(event, beside=write)])
    if recorded.earlier:
        raise UsageError("The key was changed by another command at the same time. Try again.")


def _key(connection: Connection, keys: AuditKeys, row: Row[Any]) -> ApiKey:
    genuine = is_genuine(keys, API_KEYS, row) and not has_later_change(
        connection, keys, row.id, row.changes
    )
    return ApiKey(
        row.id,
        row.name,
        _roles(row.roles),
        row.created_at,
        row.expires_at,
        row.revoked_at,
        genuine,
    )


def _roles(text: str) -> tuple[str, ...]:
    """Return the roles that a row states, or none if it was changed to what are no roles."""
    try:
        roles = json.loads(text)
    except ValueError:
        return ()
    return tuple(role for role in roles if role in ROLES) if isinstance(roles, list) else ()


def _sha256(secret: str) -> str:
    return hashlib.sha256(secret.encode()).hexdigest()


def _in(time_left: timedelta) -> str:
    return (datetime.now(UTC) + time_left).isoformat(timespec="microseconds")
