"""Which cards were shown to whom, and what users did with them: beside the audit trail."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date

from sqlalchemy import Connection, bindparam, insert, select

from serving.audit.record import AuditEvent, now
from serving.audit.trail import AuditTrail, Entry
from serving.cds.hook_request import Feedback
from serving.prediction.on_record import Recorder
from serving.problems.details import FieldProblem, RequestBroken
from serving.store.tables import CARD_FEEDBACK, CARDS

__all__ = ["ShownCard", "keep_feedback", "show", "was_shown"]

_OF_DAY = select(CARDS.c.id).where(
    CARDS.c.viewer == bindparam("seen_by"), CARDS.c.day == bindparam("that_day")
)
_LATEST = (
    select(CARDS.c.said)
    .where(CARDS.c.viewer == bindparam("seen_by"))
    .order_by(CARDS.c.id.desc())
    .limit(1)
)
_PREDICTION_OF = select(CARDS.c.prediction_id).where(
    CARDS.c.card == bindparam("named"), CARDS.c.service == bindparam("of_service")
)


@dataclass(frozen=True, slots=True)
class ShownCard:
    """One card and whom it is for.

    Parameters
    ----------
    card, service, prediction_id : str
    viewer, said : str
        Keyed hashes of who sees it of whom, and of what it says.
    day : date
    """

    card: str
    service: str
    prediction_id: str
    viewer: str
    said: str
    day: date


def was_shown(trail: AuditTrail, viewer: str, *, day: date, said: str = "") -> bool:
    """Return whether a viewer saw a card on a day, or last saw one that said the same.

    Parameters
    ----------
    trail : AuditTrail
    viewer : str
    day : date
    said : str
        Keyed hash of what a card would say; empty while that is not known.

    Returns
    -------
    bool

    Raises
    ------
    OutsideError
        If the database fails.
    """
    with trail.database.reading() as connection:
        return _is_seen(connection, viewer, day, said)


def show(trail: AuditTrail, shown: ShownCard, event: AuditEvent) -> bool:
    """Put on record that a card is shown, unless another call has shown one meanwhile.

    Parameters
    ----------
    trail : AuditTrail
    shown : ShownCard
    event : AuditEvent
        Recorded with it, in one transaction.

    Returns
    -------
    bool
        Of two calls at once, one is told True.

    Raises
    ------
    OutsideError
        If it cannot be recorded; then the card must not be shown.
    """
    is_new = False

    def keep(connection: Connection) -> None:
        # The trail's transactions follow one another, so nothing comes between look and insert.
        nonlocal is_new
        if not _is_seen(connection, shown.viewer, shown.day, shown.said):
            row = {name: getattr(shown, name) for name in ShownCard.__slots__}
            connection.execute(insert(CARDS).values(row | {"day": shown.day.isoformat()}))
            is_new = True

    trail.append_all([Entry(event, beside=keep)])
    return is_new


def keep_feedback(recorder: Recorder, service: str, feedback: Sequence[Feedback]) -> None:
    """Keep what users did with cards, and record that it was sent.

    Parameters
    ----------
    recorder : Recorder
        Of the request that sends it.
    service : str
        Id of the service that gave the cards.
    feedback : sequence of Feedback

    Raises
    ------
    RequestBroken
        If a card is none that the service gave.
    OutsideError
        If it cannot be kept.
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
            message=f"feedback[{number}].card must be one that this service gave; it is not.",
        )
        for number, prediction_id in enumerate(predictions)
        if prediction_id is None
    ]
    if broken:
        raise RequestBroken(broken)
    rows = [_row(one) for one in feedback]

    def keep(connection: Connection) -> None:
        connection.execute(insert(CARD_FEEDBACK), rows)

    events = [
        AuditEvent(
            action="feedback",
            actor=recorder.actor,
            status=one.outcome,
            route=recorder.route,
            prediction_id=prediction_id,
            detail={"service": service, "card": one.card.lower()},
        )
        for one, prediction_id in zip(feedback, predictions, strict=True)
    ]
    first, *others = events
    trail.append_all([Entry(first, beside=keep), *(Entry(event) for event in others)])


def _is_seen(connection: Connection, viewer: str, day: date, said: str) -> bool:
    # Not only the latest: two machines may not agree which day it is.
    of_day = {"seen_by": viewer, "that_day": day.isoformat()}
    if connection.execute(_OF_DAY, of_day).first() is not None:
        return True
    return connection.execute(_LATEST, {"seen_by": viewer}).scalar_one_or_none() == said


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
