from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Annotated, Any

import httpx
import pytest
from fastapi import APIRouter, BackgroundTasks, Depends, FastAPI, Header, HTTPException, Request
from pydantic import BaseModel

from serving.http.route_classes import strict_json
from serving.problems.details import RequestBroken
from serving.routes import predict


@pytest.mark.parametrize(
    "body",
    [b'{"a": NaN}', b'{"a": 1, "a": 2}', b"[" * 100_000, b"\xff", b'"\\ud800"', b'{"\\uDC00a": 1}'],
)
def test_what_no_two_readers_would_read_alike_is_refused(body: bytes) -> None:
    with pytest.raises(RequestBroken, match="one valid JSON document"):
        strict_json(body)


def test_a_pair_of_escapes_is_one_character() -> None:
    assert strict_json(b'"\\ud83d\\ude00"') == "\N{GRINNING FACE}"


class _Body(BaseModel):
    value: float


def _turn_away() -> None:
    raise HTTPException(403)


def _answered(route: Callable[[APIRouter], object], **of_app: Any) -> httpx.Response:
    """Return the answer of an application with one route, of the class that predictions use."""
    router = APIRouter(route_class=predict.router.route_class)
    route(router)
    app = FastAPI(**of_app)
    app.include_router(router)

    async def answer() -> httpx.Response:
        transport = httpx.ASGITransport(app)
        async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
            return await client.post("/?days=7", json={"value": 1.0}, headers={"X-Ward": "icu-1"})

    # In a thread of its own: browser tests leave an event loop running in the main one.
    with ThreadPoolExecutor(1) as thread:
        return thread.submit(lambda: asyncio.run(answer())).result()


def _endpoint(body: _Body) -> dict[str, float]:
    return {"value": body.value}


@pytest.mark.parametrize(
    "route",
    [
        lambda router: router.post("/", dependencies=[Depends(_turn_away)])(_endpoint),
        lambda router: (
            router.dependencies.append(Depends(_turn_away)),
            router.post("/")(_endpoint),
        ),
    ],
    ids=["of the route", "of the router"],
)
def test_a_guard_of_a_route_turns_a_request_away(route: Callable[[APIRouter], object]) -> None:
    assert _answered(route).status_code == 403


def test_a_guard_of_the_application_turns_a_request_away() -> None:
    answer = _answered(
        lambda router: router.post("/")(_endpoint), dependencies=[Depends(_turn_away)]
    )
    assert answer.status_code == 403


def test_a_route_gets_every_kind_of_parameter_that_it_declares() -> None:
    done: list[str] = []

    def endpoint(
        body: _Body,
        request: Request,
        tasks: BackgroundTasks,
        given: Annotated[int, Depends(lambda: 3)],
        days: int = 0,
        x_ward: Annotated[str, Header()] = "",
    ) -> dict[str, Any]:
        tasks.add_task(done.append, "afterwards")
        return {"days": days, "ward": x_ward, "given": given, "path": request.url.path}

    answer = _answered(lambda router: router.post("/")(endpoint))
    assert answer.json() == {"days": 7, "ward": "icu-1", "given": 3, "path": "/"}
    assert done == ["afterwards"]


def test_a_query_parameter_of_the_wrong_kind_is_refused() -> None:
    def endpoint(body: _Body, days: bool) -> None:
        raise AssertionError

    assert _answered(lambda router: router.post("/")(endpoint)).status_code == 422
