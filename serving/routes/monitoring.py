"""`GET /monitoring/{model}` and `/timeline/{model}`: a served model in use, for people."""

from __future__ import annotations

from fastapi import APIRouter, HTTPException, Request
from fastapi.responses import HTMLResponse

from serving.http.security_headers import PAGE_POLICY
from serving.page.rendering import monitoring_page, timeline_page
from serving.prediction.caller import served_models

__all__ = ["router"]

router = APIRouter(include_in_schema=False)


@router.get("/monitoring/{requested_as}")
def monitoring(requested_as: str, request: Request) -> HTMLResponse:
    """Opened by quality officers; risks and outcomes of many patients, of none alone; not audited.

    A program reads the same figures by `osteon monitor --from-trail --json`, and from `/metrics`.
    """
    for model in served_models(request).models:
        if model.requested_as == requested_as:
            state = request.app.state.monitoring
            page = monitoring_page(
                model,
                state.of(model),
                days=state.days,
                base=request.app.state.settings.public_path,
                signed_in=getattr(request.state, "session", None) is not None,
            )
            return HTMLResponse(page, headers={"content-security-policy": PAGE_POLICY})
    raise HTTPException(404)


@router.get("/timeline/{requested_as}")
def timeline(requested_as: str, request: Request) -> HTMLResponse:
    """Opened by quality officers: versions, gates, validations, watched periods and withdrawals.

    As the registry held them at the last scan; no patients, and not audited. A program reads the
    same by `osteon registry NAME --json`.
    """
    served = served_models(request)
    for model in served.models:
        if model.requested_as == requested_as:
            page = timeline_page(
                model,
                served.timelines.get(model.loaded.name),
                base=request.app.state.settings.public_path,
                signed_in=getattr(request.state, "session", None) is not None,
            )
            return HTMLResponse(page, headers={"content-security-policy": PAGE_POLICY})
    raise HTTPException(404)
