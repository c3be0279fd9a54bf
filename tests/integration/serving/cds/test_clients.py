"""Who may call the CDS services, from where, and with which token."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import time
import uuid
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any

import jwt
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from sqlalchemy import select

from cds_answers import silence_of
from data_schema.errors import UsageError
from serving.access import gatekeeper
from serving.app import create_app
from serving.audit.opening import database_of, open_trail
from serving.audit.retention import prune
from serving.settings import Settings, read_settings
from serving.store.tables import CARD_FEEDBACK, CARDS, USED_TOKENS

if TYPE_CHECKING:
    import httpx

    from serving.prediction.served import ServedModel

PUBLIC = "https://osteon.example"
SERVICE = "/cds-services/osteon-mortality"
ISSUER = "https://ehr.example"
RSA_KEY = rsa.generate_private_key(public_exponent=65537, key_size=2048)
EC_KEY = ec.generate_private_key(ec.SECP384R1())
STRANGER = ec.generate_private_key(ec.SECP384R1())


@pytest.fixture(scope="module")
def settings(running: Any, tmp_path_factory: pytest.TempPathFactory) -> Settings:
    running.published |= {"ec": EC_KEY, "rsa": RSA_KEY}
    return Settings(
        state_dir=tmp_path_factory.mktemp("closed"),
        authentication="required",
        public_url=PUBLIC,
        cds_clients={ISSUER: f"{running.url}/jwks"},
        cds_origins=(ISSUER,),
        icu_locations=("Location/icu-7",),
    )


@pytest.fixture(scope="module")
def client(serve: Any, settings: Settings, sure_mortality: ServedModel) -> httpx.Client:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(gatekeeper, "_FAILURES_PER_MINUTE", 1_000)  # the tests fail that often
        opened: httpx.Client = serve(create_app(settings, models=[sure_mortality]))
    return opened


def claims(**changed: Any) -> dict[str, Any]:
    now = int(time.time())
    said = {
        "iss": ISSUER,
        "aud": PUBLIC + SERVICE,
        "iat": now,
        "exp": now + 300,
        "jti": str(uuid.uuid4()),
    }
    return {name: value for name, value in (said | changed).items() if value is not None}


def signed(
    key: Any = EC_KEY, alg: str = "ES384", header: dict[str, Any] | None = None, **changed: Any
) -> dict[str, str]:
    kid = "rsa" if isinstance(key, rsa.RSAPrivateKey) else "ec"
    token = jwt.encode(claims(**changed), key, algorithm=alg, headers={"kid": kid} | (header or {}))
    return {"Authorization": f"Bearer {token}"}


def bare(text: bytes) -> str:
    return base64.urlsafe_b64encode(text).rstrip(b"=").decode()


@pytest.mark.parametrize(("key", "alg"), [(EC_KEY, "ES384"), (RSA_KEY, "RS384")])
def test_a_client_that_the_site_knows_is_let_in_and_is_who_asked(
    records: Any,
    build: Any,
    client: httpx.Client,
    settings: Settings,
    running: Any,
    key: Any,
    alg: str,
) -> None:
    header = signed(key, alg, {"jku": f"{running.url}/jwks"})
    answer = client.post(SERVICE, json=build.call(), headers=header)
    assert answer.status_code == 200
    assert len(answer.json()["cards"]) == 1
    record = records(settings)[-1]
    assert (record["action"], record["actor"]) == ("card", f"cds:{ISSUER}")


def test_a_token_may_be_meant_for_several(build: Any, client: httpx.Client) -> None:
    header = signed(aud=["https://other.example", PUBLIC + SERVICE])
    assert client.post(SERVICE, json=build.call(), headers=header).status_code == 200


def test_a_token_opens_nothing_else_and_another_credential_not_this(
    records: Any, build: Any, client: httpx.Client, settings: Settings
) -> None:
    assert client.post("/v1/predict", json={}, headers=signed()).status_code == 401
    assert client.get("/v1/models", headers=signed()).status_code == 401
    path = f"{SERVICE}/feedback"
    assert client.post(path, json={}, headers=signed()).status_code == 401  # of another address
    assert client.post(path, json={}, headers=signed(aud=PUBLIC + path)).status_code == 422
    assert client.post(SERVICE, json=build.call()).status_code == 401
    assert records(settings)[-1]["status"] == "no_credential"


def test_a_token_is_taken_once(
    records: Any, build: Any, client: httpx.Client, settings: Settings
) -> None:
    header = signed()
    assert client.post(SERVICE, json=build.call(), headers=header).status_code == 200
    for _ in range(2):
        answer = client.post(SERVICE, json=build.call(), headers=header)
        assert answer.status_code == 401
    assert records(settings)[-1]["status"] == "invalid_credential"
    jti = str(uuid.uuid4())
    assert client.post(SERVICE, json=build.call(), headers=signed(jti=jti)).status_code == 200
    assert client.post(SERVICE, json=build.call(), headers=signed(jti=jti)).status_code == 401


def test_tokens_that_nobody_could_use_again_are_forgotten(
    build: Any, client: httpx.Client, settings: Settings
) -> None:
    with closing(database_of(settings)) as database:
        with database.writing() as connection:
            connection.execute(USED_TOKENS.insert().values(token="old", expires=1_000_000_000))
        assert client.post(SERVICE, json=build.call(), headers=signed()).status_code == 200
        with database.reading() as connection:
            kept = connection.execute(select(USED_TOKENS.c.token)).scalars().all()
    assert kept
    assert "old" not in kept
    assert all(len(token) == 64 for token in kept)  # hashes


def test_cards_feedback_and_tokens_stand_on_either_database(
    build: Any,
    serve: Any,
    running: Any,
    tmp_path: Path,
    database_url: str,
    sure_mortality: ServedModel,
) -> None:
    settings = Settings(
        state_dir=tmp_path / "state",
        database_url=database_url,
        authentication="required",
        public_url=PUBLIC,
        cds_clients={ISSUER: f"{running.url}/jwks"},
        icu_locations=("Location/icu-7",),
    )
    client = serve(create_app(settings, models=[sure_mortality]))
    once, asked = signed(), build.call()
    (card,) = client.post(SERVICE, json=asked, headers=once).json()["cards"]
    assert client.post(SERVICE, json=asked, headers=once).status_code == 401
    answer = client.post(SERVICE, json=asked, headers=signed())
    assert answer.json()["cards"] == [card]  # the same call again
    other_call = asked | {"hookInstance": str(uuid.uuid4())}
    assert silence_of(client.post(SERVICE, json=other_call, headers=signed())) == "seen"
    said = {
        "card": card["uuid"],
        "outcome": "overridden",
        "outcomeTimestamp": "2026-11-01T08:00:00Z",
    }
    path = f"{SERVICE}/feedback"
    # PostgreSQL keeps no NUL in a text; its refusal must not pass for a database that fails.
    for why in ({"userComment": "a\0b"}, {"reason": {"code": "a\0b", "system": "urn:x"}}):
        sent = {"feedback": [said | {"overrideReason": why}]}
        answer = client.post(path, json=sent, headers=signed(aud=PUBLIC + path))
        assert answer.status_code == 422
    assert client.get("/health/ready").status_code == 200
    answer = client.post(path, json={"feedback": [said]}, headers=signed(aud=PUBLIC + path))
    assert answer.status_code == 200
    with closing(open_trail(settings)) as trail:
        assert prune(trail, older_than_days=0, actor="command:a") == 6
        with trail.database.reading() as connection:
            for table in (CARDS, CARD_FEEDBACK):
                assert connection.execute(select(table)).all() == []


NOW = int(time.time())


def test_the_type_of_a_token_has_no_case(build: Any, client: httpx.Client) -> None:
    header = signed(header={"typ": "jwt"})
    assert client.post(SERVICE, json=build.call(), headers=header).status_code == 200


@pytest.mark.parametrize(
    "changed",
    [
        {"exp": NOW - 120},
        {"exp": NOW + 86_400},
        {"exp": None},
        {"iat": NOW + 600},
        {"iat": None},
        {"jti": None},
        {"jti": ""},
        {"jti": "j" * 513},
        {"aud": None},
        {"aud": PUBLIC},
        {"aud": f"{PUBLIC}/cds-services/osteon-fracture"},
        {"aud": f"http://127.0.0.1{SERVICE}"},
        {"iss": "https://stranger.example"},
        {"iss": None},
        {"iss": [ISSUER]},
        {"header": {"typ": "at+jwt"}},
        {"header": {"kid": "unknown"}},
        {"header": {"jku": "https://stranger.example/jwks"}},
        {"header": {"jku": ["https://stranger.example/jwks"]}},
        {"key": STRANGER},
        {"key": RSA_KEY, "alg": "RS256"},
        {"key": RSA_KEY, "alg": "PS384"},
    ],
)
def test_a_token_that_breaks_a_rule_opens_nothing(
    build: Any, client: httpx.Client, changed: dict[str, Any]
) -> None:
    try:
        header = signed(**changed)
    except TypeError:  # PyJWT makes no token of an issuer that is a list
        said = bare(json.dumps(claims(**changed)).encode())
        header = {"Authorization": f"Bearer {bare(b'{}')}.{said}.AAAA"}
    assert client.post(SERVICE, json=build.call(), headers=header).status_code == 401


def test_a_forged_token_opens_nothing(build: Any, client: httpx.Client) -> None:
    public = EC_KEY.public_key().public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    said = bare(json.dumps(claims()).encode())
    forged = [bare(b'{"alg":"none","kid":"ec","typ":"JWT"}') + f".{said}."]
    for kind in ("HS256", "HS384"):
        begun = f"{bare(json.dumps({'alg': kind, 'kid': 'ec'}).encode())}.{said}"
        digest = hashlib.sha256 if kind == "HS256" else hashlib.sha384
        forged.append(f"{begun}.{bare(hmac.digest(public, begun.encode(), digest))}")
    head, _, signature = signed()["Authorization"].removeprefix("Bearer ").split(".")
    forged += [f"{head}.{said}.{signature}", "a.b.c", f"{bare(b'[' * 20_000)}.{said}.{signature}"]
    for token in forged:
        header = {"Authorization": f"Bearer {token}"}
        assert client.post(SERVICE, json=build.call(), headers=header).status_code == 401


def test_discovery_is_open_and_without_clients_nothing_else_is(
    build: Any, serve: Any, tmp_path: Path, client: httpx.Client
) -> None:
    assert client.get("/cds-services").status_code == 200
    closed = serve(create_app(Settings(state_dir=tmp_path, authentication="required")))
    assert closed.get("/cds-services").status_code == 200
    assert closed.post(SERVICE, json=build.call(), headers=signed()).status_code == 401


def test_pages_of_the_record_may_call_and_others_may_not(client: httpx.Client) -> None:
    asks = {
        "Origin": ISSUER,
        "Access-Control-Request-Method": "POST",
        "Access-Control-Request-Headers": "authorization,content-type",
    }
    allowed = client.options(SERVICE, headers=asks)
    assert allowed.status_code == 200
    assert allowed.headers["access-control-allow-origin"] == ISSUER
    assert "authorization" in allowed.headers["access-control-allow-headers"].lower()
    assert "access-control-allow-credentials" not in allowed.headers
    refused = client.options(SERVICE, headers=asks | {"Origin": "https://evil.example"})
    assert refused.status_code == 400
    assert "access-control-allow-origin" not in refused.headers
    found = client.get("/cds-services", headers={"Origin": ISSUER})
    assert found.headers["access-control-allow-origin"] == ISSUER
    turned_away = client.post(SERVICE, headers={"Origin": ISSUER})
    assert turned_away.headers["access-control-allow-origin"] == ISSUER  # its page may read why
    elsewhere = client.options("/v1/predict", headers=asks)
    assert "access-control-allow-origin" not in elsewhere.headers


def test_a_page_outside_the_network_may_call_a_service_inside_it(client: httpx.Client) -> None:
    asks = {
        "Origin": ISSUER,
        "Access-Control-Request-Method": "POST",
        "Access-Control-Request-Headers": "authorization,content-type",
        "Access-Control-Request-Private-Network": "true",
    }
    allowed = client.options(SERVICE, headers=asks)
    assert allowed.status_code == 200
    assert allowed.headers["access-control-allow-private-network"] == "true"
    refused = client.options(SERVICE, headers=asks | {"Origin": "https://evil.example"})
    assert refused.status_code == 400
    assert "access-control-allow-origin" not in refused.headers


@pytest.mark.parametrize(
    ("name", "value", "others"),
    [
        ("OSTEON_CDS_CLIENTS", "https://a.example", {}),
        ("OSTEON_CDS_CLIENTS", "https://a.example=https://a.example/jwks", {}),
        (
            "OSTEON_CDS_CLIENTS",
            "https://a.example=http://a.example/jwks",
            {"OSTEON_AUTHENTICATION": "required", "OSTEON_PUBLIC_URL": PUBLIC},
        ),
        ("OSTEON_FHIR_SERVERS", "http://a.example/fhir", {}),
        ("OSTEON_FHIR_SERVERS", "https://a.example/fhir?x=1", {}),
    ],
)
def test_a_setting_that_would_let_anybody_in_is_refused(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str, others: dict[str, str]
) -> None:
    for key, stated in (others | {name: value}).items():
        monkeypatch.setenv(key, stated)
    with pytest.raises(UsageError, match=name) as raised:
        read_settings()
    assert "a.example" not in str(raised.value)


def test_clients_are_read_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OSTEON_AUTHENTICATION", "required")
    monkeypatch.setenv("OSTEON_PUBLIC_URL", f"{PUBLIC}/")
    monkeypatch.setenv(
        "OSTEON_CDS_CLIENTS", "https://a.example=https://a.example/jwks?x=1, b=https://b.example/k"
    )
    settings = read_settings()
    assert settings.cds_clients == {
        "https://a.example": "https://a.example/jwks?x=1",
        "b": "https://b.example/k",
    }
    assert settings.public_url == PUBLIC
