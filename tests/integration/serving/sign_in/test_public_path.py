"""The page and its sign-in behind a proxy, at a path below the host."""

from __future__ import annotations

import re
import ssl
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import httpx
import pytest

from nginx import free_port, running_nginx
from signing_in import HTML, approve

BASE = "/osteon"


class Proxy(httpx.HTTPTransport):
    """A proxy that offers the service below a path, which it removes or leaves in."""

    def __init__(self, *, removes: bool) -> None:
        super().__init__()
        self._removes = removes

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        path = request.url.path
        assert path == BASE or path.startswith(f"{BASE}/"), f"not below the public path: {path}"
        if self._removes:
            request.url = request.url.copy_with(path=path.removeprefix(BASE) or "/")
        return super().handle_request(request)


@pytest.fixture(params=["path-removed", "path-left-in", "nginx-tls"])
def browser(
    request: pytest.FixtureRequest, service: Callable[..., Any], tmp_path: Path
) -> Iterator[httpx.Client]:
    """A browser that reaches the service through a proxy."""
    with ExitStack() as running:
        if request.param == "nginx-tls":
            port = free_port()
            url = f"https://127.0.0.1:{port}"
            client, _ = service(public_url=url + BASE, trusted_proxies=("127.0.0.1",))
            address = client.base_url.netloc.decode()
            proxy = running.enter_context(
                running_nginx(
                    tmp_path / "nginx", service=address, port=port, path=BASE, removes=True
                )
            )
            context = ssl.create_default_context(cafile=str(proxy.certificate))
            behind = httpx.Client(base_url=url, verify=context, headers=HTML, timeout=60)
        else:
            client, _ = service(path=BASE)
            transport = Proxy(removes=request.param == "path-removed")
            behind = httpx.Client(
                base_url=client.base_url, transport=transport, headers=HTML, timeout=60
            )
        yield running.enter_context(behind)


def test_a_clinician_signs_in_and_comes_back_below_the_public_path(browser: httpx.Client) -> None:
    page = browser.get(f"{BASE}/facts/mortality-simulated")
    assert page.status_code == 303
    provider = browser.get(page.headers["location"])
    back = browser.get(approve(provider.headers["location"]))
    assert back.status_code == 303
    assert back.headers["location"] == f"{BASE}/facts/mortality-simulated"
    cookies = back.headers.get_list("set-cookie")
    assert all(f"Path={BASE};" in one for one in cookies)
    is_encrypted = browser.base_url.scheme == "https"
    assert all(one.startswith("__Secure-") == is_encrypted for one in cookies)
    facts = browser.get(back.headers["location"])
    assert facts.status_code == 200
    assert f'href="{BASE}/"' in facts.text
    csrf = browser.get(f"{BASE}/page/session").json()["csrf"]
    left = browser.post(f"{BASE}/sign-out", headers={"x-csrf-token": csrf})
    assert left.json()["to"].startswith("http")
    assert browser.get(f"{BASE}/").status_code == 303


def test_every_address_of_the_page_is_below_the_public_path(browser: httpx.Client) -> None:
    browser.get(approve(browser.get(f"{BASE}/sign-in").headers["location"]))
    html = browser.get(f"{BASE}/").text
    addresses = set(re.findall(r'(?:src|href)="([^"#]+)"', html))
    assert len(addresses) > 8
    files = [browser.get(address) for address in addresses]
    assert {answer.status_code for answer in files} == {200}
    # Scripts send requests only to addresses that session.js puts below the public path.
    for script in files:
        assert not re.search(r'(fetch|location\.replace)\(["`]/', script.text)


def test_an_ehr_opens_the_page_below_the_public_path(browser: httpx.Client, provider: Any) -> None:
    asked = {"iss": provider.fhir, "launch": "l1"}
    leaving = browser.get(f"{BASE}/launch", params=asked)
    assert leaving.status_code == 303
    back = browser.get(approve(leaving.headers["location"]))
    assert (back.status_code, back.headers["location"]) == (303, f"{BASE}/")
    assert browser.get(back.headers["location"]).status_code == 200
    assert browser.get(f"{BASE}/page/session").json()["has_record"] is True


def test_a_page_for_a_browser_that_is_not_signed_in_leads_back(browser: httpx.Client) -> None:
    page = browser.get(f"{BASE}/signed-out?why=idle")
    assert f'class="button" href="{BASE}/"' in page.text


def test_the_contract_names_the_public_address(browser: httpx.Client) -> None:
    browser.get(approve(browser.get(f"{BASE}/sign-in").headers["location"]))
    servers = browser.get(f"{BASE}/openapi.json").json()["servers"]
    assert servers == [{"url": f"{str(browser.base_url).rstrip('/')}{BASE}"}]


def test_the_path_is_removed_once_and_only_as_a_whole(service: Callable[..., Any]) -> None:
    client, _ = service(path=BASE)
    assert client.get(f"{BASE}/health/live").status_code == 200
    assert client.get(f"{BASE}{BASE}/health/live").status_code == 401
    assert client.get(f"{BASE}s/health/live").status_code == 401


def test_cookies_of_a_host_with_other_services_are_sent_to_the_public_path_only(
    service: Callable[..., Any],
) -> None:
    client, _ = service(public_url="https://host.example/osteon")
    pending = client.get("/sign-in").headers["set-cookie"]
    assert pending.startswith("__Secure-osteon-sign-in-")
    assert "Path=/osteon;" in pending
    assert "Secure" in pending
