"""Signing in to the page and out of it, and what the page knows of its session."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping

from fastapi import APIRouter, HTTPException, Request
from fastapi.responses import HTMLResponse, JSONResponse, RedirectResponse, Response
from pydantic import BaseModel

from data_schema.errors import OutsideError
from serving.access.browser import Session
from serving.access.code_flow import PendingSignIn, SignInRefused
from serving.access.gatekeeper import page_or_front
from serving.access.sign_in import SignedIn, SignIn
from serving.http.security_headers import PAGE_POLICY
from serving.page.rendering import door_page

__all__ = ["came_back", "router", "said", "sent_away", "session_of", "sign_in_of", "unreachable"]

_LOG = logging.getLogger(__name__)

# For browsers; programs send a key or a token.
router = APIRouter(include_in_schema=False)

_BY_ITSELF = ("idle", "lifetime")
_STATUS = {
    "unreachable": 503,
    "ok": 200,
    "idle": 200,
    "lifetime": 200,
    "replaced": 200,
    "away": 200,
}


class PageSession(BaseModel):
    """What the page may know of its session."""

    name: str
    csrf: str
    idle_seconds: int
    seconds_left: int
    has_record: bool


@router.get("/sign-in")
def sign_in(request: Request, to: str = "/") -> Response:
    """Opened by a browser that nobody is signed in with; goes on to the provider."""
    way_in = sign_in_of(request)
    if not way_in.has_provider:
        return said("away")
    try:
        url, pending = way_in.begin(page_or_front(to))
    except OutsideError as error:
        return unreachable(error)
    return sent_away(way_in, url, pending)


@router.get("/sign-in/callback")
def sign_in_callback(request: Request) -> Response:
    """Opened by a browser that comes back from the provider; audited, whoever was let in or not."""
    return came_back(request, sign_in_of(request).finish)


@router.post("/sign-out")
def sign_out(request: Request, why: str = "ok") -> Response:
    """Called by the page when somebody signs out; audited. Says where to go from here."""
    way_in, session = sign_in_of(request), session_of(request)
    response = JSONResponse({"to": way_in.way_out(session)})
    way_in.browsers.end(response, request.scope, session, why if why in _BY_ITSELF else "ok")
    return response


@router.get("/signed-out")
def signed_out(why: str = "ok") -> Response:
    """Opened by a browser after signing out, by hand or by not being used."""
    return said(why if why in (*_BY_ITSELF, "replaced") else "ok")


@router.get("/page/session")
def page_session(request: Request) -> PageSession:
    """Called by the page when it opens, and while somebody uses it."""
    browsers, session = sign_in_of(request).browsers, session_of(request)
    return PageSession(
        name=session.content.get("name", ""),
        csrf=session.csrf,
        idle_seconds=browsers.idle_seconds,
        seconds_left=int(session.ends_in),
        has_record="record" in session.content,
    )


def sign_in_of(request: Request) -> SignIn:
    """Return the ways in of the application that a request came to."""
    found: SignIn = request.app.state.sign_in
    return found


def session_of(request: Request) -> Session:
    """Return the session that a request came with; a key or a token has none."""
    session: Session | None = getattr(request.state, "session", None)
    if session is None:
        raise HTTPException(404)
    return session


def sent_away(way_in: SignIn, url: str, pending: PendingSignIn) -> Response:
    """Return the way to the provider, remembered in the browser."""
    response = RedirectResponse(url, 303)
    way_in.browsers.remember(response, pending)
    return response


def came_back(
    request: Request, finish: Callable[[PendingSignIn, Mapping[str, str]], SignedIn]
) -> Response:
    """Sign in whoever comes back from a provider, or say that nobody is."""
    browsers, answered = sign_in_of(request).browsers, dict(request.query_params)
    state = answered.get("state", "")
    pending = browsers.recall(request.scope, state)
    try:
        if pending is None:
            raise SignInRefused("late")
        who = finish(pending, answered)
        response: Response = RedirectResponse(page_or_front(pending.get("to", "/")), 303)
        browsers.begin(response, request.scope, who.caller, who.content)
    except SignInRefused as refused:
        browsers.refused(request.scope, refused.reason)
        response = said(refused.reason)
    except OutsideError as error:
        response = unreachable(error)
    browsers.forget(response, state)
    return response


def unreachable(error: OutsideError) -> Response:
    """Return the page that says that nobody can sign in now; the log says why."""
    _LOG.warning("Nobody can be let in. %s", error)
    return said("unreachable")


def said(why: str) -> Response:
    """Return the page that says why nobody is signed in."""
    return HTMLResponse(
        door_page(why), _STATUS.get(why, 403), headers={"content-security-policy": PAGE_POLICY}
    )
