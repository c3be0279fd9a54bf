"""The audit trail: records added in one order, each chained to the one before, durable at once."""

from __future__ import annotations

import json
import threading
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from time import monotonic
from typing import Any

from sqlalchemy import Connection, bindparam, insert, select, update

from data_schema.errors import GateError, OutsideError, UsageError
from serving.audit.head import Head, HeadFile
from serving.audit.record import AuditEvent, AuditKeys, now
from serving.store.database import Database
from serving.store.tables import CHECKPOINT, HEAD, RECORDS

__all__ = ["AuditTrail", "Entry", "Recorded", "database_head"]

Beside = Callable[[Connection], object]

_SECONDS_UNREADY = 10

_HEAD = select(HEAD.c.seq, HEAD.c.mac)
_MOVE_HEAD = (
    update(HEAD).values(seq=bindparam("to_seq"), mac=bindparam("to_mac")).where(HEAD.c.id == 1)
)
_INSERT = insert(RECORDS)
_EARLIER = select(RECORDS.c.seq, RECORDS.c.body, RECORDS.c.mac).where(
    RECORDS.c.request_key == bindparam("key")
)


@dataclass(frozen=True, slots=True)
class Recorded:
    """One record as it stands in the trail.

    Parameters
    ----------
    body : mapping
        What `AuditEvent.body` says, as JSON holds it; empty if an earlier record was changed.
    earlier : bool
        Whether the same caller's same `Idempotency-Key` had made it before, so nothing was added.
    """

    body: Mapping[str, Any]
    earlier: bool = False


@dataclass(frozen=True, slots=True)
class Entry:
    """An event, and what else belongs into the same transaction.

    Parameters
    ----------
    event : AuditEvent
    beside : callable or None
        Takes the connection; not called when the event turns out to be recorded already.
    """

    event: AuditEvent
    beside: Beside | None = None


@dataclass(slots=True)
class _Waiting:
    """Entries of one caller, and what became of them."""

    entries: Sequence[Entry]
    recorded: list[Recorded] = field(default_factory=list)
    failed: BaseException | None = None
    done: bool = False


class AuditTrail:
    """The trail of one database, open for adding; threads and workers may share it.

    Parameters
    ----------
    database : Database
    keys : AuditKeys
    head_file : HeadFile
    """

    def __init__(self, database: Database, keys: AuditKeys, head_file: HeadFile) -> None:
        self.database = database
        self.keys = keys
        self._head_file = head_file
        self._queue: deque[_Waiting] = deque()
        self._committing = threading.Lock()
        self._started = False
        self._failed_until = 0.0

    def start(self) -> None:
        """Make the database ready and see that the trail is whole; `append_all` does it if need be.

        Raises
        ------
        UsageError
            If the database is of a newer version of Osteon.
        GateError
            If the database and the signed head contradict each other: records are missing or
            changed, or one of the two belongs to another trail or key.
        OutsideError
            If the database fails.
        """
        with self._committing:
            self._start()

    def append(self, event: AuditEvent) -> Recorded:
        """Add one record; see `append_all`."""
        return self.append_all([Entry(event)])[0]

    def append_all(self, entries: Sequence[Entry]) -> list[Recorded]:
        """Add records; they are on the disk when this returns.

        Callers that come while a transaction is running share the next one.

        Parameters
        ----------
        entries : sequence of Entry

        Returns
        -------
        list of Recorded
            In the same order. An entry whose `request_key` is in the trail already adds nothing and
            gets that earlier record.

        Raises
        ------
        OutsideError
            If the database or the head fails, or the database turns out to be of a newer version of
            Osteon; then nobody may be told that it was recorded.
        """
        waiting = _Waiting(entries)
        self._queue.append(waiting)
        with self._committing:
            if not waiting.done:
                self._commit()
        if waiting.failed is not None:
            raise waiting.failed
        return waiting.recorded

    def check(self) -> None:
        """Raise as `append_all` would, if nothing could be added now or a moment ago.

        A disk that is full is seen by writing alone, and this writes nothing.
        """
        with self._committing:
            if monotonic() < self._failed_until:
                raise OutsideError("The audit trail must take records; it took none just now.")
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
            raise OutsideError("The database file must be there, as it was before; it is gone.")
        self.database.make()
        with self._head_file.held():
            with self.database.writing() as connection:
                head = self._checked_head(connection)
            # On the disk once, so that a loss of power leaves an older head and never none.
            self._head_file.write(head, to_disk=True)
        self._started = True

    def _start_late(self) -> None:
        """Start if that was put off; whoever asks by then can do nothing about the database."""
        if not self._started:
            try:
                self._start()
            except UsageError as error:
                raise OutsideError(str(error)) from None

    def _commit(self) -> None:
        """Write all that waits in one transaction."""
        together = []
        while self._queue:
            together.append(self._queue.popleft())
        entries = [entry for waiting in together for entry in waiting.entries]
        try:
            self._start_late()
            with self._head_file.held():
                with self.database.writing() as connection:
                    recorded, head = self._write(connection, entries)
                self._head_file.write(head)
            for waiting in together:
                waiting.recorded = [recorded.popleft() for _ in waiting.entries]
            self._failed_until = 0.0
        except BaseException as error:
            if isinstance(error, OutsideError):
                self._failed_until = monotonic() + _SECONDS_UNREADY
            for waiting in together:
                waiting.failed = error
            raise
        finally:
            for waiting in together:
                waiting.done = True

    def _checked_head(self, connection: Connection) -> Head:
        """Return the newest record, or refuse to add to a trail that was cut or changed.

        Every time, since the next head would hide what is missing; `verify` says where.
        """
        head, signed = database_head(connection, lock=True), self._head_file.read()
        if signed == head or (signed is None and head.seq == 0):
            return head
        if signed is None:
            reason = (
                "the database holds records, and the signed head is missing or of another key: "
                "OSTEON_AUDIT_KEY must be the text of audit.key in OSTEON_STATE_DIR if the trail "
                "began without it"
            )
        elif signed.seq > head.seq:
            reason = "the signed head knows records that the database does not hold"
        elif not (_holds(connection, head) and _holds(connection, signed)):
            reason = "the database and the signed head are of different trails"
        else:  # another machine has added to the same database
            return head
        raise GateError(
            f"The audit trail must be whole before anything is added; {reason}. Look at `osteon "
            "audit verify`; `osteon audit adopt` goes on from what is there, and leaves a record."
        )

    def _write(
        self, connection: Connection, entries: Sequence[Entry]
    ) -> tuple[deque[Recorded], Head]:
        head = self._checked_head(connection)
        seq, mac, at = head.seq, head.mac, now()
        recorded: deque[Recorded] = deque()
        rows: list[dict[str, Any]] = []
        keyed: dict[str, str] = {}
        for entry in entries:
            event = entry.event
            earlier = self._earlier(connection, event.request_key, keyed)
            if earlier is not None:
                recorded.append(Recorded(earlier, earlier=True))
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
            connection.execute(_MOVE_HEAD, {"to_seq": seq, "to_mac": mac})
        return recorded, Head(seq, mac)

    def _earlier(
        self, connection: Connection, key: str | None, keyed: Mapping[str, str]
    ) -> dict[str, Any] | None:
        """Return the record that a request key has made, in this transaction or before it.

        Empty if it was changed since: it, its key or the record before it.
        """
        if key is None:
            return None
        said: dict[str, Any]
        if key in keyed:
            said = json.loads(keyed[key])
            return said
        found = connection.execute(_EARLIER, {"key": key}).one_or_none()
        if found is None:
            return None
        before = _mac_of(connection, found.seq - 1)
        if before is None or self.keys.chain(before, found.body) != found.mac:
            return {}
        said = json.loads(found.body)
        return said if said.get("request_key") == key else {}


def database_head(connection: Connection, *, lock: bool = False) -> Head:
    """Return the newest record that the database remembers.

    Parameters
    ----------
    connection : Connection
    lock : bool
        Whether other machines that would add to the trail wait for the end of the transaction.

    Returns
    -------
    Head

    Raises
    ------
    GateError
        If it remembers none, nor therefore where the trail began.
    """
    found = connection.execute(_HEAD.with_for_update() if lock else _HEAD).one_or_none()
    if found is None:
        raise GateError(
            "The database must hold its own head of the audit trail; it has lost that. Look at "
            "`osteon audit verify`, put a backup of the database back, then `osteon audit adopt`."
        )
    return Head(found.seq, found.mac)


def _mac_of(connection: Connection, seq: int) -> str | None:
    """Return what the record after this one is chained to, None if that is lost."""
    found: str | None
    if seq == 0:
        found = connection.execute(select(HEAD.c.origin)).scalar_one()
        return found
    kept, pruned = (select(t.c.mac).where(t.c.seq == seq) for t in (RECORDS, CHECKPOINT))
    found = connection.execute(kept).scalar_one_or_none()
    return found or connection.execute(pruned).scalar_one_or_none()


def _holds(connection: Connection, head: Head) -> bool:
    """Say whether a head was one of this trail's; what was pruned is taken on trust here."""
    if head.seq == 0:
        origin = select(HEAD.c.origin)
        return bool(connection.execute(origin).scalar_one() == head.mac)
    pruned = connection.execute(select(CHECKPOINT.c.seq, CHECKPOINT.c.mac)).one_or_none()
    if pruned is not None and head.seq <= pruned.seq:
        return bool(head.seq < pruned.seq or head.mac == pruned.mac)
    mac = connection.execute(select(RECORDS.c.mac).where(RECORDS.c.seq == head.seq))
    return bool(mac.scalar_one_or_none() == head.mac)
