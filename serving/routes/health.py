"""`GET /health/live` and `GET /health/ready`: for whoever keeps the process running."""

from __future__ import annotations

from typing import Literal

from fastapi import APIRouter, Request, Response
from pydantic import BaseModel

from data_schema.errors import GateError, OutsideError
from serving.prediction.answer import ModelName
from serving.prediction.caller import served_models
from serving.problems.details import FieldProblem, problem_response
from serving.processes.messages import DegradedReason

__all__ = ["router"]

_UNRECORDABLE = FieldProblem(
    field="audit",
    rule="unrecordable",
    message="audit must take a record of every answer; it does not, so nothing is predicted.",
)

router = APIRouter(prefix="/health", tags=["operations"])


class Live(BaseModel):
    """The process answers."""

    status: Literal["live"]


class Ready(BaseModel):
    """The service answers for these models; degraded, it says what is not as it should be."""

    status: Literal["ready", "degraded"]
    models: list[ModelName]
    degraded: list[DegradedReason] = []


@router.get("/live", summary="Whether the process answers")
async def live() -> Live:
    """Called by a supervisor; nothing is checked and nothing is audited."""
    return Live(status="live")


@router.get("/ready", summary="Whether predictions can be answered", response_model=Ready)
def ready(request: Request) -> Ready | Response:
    """Called by a load balancer; 503 while no model is served or nothing can be put on record.

    `degraded` is 200: what is answered is answered as always, from models that were checked, while
    the registry is down or a version in it was refused. Nothing is audited.
    """
    served = served_models(request)
    served.require_any()
    try:
        request.app.state.trail.check()
    except (OutsideError, GateError):
        return problem_response(503, [_UNRECORDABLE])
    return Ready(
        status="degraded" if served.degraded else "ready",
        models=[model.identity for model in served.models],
        degraded=list(served.degraded),
    )
