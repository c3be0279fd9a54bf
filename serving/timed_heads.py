"""HTTP/1.1 as uvicorn speaks it, to a client that sends the head of its request in time.

Without this, whoever sends a byte of a header now and then keeps a connection for ever, and headers
without end fill the memory. A body that dawdles or is too long is the door's matter.
"""

from __future__ import annotations

import asyncio

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

__all__ = ["TimedHeads"]

_SECONDS_FOR_A_HEAD = 10.0
_MOST_BYTES_BESIDE_THE_BODY = 65_536

_TOO_SLOW = b"HTTP/1.1 408 Request Timeout\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"
_TOO_LARGE = (
    b"HTTP/1.1 431 Request Header Fields Too Large\r\n"
    b"Connection: close\r\nContent-Length: 0\r\n\r\n"
)


class TimedHeads(HttpToolsProtocol):
    """The protocol of one connection."""

    _too_late: asyncio.TimerHandle | None = None
    _beside_the_body = 0

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Start to wait for the first head."""
        super().connection_made(transport)
        self._wait()

    def data_received(self, data: bytes) -> None:
        """Take what has come, unless head, chunk sizes and trailers are more than anybody needs."""
        self._beside_the_body += len(data)
        super().data_received(data)
        if self._beside_the_body > _MOST_BYTES_BESIDE_THE_BODY:
            self._close(_TOO_LARGE)

    def on_message_begin(self) -> None:
        """Count anew."""
        self._beside_the_body = 0
        super().on_message_begin()

    def on_body(self, body: bytes) -> None:
        """Take a part of the body."""
        self._beside_the_body -= len(body)
        super().on_body(body)

    def on_headers_complete(self) -> None:
        """Wait no more: the head is whole."""
        self._stop()
        super().on_headers_complete()

    def on_response_complete(self) -> None:
        """Start to wait for the next head."""
        super().on_response_complete()
        self._wait()

    def connection_lost(self, exc: Exception | None) -> None:
        """Wait for nothing."""
        self._stop()
        super().connection_lost(exc)

    def _wait(self) -> None:
        if self._too_late is None and not self.pipeline:
            self._too_late = self.loop.call_later(_SECONDS_FOR_A_HEAD, self._close, _TOO_SLOW)

    def _stop(self) -> None:
        if self._too_late is not None:
            self._too_late.cancel()
            self._too_late = None

    def _close(self, answer: bytes) -> None:
        self._stop()
        if not self.transport.is_closing():
            self.transport.write(answer)
            self.transport.close()
