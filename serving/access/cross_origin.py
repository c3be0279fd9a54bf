"""Requests of browsers from other sites: refused, but for the CDS services from stated origins.

A browser sends a POST with no or a plain content type to any site without asking it first. No such
request may write anything here, whatever its body is called. Cross-origin access (CORS) is for the
CDS services only, from the origins in the settings.

Also to a private network (`Access-Control-Request-Private-Network`): those origins are named.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from urllib.parse import urlsplit

from starlette.middleware.cors import CORSMiddleware
from starlette.types import ASGIApp, Receive, Scope, Send

from serving.problems.details import respond

__all__ = ["CrossOrigin", "CrossSiteGuard"]

_SHARED = "/cds-services"
_SECONDS = 600
_READING = frozenset({"GET", "HEAD", "OPTIONS"})
_OWN_SITE = frozenset({b"same-origin", b"none"})


class CrossOrigin:
    """ASGI middleware in front of the gate, since a preflight request has no credential."""

    def __init__(self, app: ASGIApp, *, origins: Sequence[str]) -> None:
        self._app = app
        self._shared = CORSMiddleware(
            app,
            allow_origins=origins,
            allow_methods=("GET", "POST"),
            allow_headers=("Authorization", "Content-Type"),
            # The page of an EHR outside the hospital's network calls a service inside it.
            allow_private_network=True,
            max_age=_SECONDS,
        )

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        path = scope.get("path", "")
        await (self._shared if _is_shared(path) else self._app)(scope, receive, send)


class CrossSiteGuard:
    """ASGI middleware that refuses what a page of another site has a browser send to be written.

    Browsers state `Sec-Fetch-Site`, or at least `Origin`, with every such request; programs state
    neither.

    Parameters
    ----------
    origins : collection of str
        Origins whose pages may call the CDS services.
    public_url : str or None
        Address of the service for browsers, where a proxy changes the Host header.
    """

    def __init__(self, app: ASGIApp, *, origins: Collection[str], public_url: str | None) -> None:
        self._app = app
        self._origins = frozenset(origins)
        self._own = None if public_url is None else _origin_of(public_url)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] == "http" and scope["method"] not in _READING and self._is_foreign(scope):
            await respond(scope["path"], 403)(scope, receive, send)
            return
        await self._app(scope, receive, send)

    def _is_foreign(self, scope: Scope) -> bool:
        headers = dict(scope["headers"])
        origin = headers.get(b"origin", b"").decode("latin-1")
        if _is_shared(scope["path"]) and origin in self._origins:
            return False
        site = headers.get(b"sec-fetch-site")
        if site is not None:
            return site not in _OWN_SITE
        host = headers.get(b"host", b"").decode("latin-1")
        return origin not in ("", self._own) and urlsplit(origin).netloc != host


def _is_shared(path: str) -> bool:
    return path == _SHARED or path.startswith(f"{_SHARED}/")


def _origin_of(url: str) -> str:
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}"
