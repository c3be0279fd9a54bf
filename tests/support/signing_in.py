"""A clinician at the provider: each step of signing in."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import httpx

HTML = {"Accept": "text/html"}
Trail = Callable[[], list[dict[str, Any]]]


def begin(client: httpx.Client, to: str = "/") -> str:
    """Ask to sign in and return the address of the provider."""
    answer = client.get("/sign-in", params={"to": to})
    assert answer.status_code == 303
    return answer.headers["location"]


def approve(url: str) -> str:
    """Be let in at the provider and return the address to come back to."""
    return httpx.get(url).headers["location"]


def sign_in(client: httpx.Client) -> httpx.Response:
    return client.get(approve(begin(client)))


def csrf(client: httpx.Client) -> dict[str, str]:
    return {"x-csrf-token": client.get("/page/session").json()["csrf"]}


def session_cookie(client: httpx.Client) -> str | None:
    return client.cookies.get("osteon-session")
