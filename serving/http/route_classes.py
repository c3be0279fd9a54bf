"""JSON as a standard has it, and no more: no NaN, no key twice, no depth without end."""

from __future__ import annotations

import json
from collections.abc import Callable, Coroutine
from email.message import Message
from typing import Any, NoReturn

from fastapi import Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.routing import APIRoute
from starlette.concurrency import run_in_threadpool

from serving.problems.details import FieldProblem, RequestBroken

__all__ = ["DirectRoute", "StrictRoute", "json_body", "strict_json"]


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
    return _document(body, parse_constant=_no_number)


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


class DirectRoute(APIRoute):
    """A strict route whose endpoint takes `body`, `request` and headers, and answers in a thread.

    The framework reads the endpoint's signature and describes the route. What it would do besides
    with each request, for dependencies that such a route has none of, takes longer than to read
    the body; so the route asks the framework's fields itself, and body and rules are read in the
    thread, where a long body keeps nobody else waiting.
    """

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """Return what answers a request."""

        async def answer(request: Request) -> Response:
            return await run_in_threadpool(self._answer, request, await request.body())

        return answer

    def _answer(self, request: Request, sent: bytes) -> Response:
        assert self.body_field is not None
        given: dict[str, Any] = {}
        errors: list[Any] = []
        for field in self.dependant.header_params:
            stated = request.headers.get(field.alias)
            if stated is not None:
                given[field.name], broken = field.validate(stated, {}, loc=("header", field.alias))
                errors += broken
        if sent:
            found = _document(sent) if _is_json(request) else sent
            given["body"], broken = self.body_field.validate(found, {}, loc=("body",))
            errors += broken
        else:
            errors.append({"type": "missing", "loc": ("body",)})
        if errors:
            raise RequestValidationError(errors)
        response: Response = self.endpoint(request=request, **given)
        return response


def _is_json(request: Request) -> bool:
    stated = request.headers.get("content-type", "")
    if stated == "application/json":
        return True
    message = Message()
    message["content-type"] = stated
    subtype = message.get_content_subtype()
    return message.get_content_maintype() == "application" and (
        subtype == "json" or subtype.endswith("+json")
    )


class _StrictRequest(Request):
    async def json(self) -> Any:
        # NaN and Infinity pass here: the contract names the field that holds one.
        return _loaded(await self.body())


def _document(body: bytes, **options: Any) -> Any:
    try:
        return _loaded(body, **options)
    except (ValueError, RecursionError):  # UnicodeDecodeError and JSONDecodeError are ValueErrors
        message = "body must be one valid JSON document."
        raise RequestBroken([FieldProblem(field="body", rule="json", message=message)]) from None


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
