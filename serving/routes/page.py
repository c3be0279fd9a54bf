"""`GET /`: the clinician's page, its files, its model facts, and the echo of what was entered."""

from __future__ import annotations

from fastapi import APIRouter, HTTPException, Request, Response
from fastapi.responses import HTMLResponse

from serving.http.security_headers import PAGE_POLICY
from serving.page import assets
from serving.page.entries import Entries, read_entries
from serving.page.rendering import facts_page, front_page
from serving.prediction.json_translation import question_of, rules_in_json
from serving.prediction.schemas import PredictRequest
from serving.prediction.served import Served

__all__ = ["router"]

# Pages for people; the contract for programs is the rest.
router = APIRouter(include_in_schema=False)

_FOR_EVER = "public, max-age=31536000, immutable"


@router.get("/")
def page(request: Request) -> HTMLResponse:
    """Opened by a clinician; it holds no patient, and nothing is audited."""
    served: Served = request.app.state.served
    return _html(front_page(served, signed_in=_has_session(request)))


@router.get("/facts/{asked_as}")
def facts(asked_as: str, request: Request) -> HTMLResponse:
    """Opened by whoever wants to know what a model is; nothing is audited."""
    for model in request.app.state.served.models:
        if model.requested_as == asked_as:
            return _html(facts_page(model, signed_in=_has_session(request)))
    raise HTTPException(404)


@router.post("/page/entries")
def entries(body: PredictRequest, request: Request) -> Entries:
    """Called by the page while values are typed; nothing is kept, and nothing is predicted."""
    with rules_in_json():
        return read_entries(question_of(body), request.app.state.served)


@router.get("/static/{version}/{name}")
def static(version: str, name: str) -> Response:
    """Called by a browser for the page's scripts and styles."""
    found = assets.asset(name)
    if found is None or version != assets.version():
        raise HTTPException(404)
    return Response(
        found.content, media_type=found.media_type, headers={"cache-control": _FOR_EVER}
    )


def _has_session(request: Request) -> bool:
    return getattr(request.state, "session", None) is not None


def _html(text: str) -> HTMLResponse:
    return HTMLResponse(text, headers={"content-security-policy": PAGE_POLICY})
