"""Who is let in, and what is left on record of who is not."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx
import pytest
from sqlalchemy import select

from data_schema.errors import UsageError
from predict_requests import VALID
from serving.access import api_keys
from serving.access.exposure import check_exposure
from serving.app import create_app
from serving.audit.opening import database_of, open_trail
from serving.settings import Settings
from serving.store.tables import API_KEYS, RECORDS

if TYPE_CHECKING:
    from serving.audit.trail import AuditTrail
    from serving.prediction.served import ServedModel


@pytest.fixture(scope="module")
def settings(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    folder = tmp_path_factory.mktemp("access")
    return Settings(state_dir=folder, authentication="required")


@pytest.fixture(scope="module")
def trail(settings: Settings) -> Iterator[AuditTrail]:
    with closing(open_trail(settings)) as opened:
        yield opened


@pytest.fixture(scope="module")
def client(serve: Any, settings: Settings, mortality: ServedModel) -> httpx.Client:
    return serve(create_app(settings, models=[mortality]))


def key_of(trail: AuditTrail, *roles: str, days: int | None = None) -> tuple[str, dict[str, str]]:
    """Make a key, and return its id and the header that sends it."""
    key, text = api_keys.create(trail, "a test", roles, days=days, actor="command:a")
    return key.id, {"Authorization": f"Bearer {text}"}


def last_record(settings: Settings) -> dict[str, Any]:
    with closing(database_of(settings)) as database, database.reading() as connection:
        newest = select(RECORDS.c.body).order_by(RECORDS.c.seq.desc()).limit(1)
        body: dict[str, Any] = json.loads(connection.execute(newest).scalar_one())
        return body


def test_a_key_of_the_role_is_let_in_and_is_who_asked(
    client: httpx.Client, trail: AuditTrail, settings: Settings
) -> None:
    key_id, header = key_of(trail, "predict")
    assert client.post("/v1/predict", json=VALID, headers=header).status_code == 200
    assert last_record(settings)["actor"] == f"key:{key_id}"


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", "/v1/predict"),
        ("POST", "/v1/outcomes"),
        ("GET", "/v1/models"),
        ("GET", "/v1/variables"),
        ("GET", "/openapi.json"),
        ("GET", "/"),
        ("POST", "/fhir/RiskAssessment/$predict"),
        ("GET", "/there/is/no/such/route"),
    ],
)
def test_nobody_is_let_in_without_a_credential(
    client: httpx.Client, settings: Settings, method: str, path: str
) -> None:
    answer = client.request(method, path)
    assert answer.status_code == 401
    assert answer.headers["www-authenticate"] == "Bearer"
    record = last_record(settings)
    assert (record["action"], record["actor"], record["status"]) == (
        "denied",
        "unknown",
        "no_credential",
    )


@pytest.mark.parametrize("path", ["/health/live", "/health/ready"])
def test_a_supervisor_needs_no_credential(client: httpx.Client, path: str) -> None:
    assert client.get(path).status_code == 200


def test_a_body_is_not_read_before_it_is_known_whose_it_is(client: httpx.Client) -> None:
    answer = client.post("/v1/predict", content=b"[" * 5_000)
    assert answer.status_code == 401


@pytest.mark.parametrize(
    "header",
    [
        "Bearer",
        "Basic b3N0ZW9uOm9zdGVvbg==",
        "Bearer osteon_000000000000_" + "0" * 64,
        "Bearer osteon_' OR 1=1 --_x",
        "Bearer eyJhbGciOiJub25lIn0.eyJzdWIiOiJhIn0.",
        "Bearer \xff",
    ],
)
def test_what_is_no_key_lets_nobody_in(client: httpx.Client, header: str) -> None:
    sent = {b"Authorization": header.encode("latin-1")}
    assert client.get("/v1/models", headers=sent).status_code == 401


def test_another_secret_under_a_known_id_lets_nobody_in(
    client: httpx.Client, trail: AuditTrail, settings: Settings
) -> None:
    key_id, _ = key_of(trail, "admin")
    sent = {"Authorization": f"Bearer osteon_{key_id}_{'0' * 64}"}
    assert client.get("/v1/models", headers=sent).status_code == 401
    assert last_record(settings)["status"] == "invalid_credential"


def test_two_credentials_are_none(client: httpx.Client, trail: AuditTrail) -> None:
    _, header = key_of(trail, "admin")
    twice = [("Authorization", header["Authorization"])] * 2
    assert client.get("/v1/models", headers=twice).status_code == 401


@pytest.mark.parametrize(
    ("roles", "predict", "outcomes"),
    [
        (("predict",), 200, 403),
        (("outcomes",), 403, 422),
        (("audit",), 403, 403),
        (("predict", "outcomes"), 200, 422),
        (("admin",), 200, 422),
    ],
)
def test_a_role_opens_what_it_is_for(
    client: httpx.Client, trail: AuditTrail, roles: tuple[str, ...], predict: int, outcomes: int
) -> None:
    _, header = key_of(trail, *roles)
    assert client.post("/v1/predict", json=VALID, headers=header).status_code == predict
    assert client.post("/v1/outcomes", json={}, headers=header).status_code == outcomes
    assert client.get("/v1/models", headers=header).status_code == 200


def test_a_scraper_reads_the_counters_and_nothing_else(
    client: httpx.Client, trail: AuditTrail, settings: Settings
) -> None:
    _, scraper = key_of(trail, "metrics")
    assert client.get("/metrics", headers=scraper).status_code == 200
    for path in ("/v1/models", "/", "/openapi.json"):
        assert client.get(path, headers=scraper).status_code == 403
    assert last_record(settings)["status"] == "only_metrics"
    assert client.post("/v1/predict", json=VALID, headers=scraper).status_code == 403
    _, clinician = key_of(trail, "predict")
    assert client.get("/metrics", headers=clinician).status_code == 403
    _, both = key_of(trail, "predict", "metrics")
    for path in ("/metrics", "/v1/models"):
        assert client.get(path, headers=both).status_code == 200


def test_a_revoked_key_lets_nobody_in(client: httpx.Client, trail: AuditTrail) -> None:
    key_id, header = key_of(trail, "predict")
    api_keys.revoke(trail, key_id, actor="command:a")
    assert client.get("/v1/models", headers=header).status_code == 401
    with pytest.raises(UsageError, match="id of a valid key"):
        api_keys.revoke(trail, key_id, actor="command:a")


def test_a_key_ends_by_itself(
    client: httpx.Client, trail: AuditTrail, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, header = key_of(trail, "predict", days=1)
    assert client.get("/v1/models", headers=header).status_code == 200
    monkeypatch.setattr(api_keys, "now", lambda: "2100-01-01T00:00:00.000000+00:00")
    assert client.get("/v1/models", headers=header).status_code == 401


def test_a_rotated_key_goes_on_for_a_time_of_grace(
    client: httpx.Client, trail: AuditTrail, monkeypatch: pytest.MonkeyPatch
) -> None:
    key_id, old = key_of(trail, "predict")
    _, text = api_keys.rotate(trail, key_id, grace_hours=1, actor="command:a")
    new = {"Authorization": f"Bearer {text}"}
    assert client.get("/v1/models", headers=old).status_code == 200
    assert client.get("/v1/models", headers=new).status_code == 200
    monkeypatch.setattr(api_keys, "now", lambda: "2100-01-01T00:00:00.000000+00:00")
    assert client.get("/v1/models", headers=old).status_code == 401
    assert client.get("/v1/models", headers=new).status_code == 200


def test_only_a_hash_of_a_secret_is_kept(trail: AuditTrail) -> None:
    _, header = key_of(trail, "predict")
    secret = header["Authorization"].rpartition("_")[2]
    with trail.database.reading() as connection:
        kept = [
            str(row) for table in (API_KEYS, RECORDS) for row in connection.execute(select(table))
        ]
    assert not any(secret in row for row in kept)


@pytest.mark.parametrize("roles", [(), ("predict", "root")])
def test_a_key_must_have_roles_that_exist(trail: AuditTrail, roles: tuple[str, ...]) -> None:
    with pytest.raises(UsageError, match="role must be one or more of"):
        api_keys.create(trail, "a test", roles, days=None, actor="command:a")


def test_who_asks_too_often_is_told_to_wait(
    serve: Any, tmp_path: Path, mortality: ServedModel
) -> None:
    settings = Settings(state_dir=tmp_path, authentication="required", requests_per_minute=3)
    client = serve(create_app(settings, models=[mortality]))
    with closing(open_trail(settings)) as trail:
        _, first = key_of(trail, "predict")
        _, second = key_of(trail, "predict")
    answers = [client.get("/v1/models", headers=first).status_code for _ in range(4)]
    assert answers == [200, 200, 200, 429]
    assert client.get("/v1/models", headers=second).status_code == 200


def test_a_flood_of_guesses_does_not_become_a_flood_of_records(serve: Any, tmp_path: Path) -> None:
    settings = Settings(state_dir=tmp_path, authentication="required")
    client = serve(create_app(settings))
    answers = [client.get("/v1/models").status_code for _ in range(40)]
    assert answers.count(429) >= 5
    assert last_record(settings)["seq"] == answers.count(401)


def test_behind_a_proxy_only_what_came_over_tls_is_answered(
    serve: Any, tmp_path: Path, mortality: ServedModel
) -> None:
    settings = Settings(
        state_dir=tmp_path, authentication="required", trusted_proxies=("127.0.0.1",)
    )
    client = serve(create_app(settings, models=[mortality]))
    with closing(open_trail(settings)) as trail:
        _, header = key_of(trail, "predict")
    assert client.get("/v1/models", headers=header).status_code == 403
    forwarded = header | {"X-Forwarded-Proto": "https", "X-Forwarded-For": "192.0.2.7"}
    answer = client.get("/v1/models", headers=forwarded)
    assert answer.status_code == 200
    assert answer.headers["strict-transport-security"]
    client.get("/v1/models", headers={k: v for k, v in forwarded.items() if k != "Authorization"})
    assert last_record(settings)["detail"] == {"address": "192.0.2.7"}


@pytest.mark.parametrize("host", ["osteon.example", "127.0.0.1.example", "192.0.2.7:8000"])
def test_without_authentication_another_name_for_this_machine_is_refused(
    serve: Any, tmp_path: Path, host: str
) -> None:
    client = serve(create_app(Settings(state_dir=tmp_path)))
    assert client.get("/v1/models", headers={"Host": host}).status_code == 403
    assert client.get("/v1/models", headers={"Host": "localhost:1"}).status_code == 200


def test_without_authentication_nobody_from_elsewhere_is_answered(
    serve: Any, tmp_path: Path
) -> None:
    client = serve(create_app(Settings(state_dir=tmp_path)))
    # uvicorn takes the word of a proxy on this machine.
    answer = client.get("/v1/models", headers={"X-Forwarded-For": "192.0.2.7"})
    assert answer.status_code == 403


SAFE: dict[str, Any] = {
    "authentication": "required",
    "audit_key": "a key of the tests, long enough",
    "trusted_proxies": ("192.0.2.1",),
}


@pytest.mark.parametrize(
    ("left_out", "missing"),
    [
        ("authentication", "OSTEON_AUTHENTICATION"),
        ("audit_key", "OSTEON_AUDIT_KEY"),
        ("trusted_proxies", "OSTEON_TLS_CERTIFICATE"),
    ],
)
def test_a_public_address_needs_each_of_its_guards(left_out: str, missing: str) -> None:
    wanting = Settings(**{name: value for name, value in SAFE.items() if name != left_out})
    with pytest.raises(UsageError, match=missing):
        check_exposure(wanting, "0.0.0.0", ())
    check_exposure(Settings(**SAFE), "0.0.0.0", ())


def test_a_proxy_on_this_machine_is_an_open_door_too() -> None:
    with pytest.raises(UsageError, match="OSTEON_AUTHENTICATION"):
        check_exposure(Settings(trusted_proxies=("127.0.0.1",)), "127.0.0.1", ())
    check_exposure(Settings(), "127.0.0.1", ())


def test_a_model_that_nobody_promoted_never_leaves_the_machine(mortality: ServedModel) -> None:
    from dataclasses import replace

    with pytest.raises(UsageError, match="without a gate record"):
        check_exposure(Settings(**SAFE), "0.0.0.0", [replace(mortality, promoted=False)])
    check_exposure(Settings(**SAFE), "0.0.0.0", [mortality])


def test_a_certificate_needs_its_key(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="tls_certificate"):
        Settings(tls_certificate=tmp_path / "certificate.pem")


def test_keys_are_made_listed_rotated_and_revoked_by_command(workplace: Any) -> None:
    state = {"OSTEON_STATE_DIR": str(workplace.folder / "state")}

    def keys(*arguments: str) -> Any:
        return workplace.run("keys", *arguments, **state)

    made = keys("create", "ward 7", "--role", "predict", "--role", "outcomes", "--json").json
    assert made["roles"] == ["predict", "outcomes"]
    assert keys("create", "ward 7", "--role", "root").code == 2
    rotated = keys("rotate", made["id"], "--grace-hours", "0", "--json").json
    assert rotated["name"] == "ward 7"
    assert rotated["key"] != made["key"]
    assert keys("revoke", rotated["id"]).code == 0
    assert keys("revoke", "nothing").code == 2
    listed = keys("list", "--json").json["keys"]
    assert [(key["id"], key["valid"]) for key in listed] == [
        (made["id"], False),
        (rotated["id"], False),
    ]
    assert made["key"] not in keys("list").out
    assert workplace.run("audit", "verify", **state).out.startswith(
        "The audit trail is complete: 3"
    )


@pytest.mark.parametrize("name", ["", " ", "ward 7\nosteon", "ward 7\x1b[2K", "w" * 201])
def test_a_key_has_a_name_that_a_list_can_show_in_one_line(workplace: Any, name: str) -> None:
    answer = workplace.run("keys", "create", name, "--role", "predict")
    assert answer.code == 2
    assert "name must be one line of 1 to 200 printable characters" in answer.err
    assert "ward 7" not in answer.err


@pytest.mark.parametrize(
    "arguments",
    [
        ("create", "ward 7", "--role", "predict", "--days", "9" * 30),
        ("rotate", "0" * 12, "--grace-hours", "9" * 30),
    ],
)
def test_a_key_ends_in_a_year_that_a_calendar_holds(
    workplace: Any, arguments: tuple[str, ...]
) -> None:
    answer = workplace.run("keys", *arguments)
    assert answer.code == 2
    assert arguments[-2] in answer.err
