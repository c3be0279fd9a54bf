"""Delete old records up to a signed checkpoint, so that the rest of the chain still verifies."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from sqlalchemy import Connection, bindparam, delete, insert, select

from data_schema.errors import GateError, UsageError
from serving.audit.head import Head
from serving.audit.record import AuditEvent, Detail, RecordBody
from serving.audit.stored_rows import parsed
from serving.audit.trail import AuditTrail, Entry
from serving.audit.verification import read_checkpoint
from serving.store.tables import CARD_FEEDBACK, CARDS, CHECKPOINT, HEAD, OUTCOMES, RECORDS, RISKS

__all__ = ["prune"]

_CLOCK_TOLERANCE = timedelta(days=1)
_NEWEST = 1_000
# Records that a command or a start of the service writes, so that they have the clock in question.
_OF_A_START = ("start", "stop", "joined", "adopted", "rows_signed", "model_swapped", "pruned")
# What these state must never be forgotten: they are written again when their record expires.
_RENEWED = ("withdrawn", "key_rotated", "key_revoked")

# Few enough that requests do not wait noticeably for the transaction.
_AT_ONCE = 2_000


@dataclass(slots=True)
class _Expired:
    """Expired records: the last of them, their number, and the predictions among them."""

    last: Head
    count: int = 0
    predictions: list[str] = field(default_factory=list)
    renewed: list[AuditEvent] = field(default_factory=list)


def prune(
    trail: AuditTrail, *, older_than_days: int, actor: str, clock_is_checked: bool = False
) -> int:
    """Delete the oldest expired records, and their risks, outcomes and cards; return their number.

    The chain is checked over every deleted record; the last becomes the signed checkpoint that
    `verify` starts from. Deletion, checkpoint and the record of both are one transaction for each
    batch of some thousand records. Withdrawals of versions and changes of keys are recorded anew.

    Parameters
    ----------
    older_than_days : int
        Records of at least this age are deleted, up to the first that is younger.
    clock_is_checked : bool
        Whether a user has checked the clock of this machine, for a service that was long idle.

    Raises
    ------
    UsageError
        If the clock is more than a day ahead of the newest records, and was not checked: a wrong
        clock would delete records that have not expired.
    GateError
        If a record to delete, or the checkpoint before it, was changed.
    OutsideError
        If the database fails.
    """
    if not clock_is_checked:
        _check_clock(trail)
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
        entries = [Entry(event, beside=_removal(trail, expired))]
        trail.append_all([*entries, *(Entry(renewed) for renewed in expired.renewed)])
        deleted += expired.count


def _check_clock(trail: AuditTrail) -> None:
    """Raise if the clock is ahead of the newest record that the service wrote at its work."""
    with trail.database.reading() as connection:
        newest = connection.execute(
            select(RECORDS.c.body).order_by(RECORDS.c.seq.desc()).limit(_NEWEST)
        ).scalars()
        bodies = (parsed(body) for body in newest)
        times = (
            datetime.fromisoformat(body["at"])
            for body in bodies
            if body is not None and body["action"] not in _OF_A_START
        )
        at = next(times, None)
    if at is not None and datetime.now(UTC) - at > _CLOCK_TOLERANCE:
        days = (datetime.now(UTC) - at).days
        raise UsageError(
            f"The clock must agree with the newest records to prune; it is {days} days ahead of "
            "them. Check the clock; if it is right and the service was idle, repeat the command "
            "with --clock-is-checked."
        )


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
        if body["action"] in _RENEWED and "request_key" in body:
            expired.renewed.append(_again(body))
    return expired


def _again(record: RecordBody) -> AuditEvent:
    """Return the event of an expired record, with its time."""
    detail: Detail = {**record.get("detail", {})}
    detail["at"] = detail.get("at", record["at"])
    return AuditEvent(
        action=record["action"],
        actor=record["actor"],
        status=record["status"],
        models=record.get("models", ()),
        request_key=record["request_key"],
        digest=record.get("digest"),
        detail=detail,
    )


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
