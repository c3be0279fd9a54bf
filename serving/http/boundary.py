"""The boundary of every request: limits of its body, one log line, and the last exception handler.

The log line holds the method, the route's template (never the address as it was sent, which may
hold a value), the status and the duration; in JSON, what `serving.http.request_facts` adds. Every
answer names the request in `X-Request-Id`.
"""

from __future__ import annotations

import asyncio
import logging
import time
import traceback
from collections.abc import Callable

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from serving.http.metrics import Metrics
from serving.http.request_facts import request_facts
from serving.problems.details import BodyTooLarge, BodyTooSlow, respond

__all__ = ["RequestBoundary"]

_SECONDS_FOR_A_BODY = 10.0

_ACCESS = logging.getLogger("serving.access")
_LOG = logging.getLogger(__name__)


class RequestBoundary:
    """ASGI middleware around the whole service."""

    def __init__(
        self,
        app: ASGIApp,
        *,
        max_body_bytes: int,
        metrics: Metrics,
        is_draining: Callable[[], bool],
    ) -> None:
        self._app = app
        self._metrics = metrics
        self._is_draining = is_draining
        self._max_body_bytes = max_body_bytes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        started = time.perf_counter()
        status = 0
        facts = request_facts(scope, self._metrics.count_prediction)
        request_id = (b"x-request-id", facts.request_id.encode())

        async def send_and_note(message: Message) -> None:
            nonlocal status
            status = message.get("status", status)
            if message["type"] == "http.response.start":
                message["headers"] = [*message.get("headers", ()), request_id]
                if self._is_draining():  # the client's next request goes to another process
                    message["headers"].append((b"connection", b"close"))
            await send(message)

        try:
            if _stated_length(scope) > self._max_body_bytes:
                await respond(scope["path"], 413)(scope, receive, send_and_note)
            else:
                await self._app(scope, _limited(receive, self._max_body_bytes), send_and_note)
        except Exception as error:  # noqa: BLE001 - the outermost handler; nothing follows it
            # An exception's text may hold a value: log only its type and where it arose.
            fields = {"fields": {"request_id": facts.request_id}}
            _LOG.error("%s at %s", type(error).__name__, _places(error), extra=fields)
            if status:
                raise RuntimeError("failed after the response had started") from None
            await respond(scope["path"], 500)(scope, receive, send_and_note)
        finally:
            seconds = time.perf_counter() - started
            self._metrics.count(scope["method"], facts.route, status, seconds)
            _ACCESS.info(
                "%s %s %d %.1f ms",
                scope["method"],
                facts.route,
                status,
                1_000 * seconds,
                extra={"fields": facts.as_json(status, seconds)},
            )


def _stated_length(scope: Scope) -> int:
    length = dict(scope["headers"]).get(b"content-length", b"")
    return int(length[:20]) if length.isdigit() else 0


def _limited(receive: Receive, max_body_bytes: int) -> Receive:
    """Return a `receive` that raises if the body is too long or too slow."""
    n_read, complete = 0, False
    until = time.monotonic() + _SECONDS_FOR_A_BODY

    async def counting() -> Message:
        nonlocal n_read, complete
        if complete:  # only the end of the connection can follow
            return await receive()
        try:
            async with asyncio.timeout(until - time.monotonic()):
                message = await receive()
        except TimeoutError:
            raise BodyTooSlow from None
        n_read += len(message.get("body", b""))
        complete = not message.get("more_body", False)
        if n_read > max_body_bytes:
            raise BodyTooLarge
        return message

    return counting


def _places(error: Exception) -> str:
    frames = traceback.extract_tb(error.__traceback__)[-3:]
    return " < ".join(f"{frame.filename}:{frame.lineno}" for frame in reversed(frames))
