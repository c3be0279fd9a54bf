"""JSON as in RFC 8259: no NaN, no repeated key, limited depth and width; and the route for it.

A large document is parsed on a thread of its own, one at a time, so that a process that reads some
still answers health checks.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Coroutine
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any, NoReturn

from fastapi import Request, Response
from fastapi.routing import APIRoute

from serving.problems.details import FieldProblem, RequestBroken

__all__ = ["MAX_MEMBERS", "StrictRoute", "json_body", "strict_json"]

MAX_MEMBERS = 200
"""How many members one object may have; no contract and no FHIR resource has half as many."""

_LARGE_BYTES = 16_384
_PARSING = ThreadPoolExecutor(1, "json")


def strict_json(body: bytes) -> Any:
    """Return the JSON document that a body in UTF-8 holds.

    Raises
    ------
    RequestBroken
        Rule `json`, if the body is not JSON as in RFC 8259, or an object repeats a key; rule
        `too_many`, if an object has more than `MAX_MEMBERS` members.

    Examples
    --------
    >>> strict_json(b'{"a": 1.5}')
    {'a': 1.5}
    """
    try:
        return _parsed(body, _reject_constant)
    except (ValueError, RecursionError):  # UnicodeDecodeError and JSONDecodeError are ValueErrors
        message = "body must be one valid JSON document."
        raise RequestBroken([FieldProblem(field="body", rule="json", message=message)]) from None


async def json_body(request: Request) -> Any:
    """Return the JSON document of a request, for routes that validate it themselves."""
    return await _on_thread(strict_json, await request.body())


class StrictRoute(APIRoute):
    """A route that rejects a body in which an object repeats a key.

    Two readers of such a body may each take another value as the right one.
    """

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """Return the handler of a request."""
        handle = super().get_route_handler()

        async def handle_strictly(request: Request) -> Response:
            return await handle(_StrictRequest(request.scope, request.receive))

        return handle_strictly


class _StrictRequest(Request):
    async def json(self) -> Any:
        # NaN and Infinity pass here: validation then names the field that holds the value.
        return await _on_thread(_parsed, await self.body())


async def _on_thread(parse: Callable[[bytes], Any], body: bytes) -> Any:
    """Parse a body: a large one on the thread for them, since it takes the time of many others."""
    if len(body) < _LARGE_BYTES:
        return parse(body)
    return await asyncio.get_running_loop().run_in_executor(_PARSING, partial(parse, body))


def _parsed(body: bytes, parse_constant: Callable[[str], float] | None = None) -> object:
    document = json.loads(
        body, object_pairs_hook=_without_repeated_keys, parse_constant=parse_constant
    )
    if b"\\u" in body:
        # An escape of half a surrogate pair stands for no character and cannot be written again.
        json.dumps(document, ensure_ascii=False).encode()
    return document


def _reject_constant(_: str) -> NoReturn:
    raise ValueError("NaN and Infinity are not JSON")


def _without_repeated_keys(pairs: list[tuple[str, object]]) -> dict[str, object]:
    if len(pairs) > MAX_MEMBERS:
        message = f"body must not have an object with more than {MAX_MEMBERS} members."
        raise RequestBroken([FieldProblem(field="body", rule="too_many", message=message)])
    members = dict(pairs)
    if len(members) < len(pairs):
        raise ValueError("an object repeats a key")
    return members
