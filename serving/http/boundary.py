"""The boundary of every request: limits of its body, one log line, and the last exception handler.

An answer that comes before the whole body was read, such as a refusal of its length, is sent at
once; then the rest of the body is discarded for some seconds. If the connection ended instead, a
client that still sends would see that, and not the answer.

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

from opentelemetry.trace import Span
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from serving.http.metrics import Metrics
from serving.http.request_facts import request_facts
from serving.http.tracing import name_request, request_span, trace_id
from serving.problems.details import BodyTooLarge, BodyTooSlow, respond

__all__ = ["RequestBoundary"]

_SECONDS_FOR_A_BODY = 10.0
_SECONDS_BETWEEN_PARTS = 1.0
# A refused body of up to so many times the allowed length is read to its end.
_DISCARDED = 4

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
        with request_span(scope) as span:
            await self._answer(span, scope, receive, send)

    async def _answer(self, span: Span, scope: Scope, receive: Receive, send: Send) -> None:
        started = time.perf_counter()
        facts = request_facts(
            scope, self._metrics.count_prediction, self._metrics.count_inputs, trace_id(span)
        )
        request_id = (b"x-request-id", facts.request_id.encode())
        body = _Body(scope, receive, self._max_body_bytes)
        status, seconds = 0, 0.0

        async def send_and_note(message: Message) -> None:
            nonlocal status, seconds
            status = message.get("status", status)
            if message["type"] == "http.response.start":
                message["headers"] = [*message.get("headers", ()), request_id]
                if self._is_draining():  # the client's next request goes to another process
                    message["headers"].append((b"connection", b"close"))
            if message["type"] == "http.response.body" and not message.get("more_body", False):
                seconds = time.perf_counter() - started
                if body.is_arriving:
                    await send({**message, "more_body": True})
                    await body.discard()
                    message = {"type": "http.response.body", "body": b""}
            await send(message)

        try:
            if _is_compressed(scope):
                await respond(scope["path"], 415)(scope, receive, send_and_note)
            elif body.stated_length > self._max_body_bytes:
                await respond(scope["path"], 413)(scope, receive, send_and_note)
            else:
                await self._app(scope, body.receive, send_and_note)
        except Exception as error:  # noqa: BLE001 - the outermost handler; nothing follows it
            # An exception's text may hold a value: log only its type and where it arose.
            fields = {"fields": {"request_id": facts.request_id}}
            _LOG.error("%s at %s", type(error).__name__, _places(error), extra=fields)
            if status:
                raise RuntimeError("failed after the response had started") from None
            await respond(scope["path"], 500)(scope, receive, send_and_note)
        finally:
            seconds = seconds or time.perf_counter() - started
            self._metrics.count(scope["method"], facts.route, status, seconds)
            name_request(span, scope["method"], facts.route, status, facts.prediction_ids)
            _ACCESS.info(
                "%s %s %d %.1f ms",
                scope["method"],
                facts.route,
                status,
                1_000 * seconds,
                extra={"fields": facts.as_json(status, seconds)},
            )


def _is_compressed(scope: Scope) -> bool:
    """Return whether a body has a content coding: none is read here."""
    stated = (value for name, value in scope["headers"] if name == b"content-encoding")
    codings = b",".join(stated).lower().split(b",")
    return any(coding.strip() not in (b"", b"identity") for coding in codings)


class _Body:
    """The body of one request, which must be short and arrive in time."""

    def __init__(self, scope: Scope, receive: Receive, max_bytes: int) -> None:
        self._headers = dict(scope["headers"])
        self._receive, self._max_bytes = receive, max_bytes
        self._until = time.monotonic() + _SECONDS_FOR_A_BODY
        self._n_read, self._is_complete = 0, False

    @property
    def stated_length(self) -> int:
        """The number of bytes that the head states; 0 if it states none."""
        length = self._headers.get(b"content-length", b"")
        return int(length[:20]) if length.isdigit() else 0

    @property
    def is_arriving(self) -> bool:
        """Whether a part of the body is still to come, or may be."""
        # A client that expects "100 Continue" sends no body after another answer.
        has_body = self.stated_length > 0 or b"transfer-encoding" in self._headers
        return has_body and not self._is_complete and b"expect" not in self._headers

    async def receive(self) -> Message:
        """Return the next part, or raise if the body is too long or too slow."""
        if self._is_complete:  # only the end of the connection can follow
            return await self._receive()
        try:
            message = await self._next()
        except TimeoutError:
            raise BodyTooSlow from None
        if self._n_read > self._max_bytes:
            raise BodyTooLarge
        return message

    async def discard(self) -> None:
        """Read the rest while it keeps arriving, up to a length and a time."""
        try:
            while not self._is_complete and self._n_read <= _DISCARDED * self._max_bytes:
                await self._next(_SECONDS_BETWEEN_PARTS)
        except TimeoutError:
            return

    async def _next(self, seconds: float = _SECONDS_FOR_A_BODY) -> Message:
        async with asyncio.timeout(min(seconds, self._until - time.monotonic())):
            message = await self._receive()
        self._n_read += len(message.get("body", b""))
        self._is_complete = not message.get("more_body", False)
        return message


def _places(error: Exception) -> str:
    frames = traceback.extract_tb(error.__traceback__)[-3:]
    return " < ".join(f"{frame.filename}:{frame.lineno}" for frame in reversed(frames))
