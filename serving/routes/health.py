"""`GET /health/live` and `GET /health/ready`: for whoever keeps the process running."""

from __future__ import annotations

from typing import Literal

from fastapi import APIRouter, Request
from pydantic import BaseModel

from serving.schemas import ModelName
from serving.served import served_by

__all__ = ["router"]

router = APIRouter(prefix="/health", tags=["operations"])


class Live(BaseModel):
    """The process answers."""

    status: Literal["live"]


class Ready(BaseModel):
    """The process serves these models."""

    status: Literal["ready"]
    models: list[ModelName]


@router.get("/live", summary="Whether the process answers")
async def live() -> Live:
    """Called by a supervisor; nothing is checked and nothing is audited."""
    return Live(status="live")


@router.get("/ready", summary="Whether predictions can be answered")
def ready(request: Request) -> Ready:
    """Called by a load balancer; 503 while no model is served or nothing can be put on record.

    Nothing is audited.
    """
    served = served_by(request)
    served.require_any()
    request.app.state.trail.check()
    return Ready(status="ready", models=[model.identity for model in served.models])
