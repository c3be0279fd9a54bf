"""A small OpenID Connect provider that is an EHR too, and services that trust it.

It checks what real ones check: client, redirect address, PKCE, one use of a code, the access token.
"""

from __future__ import annotations

import base64
import hashlib
import json
import secrets
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO
from urllib.parse import parse_qs, parse_qsl, unquote_plus, urlencode, urlsplit

import httpx
import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from serving.access.rate import Buckets
from serving.settings import Settings

if TYPE_CHECKING:
    from serving.prediction.served import ServedModel

RSA_KEY = rsa.generate_private_key(public_exponent=65537, key_size=2048)
EC_KEY = ec.generate_private_key(ec.SECP256R1())
STRANGER = rsa.generate_private_key(public_exponent=65537, key_size=2048)


class Provider:
    """The provider; a test changes what it says by its attributes."""

    stranger = STRANGER

    def __init__(self) -> None:
        self.reset()
        self._codes: dict[str, dict[str, str]] = {}
        self.server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        self.fhir = f"{self.url}/fhir"
        threading.Thread(target=self.server.serve_forever, args=(0.02,), daemon=True).start()

    def reset(self) -> None:
        self.asked: list[str] = []
        self.claims: dict[str, Any] = {}
        self.tokens: dict[str, Any] = {}
        self.signing: tuple[Any, str, str] = (RSA_KEY, "RS256", "rsa")
        self.answer: dict[str, str] = {}
        self.secret: str | None = None
        self.about: dict[str, Any] = {}
        self.patient: dict[str, Any] = {}
        self.observations: list[dict[str, Any]] = []
        self.encounter: dict[str, Any] = {"resourceType": "Encounter", "id": "e1"}
        self.conditions: list[dict[str, Any]] = []
        self.medications: list[dict[str, Any]] = []
        self.kept_back: set[str] = set()
        self.fhir_status = 200
        self.access_token = secrets.token_urlsafe(24)

    def sign_as(self, algorithm: str) -> None:
        keys = {"RS256": (RSA_KEY, "rsa"), "ES256": (EC_KEY, "ec")}
        self.signing = (keys[algorithm][0], algorithm, keys[algorithm][1])

    def close(self) -> None:
        self.server.shutdown()
        self.server.server_close()

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        provider = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                parts = urlsplit(self.path)
                provider.asked.append(parts.path)
                query = dict(parse_qsl(parts.query))
                if parts.path == "/authorize":
                    self.redirect(provider.authorized(query))
                elif parts.path == "/end-session":
                    self.redirect(query["post_logout_redirect_uri"])
                elif parts.path.startswith("/fhir/") and "well-known" not in parts.path:
                    right = self.headers["Authorization"] == f"Bearer {provider.access_token}"
                    status = provider.fhir_status if right else 401
                    if parts.path.split("/")[2] in provider.kept_back:
                        status = 403
                    self.send(status, provider.resource(parts.path, parse_qs(parts.query)))
                else:
                    self.send(200, provider.document(parts.path))

            def do_POST(self) -> None:
                provider.asked.append(self.path)
                length = int(self.headers["Content-Length"])
                form = dict(parse_qsl(self.rfile.read(length).decode()))
                found = provider.redeemed(form, self.headers.get("Authorization"))
                self.send(400 if "error" in found else 200, found)

            def redirect(self, to: str) -> None:
                self.send_response(302)
                self.send_header("Location", to)
                self.end_headers()

            def send(self, status: int, document: Any) -> None:
                body = json.dumps(document).encode()
                self.send_response(status)
                self.send_header("Content-Type", "application/json")
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: Any) -> None:
                """Say nothing."""

        return Handler

    def document(self, path: str) -> Any:
        if path == "/jwks":
            return {"keys": [_jwk("rsa", RSA_KEY), _jwk("ec", EC_KEY)]}
        return {
            "issuer": self.url,
            "authorization_endpoint": f"{self.url}/authorize",
            "token_endpoint": f"{self.url}/token",
            "jwks_uri": f"{self.url}/jwks",
            "end_session_endpoint": f"{self.url}/end-session",
            "code_challenge_methods_supported": ["S256"],
            "capabilities": ["launch-ehr", "sso-openid-connect", "context-ehr-patient"],
        } | self.about

    def authorized(self, asked: dict[str, str]) -> str:
        assert asked["response_type"] == "code"
        assert asked["client_id"] == "osteon-page"
        assert asked["code_challenge_method"] == "S256"
        code = secrets.token_urlsafe(16)
        self._codes[code] = asked
        back = {"code": code, "state": asked["state"]} | self.answer
        return f"{asked['redirect_uri']}?{urlencode(back)}"

    def redeemed(self, form: dict[str, str], authorization: str | None) -> dict[str, Any]:
        asked = self._codes.pop(form.get("code", ""), None)
        digest = hashlib.sha256(form.get("code_verifier", "").encode()).digest()
        challenge = base64.urlsafe_b64encode(digest).rstrip(b"=").decode()
        if (
            asked is None
            or challenge != asked["code_challenge"]
            or form["redirect_uri"] != asked["redirect_uri"]
            or form["client_id"] != asked["client_id"]
        ):
            return {"error": "invalid_grant"}
        if self.secret is not None:
            sent = base64.b64decode((authorization or "").removeprefix("Basic ")).decode()
            if unquote_plus(sent) != f"osteon-page:{self.secret}":
                return {"error": "invalid_client"}
        answer = {
            "access_token": self.access_token,
            "token_type": "Bearer",
            "id_token": self.id_token(asked["nonce"]),
        }
        if "launch" in asked:
            answer |= {"patient": "p1", "encounter": "e1", "scope": asked["scope"]}
        answer |= self.tokens
        return {name: value for name, value in answer.items() if value is not None}

    def id_token(self, nonce: str) -> str:
        said = {
            "iss": self.url,
            "sub": "clinician-7",
            "aud": "osteon-page",
            "exp": int(time.time()) + 300,
            "iat": int(time.time()),
            "nonce": nonce,
            "name": "Dr. Ada Moreau",
            "roles": ["predict"],
        } | self.claims
        key, algorithm, kid = self.signing
        said = {name: value for name, value in said.items() if value is not None}
        return jwt.encode(said, key, algorithm=algorithm, headers={"kid": kid})

    def resource(self, path: str, query: dict[str, list[str]]) -> dict[str, Any]:
        if path == "/fhir/Patient/p1":
            return self.patient
        if path == "/fhir/Encounter/e1":
            return self.encounter
        if path == "/fhir/Condition":
            return self.bundle(path, query, self.conditions)
        if path == "/fhir/MedicationRequest":
            [since] = (date.removeprefix("ge") for date in query["authoredon"])
            ordered = [one for one in self.medications if one["authoredOn"] >= since]
            return self.bundle(path, query, ordered)
        codes = set(query["code"][0].split(","))
        first = min(date.removeprefix("ge") for date in query["date"] if date.startswith("ge"))
        found = [
            one
            for one in self.observations
            if codes.intersection(coding["code"] for coding in one["code"]["coding"])
            and one.get("effectiveDateTime", first) >= first
        ]
        return self.bundle(path, query, found)

    def bundle(
        self, path: str, query: dict[str, list[str]], found: list[dict[str, Any]]
    ) -> dict[str, Any]:
        """Return three of what was found, and where the next are."""
        assert query["patient"] == ["p1"]
        kind = path.removeprefix("/fhir/")
        at = int(query.get("page", ["0"])[0])
        bundle: dict[str, Any] = {
            "resourceType": "Bundle",
            "type": "searchset",
            "entry": [
                {"fullUrl": f"{self.fhir}/{kind}/{one['id']}", "resource": one}
                for one in found[at : at + 3]
            ],
        }
        if at + 3 < len(found):
            again = urlencode(query | {"page": [str(at + 3)]}, doseq=True)
            bundle["link"] = [{"relation": "next", "url": f"{self.fhir}/{kind}?{again}"}]
        return bundle


def _jwk(name: str, key: Any) -> dict[str, Any]:
    kinds = jwt.algorithms.RSAAlgorithm, jwt.algorithms.ECAlgorithm
    kind = kinds[0] if isinstance(key, rsa.RSAPrivateKey) else kinds[1]
    return {**kind.to_jwk(key.public_key(), as_dict=True), "kid": name, "use": "sig"}


@pytest.fixture(scope="session")
def _provider() -> Iterator[Provider]:
    with closing(Provider()) as running:
        yield running


@pytest.fixture
def provider(_provider: Provider) -> Provider:
    """The provider as it is before a test changes anything."""
    _provider.reset()
    return _provider


@contextmanager
def _running(app: Any, settings: Settings, listener: socket.socket) -> Iterator[None]:
    from serving.processes.server import server_of

    server = server_of(app, settings)
    thread = threading.Thread(target=lambda: server.run(sockets=[listener]), daemon=True)
    thread.start()
    while not server.started:
        time.sleep(0.01)
    yield
    server.should_exit = True
    thread.join()


@contextmanager
def _service(
    provider: Provider,
    folder: Path,
    model: ServedModel,
    *,
    buckets: Buckets | None = None,
    path: str = "",
    **stated: Any,
) -> Iterator[tuple[httpx.Client, Settings]]:
    """Run a service that trusts the provider, at its own address or at a path below it."""
    from serving.app import create_app

    listener = socket.create_server(("127.0.0.1", 0))
    url = f"http://127.0.0.1:{listener.getsockname()[1]}"
    settings = Settings(
        **{
            "state_dir": folder,
            "authentication": "required",
            "public_url": url + path,
            "sign_in_issuer": provider.url,
            "sign_in_client_id": "osteon-page",
            "smart_servers": (provider.fhir,),
            "smart_client_id": "osteon-page",
        }
        | stated
    )
    with (
        _running(create_app(settings, models=[model], buckets=buckets), settings, listener),
        httpx.Client(base_url=url, timeout=60) as client,
    ):
        yield client, settings


@pytest.fixture
def service(
    provider: Provider, tmp_path: Path, mortality: ServedModel
) -> Iterator[Callable[..., tuple[httpx.Client, Settings]]]:
    """Return a function of settings that runs a service which trusts the provider.

    Services of one test have one folder and one database, as the workers of one service have.
    """
    with ExitStack() as running:
        yield lambda **stated: running.enter_context(
            _service(provider, tmp_path, mortality, **stated)
        )


@pytest.fixture(scope="session")
def _buckets(tmp_path_factory: pytest.TempPathFactory) -> Iterator[BinaryIO]:
    """The file that holds the rate limits of the service that all tests share."""
    path = tmp_path_factory.mktemp("rate") / "buckets"
    path.write_bytes(bytes(Buckets.SIZE))
    with path.open("r+b", buffering=0) as file:
        yield file


@pytest.fixture(scope="session")
def _shared(
    _provider: Provider,
    mortality: ServedModel,
    _buckets: BinaryIO,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[tuple[httpx.Client, Settings]]:
    folder, buckets = tmp_path_factory.mktemp("sign-in"), Buckets(_buckets.fileno())
    with _service(_provider, folder, mortality, buckets=buckets) as running:
        yield running


@pytest.fixture
def client(
    _shared: tuple[httpx.Client, Settings], _buckets: BinaryIO, provider: Provider
) -> Iterator[httpx.Client]:
    """A browser, so far without a session, of a service that all tests share.

    All tests come from one address. Its rate limits start anew with each test, so that no test
    depends on how fast those before it were.
    """
    _buckets.seek(0)
    _buckets.write(bytes(Buckets.SIZE))
    with httpx.Client(base_url=_shared[0].base_url, timeout=60) as browser:
        yield browser


@pytest.fixture
def folder(_shared: tuple[httpx.Client, Settings]) -> Path:
    """Where that service keeps what it keeps."""
    return _shared[1].state_dir


@pytest.fixture
def trail_of(folder: Path) -> Callable[[], list[dict[str, Any]]]:
    """Return a function that gives what a test has left in the audit trail of that service."""
    from sqlalchemy import select

    from serving.audit.opening import database_of
    from serving.store.tables import RECORDS

    def read() -> list[dict[str, Any]]:
        with (
            closing(database_of(Settings(state_dir=folder))) as database,
            database.reading() as connection,
        ):
            rows = connection.execute(select(RECORDS.c.body).order_by(RECORDS.c.seq)).scalars()
            return [json.loads(row) for row in rows]

    before = len(read())
    return lambda: read()[before:]
