"""Rows that bear a mac of the audit key: API keys, used tokens and sessions.

Write access to the database is not enough to create such a row. A row of an older version of
Osteon has no mac: it is signed once, if the trail states the same key.
"""

from __future__ import annotations

import hmac
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import Connection, Row, Table, func, or_, select, update

from serving.audit.record import AuditEvent, AuditKeys, Detail, RecordBody
from serving.store.tables import API_KEYS, CHECKPOINT, HEAD, RECORDS, USED_TOKENS

__all__ = [
    "KeyStatements",
    "OlderRows",
    "has_later_change",
    "is_genuine",
    "older_rows",
    "row_mac",
]

# Few enough for PostgreSQL's limit of time for one statement.
_AT_ONCE = 20_000


def row_mac(keys: AuditKeys, table: Table, values: Mapping[str, object]) -> str:
    """Return the mac of a row, given the values of all its columns; a stated mac is left out."""
    columns = (column.name for column in table.columns if column.name != "mac")
    return keys.row(table.name, {name: values[name] for name in columns})


def is_genuine(keys: AuditKeys, table: Table, row: Row[Any]) -> bool:
    """Return whether a row, read with all its columns, bears the right mac."""
    values = row._asdict()
    stated = values["mac"]
    return stated is not None and hmac.compare_digest(
        str(stated).encode(), row_mac(keys, table, values).encode()
    )


def has_later_change(connection: Connection, keys: AuditKeys, key_id: str, changes: int) -> bool:
    """Return whether the trail holds a change of an API key that its row does not show.

    Such a row was set back: it is genuine, but from before a rotation or the revocation.
    """
    later = select(RECORDS.c.seq).where(
        RECORDS.c.request_key == keys.key_change(key_id, changes + 1)
    )
    return connection.execute(later).first() is not None


@dataclass(slots=True)
class KeyStatements:
    """What records state about API keys."""

    roles: dict[str, tuple[str, ...]] = field(default_factory=dict)
    names: dict[str, str] = field(default_factory=dict)
    revoked: set[str] = field(default_factory=set)
    are_signed: bool = False

    def add(self, record: RecordBody) -> None:
        """Add one record, the oldest first."""
        action, detail = record["action"], record.get("detail", {})
        if action == "rows_signed" or (action.startswith("key_") and "digest" in record):
            self.are_signed = True
        key = detail.get("key", "")
        if action == "key_created":
            self.roles[key], self.names[key] = tuple(detail["roles"]), detail["name"]
        elif action == "key_rotated":
            old = detail["old"]
            stated = detail.get("roles", self.roles.get(old, ()))
            self.roles[key], self.names[key] = tuple(stated), detail["name"]
        elif action == "key_revoked":
            self.revoked.add(key)

    def agree(self, row: Row[Any]) -> bool:
        """Return whether a row of API_KEYS is as the records state."""
        try:
            roles = tuple(json.loads(row.roles))
        except (ValueError, TypeError):
            return False
        return (
            roles == self.roles.get(row.id)
            and row.name == self.names[row.id]
            and (row.revoked_at is not None) == (row.id in self.revoked)
        )


@dataclass(frozen=True, slots=True)
class OlderRows:
    """Rows without a mac: those to sign, and the number of keys that no record states."""

    keys: tuple[Row[Any], ...]
    tokens: tuple[Row[Any], ...]
    unsigned: int

    @property
    def event(self) -> AuditEvent | None:
        """The record of signing them; None if there is nothing to sign."""
        if not self.keys and not self.tokens:
            return None
        detail: Detail = {"keys": [row.id for row in self.keys], "unsigned": self.unsigned}
        return AuditEvent(action="rows_signed", actor="service", status="ok", detail=detail)

    def sign(self, connection: Connection, keys: AuditKeys) -> None:
        """Sign them."""
        for table, identity, rows in (
            (API_KEYS, API_KEYS.c.id, self.keys),
            (USED_TOKENS, USED_TOKENS.c.token, self.tokens),
        ):
            for row in rows:
                mac = row_mac(keys, table, row._asdict())
                named = row._mapping[identity.name]
                connection.execute(update(table).where(identity == named).values(mac=mac))


def older_rows(connection: Connection, keys: AuditKeys) -> OlderRows | None:
    """Return the rows without a mac, or None if there are none.

    None is signed once the trail shows that rows of this database have been signed: a row without
    a mac was then written by other means.
    """
    unsigned = connection.execute(select(API_KEYS).where(API_KEYS.c.mac.is_(None))).all()
    tokens = connection.execute(select(USED_TOKENS).where(USED_TOKENS.c.mac.is_(None))).all()
    if not unsigned and not tokens:
        return None
    statements = KeyStatements()
    for record in _key_records(connection, keys):
        statements.add(record)
    if statements.are_signed:
        return OlderRows((), (), len(unsigned))
    stated = tuple(row for row in unsigned if statements.agree(row))
    return OlderRows(stated, tuple(tokens), len(unsigned) - len(stated))


def _key_records(connection: Connection, keys: AuditKeys) -> Iterator[RecordBody]:
    """Yield the unchanged records about keys, the oldest first."""
    newest = connection.execute(select(func.max(RECORDS.c.seq))).scalar_one() or 0
    about_keys = or_(
        RECORDS.c.body.like('%"action":"key\\_%', escape="\\"),
        RECORDS.c.body.like('%"action":"rows\\_signed"%', escape="\\"),
    )
    before = RECORDS.alias()
    for first in range(0, newest + 1, _AT_ONCE):
        rows = connection.execute(
            select(RECORDS.c.seq, RECORDS.c.body, RECORDS.c.mac, before.c.mac.label("before"))
            .outerjoin(before, before.c.seq == RECORDS.c.seq - 1)
            .where(RECORDS.c.seq.between(first, first + _AT_ONCE - 1), about_keys)
            .order_by(RECORDS.c.seq)
        ).all()
        for row in rows:
            previous = row.before or _before_the_oldest(connection, row.seq)
            if previous is not None and keys.chain(previous, row.body) == row.mac:
                record: RecordBody = json.loads(row.body)
                yield record


def _before_the_oldest(connection: Connection, seq: int) -> str | None:
    """Return the mac that the oldest record is chained to."""
    column = HEAD.c.origin if seq == 1 else CHECKPOINT.c.mac
    where = HEAD.c.id == 1 if seq == 1 else CHECKPOINT.c.seq == seq - 1
    mac: str | None = connection.execute(select(column).where(where)).scalar_one_or_none()
    return mac
