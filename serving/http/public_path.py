"""The path prefix under which a proxy offers the service, as `/osteon`."""

from __future__ import annotations

from starlette.types import ASGIApp, Receive, Scope, Send

__all__ = ["PublicPath"]


class PublicPath:
    """ASGI middleware, the outermost, that removes the prefix from the path of a request.

    A proxy may remove it itself (`proxy_pass http://service/` in nginx) or leave it in; behind this
    class no route, gate or limit knows of it. It is removed once, and only as a whole segment.
    """

    def __init__(self, app: ASGIApp, *, prefix: str) -> None:
        self._app = app
        self._prefix = prefix

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        path = scope.get("path", "")
        if path == self._prefix or path.startswith(f"{self._prefix}/"):
            scope = {**scope, "path": path.removeprefix(self._prefix) or "/"}
            raw = scope.get("raw_path")
            if raw is not None:
                scope["raw_path"] = raw.removeprefix(self._prefix.encode()) or b"/"
        await self._app(scope, receive, send)
