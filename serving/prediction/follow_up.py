"""Observed outcomes, stored beside the predicted risks to compare the two."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import Connection, bindparam, insert, select

from data_schema.outcomes import OUTCOMES
from serving.audit.record import AuditEvent, now
from serving.audit.stored_rows import digest
from serving.audit.trail import Entry
from serving.prediction.on_record import Recorder
from serving.problems.details import FieldProblem, RequestBroken
from serving.store.tables import OUTCOMES as HAPPENED
from serving.store.tables import RISKS

__all__ = ["record"]

_PREDICTED = select(RISKS.c.outcome).where(RISKS.c.prediction_id == bindparam("prediction"))


def record(
    recorder: Recorder, *, prediction_id: str, outcome: str, event: int, days: float
) -> datetime:
    """Store an observed outcome and an audit record of it; return when it was recorded.

    `event` is 0 (censored), 1 (the outcome) or 2 (the competing event); `days` run from time zero
    to the event or to censoring.

    Raises
    ------
    RequestBroken
        If the prediction is not on record, has no such outcome, or nothing competes with it.
    OutsideError
        If the outcome cannot be recorded.
    """
    trail = recorder.trail
    with trail.database.reading() as connection:
        predicted = set(connection.execute(_PREDICTED, {"prediction": prediction_id}).scalars())
    _check(predicted, outcome, event)
    row: dict[str, object] = {
        "prediction_id": prediction_id,
        "outcome": outcome,
        "event": event,
        "days": float(days),
        "at": now(),
    }

    def store(connection: Connection) -> None:
        connection.execute(insert(HAPPENED).values(row))

    audited = AuditEvent(
        action="outcome",
        actor=recorder.actor,
        status="ok",
        route=recorder.route,
        prediction_id=prediction_id,
        outcomes=[outcome],
        digest=digest(trail.keys, HAPPENED, [row]),
    )
    (recorded,) = trail.append_all([Entry(audited, beside=store)])
    return datetime.fromisoformat(recorded.body["at"])


def _check(predicted: set[str], outcome: str, event: int) -> None:
    if not predicted:
        raise _broken("prediction_id", "unknown", "must be that of a final prediction on record")
    if outcome not in predicted:
        raise _broken("outcome", "not_predicted", "must be one that the prediction was about")
    if event not in OUTCOMES[outcome].events:
        raise _broken("event", "not_allowed", "must be 0 or 1, since nothing competes with it")


def _broken(field: str, rule: str, rest: str) -> RequestBroken:
    return RequestBroken([FieldProblem(field=field, rule=rule, message=f"{field} {rest}.")])
