"""The audit trail: records added in one order, each chained to the one before, durable at once."""

from __future__ import annotations

import json
import logging
import threading
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from time import monotonic

from sqlalchemy import Connection, bindparam, insert, select

from data_schema.errors import GateError, OutsideError, UsageError
from serving.audit.head import (
    DatabaseHead,
    Head,
    HeadFile,
    read_database_head,
    write_database_head,
)
from serving.audit.record import AuditEvent, AuditKeys, Detail, RecordBody, now
from serving.audit.signed_rows import older_rows
from serving.store.database import Database
from serving.store.tables import CHECKPOINT, HEAD, RECORDS

__all__ = ["AuditTrail", "Beside", "Entry", "Recorded"]

_LOG = logging.getLogger(__name__)

Beside = Callable[[Connection], object]

_SECONDS_UNREADY = 10

_INSERT = insert(RECORDS)
_EARLIER = select(RECORDS.c.seq, RECORDS.c.body, RECORDS.c.mac).where(
    RECORDS.c.request_key == bindparam("key")
)


@dataclass(frozen=True, slots=True)
class Recorded:
    """One record as the trail holds it; the body of a changed record is empty.

    `earlier` means that nothing was added: the caller's `Idempotency-Key` is that of a record.
    `withheld` means that nothing was added because of the entry's `unless`; the body is empty.
    """

    body: RecordBody
    earlier: bool = False
    withheld: bool = False


@dataclass(frozen=True, slots=True)
class Entry:
    """An event, and further statements of its transaction unless it is recorded already.

    Neither is added if `unless` returns true in that transaction.
    """

    event: AuditEvent
    beside: Beside | None = None
    unless: Callable[[Connection], bool] | None = None


@dataclass(slots=True)
class _Waiting:
    """Entries of one thread, and their result."""

    entries: Sequence[Entry]
    recorded: list[Recorded] = field(default_factory=list)
    failed: BaseException | None = None
    done: bool = False


class AuditTrail:
    """The trail of one database, open for adding; threads and workers may share it.

    `observe` takes the seconds of every addition, with the wait for others before it.
    """

    def __init__(self, database: Database, keys: AuditKeys, head_file: HeadFile) -> None:
        self.database = database
        self.keys = keys
        self._head_file = head_file
        self._queue: deque[_Waiting] = deque()
        self._committing = threading.Lock()
        self._started = False
        self._failed_until = 0.0
        self.observe: Callable[[float], object] = lambda seconds: None

    def start(self) -> None:
        """Prepare the database and check the trail; `append_all` does so if it was put off.

        Raises
        ------
        UsageError
            If the database is of a newer version of Osteon.
        GateError
            If the database and the signed head contradict each other: records are missing or
            changed, or one of them belongs to another trail or key.
        OutsideError
            If the database fails.
        """
        with self._committing:
            self._start()

    def append(self, event: AuditEvent) -> Recorded:
        """Add one record; see `append_all`."""
        return self.append_all([Entry(event)])[0]

    def append_all(self, entries: Sequence[Entry]) -> list[Recorded]:
        """Add records, which are on the disk when this returns.

        Callers that come while a transaction is running share the next one.

        Returns
        -------
        list of Recorded
            In the same order. An entry whose `request_key` is already in the trail adds nothing and
            gets the earlier record.

        Raises
        ------
        OutsideError
            If the database or the head fails, or the database is of a newer version of Osteon; the
            entries then count as not recorded.
        """
        began, waiting = monotonic(), _Waiting(entries)
        self._queue.append(waiting)
        try:
            with self._committing:
                if not waiting.done:
                    self._commit()
        finally:
            self.observe(monotonic() - began)
        if waiting.failed is not None:
            raise waiting.failed
        return waiting.recorded

    def adopt(self, *, actor: str) -> None:
        """Sign the newest record of the database as the head, and record which user did so.

        For a database restored from a backup. The new record holds the previous signed head;
        `verify` still finds flaws of the chain itself.

        Raises
        ------
        GateError
            If the database has lost its own head.
        """
        signed = self._head_file.read()
        with self._head_file.held():
            with self.database.writing() as connection:
                head = _database_head(connection).head
                write_database_head(connection, head, self.keys)
            self._head_file.write(head, to_disk=True)
        detail: Detail = {
            "database_head": head.seq,
            "signed_head": "none" if signed is None else signed.seq,
        }
        self.append(AuditEvent(action="adopted", actor=actor, status="ok", detail=detail))

    def check(self) -> None:
        """Raise as `append_all` does if no record can be added, or could not a moment ago.

        The last failure counts, since a full disk shows only on writing and this writes nothing.
        """
        with self._committing:
            if monotonic() < self._failed_until:
                raise OutsideError("The audit trail could not be written a moment ago.")
            self._start_late()
            with self._head_file.held(), self.database.writing() as connection:
                self._checked_head(connection)

    def close(self) -> None:
        """Close the database and the head."""
        with self._committing:
            self._head_file.close()
            self.database.close()

    def _start(self) -> None:
        signed = self._head_file.read()
        if self.database.is_missing and signed is not None and signed.seq > 0:
            raise OutsideError("The database file of the audit trail is gone.")
        self.database.make()
        with self._head_file.held():
            with self.database.writing() as connection:
                joins = self._head_file.read() is None
                head = self._checked_head(connection, starts=True)
                if joins and head.seq > 0:
                    detail: Detail = {"database_head": head.seq}
                    event = AuditEvent("joined", actor="service", status="ok", detail=detail)
                    _, head = self._write(connection, [Entry(event)], after=head)
                else:  # signs the head of a database of an older version
                    write_database_head(connection, head, self.keys)
                head = self._sign_older_rows(connection, head)
            # Flushed once, so that a loss of power leaves an older head instead of none.
            self._head_file.write(head, to_disk=True)
        self._started = True

    def _sign_older_rows(self, connection: Connection, head: Head) -> Head:
        """Sign rows from before rows bore a mac, on record, and return the newest record."""
        rows = older_rows(connection, self.keys)
        if rows is None:
            return head
        if rows.unsigned:
            _LOG.warning("%d API keys are refused: no record states them.", rows.unsigned)
        if rows.event is not None:
            _, head = self._write(connection, [Entry(rows.event)])
            rows.sign(connection, self.keys)
        return head

    def _start_late(self) -> None:
        """Start if that was put off; a caller cannot repair the database, so no UsageError."""
        if not self._started:
            try:
                self._start()
            except UsageError as error:
                raise OutsideError(str(error)) from None

    def _commit(self) -> None:
        """Write all waiting entries in one transaction."""
        batch = []
        while self._queue:
            batch.append(self._queue.popleft())
        entries = [entry for waiting in batch for entry in waiting.entries]
        try:
            self._start_late()
            with self._head_file.held():
                with self.database.writing() as connection:
                    recorded, head = self._write(connection, entries)
                self._head_file.write(head)
            for waiting in batch:
                waiting.recorded = [recorded.popleft() for _ in waiting.entries]
            self._failed_until = 0.0
        except BaseException as error:
            if isinstance(error, OutsideError):
                self._failed_until = monotonic() + _SECONDS_UNREADY
            for waiting in batch:
                waiting.failed = error
            raise
        finally:
            for waiting in batch:
                waiting.done = True

    def _checked_head(self, connection: Connection, *, starts: bool = False) -> Head:
        """Return the newest record, or raise if records are missing or changed.

        Checked before every addition, since the next head would hide the loss; `verify` locates it.
        A machine that starts without a file joins a trail whose head in PostgreSQL is signed. At
        any later time, and in SQLite, which has one machine only, a missing head was deleted.
        """
        stored, signed = _database_head(connection, lock=True), self._head_file.read()
        head, is_signed = stored.head, stored.is_signed(self.keys)
        is_plausible = is_signed or stored.signature is None
        if is_plausible and (signed == head or (signed is None and head.seq == 0)):
            return head
        joins = starts and is_signed and not self.database.is_sqlite
        if signed is None and not joins:
            reason = (
                "the database holds records, and the signed head is missing or of another key: "
                "OSTEON_AUDIT_KEY must be the text of audit.key in OSTEON_STATE_DIR if the trail "
                "was created before that variable was set"
            )
        elif signed is not None and signed.seq > head.seq:
            reason = "the signed head knows records that the database does not hold"
        elif not is_plausible:
            reason = "the database's head was changed, or signed with another key"
        elif not (_holds(connection, head) and (signed is None or _holds(connection, signed))):
            reason = "the database and the signed head are of different trails"
        else:  # another machine has added to the same database
            return head
        raise GateError(
            f"The audit trail must be complete before a record is added; {reason}. Run `osteon "
            "audit verify`; `osteon audit adopt` resumes the trail from the database, on record."
        )

    def _write(
        self, connection: Connection, entries: Sequence[Entry], *, after: Head | None = None
    ) -> tuple[deque[Recorded], Head]:
        head = after or self._checked_head(connection)
        seq, mac, at = head.seq, head.mac, now()
        recorded: deque[Recorded] = deque()
        rows: list[dict[str, object]] = []
        keyed: dict[str, str] = {}
        for entry in entries:
            event = entry.event
            earlier = self._earlier(connection, event.request_key, keyed)
            if earlier is not None:
                recorded.append(Recorded(earlier, earlier=True))
                continue
            if entry.unless is not None and entry.unless(connection):
                recorded.append(Recorded({}, withheld=True))
                continue
            seq += 1
            body = event.body(seq=seq, at=at)
            mac = self.keys.chain(mac, body)
            if event.request_key is not None:
                keyed[event.request_key] = body
            rows.append(
                {
                    "seq": seq,
                    "prediction_id": event.prediction_id,
                    "request_key": event.request_key,
                    "body": body,
                    "mac": mac,
                }
            )
            if entry.beside is not None:
                entry.beside(connection)
            recorded.append(Recorded(json.loads(body)))
        if rows:
            connection.execute(_INSERT, rows)
            write_database_head(connection, Head(seq, mac), self.keys)
        return recorded, Head(seq, mac)

    def _earlier(
        self, connection: Connection, key: str | None, keyed: Mapping[str, str]
    ) -> RecordBody | None:
        """Return the record of a request key, from this transaction or an earlier one.

        Empty if the record, its key or the record before it was changed since.
        """
        if key is None:
            return None
        body: RecordBody
        if key in keyed:
            body = json.loads(keyed[key])
            return body
        row = connection.execute(_EARLIER, {"key": key}).one_or_none()
        if row is None:
            return None
        before = _mac_of(connection, row.seq - 1)
        if before is None or self.keys.chain(before, row.body) != row.mac:
            return {}
        body = json.loads(row.body)
        return body if body.get("request_key") == key else {}


def _database_head(connection: Connection, *, lock: bool = False) -> DatabaseHead:
    """Return the head in the database, as `read_database_head`, or raise if it is missing."""
    stored = read_database_head(connection, lock=lock)
    if stored is None:
        raise GateError(
            "The database must hold its own head of the audit trail (it is missing). Run `osteon "
            "audit verify`, restore a backup of the database, then run `osteon audit adopt`."
        )
    return stored


def _mac_of(connection: Connection, seq: int) -> str | None:
    """Return the mac that the next record is chained to, or None if it is lost."""
    mac: str | None
    if seq == 0:
        mac = connection.execute(select(HEAD.c.origin)).scalar_one()
        return mac
    record, checkpoint = (select(t.c.mac).where(t.c.seq == seq) for t in (RECORDS, CHECKPOINT))
    mac = connection.execute(record).scalar_one_or_none()
    return mac or connection.execute(checkpoint).scalar_one_or_none()


def _holds(connection: Connection, head: Head) -> bool:
    """Return whether a head is of this trail; pruned records are not checked here."""
    mac = _mac_of(connection, head.seq)
    if mac is not None:
        return mac == head.mac
    pruned = connection.execute(select(CHECKPOINT.c.seq)).scalar_one_or_none()
    return pruned is not None and head.seq < pruned
