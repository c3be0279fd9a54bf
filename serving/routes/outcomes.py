"""`POST /v1/outcomes`: the observed outcome of a patient after a prediction, for monitoring."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal

from fastapi import APIRouter, Request
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, StringConstraints

from serving.http.route_classes import StrictRoute
from serving.prediction import follow_up
from serving.prediction.caller import recorder_of
from serving.prediction.schemas import HorizonDays, Name

__all__ = ["router"]

router = APIRouter(prefix="/v1", route_class=StrictRoute, tags=["monitoring"])


def _no_flag(sent: object) -> object:
    """Reject true, which is 1 in Python and not in the contract."""
    return None if isinstance(sent, bool) else sent


class SentOutcome(BaseModel):
    """An observed outcome, with its time from the prediction's time zero."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    # Letters and digits: PostgreSQL's text cannot hold NUL.
    prediction_id: Annotated[
        str, StringConstraints(min_length=26, max_length=26, pattern="^[0-9A-Za-z]*$")
    ] = Field(description="Of the answer.")
    outcome: Name = Field(description="As the prediction states it.", examples=["mortality"])
    event: Annotated[Literal[0, 1, 2], BeforeValidator(_no_flag)] = Field(
        description="0 censored (not observed until then), 1 the outcome, 2 the competing event "
        "first."
    )
    days: HorizonDays = Field(description="Days from time zero to that event or to censoring.")


class RecordedOutcome(BaseModel):
    """The stored outcome; the newest report of a prediction and outcome counts."""

    prediction_id: str
    outcome: str
    recorded_at: datetime


@router.post("/outcomes", summary="What happened after a prediction", status_code=201)
def outcomes(body: SentOutcome, request: Request) -> RecordedOutcome:
    """For the follow-up of patients; audited without the outcome's event.

    The prediction must be on record; the request does not name the patient.
    """
    recorded_at = follow_up.record(
        recorder_of(request),
        prediction_id=body.prediction_id,
        outcome=body.outcome,
        event=body.event,
        days=body.days,
    )
    return RecordedOutcome(
        prediction_id=body.prediction_id, outcome=body.outcome, recorded_at=recorded_at
    )
