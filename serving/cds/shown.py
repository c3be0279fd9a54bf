"""The cards shown to users, and their feedback, stored with the audit trail."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from datetime import date

from sqlalchemy import Connection, bindparam, insert, select

from serving.audit.record import AuditEvent, Detail, now
from serving.audit.stored_rows import digest, parsed
from serving.audit.trail import AuditTrail, Entry
from serving.cds.hook_request import Feedback
from serving.prediction.on_record import Recorder
from serving.problems.details import FieldProblem, RequestBroken
from serving.store.tables import CARD_FEEDBACK, CARDS, RECORDS

__all__ = ["ShownCard", "card_of_call", "show", "store_feedback", "was_shown"]

_OF_DAY = select(CARDS.c.id).where(
    CARDS.c.viewer == bindparam("seen_by"), CARDS.c.day == bindparam("that_day")
)
_LATEST = (
    select(CARDS.c.said)
    .where(CARDS.c.viewer == bindparam("seen_by"))
    .order_by(CARDS.c.id.desc())
    .limit(1)
)
_NEWEST = (
    select(CARDS).where(CARDS.c.viewer == bindparam("seen_by")).order_by(CARDS.c.id.desc()).limit(1)
)
_RECORDS_OF = select(RECORDS.c.body).where(RECORDS.c.prediction_id == bindparam("named"))
_PREDICTION_OF = select(CARDS.c.prediction_id).where(
    CARDS.c.card == bindparam("named"), CARDS.c.service == bindparam("of_service")
)


@dataclass(frozen=True, slots=True)
class ShownCard:
    """One card; `viewer` is a keyed hash of user, patient and outcome, `content` of the card."""

    card: str
    service: str
    prediction_id: str
    viewer: str
    content: str
    day: date


def was_shown(trail: AuditTrail, viewer: str, *, day: date, content: str = "") -> bool:
    """Return whether a viewer saw a card on a day, or last saw one with the same content."""
    with trail.database.reading() as connection:
        return _is_seen(connection, viewer, day, content)


def card_of_call(trail: AuditTrail, viewer: str, hook_instance: str) -> ShownCard | None:
    """Return the viewer's newest card if a call of the same hook instance showed it, or None."""
    with trail.database.reading() as connection:
        newest = connection.execute(_NEWEST, {"seen_by": viewer}).first()
        if newest is None:
            return None
        bodies = connection.execute(_RECORDS_OF, {"named": newest.prediction_id}).scalars().all()
    for body in map(parsed, bodies):
        if body is None or (body["action"], body["status"]) != ("card", "shown"):
            continue
        detail = body.get("detail", {})
        if (detail.get("card"), detail.get("hook_instance")) == (newest.card, hook_instance):
            day = date.fromisoformat(newest.day)
            identity = (newest.card, newest.service, newest.prediction_id)
            return ShownCard(*identity, newest.viewer, newest.said, day)
    return None


def show(trail: AuditTrail, shown: ShownCard, event: AuditEvent) -> bool:
    """Record a card and its event in one transaction; return False if another call showed one.

    Then nothing is recorded.

    If this raises OutsideError, the card must not be shown.
    """
    row = asdict(shown) | {"day": shown.day.isoformat()}
    row["said"] = row.pop("content")

    def is_seen(connection: Connection) -> bool:
        # The trail's transactions are serial, so nothing happens between check and insert.
        return _is_seen(connection, shown.viewer, shown.day, shown.content)

    def store(connection: Connection) -> None:
        connection.execute(insert(CARDS).values(row))

    with_digest = replace(event, digest=digest(trail.keys, CARDS, [row]))
    (recorded,) = trail.append_all([Entry(with_digest, beside=store, unless=is_seen)])
    return not recorded.withheld


def store_feedback(recorder: Recorder, service: str, feedback: Sequence[Feedback]) -> None:
    """Store feedback on cards, with an audit record of each.

    Raises
    ------
    RequestBroken
        If a card is not from the service.
    OutsideError
        If the feedback cannot be stored.
    """
    trail = recorder.trail
    with trail.database.reading() as connection:
        predictions = [
            connection.execute(
                _PREDICTION_OF, {"named": one.card.lower(), "of_service": service}
            ).scalar_one_or_none()
            for one in feedback
        ]
    broken = [
        FieldProblem(
            field=f"feedback[{number}].card",
            rule="unknown",
            message=f"feedback[{number}].card must be a card of this service.",
        )
        for number, prediction_id in enumerate(predictions)
        if prediction_id is None
    ]
    if broken:
        raise RequestBroken(broken)
    rows = [_row(one) for one in feedback]

    def store(connection: Connection) -> None:
        connection.execute(insert(CARD_FEEDBACK), rows)

    events = [
        AuditEvent(
            action="feedback",
            actor=recorder.actor,
            status=one.outcome,
            route=recorder.route,
            prediction_id=prediction_id,
            detail={"service": service, "card": one.card.lower()},
            digest=digest(trail.keys, CARD_FEEDBACK, [row]),
        )
        for one, prediction_id, row in zip(feedback, predictions, rows, strict=True)
    ]
    first, *others = events
    if recorder.token is not None:
        with_token: Detail = {**first.detail, "token": recorder.token}
        first = replace(first, detail=with_token)
    trail.append_all([Entry(first, beside=store), *(Entry(event) for event in others)])


def _is_seen(connection: Connection, viewer: str, day: date, content: str) -> bool:
    # Not only the latest: two machines may disagree on the day.
    of_day = {"seen_by": viewer, "that_day": day.isoformat()}
    if connection.execute(_OF_DAY, of_day).first() is not None:
        return True
    return connection.execute(_LATEST, {"seen_by": viewer}).scalar_one_or_none() == content


def _row(one: Feedback) -> dict[str, str | None]:
    why = one.overrideReason
    reason = why.reason if why else None
    return {
        "card": one.card.lower(),
        "outcome": one.outcome,
        "reason_system": reason.system if reason else None,
        "reason_code": reason.code if reason else None,
        "comment": why.userComment if why else None,
        "happened_at": one.outcomeTimestamp.isoformat(),
        "at": now(),
    }
