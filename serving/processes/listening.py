"""The listening socket: bound at start-up, opened once there is something to serve."""

from __future__ import annotations

import errno
import socket

from data_schema.errors import OutsideError, UsageError

__all__ = ["bound", "listen"]

_NOT_HERE = frozenset({errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT})


def bound(host: str, port: int) -> socket.socket:
    """Return a socket that is bound to its address and does not listen yet; port 0 is any free one.

    Raises
    ------
    UsageError
        If the host is not an address of this machine.
    OutsideError
        If the port cannot be taken.
    """
    try:
        family, kind, proto, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
    except (OSError, UnicodeError):  # UnicodeError: a label that no host name can have
        raise UsageError(f"host must be an address of this machine; got {host!r}.") from None
    try:
        listener = socket.socket(family, kind, proto)
        try:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listener.bind(address)
        except OSError:
            listener.close()
            raise
    except OSError as error:
        if error.errno in _NOT_HERE:
            raise UsageError(f"host must be an address of this machine; got {host!r}.") from None
        raise _port_taken(port, error) from None
    return listener


def listen(listener: socket.socket) -> None:
    """Accept connections, which wait until a worker answers."""
    try:
        listener.listen()
    except OSError as error:  # another service, started at the same moment, listens there already
        raise _port_taken(listener.getsockname()[1], error) from None


def _port_taken(port: int, error: OSError) -> OutsideError:
    return OutsideError(
        f"port must be free; {port} could not be taken ({error.strerror}). Choose another."
    )
