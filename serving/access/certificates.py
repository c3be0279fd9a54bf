"""Callers that TLS identifies by the certificate of their machine."""

from __future__ import annotations

import ssl
from collections.abc import Iterable, Sequence

from starlette.types import Scope

from serving.access.caller import Caller
from serving.settings import RoleGroup

__all__ = ["NAMES", "certificate_names", "named_caller"]

NAMES = "certificate_names"
"""Where the state of a scope holds the names in the certificate of the connection."""

# Sent by browsers, which add a certificate to requests of any site.
_OF_BROWSERS = frozenset({b"origin", b"sec-fetch-site"})


def certificate_names(connection: ssl.SSLObject) -> tuple[str, ...]:
    """Return the names in a verified certificate: DNS and URI, or the common name without any."""
    certificate = connection.getpeercert() or {}
    stated = _pairs(certificate.get("subjectAltName", ()))
    names = tuple(value for kind, value in stated if kind in ("DNS", "URI"))
    if names:
        return names
    subject = [pair for part in _tuples(certificate.get("subject", ())) for pair in _pairs(part)]
    return tuple(value for kind, value in subject if kind == "commonName")


def named_caller(scope: Scope, roles: Sequence[RoleGroup]) -> Caller | None:
    """Return the caller that the certificate of a connection identifies, or None.

    Parameters
    ----------
    roles : sequence of RoleGroup
        The names that may call, each as the `group` of its role; no other name counts.
    """
    if any(name in _OF_BROWSERS for name, _ in scope["headers"]):
        return None
    for name in scope["state"].get(NAMES, ()):
        granted = frozenset(one.role for one in roles if one.group == name)
        if granted:
            return Caller(f"tls:{name}", granted)
    return None


def _tuples(value: object) -> Iterable[object]:
    return value if isinstance(value, tuple) else ()


def _pairs(value: object) -> list[tuple[str, str]]:
    """Return the pairs of texts in a part of a certificate."""
    pairs = (pair for pair in _tuples(value) if isinstance(pair, tuple) and len(pair) == 2)
    return [(str(kind), str(text)) for kind, text in pairs]
