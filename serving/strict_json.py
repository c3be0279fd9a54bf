"""JSON as a standard has it, and no more: no NaN, no key twice, no depth without end."""

from __future__ import annotations

import json
from collections.abc import Callable, Coroutine
from typing import Any, NoReturn

from fastapi import Request, Response
from fastapi.routing import APIRoute

from serving.problems import FieldProblem, RequestBroken

__all__ = ["StrictRoute", "json_body", "strict_json"]


def strict_json(body: bytes) -> Any:
    """Return the document of a body.

    Parameters
    ----------
    body : bytes
        UTF-8.

    Returns
    -------
    Any

    Raises
    ------
    RequestBroken
        Rule `json`, if it is no JSON of RFC 8259, or an object has one key twice.

    Examples
    --------
    >>> strict_json(b'{"a": 1.5}')
    {'a': 1.5}
    """
    try:
        return _loaded(body, parse_constant=_no_number)
    except (ValueError, RecursionError):  # UnicodeDecodeError and JSONDecodeError are ValueErrors
        message = "body must be one valid JSON document."
        raise RequestBroken([FieldProblem(field="body", rule="json", message=message)]) from None


async def json_body(request: Request) -> Any:
    """Return the document of a request; a dependency of routes that check it themselves."""
    return strict_json(await request.body())


class StrictRoute(APIRoute):
    """A route that refuses a body in which an object has one key twice.

    Two readers of such a body may each believe another value.
    """

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """Return what answers a request."""
        answer = super().get_route_handler()

        async def strictly(request: Request) -> Response:
            return await answer(_StrictRequest(request.scope, request.receive))

        return strictly


class _StrictRequest(Request):
    async def json(self) -> Any:
        # NaN and Infinity pass here: the contract names the field that holds one.
        return _loaded(await self.body())


def _loaded(body: bytes, **options: Any) -> Any:
    found = json.loads(body, object_pairs_hook=_once, **options)
    if b"\\u" in body:
        # Half of a surrogate pair is an escape that stands for no character: nothing can write it.
        json.dumps(found, ensure_ascii=False).encode()
    return found


def _no_number(_: str) -> NoReturn:
    raise ValueError("NaN and Infinity are not JSON")


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise ValueError("a key stands twice")
    return found
