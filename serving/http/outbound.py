"""Outbound requests: JSON in bounded time and size, only from addresses in the settings.

Redirects are not followed and proxies are not used. No part of an address is logged or shown, since
it may hold a patient's identifier.
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
from datetime import datetime
from email.utils import parsedate_to_datetime
from typing import Any
from urllib.parse import SplitResult, urlencode, urlsplit

from data_schema.errors import OutsideError
from serving.http.tracing import continue_trace, span

__all__ = ["Unreachable", "get_json", "is_allowed", "post_form", "stated_time"]

_SECONDS = 5.0
_MAX_BYTES = 8_388_608


class Unreachable(OutsideError):
    """Another server did not answer, or not as expected."""


def is_allowed(url: str) -> bool:
    """Return whether a request to an address is allowed: https, or http on this machine.

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
    """Return the JSON document at an address, read completely within `seconds`.

    Raises
    ------
    Unreachable
        If the address is not allowed, does not answer 200 in time, or the answer is too long or not
        JSON. The message does not hold the address.
    """
    return _document(url, dict(headers or {}), seconds, None)


def post_form(url: str, fields: Mapping[str, str], headers: Mapping[str, str] | None = None) -> Any:
    """Send a form to a token endpoint, and return the JSON document in reply, as `get_json`."""
    form = {"Content-Type": "application/x-www-form-urlencoded"} | dict(headers or {})
    return _document(url, form, _SECONDS, urlencode(fields).encode())


def stated_time(url: str, *, seconds: float = _SECONDS) -> datetime | None:
    """Return the time that a server states in its answer of any status, to the second.

    None if the address is not allowed, the server does not answer, or it states no time.
    """
    if not is_allowed(url):
        return None
    parts = urlsplit(url)
    connection = _connection(parts.scheme, parts.hostname or "", parts.port, seconds)
    try:
        connection.request("GET", _target(parts), headers={"Accept": "application/json"})
        stated = connection.getresponse().getheader("Date", "")
        return parsedate_to_datetime(stated)
    except (OSError, http.client.HTTPException, ValueError):
        return None
    finally:
        connection.close()


def _document(url: str, headers: dict[str, str], seconds: float, body: bytes | None) -> Any:
    from serving.http.route_classes import strict_json
    from serving.problems.details import RequestBroken  # the settings need only `is_allowed`

    if not is_allowed(url):
        raise Unreachable("The address must be https.")
    try:
        return strict_json(_body(url, headers, seconds, body))
    except (OSError, http.client.HTTPException) as error:
        raise Unreachable(f"The server did not answer ({type(error).__name__}).") from None
    except RequestBroken:
        raise Unreachable("The server must answer with JSON.") from None


def _body(url: str, headers: dict[str, str], seconds: float, form: bytes | None) -> bytes:
    if seconds <= 0:
        raise TimeoutError
    until = time.monotonic() + seconds
    parts = urlsplit(url)
    connection = _connection(parts.scheme, parts.hostname or "", parts.port, seconds)
    try:
        connection.connect()
        # The time limit of a socket restarts with every byte; this one does not.
        timer = threading.Timer(max(until - time.monotonic(), 0), _shut_down, [connection.sock])
        timer.daemon = True
        timer.start()
        try:
            method = "GET" if form is None else "POST"
            sent = {"Accept": "application/json"} | headers
            with span("outbound request"):
                continue_trace(sent)
                connection.request(method, _target(parts), body=form, headers=sent)
                answer = connection.getresponse()
            if answer.status != 200:
                raise Unreachable(f"The server must answer 200; got {answer.status}.")
            body = answer.read(_MAX_BYTES + 1)
        finally:
            timer.cancel()
    finally:
        connection.close()
    if len(body) > _MAX_BYTES:
        raise Unreachable(f"The answer must have at most {_MAX_BYTES} bytes.")
    return body


def _target(parts: SplitResult) -> str:
    """Return what a request line names: the path with its query."""
    return (parts.path or "/") + (f"?{parts.query}" if parts.query else "")


def _connection(
    scheme: str, host: str, port: int | None, seconds: float
) -> http.client.HTTPConnection:
    if scheme == "http":
        return http.client.HTTPConnection(host, port, timeout=seconds)
    context = ssl.create_default_context()
    return http.client.HTTPSConnection(host, port, timeout=seconds, context=context)


def _shut_down(sock: socket.socket | None) -> None:
    """End every wait for a socket."""
    if sock is not None:
        # Not the method of a TLS socket, which would destroy the state that another thread reads.
        with suppress(OSError):  # already closed
            socket.socket.shutdown(sock, socket.SHUT_RDWR)


def _is_plain(url: str) -> bool:
    """Return whether an address can be part of a request line without escaping."""
    return url.isascii() and url.isprintable() and " " not in url


def _is_this_machine(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
