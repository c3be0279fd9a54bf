"""`GET /health/live` and `GET /health/ready`: for supervisors and load balancers."""

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
    message="audit must record every answer. It fails now, so no predictions are made.",
)

router = APIRouter(prefix="/health", tags=["operations"])


class Live(BaseModel):
    """The process answers."""

    status: Literal["live"]


class Ready(BaseModel):
    """The models for which the service answers, and the reasons if it is degraded."""

    status: Literal["ready", "degraded"]
    models: list[ModelName]
    degraded: list[DegradedReason] = []


@router.get("/live", summary="Whether the process answers")
async def live() -> Live:
    """For supervisors; nothing is checked and nothing is audited."""
    return Live(status="live")


@router.get("/ready", summary="Whether predictions can be answered", response_model=Ready)
def ready(request: Request) -> Ready | Response:
    """For load balancers; 503 while no model is served or the audit fails; not audited.

    `degraded` is 200: answers are valid and from verified models, but the registry is down or it
    has a version that was refused.
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
