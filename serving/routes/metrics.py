"""`GET /metrics`: for Prometheus."""

from __future__ import annotations

from fastapi import APIRouter, Request, Response

from serving.http.metrics import CONTENT_TYPE, Metrics

__all__ = ["router"]

router = APIRouter(tags=["operations"])


@router.get("/metrics", summary="Counters for Prometheus", response_class=Response)
async def metrics(request: Request) -> Response:
    """For Prometheus; without patients or callers, and not audited."""
    counted: Metrics = request.app.state.metrics
    return Response(counted.text(request.app.state.served), media_type=CONTENT_TYPE)
