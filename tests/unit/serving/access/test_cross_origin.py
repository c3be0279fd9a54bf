"""What a page of another site has a browser send is refused wherever something is written."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from serving.app import create_app
from serving.settings import Settings

if TYPE_CHECKING:
    from pathlib import Path

    import httpx
    from fastapi import FastAPI

FOREIGN = "https://elsewhere.example"
EHR = "https://ehr.example"
CDS = "/cds-services/osteon-mortality"
READING = {"GET", "HEAD", "OPTIONS"}


@pytest.fixture(scope="module")
def app(tmp_path_factory: pytest.TempPathFactory) -> FastAPI:
    return _app(tmp_path_factory.mktemp("state"))


def _app(folder: Path) -> FastAPI:
    return create_app(
        Settings(state_dir=folder, public_url="https://osteon.example/osteon", cds_origins=(EHR,))
    )


@pytest.fixture(scope="module")
def client(serve: Any, app: FastAPI) -> httpx.Client:
    opened: httpx.Client = serve(app)
    return opened


def writing(app: FastAPI) -> list[tuple[str, str]]:
    return [
        (method, path.replace("{service_id}", "osteon-mortality"))
        for path, operations in app.openapi()["paths"].items()
        for method in operations
        if method.upper() not in READING
    ]


@pytest.mark.parametrize(
    "headers",
    [
        {"origin": FOREIGN},
        {"origin": "null"},
        {"sec-fetch-site": "cross-site"},
        {"sec-fetch-site": "same-site"},
        {"origin": FOREIGN, "sec-fetch-site": "cross-site", "content-type": "text/plain"},
        {"origin": FOREIGN, "content-type": "application/json"},
    ],
)
def test_a_foreign_page_writes_nothing_at_any_route(
    app: FastAPI, client: httpx.Client, headers: dict[str, str]
) -> None:
    routes = writing(app)
    assert len(routes) >= 6
    for method, path in routes:
        # Bytes, so that the client states no content type of its own.
        answer = client.request(method, path, content=json.dumps({}).encode(), headers=headers)
        assert answer.status_code == 403, (method, path)


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"origin": "(own)"},
        {"origin": "https://osteon.example"},
        {"sec-fetch-site": "same-origin", "origin": "https://of.the.proxy"},
        {"sec-fetch-site": "none"},
    ],
)
def test_the_own_page_and_programs_are_read(client: httpx.Client, headers: dict[str, str]) -> None:
    own = str(client.base_url).rstrip("/")
    sent = {name: own if value == "(own)" else value for name, value in headers.items()}
    assert client.post("/v1/predict", content=b"{}", headers=sent).status_code == 422


def test_a_stated_origin_may_call_the_cds_services_only(client: httpx.Client) -> None:
    headers = {"origin": EHR, "sec-fetch-site": "cross-site"}
    assert client.post(CDS, content=b"{}", headers=headers).status_code == 422
    assert client.post("/v1/predict", content=b"{}", headers=headers).status_code == 403


def test_a_foreign_page_may_look(client: httpx.Client) -> None:
    assert client.get("/health/live", headers={"origin": FOREIGN}).status_code == 200
