"""Signing in to the page and out of it, and the page's view of its session."""

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
from serving.page.rendering import signed_out_page
from serving.settings import Settings

__all__ = [
    "finished",
    "not_signed_in",
    "redirected",
    "router",
    "session_of",
    "sign_in_of",
    "unreachable",
]

_LOG = logging.getLogger(__name__)

# For browsers; programs send a key or a token.
router = APIRouter(include_in_schema=False)

_BY_ITSELF = ("idle", "lifetime")
# Any other reason is 403.
_STATUS = {"unreachable": 503, **dict.fromkeys(["ok", *_BY_ITSELF, "replaced", "away"], 200)}


class PageSession(BaseModel):
    """The page's view of its session."""

    name: str
    csrf: str
    idle_seconds: int
    seconds_left: int
    has_record: bool


@router.get("/sign-in")
def sign_in(request: Request, to: str = "/") -> Response:
    """Opened by a browser that is not signed in; redirects to the provider."""
    way_in = sign_in_of(request)
    if not way_in.has_provider:
        return not_signed_in(request, "away")
    try:
        url, pending = way_in.begin(page_or_front(to))
    except OutsideError as error:
        return unreachable(request, error)
    return redirected(way_in, url, pending)


@router.get("/sign-in/callback")
def sign_in_callback(request: Request) -> Response:
    """Opened by a browser that returns from the provider; audited, whether it succeeds or not."""
    return finished(request, sign_in_of(request).finish)


@router.post("/sign-out")
def sign_out(request: Request, why: str = "ok") -> Response:
    """For the page, to sign out; audited. Returns the address to go to."""
    way_in, session = sign_in_of(request), session_of(request)
    response = JSONResponse({"to": way_in.way_out(session)})
    way_in.browsers.end(response, request.scope, session, why if why in _BY_ITSELF else "ok")
    return response


@router.get("/signed-out")
def signed_out(request: Request, why: str = "ok") -> Response:
    """Opened by a browser after a sign-out, by the user or by itself."""
    return not_signed_in(request, why if why in (*_BY_ITSELF, "replaced") else "ok")


@router.get("/page/session")
def page_session(request: Request) -> PageSession:
    """For the page, when it opens and while it is used."""
    browsers, session = sign_in_of(request).browsers, session_of(request)
    return PageSession(
        name=session.content.get("name", ""),
        csrf=session.csrf,
        idle_seconds=browsers.idle_seconds,
        seconds_left=int(session.ends_in),
        has_record="record" in session.content,
    )


def sign_in_of(request: Request) -> SignIn:
    """Return the sign-in of the application that received the request."""
    way_in: SignIn = request.app.state.sign_in
    return way_in


def session_of(request: Request) -> Session:
    """Return the session of a request; a request with a key or a token has none."""
    session: Session | None = getattr(request.state, "session", None)
    if session is None:
        raise HTTPException(404)
    return session


def redirected(way_in: SignIn, url: str, pending: PendingSignIn) -> Response:
    """Return a redirect to the provider, with the pending sign-in in the browser."""
    response = RedirectResponse(url, 303)
    way_in.browsers.remember(response, pending)
    return response


def finished(
    request: Request, finish: Callable[[PendingSignIn, Mapping[str, str]], SignedIn]
) -> Response:
    """Sign in a browser that returns from a provider, or explain why not."""
    browsers, answered = sign_in_of(request).browsers, dict(request.query_params)
    state = answered.get("state", "")
    pending = browsers.recall(request.scope, state)
    try:
        if pending is None:
            raise SignInRefused("late")
        who = finish(pending, answered)
        to = _base(request) + page_or_front(pending.get("to", "/"))
        response: Response = RedirectResponse(to, 303)
        browsers.begin(response, request.scope, who.caller, who.content)
    except SignInRefused as refused:
        browsers.refused(request.scope, refused.reason)
        response = not_signed_in(request, refused.reason)
    except OutsideError as error:
        response = unreachable(request, error)
    browsers.forget(response, state)
    return response


def unreachable(request: Request, error: OutsideError) -> Response:
    """Return the page for a provider that does not answer, and log the error."""
    _LOG.warning("Sign-in is not possible. %s", error)
    return not_signed_in(request, "unreachable")


def not_signed_in(request: Request, why: str) -> Response:
    """Return the page that explains why the browser is not signed in."""
    policy = {"content-security-policy": PAGE_POLICY}
    page = signed_out_page(why, base=_base(request))
    return HTMLResponse(page, _STATUS.get(why, 403), headers=policy)


def _base(request: Request) -> str:
    """Return the path under which a proxy offers the service."""
    settings: Settings = request.app.state.settings
    return settings.public_path
