"""The end of old records: deleted up to a signed checkpoint, so that the rest still verifies."""

from __future__ import annotations

import hmac
import json
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from sqlalchemy import Connection, bindparam, delete, insert, select

from data_schema.errors import GateError
from serving.audit.head import Head
from serving.audit.record import AuditEvent
from serving.audit.trail import AuditTrail, Entry
from serving.store.tables import CARD_FEEDBACK, CARDS, CHECKPOINT, HEAD, OUTCOMES, RECORDS, RISKS

__all__ = ["prune"]

# So few that the requests that wait for the transaction do not notice it.
_AT_ONCE = 2_000


@dataclass(slots=True)
class _Over:
    """Records whose time is over: how many, the last of them, and the predictions among them."""

    last: Head
    count: int = 0
    predictions: list[str] = field(default_factory=list)


def prune(trail: AuditTrail, *, older_than_days: int, actor: str) -> int:
    """Delete the oldest records whose time is over, and the risks, outcomes and cards beside them.

    The chain is checked over all that goes, then the last of it becomes the signed checkpoint that
    `verify` starts from; deletion, checkpoint and the record of both are one transaction, for some
    thousand records at a time.

    Parameters
    ----------
    trail : AuditTrail
    older_than_days : int
        Records of at least this age go, up to the first that is younger.
    actor : str
        Who deletes, as `AuditEvent.actor`.

    Returns
    -------
    int
        How many were deleted.

    Raises
    ------
    GateError
        If a record that would go, or the checkpoint before it, is not the one that was written.
    OutsideError
        If the database fails.
    """
    until = datetime.now(UTC) - timedelta(days=older_than_days)
    deleted = 0
    while True:
        with trail.database.reading() as connection:
            over = _over(trail, connection, until)
        if over.count == 0:
            return deleted
        event = AuditEvent(
            action="pruned",
            actor=actor,
            status="ok",
            detail={
                "records": over.count,
                "up_to": over.last.seq,
                "older_than_days": older_than_days,
            },
        )
        trail.append_all([Entry(event, beside=_removal(trail, over))])
        deleted += over.count


def _removal(trail: AuditTrail, over: _Over) -> Callable[[Connection], None]:
    last = over.last
    gone = [{"gone": prediction_id} for prediction_id in over.predictions]

    def remove(connection: Connection) -> None:
        signature = trail.keys.checkpoint(last.seq, last.mac)
        connection.execute(delete(CHECKPOINT))
        connection.execute(
            insert(CHECKPOINT).values(id=1, seq=last.seq, mac=last.mac, signature=signature)
        )
        connection.execute(delete(RECORDS).where(RECORDS.c.seq <= last.seq))
        if not gone:
            return
        shown = select(CARDS.c.card).where(CARDS.c.prediction_id == bindparam("gone"))
        connection.execute(delete(CARD_FEEDBACK).where(CARD_FEEDBACK.c.card.in_(shown)), gone)
        for table in (RISKS, OUTCOMES, CARDS):
            connection.execute(
                delete(table).where(table.c.prediction_id == bindparam("gone")), gone
            )

    return remove


def _over(trail: AuditTrail, connection: Connection, until: datetime) -> _Over:
    """Read the oldest records as far as their time is over, checking each."""
    over = _Over(_start(trail, connection))
    rows = connection.execute(
        select(RECORDS.c.seq, RECORDS.c.body, RECORDS.c.mac).order_by(RECORDS.c.seq).limit(_AT_ONCE)
    )
    for row in rows:
        expected = trail.keys.chain(over.last.mac, row.body)
        if row.seq != over.last.seq + 1 or row.mac != expected:
            raise _not_whole(f"number {over.last.seq + 1} is not")
        body = json.loads(row.body)
        if datetime.fromisoformat(body["at"]) > until:
            break
        over.last = Head(row.seq, row.mac)
        over.count += 1
        if body["action"] == "predict":
            over.predictions.append(body["prediction_id"])
    return over


def _start(trail: AuditTrail, connection: Connection) -> Head:
    """Return what the oldest record follows on."""
    columns = (CHECKPOINT.c.seq, CHECKPOINT.c.mac, CHECKPOINT.c.signature)
    pruned = connection.execute(select(*columns)).one_or_none()
    if pruned is None:
        return Head(0, connection.execute(select(HEAD.c.origin)).scalar_one())
    expected = trail.keys.checkpoint(pruned.seq, pruned.mac)
    if not hmac.compare_digest(pruned.signature.encode(), expected.encode()):
        # Signing another one after it would make good what somebody forged.
        raise _not_whole("the checkpoint before them is not")
    return Head(pruned.seq, pruned.mac)


def _not_whole(what: str) -> GateError:
    return GateError(
        f"The records that go must be as they were written; {what}. None of them was deleted; look "
        "at `osteon audit verify`."
    )
