"""Sessions of who is signed in: how long they last, and who cannot take them over."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import pytest
from sqlalchemy import select

from predict_requests import VALID
from serving.access import sealed
from serving.settings import Settings
from signing_in import HTML, Trail, approve, begin, csrf, session_cookie, sign_in


def test_a_session_that_somebody_planted_is_never_taken_over(client: httpx.Client) -> None:
    planted = "ab" * 32
    client.cookies.set("osteon-session", planted)
    answer = sign_in(client)
    assert answer.status_code == 303
    assert planted not in answer.headers["set-cookie"]
    with httpx.Client(base_url=client.base_url, cookies={"osteon-session": planted}) as thief:
        assert thief.get("/v1/models").status_code == 401


def test_signing_in_again_ends_the_session_before(client: httpx.Client, trail_of: Trail) -> None:
    sign_in(client)
    before = session_cookie(client)
    sign_in(client)
    assert session_cookie(client) != before
    with httpx.Client(base_url=client.base_url, cookies={"osteon-session": before}) as old:
        assert old.get("/v1/models").status_code == 401
    assert [(one["action"], one["status"]) for one in trail_of()][:3] == [
        ("sign_in", "ok"),
        ("sign_out", "replaced"),
        ("sign_in", "ok"),
    ]


def test_a_request_that_another_site_makes_is_refused(
    client: httpx.Client, trail_of: Trail
) -> None:
    sign_in(client)
    wrong = [{}, {"x-csrf-token": ""}, {"x-csrf-token": "0" * 64}]
    for headers in wrong:
        assert client.post("/v1/predict", json=VALID, headers=headers).status_code == 403
        assert client.post("/page/entries", json=VALID, headers=headers).status_code == 403
        assert client.post("/sign-out", headers=headers).status_code == 403
    assert client.get("/v1/models").status_code == 200
    denied = [one for one in trail_of() if one["action"] == "denied"]
    assert {one["status"] for one in denied} == {"csrf"}
    assert len(denied) == 9


def test_the_token_of_one_session_is_none_of_another(client: httpx.Client) -> None:
    sign_in(client)
    before = csrf(client)
    sign_in(client)
    assert client.post("/v1/predict", json=VALID, headers=before).status_code == 403


def test_an_unused_session_ends_and_so_does_an_old_one(
    client: httpx.Client, trail_of: Trail, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = sealed._now
    later = 0

    def now() -> int:
        return real() + later

    monkeypatch.setattr(sealed, "_now", now)
    sign_in(client)
    for minutes in range(14, 12 * 60, 14):  # always used within the idle time
        later = 60 * minutes
        assert client.get("/v1/models").status_code == 200
    later = 12 * 3_600 + 1
    assert client.get("/v1/models").status_code == 401
    sign_in(client)
    later += 15 * 60 + 1
    assert client.get("/", headers=HTML).status_code == 303
    assert client.get("/v1/models").status_code == 401
    ended = [one["status"] for one in trail_of() if one["action"] == "sign_out"]
    assert ended == ["lifetime", "idle"]


def test_a_sign_in_that_takes_too_long_is_begun_again(
    client: httpx.Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    back = approve(begin(client))
    real = sealed._now
    monkeypatch.setattr(sealed, "_now", lambda: real() + 601)
    answer = client.get(back)
    assert answer.status_code == 403
    assert "took too long" in answer.text


def test_every_worker_knows_every_session(
    service: Callable[..., tuple[httpx.Client, Settings]],
) -> None:
    first, settings = service()
    second, _ = service(public_url=settings.public_url)
    url = begin(second)
    first.cookies.update(second.cookies)
    assert first.get(approve(url)).status_code == 303
    second.cookies.update(first.cookies)
    assert second.post("/v1/predict", json=VALID, headers=csrf(first)).status_code == 200
    assert second.post("/sign-out", headers=csrf(second)).status_code == 200
    assert first.get("/v1/models").status_code == 401


def test_over_https_the_cookies_are_bound_to_the_host_and_out_of_reach_of_scripts(
    service: Callable[..., tuple[httpx.Client, Settings]],
) -> None:
    client, _ = service(public_url="https://osteon.example")
    begun = client.get("/sign-in")
    pending = begun.headers["set-cookie"]
    assert pending.startswith("__Host-osteon-sign-in-")
    back = urlsplit(approve(begun.headers["location"]))
    assert back.netloc == "osteon.example"
    name, _, value = pending.partition(";")[0].partition("=")
    # httpx keeps Secure cookies back from http, as a browser does.
    answer = client.get(f"{back.path}?{back.query}", headers={"Cookie": f"{name}={value}"})
    assert answer.status_code == 303
    [session] = [
        one
        for one in answer.headers.get_list("set-cookie")
        if one.startswith("__Host-osteon-session=")
    ]
    for cookie in (pending, session):
        flags = {flag.strip().lower() for flag in cookie.split(";")[1:]}
        assert {"secure", "httponly", "samesite=lax", "path=/"} <= flags
        assert not any(flag.startswith("domain") for flag in flags)
    assert "max-age" not in session.lower()


def test_the_database_alone_opens_no_session_and_says_nothing_of_one(
    client: httpx.Client, folder: Path
) -> None:
    from contextlib import closing

    from serving.audit.opening import database_of
    from serving.store.tables import SEALED

    sign_in(client)
    secret = session_cookie(client) or ""
    with (
        closing(database_of(Settings(state_dir=folder))) as database,
        database.reading() as connection,
    ):
        rows = connection.execute(select(SEALED)).all()
    assert rows
    assert secret not in str(rows)
    assert "clinician-7" not in str(rows)
    for row in rows:
        with httpx.Client(base_url=client.base_url, cookies={"osteon-session": row.id}) as thief:
            assert thief.get("/v1/models").status_code == 401
