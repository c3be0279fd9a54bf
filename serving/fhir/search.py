"""Searches of a FHIR server by code, with addresses short enough for every server and proxy.

Codes are stated without their system, and split into several searches. Proxies and servers refuse
addresses of some thousand characters (nginx, Tomcat and Apache at 8 KiB in all); 2,000 pass
everywhere.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

__all__ = ["MAX_ADDRESS", "split_codes"]

MAX_ADDRESS = 2_000
"""Characters that the address of a request stays below, server and parameters included."""

# What precedes the query and identifies the server and the patient; FHIR ids have 64 characters.
_SERVER_AND_PATIENT = 400


def split_codes(codes: Iterable[str], *, others: str = "") -> list[Sequence[str]]:
    """Return the codes in as few groups as fit an address, each in its order; one if there is none.

    Parameters
    ----------
    codes : iterable of str
        Codes without a system, none of which needs escaping but for its comma.
    others : str
        All else that the query holds, as it is sent.
    """
    return [
        list(group) for group in _groups(codes, MAX_ADDRESS - _SERVER_AND_PATIENT - len(others))
    ]


def _groups(codes: Iterable[str], room: int) -> Iterator[list[str]]:
    group: list[str] = []
    length = 0
    for code in codes:
        # A comma may be sent as %2C.
        needed = len(code) + 3
        if group and length + needed > room:
            yield group
            group, length = [], 0
        group.append(code)
        length += needed
    yield group
