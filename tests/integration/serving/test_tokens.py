"""Bearer tokens of a small OpenID Connect issuer that the test starts."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import threading
import time
from collections.abc import Iterator
from contextlib import closing
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import TYPE_CHECKING, Any

import jwt
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from pydantic import ValidationError
from sqlalchemy import select

from predict_requests import VALID
from serving.access import published_keys
from serving.app import create_app
from serving.audit.opening import database_of
from serving.settings import Settings
from serving.store.tables import RECORDS

if TYPE_CHECKING:
    import httpx

    from serving.prediction.served import ServedModel

AUDIENCE = "osteon"
RSA_KEY = rsa.generate_private_key(public_exponent=65537, key_size=2048)
EC_KEY = ec.generate_private_key(ec.SECP384R1())
STRANGER = rsa.generate_private_key(public_exponent=65537, key_size=2048)


class Issuer:
    """An issuer on a free port of this machine, which counts how often it is asked for its keys."""

    def __init__(self) -> None:
        self.keys: dict[str, Any] = {"rsa": RSA_KEY, "ec": EC_KEY}
        self.asked = 0
        self.stated_issuer: str | None = None
        issuer = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                if self.path.endswith("/jwks"):
                    issuer.asked += 1
                body = json.dumps(issuer.document(self.path)).encode()
                self.send_response(200)
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: Any) -> None:
                """Say nothing."""

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}/realm"
        threading.Thread(target=self.server.serve_forever, args=(0.02,), daemon=True).start()

    def document(self, path: str) -> Any:
        if path.endswith("/jwks"):
            return {"keys": [_jwk(name, key) for name, key in self.keys.items()]}
        return {"issuer": self.stated_issuer or self.url, "jwks_uri": f"{self.url}/jwks"}

    def close(self) -> None:
        self.server.shutdown()
        self.server.server_close()


def _jwk(name: str, key: Any) -> dict[str, Any]:
    kind = (
        jwt.algorithms.RSAAlgorithm
        if isinstance(key, rsa.RSAPrivateKey)
        else (jwt.algorithms.ECAlgorithm)
    )
    return {**kind.to_jwk(key.public_key(), as_dict=True), "kid": name, "use": "sig"}


def settings_of(issuer: Issuer, folder: Path) -> Settings:
    return Settings(
        state_dir=folder,
        authentication="required",
        oidc_issuers=(issuer.url,),
        oidc_audience=AUDIENCE,
        oidc_roles_claim="realm_access.roles",
    )


@pytest.fixture(scope="module")
def issuer() -> Iterator[Issuer]:
    with closing(Issuer()) as running:
        yield running


@pytest.fixture(scope="module")
def settings(issuer: Issuer, tmp_path_factory: pytest.TempPathFactory) -> Settings:
    return settings_of(issuer, tmp_path_factory.mktemp("tokens"))


@pytest.fixture(scope="module")
def client(serve: Any, settings: Settings, mortality: ServedModel) -> httpx.Client:
    return serve(create_app(settings, models=[mortality]))


@pytest.fixture
def other_issuer() -> Iterator[Issuer]:
    """An issuer that one test alone changes."""
    with closing(Issuer()) as running:
        yield running


@pytest.fixture
def other_client(serve: Any, other_issuer: Issuer, tmp_path: Path) -> httpx.Client:
    """A client of a service that trusts that issuer, and has asked it for nothing yet."""
    return serve(create_app(settings_of(other_issuer, tmp_path)))


def claims_of(issuer: Issuer, **changed: Any) -> dict[str, Any]:
    said = {
        "iss": issuer.url,
        "sub": "clinician-7",
        "aud": AUDIENCE,
        "exp": int(time.time()) + 300,
        "realm_access": {"roles": ["predict", "something-else"]},
    }
    return {name: value for name, value in (said | changed).items() if value is not None}


def header_of(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


def signed(
    issuer: Issuer, key: Any = RSA_KEY, kid: str = "rsa", alg: str = "RS256", **c: Any
) -> Any:
    return header_of(jwt.encode(claims_of(issuer, **c), key, algorithm=alg, headers={"kid": kid}))


def bare(text: bytes) -> str:
    return base64.urlsafe_b64encode(text).rstrip(b"=").decode()


@pytest.mark.parametrize(
    ("key", "kid", "alg"),
    [(RSA_KEY, "rsa", "RS256"), (RSA_KEY, "rsa", "PS384"), (EC_KEY, "ec", "ES384")],
)
def test_a_token_of_the_issuer_lets_its_subject_in(
    client: httpx.Client, issuer: Issuer, settings: Settings, key: Any, kid: str, alg: str
) -> None:
    answer = client.post("/v1/predict", json=VALID, headers=signed(issuer, key, kid, alg))
    assert answer.status_code == 200
    with closing(database_of(settings)) as database, database.reading() as connection:
        newest = select(RECORDS.c.body).order_by(RECORDS.c.seq.desc()).limit(1)
        body = connection.execute(newest).scalar_one()
    assert json.loads(body)["actor"] == f"oidc:{issuer.url}|clinician-7"


@pytest.mark.parametrize(
    ("roles", "status"),
    [
        ({"roles": ["predict"]}, 200),
        ({"roles": "outcomes predict"}, 200),
        ({"roles": ["outcomes"]}, 403),
        ({"roles": ["PREDICT", 1, None]}, 403),
        ({"roles": {"predict": True}}, 403),
        ("predict", 403),
        (None, 403),
    ],
)
def test_roles_come_from_the_stated_claim(
    client: httpx.Client, issuer: Issuer, roles: Any, status: int
) -> None:
    header = signed(issuer, realm_access=roles)
    assert client.post("/v1/predict", json=VALID, headers=header).status_code == status


@pytest.mark.parametrize(
    "changed",
    [
        {"exp": 1_000_000_000},
        {"nbf": 4_000_000_000},
        {"aud": "another-service"},
        {"iss": "https://issuer.example"},
        {"exp": None},
        {"aud": None},
        {"sub": None},
        {"sub": ""},
        {"sub": "s" * 201},
    ],
)
def test_a_token_that_breaks_a_rule_lets_nobody_in(
    client: httpx.Client, issuer: Issuer, changed: dict[str, Any]
) -> None:
    assert client.get("/v1/models", headers=signed(issuer, **changed)).status_code == 401


def test_a_forged_token_lets_nobody_in(client: httpx.Client, issuer: Issuer) -> None:
    public = RSA_KEY.public_key().public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    said = bare(json.dumps(claims_of(issuer)).encode())
    unsigned = bare(b'{"alg":"none","kid":"rsa"}') + f".{said}."
    # A published key used as the secret of an HMAC, which PyJWT itself refuses to make.
    begun = bare(b'{"alg":"HS256","kid":"rsa"}') + f".{said}"
    confused = f"{begun}.{bare(hmac.digest(public, begun.encode(), hashlib.sha256))}"
    good = signed(issuer)["Authorization"].removeprefix("Bearer ")
    head, _, signature = good.split(".")
    altered = bare(json.dumps(claims_of(issuer, sub="chief")).encode())
    deep = f"{bare(b'[' * 20_000)}.{bare(b'[' * 20_000)}.{signature}"
    listed = bare(json.dumps(claims_of(issuer, iss=[issuer.url])).encode())
    forged = [
        deep,
        f"{head}.{listed}.{signature}",
        unsigned,
        confused,
        f"{head}.{altered}.{signature}",
        good[:-8],
        "a.b.c",
        "..",
    ]
    assert client.get("/v1/models", headers=header_of(good)).status_code == 200
    for token in forged:
        assert client.get("/v1/models", headers=header_of(token)).status_code == 401
    assert client.get("/v1/models", headers=signed(issuer, STRANGER)).status_code == 401
    other_kind = signed(issuer, EC_KEY, "rsa", "ES384")
    assert client.get("/v1/models", headers=other_kind).status_code == 401


def test_keys_are_fetched_once_and_again_when_a_new_one_appears(
    other_client: httpx.Client, other_issuer: Issuer, monkeypatch: pytest.MonkeyPatch
) -> None:
    for _ in range(5):
        assert other_client.get("/v1/models", headers=signed(other_issuer)).status_code == 200
    assert other_issuer.asked == 1
    other_issuer.keys["new"] = STRANGER
    new = signed(other_issuer, STRANGER, "new")
    for _ in range(3):
        assert other_client.get("/v1/models", headers=new).status_code == 401
    assert other_issuer.asked == 1  # a made-up key id is no way to keep the issuer busy
    monkeypatch.setattr(published_keys, "_SECONDS_BETWEEN_FETCHES", 0)
    assert other_client.get("/v1/models", headers=new).status_code == 200
    assert other_issuer.asked == 2


def test_an_issuer_that_is_down_turns_nobody_away_whose_key_is_known(
    other_client: httpx.Client, other_issuer: Issuer, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert other_client.get("/v1/models", headers=signed(other_issuer)).status_code == 200
    monkeypatch.setattr(published_keys, "_SECONDS_VALID", 0)
    other_issuer.close()
    assert other_client.get("/v1/models", headers=signed(other_issuer)).status_code == 200


def test_an_issuer_that_was_never_reached_is_a_failure_outside(
    other_client: httpx.Client, other_issuer: Issuer
) -> None:
    other_issuer.stated_issuer = "https://another.example"
    assert other_client.get("/v1/models", headers=signed(other_issuer)).status_code == 503


def test_issuers_need_an_audience() -> None:
    with pytest.raises(ValidationError, match="oidc_issuers"):
        Settings(oidc_issuers=("https://issuer.example",))
