"""What the service fetches from elsewhere: JSON, in bounded time and size, from where it was told.

No redirect is followed and no proxy asked. Nothing of an address is logged or shown: it may hold a
patient's identifier.
"""

from __future__ import annotations

import http.client
import ipaddress
import socket
import ssl
import threading
import time
from collections.abc import Mapping
from contextlib import suppress
from typing import Any
from urllib.parse import urlencode, urlsplit

from data_schema.errors import OutsideError

__all__ = ["Unreachable", "get_json", "is_allowed", "post_form"]

_SECONDS = 5.0
_MAX_BYTES = 8_388_608


class Unreachable(OutsideError):
    """Something elsewhere did not answer as it must."""


def is_allowed(url: str) -> bool:
    """Return whether an address may be asked: https, or http on this very machine.

    Parameters
    ----------
    url : str

    Returns
    -------
    bool

    Examples
    --------
    >>> is_allowed("https://ehr.example/fhir"), is_allowed("http://ehr.example/fhir")
    (True, False)
    >>> is_allowed("http://127.0.0.1:8080/fhir"), is_allowed("https://user@ehr.example")
    (True, False)
    """
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname, parts.port
    except ValueError:
        return False
    if not host or parts.username is not None or parts.fragment or not _is_plain(url):
        return False
    return parts.scheme == "https" or (parts.scheme == "http" and _is_this_machine(host))


def get_json(
    url: str, headers: Mapping[str, str] | None = None, *, seconds: float = _SECONDS
) -> Any:
    """Return the JSON document at an address.

    Parameters
    ----------
    url : str
        An address that `is_allowed`.
    headers : mapping of str to str or None
    seconds : float
        How long it may take from the first byte that is sent to the last that comes.

    Returns
    -------
    Any

    Raises
    ------
    Unreachable
        If it is not allowed, does not answer 200 in time, or the answer is too long or no JSON. The
        message does not hold the address.
    """
    return _document(url, dict(headers or {}), seconds, None)


def post_form(url: str, fields: Mapping[str, str], headers: Mapping[str, str] | None = None) -> Any:
    """Send a form as a token endpoint takes it, and return the JSON document that answers.

    Parameters
    ----------
    url : str
        An address that `is_allowed`.
    fields : mapping of str to str
    headers : mapping of str to str or None

    Returns
    -------
    Any

    Raises
    ------
    Unreachable
        As `get_json`.
    """
    form = {"Content-Type": "application/x-www-form-urlencoded"} | dict(headers or {})
    return _document(url, form, _SECONDS, urlencode(fields).encode())


def _document(url: str, headers: dict[str, str], seconds: float, body: bytes | None) -> Any:
    from serving.http.route_classes import strict_json
    from serving.problems.details import RequestBroken  # the settings need only `is_allowed`

    if not is_allowed(url):
        raise Unreachable("address must be https; it is not.")
    try:
        return strict_json(_fetched(url, headers, seconds, body))
    except (OSError, http.client.HTTPException) as error:
        raise Unreachable(f"address must answer; it did not ({type(error).__name__}).") from None
    except RequestBroken:
        raise Unreachable("address must answer with JSON; it did not.") from None


def _fetched(url: str, headers: dict[str, str], seconds: float, body: bytes | None) -> bytes:
    if seconds <= 0:
        raise TimeoutError
    until = time.monotonic() + seconds
    parts = urlsplit(url)
    connection = _connection(parts.scheme, parts.hostname or "", parts.port, seconds)
    try:
        connection.connect()
        # A time limit of the socket begins anew with every byte; this one does not.
        cut = threading.Timer(max(until - time.monotonic(), 0), _cut, [connection.sock])
        cut.daemon = True
        cut.start()
        try:
            target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
            method = "GET" if body is None else "POST"
            told = {"Accept": "application/json"} | headers
            connection.request(method, target, body=body, headers=told)
            answer = connection.getresponse()
            if answer.status != 200:
                raise Unreachable(f"address must answer 200; it answered {answer.status}.")
            read = answer.read(_MAX_BYTES + 1)
        finally:
            cut.cancel()
    finally:
        connection.close()
    if len(read) > _MAX_BYTES:
        raise Unreachable("address must answer with less; it sent too much.")
    return read


def _connection(
    scheme: str, host: str, port: int | None, seconds: float
) -> http.client.HTTPConnection:
    if scheme == "http":
        return http.client.HTTPConnection(host, port, timeout=seconds)
    context = ssl.create_default_context()
    return http.client.HTTPSConnection(host, port, timeout=seconds, context=context)


def _cut(sock: socket.socket | None) -> None:
    """Make whoever waits for a socket wait no longer."""
    if sock is not None:
        # Not the method of a TLS socket, which takes apart what the other thread is reading.
        with suppress(OSError):  # closed in the meantime
            socket.socket.shutdown(sock, socket.SHUT_RDWR)


def _is_plain(url: str) -> bool:
    """Return whether an address can stand in a request's first line as it is."""
    return url.isascii() and url.isprintable() and " " not in url


def _is_this_machine(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
