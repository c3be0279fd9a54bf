"""What happened afterwards: kept beside the risk that was answered, to compare the two."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import Connection, bindparam, insert, select

from data_schema.outcomes import OUTCOMES
from serving.audit.record import AuditEvent, now
from serving.audit.trail import Entry
from serving.prediction.on_record import Recorder
from serving.problems.details import FieldProblem, RequestBroken
from serving.store.tables import OUTCOMES as HAPPENED
from serving.store.tables import RISKS

__all__ = ["record"]

_PREDICTED = select(RISKS.c.outcome).where(RISKS.c.prediction_id == bindparam("asked"))


def record(
    recorder: Recorder, *, prediction_id: str, outcome: str, event: int, days: float
) -> datetime:
    """Keep what happened, and record that it was sent.

    Parameters
    ----------
    recorder : Recorder
        Of the request that sends it.
    prediction_id : str
    outcome : str
        One that the prediction was about.
    event : int
        0 censored, 1 the outcome, 2 the competing event.
    days : float
        From time zero to the event or to censoring.

    Returns
    -------
    datetime
        When it was recorded.

    Raises
    ------
    RequestBroken
        If the prediction is not on record, was not about the outcome, or nothing competes with it.
    OutsideError
        If it cannot be recorded.
    """
    trail = recorder.trail
    with trail.database.reading() as connection:
        predicted = set(connection.execute(_PREDICTED, {"asked": prediction_id}).scalars())
    _check(predicted, outcome, event)
    row = {
        "prediction_id": prediction_id,
        "outcome": outcome,
        "event": event,
        "days": days,
        "at": now(),
    }

    def keep(connection: Connection) -> None:
        connection.execute(insert(HAPPENED).values(row))

    said = AuditEvent(
        action="outcome",
        actor=recorder.actor,
        status="ok",
        route=recorder.route,
        prediction_id=prediction_id,
        outcomes=[outcome],
    )
    (recorded,) = trail.append_all([Entry(said, beside=keep)])
    return datetime.fromisoformat(recorded.body["at"])


def _check(predicted: set[str], outcome: str, event: int) -> None:
    if not predicted:
        raise _broken("prediction_id", "unknown", "must be that of a prediction on record")
    if outcome not in predicted:
        raise _broken("outcome", "not_predicted", "must be one that the prediction was about")
    if event not in OUTCOMES[outcome].events:
        raise _broken("event", "not_allowed", "must be 0 or 1, since nothing competes with it")


def _broken(field: str, rule: str, rest: str) -> RequestBroken:
    return RequestBroken([FieldProblem(field=field, rule=rule, message=f"{field} {rest}.")])
