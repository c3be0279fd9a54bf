"""`GET /`: the clinician's page, its files, the model facts, and the check of entries."""

from __future__ import annotations

from fastapi import APIRouter, HTTPException, Request, Response
from fastapi.responses import HTMLResponse

from serving.http.route_classes import StrictRoute
from serving.http.security_headers import PAGE_POLICY
from serving.page import assets
from serving.page.entries import Entries, read_entries
from serving.page.rendering import facts_page, front_page
from serving.prediction.caller import served_models
from serving.prediction.json_translation import question_of, rules_in_json
from serving.prediction.schemas import PredictRequest

__all__ = ["router"]

# Pages for people; the other routes are the contract for programs.
router = APIRouter(include_in_schema=False, route_class=StrictRoute)

_FOR_EVER = "public, max-age=31536000, immutable"


@router.get("/")
def page(request: Request) -> HTMLResponse:
    """Opened by clinicians; without patients, and not audited."""
    served, base = served_models(request), request.app.state.settings.public_path
    return _html(front_page(served, base=base, signed_in=_has_session(request)))


@router.get("/facts/{requested_as}")
def facts(requested_as: str, request: Request) -> HTMLResponse:
    """Opened for the facts about a model; not audited."""
    for model in served_models(request).models:
        if model.requested_as == requested_as:
            base = request.app.state.settings.public_path
            return _html(facts_page(model, base=base, signed_in=_has_session(request)))
    raise HTTPException(404)


@router.post("/page/entries")
def entries(body: PredictRequest, request: Request) -> Entries:
    """For the page, while values are typed; nothing is stored and nothing is predicted."""
    with rules_in_json():
        return read_entries(question_of(body), served_models(request))


@router.get("/static/{version}/{name}")
def static(version: str, name: str) -> Response:
    """For browsers: the page's scripts and styles."""
    asset = assets.asset(name)
    if asset is None or version != assets.version():
        raise HTTPException(404)
    headers = {"cache-control": _FOR_EVER}
    return Response(asset.content, media_type=asset.media_type, headers=headers)


def _has_session(request: Request) -> bool:
    return getattr(request.state, "session", None) is not None


def _html(text: str) -> HTMLResponse:
    return HTMLResponse(text, headers={"content-security-policy": PAGE_POLICY})
