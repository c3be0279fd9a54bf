"""uvicorn's HTTP/1.1, with a time limit for the head of a request.

Without the limit, a client that sends a byte of a header now and then keeps a connection for ever.
The time limit of a body is in `serving.http.boundary`, that of a connection between two requests in
`Settings.keep_alive_seconds`.
"""

from __future__ import annotations

import asyncio

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol

from serving.access.certificates import NAMES, PEER, certificate_names

__all__ = ["TimedHeads"]

_SECONDS_FOR_A_HEAD = 10.0

_TOO_SLOW = b"HTTP/1.1 408 Request Timeout\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"


class TimedHeads(H11Protocol):
    """The protocol of one connection."""

    _too_late: asyncio.TimerHandle | None = None
    _has_answered = False

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Note the client's address and certificate, and start to wait for the first head."""
        super().connection_made(transport)
        self.app_state = {**self.app_state, PEER: self.client[0] if self.client else ""}
        connection = transport.get_extra_info("ssl_object")
        if connection is not None:
            self.app_state = {**self.app_state, NAMES: certificate_names(connection)}
        self._watch()

    def data_received(self, data: bytes) -> None:
        """Read data; stop waiting once the head is complete."""
        super().data_received(data)
        self._watch()

    def on_response_complete(self) -> None:
        """Start to wait for the next head once its first byte is there."""
        self._has_answered = True
        super().on_response_complete()
        self._watch()

    def connection_lost(self, exc: Exception | None) -> None:
        """Stop waiting."""
        self._stop()
        super().connection_lost(exc)

    def _watch(self) -> None:
        is_between_requests = self._has_answered and not self.conn.trailing_data[0]
        if self.conn.their_state is not h11.IDLE or is_between_requests:
            self._stop()
        elif self._too_late is None:
            self._too_late = self.loop.call_later(_SECONDS_FOR_A_HEAD, self._close)

    def _stop(self) -> None:
        if self._too_late is not None:
            self._too_late.cancel()
            self._too_late = None

    def _close(self) -> None:
        if not self.transport.is_closing():
            self.transport.write(_TOO_SLOW)
            self.transport.close()
