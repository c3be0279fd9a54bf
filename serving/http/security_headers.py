"""Security headers of every response: no foreign scripts, no caching, no referrer."""

from __future__ import annotations

from starlette.types import ASGIApp, Message, Receive, Scope, Send

__all__ = ["PAGE_POLICY", "SecurityHeaders"]

PAGE_POLICY = "; ".join(
    (
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "img-src 'self' data:",
        "connect-src 'self'",
        "base-uri 'none'",
        # Scripts send the forms, so that no value can become part of an address.
        "form-action 'none'",
        "frame-ancestors 'none'",
    )
)
"""Content security policy of the page: its own script and style files, nothing inline."""

_HEADERS = (
    (b"content-security-policy", b"default-src 'none'; frame-ancestors 'none'"),
    (b"cache-control", b"no-store"),
    (b"cross-origin-opener-policy", b"same-origin"),
    (b"cross-origin-resource-policy", b"same-origin"),
    (b"permissions-policy", b"camera=(), geolocation=(), microphone=()"),
    (b"referrer-policy", b"no-referrer"),
    (b"x-content-type-options", b"nosniff"),
    (b"x-frame-options", b"DENY"),
)
_OVER_TLS = (*_HEADERS, (b"strict-transport-security", b"max-age=31536000"))


class SecurityHeaders:
    """ASGI middleware that adds each header unless the response sets it."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                own = {name.lower() for name, _ in message.get("headers", ())}
                ours = _OVER_TLS if scope.get("scheme") == "https" else _HEADERS
                message["headers"] = [
                    *message.get("headers", ()),
                    *(header for header in ours if header[0] not in own),
                ]
            await send(message)

        await self._app(scope, receive, send_with_headers)
