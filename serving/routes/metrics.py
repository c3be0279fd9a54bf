"""`GET /metrics`: for Prometheus."""

from __future__ import annotations

from fastapi import APIRouter, Request, Response

from serving.http.metrics import CONTENT_TYPE, Metrics
from serving.monitoring.state import MonitoringState
from serving.prediction.served import Served

__all__ = ["router"]

router = APIRouter(tags=["operations"])


@router.get("/metrics", summary="Counters for Prometheus", response_class=Response)
def metrics(request: Request) -> Response:
    """For Prometheus; without patients or callers, and not audited.

    Twice an hour the figures of monitoring are read from the audit trail.
    """
    counted: Metrics = request.app.state.metrics
    served: Served = request.app.state.served
    state: MonitoringState = request.app.state.monitoring
    watched = [one for model in served.models if (one := state.of(model)) is not None]
    return Response(counted.text(served, watched), media_type=CONTENT_TYPE)
