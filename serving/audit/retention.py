"""Delete old records up to a signed checkpoint, so that the rest of the chain still verifies."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from sqlalchemy import Connection, bindparam, delete, insert, select

from data_schema.errors import GateError
from serving.audit.head import Head
from serving.audit.record import AuditEvent, Detail, RecordBody
from serving.audit.trail import AuditTrail, Entry
from serving.audit.verification import read_checkpoint
from serving.store.tables import CARD_FEEDBACK, CARDS, CHECKPOINT, HEAD, OUTCOMES, RECORDS, RISKS

__all__ = ["prune"]

# Few enough that requests do not wait noticeably for the transaction.
_AT_ONCE = 2_000


@dataclass(slots=True)
class _Expired:
    """Expired records: the last of them, their number, and the predictions among them."""

    last: Head
    count: int = 0
    predictions: list[str] = field(default_factory=list)


def prune(trail: AuditTrail, *, older_than_days: int, actor: str) -> int:
    """Delete the oldest expired records, and their risks, outcomes and cards; return their number.

    The chain is checked over every deleted record; the last becomes the signed checkpoint that
    `verify` starts from. Deletion, checkpoint and the record of both are one transaction for each
    batch of some thousand records.

    Parameters
    ----------
    older_than_days : int
        Records of at least this age are deleted, up to the first that is younger.

    Raises
    ------
    GateError
        If a record to delete, or the checkpoint before it, was changed.
    OutsideError
        If the database fails.
    """
    until = datetime.now(UTC) - timedelta(days=older_than_days)
    deleted = 0
    while True:
        with trail.database.reading() as connection:
            expired = _expired(trail, connection, until)
        if expired.count == 0:
            return deleted
        detail: Detail = {
            "records": expired.count,
            "up_to": expired.last.seq,
            "older_than_days": older_than_days,
        }
        event = AuditEvent(action="pruned", actor=actor, status="ok", detail=detail)
        trail.append_all([Entry(event, beside=_removal(trail, expired))])
        deleted += expired.count


def _removal(trail: AuditTrail, expired: _Expired) -> Callable[[Connection], None]:
    last = expired.last
    predictions = [{"deleted": prediction_id} for prediction_id in expired.predictions]

    def remove(connection: Connection) -> None:
        signature = trail.keys.checkpoint(last.seq, last.mac)
        connection.execute(delete(CHECKPOINT))
        connection.execute(
            insert(CHECKPOINT).values(id=1, seq=last.seq, mac=last.mac, signature=signature)
        )
        connection.execute(delete(RECORDS).where(RECORDS.c.seq <= last.seq))
        if not predictions:
            return
        cards = select(CARDS.c.card).where(CARDS.c.prediction_id == bindparam("deleted"))
        connection.execute(
            delete(CARD_FEEDBACK).where(CARD_FEEDBACK.c.card.in_(cards)), predictions
        )
        for table in (RISKS, OUTCOMES, CARDS):
            connection.execute(
                delete(table).where(table.c.prediction_id == bindparam("deleted")), predictions
            )

    return remove


def _expired(trail: AuditTrail, connection: Connection, until: datetime) -> _Expired:
    """Read the oldest records up to the first that has not expired, checking each."""
    expired = _Expired(_start(trail, connection))
    rows = connection.execute(
        select(RECORDS.c.seq, RECORDS.c.body, RECORDS.c.mac).order_by(RECORDS.c.seq).limit(_AT_ONCE)
    )
    for row in rows:
        expected = trail.keys.chain(expired.last.mac, row.body)
        if row.seq != expired.last.seq + 1 or row.mac != expected:
            raise _changed(f"record {expired.last.seq + 1}")
        body: RecordBody = json.loads(row.body)
        if datetime.fromisoformat(body["at"]) > until:
            break
        expired.last = Head(row.seq, row.mac)
        expired.count += 1
        if body["action"] == "predict":
            expired.predictions.append(body["prediction_id"])
    return expired


def _start(trail: AuditTrail, connection: Connection) -> Head:
    """Return the head that the oldest record follows."""
    checkpoint = read_checkpoint(connection, trail.keys)
    if checkpoint is None:
        return Head(0, connection.execute(select(HEAD.c.origin)).scalar_one())
    pruned, is_genuine = checkpoint
    if not is_genuine:  # a new checkpoint would hide the forgery
        raise _changed("the checkpoint before them")
    return pruned


def _changed(what: str) -> GateError:
    return GateError(
        f"The records to delete must be unchanged; {what} was changed. No record of this batch was "
        "deleted. Run `osteon audit verify`."
    )
