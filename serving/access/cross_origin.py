"""Cross-origin access (CORS) for the CDS services only, from the origins in the settings.

Also to a private network (`Access-Control-Request-Private-Network`): those origins are named.
"""

from __future__ import annotations

from collections.abc import Sequence

from starlette.middleware.cors import CORSMiddleware
from starlette.types import ASGIApp, Receive, Scope, Send

__all__ = ["CrossOrigin"]

_SHARED = "/cds-services"
_SECONDS = 600


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
        is_shared = path == _SHARED or path.startswith(f"{_SHARED}/")
        await (self._shared if is_shared else self._app)(scope, receive, send)
