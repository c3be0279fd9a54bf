"""Verify a trail: no record changed, none missing, none cut off; nor any row that belongs to it."""

from __future__ import annotations

import hmac
import json
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field
from typing import Literal, TypeAlias

from sqlalchemy import Connection, Row, select

from serving.audit.head import Head, read_database_head
from serving.audit.record import AuditKeys, RecordBody
from serving.audit.row_checks import CallerRows, CallerRule
from serving.audit.stored_rows import (
    StoredRule,
    check_on_record,
    check_stored,
    is_without_digest,
    parsed,
)
from serving.store.database import Database
from serving.store.tables import CHECKPOINT, RECORDS

__all__ = ["Flaw", "Verification", "read_checkpoint", "verify"]

Rule = Literal["changed", "gap", "truncated", "head", "checkpoint"] | StoredRule | CallerRule
_Row: TypeAlias = "Row[tuple[int, str | None, str | None, str, str]]"

_LISTED = 100
_AT_ONCE = 2_000
_UNKNOWN = Head(0, "")


@dataclass(frozen=True, slots=True)
class Flaw:
    """One flaw of the trail, and the number of the record; for a gap, of the first missing one.

    The number is 0 for a row of another table that belongs to no record.
    """

    rule: Rule
    seq: int
    message: str


@dataclass(slots=True)
class Verification:
    """The result of a verification.

    Parameters
    ----------
    records : int
        Number of records read.
    first, last : int
        Numbers of the oldest and the newest record; 0 if there is none.
    without_digest : int
        Number of records of an older version, whose risks, outcomes and cards cannot be checked.
    head : Head
        Head of the database; keep a copy elsewhere.
    has_signed_head : bool
        Whether the database's head has a valid signature.
    flaws : list of Flaw
        The first hundred.
    """

    records: int = 0
    first: int = 0
    last: int = 0
    without_digest: int = 0
    head: Head = _UNKNOWN
    has_signed_head: bool = False
    flaw_count: int = 0
    flaws: list[Flaw] = field(default_factory=list)

    @property
    def ok(self) -> bool:
        """Whether the trail has no flaw."""
        return self.flaw_count == 0

    def add(self, rule: Rule, seq: int, message: str) -> None:
        """Add one flaw."""
        self.flaw_count += 1
        if len(self.flaws) < _LISTED:
            self.flaws.append(Flaw(rule, seq, message))

    def as_json(self) -> dict[str, object]:
        """Return the result as the command line prints it."""
        return {"ok": self.ok} | asdict(self)


def verify(
    database: Database,
    keys: AuditKeys,
    signed: Head | None,
    *,
    progress: Callable[[int, int], None] = lambda done, of: None,
) -> Verification:
    """Read the whole trail; check every link of its chain, and every row that belongs to a record.

    Checked are the risks, outcomes, cards and feedback that records vouch for, and the API keys,
    used tokens and sessions that bear a mac.

    May run while the service writes. It cannot detect that the database and every copy of the
    signed head were set back to the same earlier moment; without a head outside the database, that
    the database alone was.

    Parameters
    ----------
    signed : Head or None
        The newest head outside the database, read before this call; None if there is none with a
        valid signature, which is a flaw in SQLite, where every machine has one.
    progress : callable
        Takes the number of records read and their total number.

    Raises
    ------
    OutsideError
        If the database fails.
    """
    result = Verification()
    with database.reading() as connection:
        before = _first_link(connection, keys, result)
        seen = {before.seq: before.mac}
        columns = (
            RECORDS.c.seq,
            RECORDS.c.prediction_id,
            RECORDS.c.request_key,
            RECORDS.c.body,
            RECORDS.c.mac,
        )
        batches = connection.execution_options(yield_per=_AT_ONCE)
        rows: Iterator[_Row] = iter(batches.execute(select(*columns).order_by(RECORDS.c.seq)))
        callers = CallerRows()
        unchecked: list[tuple[int, RecordBody]] = []
        for number, row in enumerate(rows, start=1):
            n_flaws = result.flaw_count
            before = _follow(row, before, keys, result)
            body = parsed(row.body) if result.flaw_count == n_flaws else None
            if body is not None:
                unchecked.append((row.seq, body))
                result.without_digest += is_without_digest(body)
                callers.add(row.seq, body)
            result.first, result.last, result.records = result.first or row.seq, row.seq, number
            if signed is not None and row.seq == signed.seq:
                seen[row.seq] = row.mac
            if number % _AT_ONCE == 0:
                check_stored(connection, keys, unchecked, result.add)
                unchecked.clear()
                progress(number, result.head.seq)
        check_stored(connection, keys, unchecked, result.add)
        check_on_record(connection, keys, result.add)
        callers.check(connection, keys, result.add)
    _check_end(result, before, signed, seen, is_sqlite=database.is_sqlite)
    return result


def read_checkpoint(connection: Connection, keys: AuditKeys) -> tuple[Head, bool] | None:
    """Return the last pruned record, and whether its signature is valid; None if nothing was."""
    pruned = connection.execute(
        select(CHECKPOINT.c.seq, CHECKPOINT.c.mac, CHECKPOINT.c.signature)
    ).one_or_none()
    if pruned is None:
        return None
    expected = keys.checkpoint(pruned.seq, pruned.mac)
    is_genuine = hmac.compare_digest(pruned.signature.encode(), expected.encode())
    return Head(pruned.seq, pruned.mac), is_genuine


def _first_link(connection: Connection, keys: AuditKeys, result: Verification) -> Head:
    """Return the head that the oldest record follows, and note the database's own head."""
    stored = read_database_head(connection)
    if stored is None:
        result.add("head", 0, "The database has lost its own head and the origin of the trail.")
    else:
        result.head = stored.head
        result.has_signed_head = stored.is_signed(keys)
        if stored.signature is not None and not result.has_signed_head:
            result.add("head", stored.head.seq, "The signature of the database's head is wrong.")
    checkpoint = read_checkpoint(connection, keys)
    if checkpoint is None:
        return _UNKNOWN if stored is None else Head(0, stored.origin)
    pruned, is_genuine = checkpoint
    if not is_genuine:
        result.add("checkpoint", pruned.seq, "The checkpoint's signature does not match.")
    return pruned


def _follow(row: _Row, before: Head, keys: AuditKeys, result: Verification) -> Head:
    """Check one record against the one before it."""
    if row.seq <= before.seq:
        result.add("changed", row.seq, "The record was pruned, but is in the database again.")
        return before
    if row.seq != before.seq + 1:
        count = row.seq - before.seq - 1
        result.add("gap", before.seq + 1, f"{count} records are missing.")
    elif before is not _UNKNOWN and not _is_chained(row, before, keys):
        result.add("changed", row.seq, "The record was changed after it was written.")
    elif not _columns_agree(row):
        result.add("changed", row.seq, "A column of the record contradicts its body.")
    # The stored mac, so that one changed record does not count against those after it.
    return Head(row.seq, row.mac)


def _is_chained(row: _Row, before: Head, keys: AuditKeys) -> bool:
    return hmac.compare_digest(row.mac.encode(), keys.chain(before.mac, row.body).encode())


def _columns_agree(row: _Row) -> bool:
    try:
        body = json.loads(row.body)
    except ValueError:  # the first record, if the origin that it is chained to is lost
        return False
    named = {"seq": row.seq, "prediction_id": row.prediction_id, "request_key": row.request_key}
    return isinstance(body, dict) and all(body.get(name) == value for name, value in named.items())


def _check_end(
    result: Verification,
    newest: Head,
    signed: Head | None,
    seen: dict[int, str],
    *,
    is_sqlite: bool,
) -> None:
    """Compare the newest record with the heads in the database and outside it."""
    if newest != result.head:
        rule: Rule = "truncated" if result.head.seq > newest.seq else "head"
        result.add(rule, newest.seq + 1, "The newest record is not the one in the database's head.")
    if signed is None:
        if result.head.seq > 0 and (is_sqlite or not result.has_signed_head):
            result.add("head", result.head.seq, "No head with a valid signature was given.")
    elif signed.seq > newest.seq:
        count = signed.seq - newest.seq
        result.add("truncated", newest.seq + 1, f"{count} of the newest records are missing.")
    elif signed.seq in seen and seen[signed.seq] != signed.mac:
        result.add("head", signed.seq, "The signed head is of another record than the database's.")
