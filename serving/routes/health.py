"""`/health/live` and `/health/ready`, by GET or HEAD: for supervisors and load balancers."""

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

_DRAINING = FieldProblem(
    field="service",
    rule="draining",
    message="service must go on running. It is about to stop: send requests to another one.",
)
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
    """For load balancers; 503 while no model is served, the audit fails or the service is about to
    stop; not audited.

    `degraded` is 200: answers are valid and from verified models, but the registry is down or it
    has a version that was refused.
    """
    if request.app.state.is_draining:
        return problem_response(503, [_DRAINING])
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


async def _methods() -> Response:
    """Return the methods of these routes, for proxies that ask before they check."""
    return Response(status_code=204, headers={"Allow": "GET, HEAD, OPTIONS"})


# Apart from GET, so that the OpenAPI document describes each route once.
router.add_api_route("/live", live, methods=["HEAD"], include_in_schema=False)
router.add_api_route(
    "/ready", ready, methods=["HEAD"], response_model=Ready, include_in_schema=False
)
for _path in ("/live", "/ready"):
    router.add_api_route(_path, _methods, methods=["OPTIONS"], include_in_schema=False)
