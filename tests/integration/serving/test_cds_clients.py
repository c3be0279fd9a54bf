"""Who may call the CDS services, and what the service fetches from a client's FHIR server."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import threading
import time
import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from datetime import datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, urlsplit

import jwt
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from sqlalchemy import select

from data_schema.errors import UsageError
from serving.access import gatekeeper
from serving.app import create_app
from serving.audit.opening import database_of, open_trail
from serving.audit.retention import prune
from serving.settings import Settings, read_settings
from serving.tables import CARD_FEEDBACK, CARDS, RECORDS, USED_TOKENS

if TYPE_CHECKING:
    import httpx

    from serving.served import ServedModel

PUBLIC = "https://osteon.example"
SERVICE = "/cds-services/osteon-mortality"
ISSUER = "https://ehr.example"
RSA_KEY = rsa.generate_private_key(public_exponent=65537, key_size=2048)
EC_KEY = ec.generate_private_key(ec.SECP384R1())
STRANGER = ec.generate_private_key(ec.SECP384R1())
TOKEN = "Fhir.Token-Sentinel"
ADMITTED = datetime.now().astimezone() - timedelta(hours=30)
MEASURED = (ADMITTED + timedelta(hours=20)).isoformat(timespec="seconds")
VALUES = {
    "2524-7": (1.4, "mmol/L"),
    "1751-7": (3.0, "g/dL"),
    "47855-2": (410, "[arb'U]/mL"),
    "41171-0": (500, "pg/mL"),
}


def observations() -> list[dict[str, Any]]:
    return [
        {
            "resourceType": "Observation",
            "id": code,
            "status": "final",
            "code": {"coding": [{"system": "http://loinc.org", "code": code}]},
            "subject": {"reference": "Patient/p1"},
            "effectiveDateTime": MEASURED,
            "valueQuantity": {
                "value": value,
                "system": "http://unitsofmeasure.org",
                "code": unit,
            },
        }
        for code, (value, unit) in VALUES.items()
    ]


def bundle(*resources: dict[str, Any], **more: Any) -> dict[str, Any]:
    entry = [{"resource": resource} for resource in resources]
    return {"resourceType": "Bundle", "type": "searchset", "entry": entry} | more


PATIENT = {"resourceType": "Patient", "id": "p1", "gender": "female", "birthDate": "1966-11-01"}
ENCOUNTER = {
    "resourceType": "Encounter",
    "id": "e1",
    "status": "in-progress",
    "class": {"code": "IMP"},
    "subject": {"reference": "Patient/p1"},
    "location": [
        {
            "location": {"reference": "Location/icu-7"},
            "period": {"start": ADMITTED.isoformat(timespec="seconds")},
        }
    ],
}
# By what a template asks for.
SENT: dict[str, Any] = {
    "patient": PATIENT,
    "encounter": ENCOUNTER,
    "observations": bundle(*observations()),
    "conditions": bundle(),
    "comfortCare": bundle(),
    "medications": bundle(),
}


class Ehr:
    """A record with a FHIR server and published keys, on a free port of this machine."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, str]] = []
        self.pages = False
        self.status = 200
        self.next_page = ""
        self.answers = threading.Event()
        self.answers.set()
        self.published: dict[str, Any] = {"ec": EC_KEY, "rsa": RSA_KEY}
        ehr = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                ehr.asked.append((self.path, self.headers.get("Authorization", "")))
                ehr.answers.wait(10)
                document = ehr.document(self.path)
                is_known = document is not None
                self.send_response(
                    (ehr.status if "/fhir/" in self.path else 200) if is_known else 404
                )
                if ehr.status == 302:
                    self.send_header("Location", f"{ehr.url}/jwks")
                self.end_headers()
                self.wfile.write(json.dumps(document).encode())

            def log_message(self, *_: Any) -> None:
                """Say nothing."""

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def document(self, path: str) -> Any:
        parts = urlsplit(path)
        if parts.path == "/jwks":
            return {"keys": [_jwk(name, key) for name, key in self.published.items()]}
        if parts.path == "/fhir/Observation" and self.next_page:
            return bundle(link=[{"relation": "next", "url": self.next_page}])
        if parts.path == "/fhir/Observation" and self.pages and "page" not in parts.query:
            page = bundle(*observations()[:2])
            return page | {
                "link": [{"relation": "next", "url": f"{self.url}/fhir/Observation?page=2"}]
            }
        if parts.path == "/fhir/Observation" and self.pages:
            return bundle(*observations()[2:])
        return {
            "/fhir/Patient/p1": PATIENT,
            "/fhir/Encounter/e1": ENCOUNTER,
            "/fhir/Observation": SENT["observations"],
            "/fhir/Condition": bundle(),
            "/fhir/ServiceRequest": bundle(),
            "/fhir/MedicationRequest": bundle(),
        }.get(parts.path)

    def kinds(self) -> list[str]:
        return [urlsplit(path).path.split("/")[2] for path, _ in self.asked if "/fhir/" in path]

    def close(self) -> None:
        self.server.shutdown()
        self.server.server_close()


def _jwk(name: str, key: Any) -> dict[str, Any]:
    kind = (
        jwt.algorithms.RSAAlgorithm
        if isinstance(key, rsa.RSAPrivateKey)
        else jwt.algorithms.ECAlgorithm
    )
    return {**kind.to_jwk(key.public_key(), as_dict=True), "kid": name, "use": "sig"}


@pytest.fixture(scope="module")
def running() -> Iterator[Ehr]:
    with closing(Ehr()) as ehr:
        yield ehr


@pytest.fixture
def ehr(running: Ehr) -> Ehr:
    """The record, as if nobody had asked it anything."""
    running.asked, running.pages, running.status, running.next_page = [], False, 200, ""
    return running


@pytest.fixture(scope="module")
def open_client(
    serve: Any, running: Ehr, real_mortality: ServedModel, tmp_path_factory: pytest.TempPathFactory
) -> httpx.Client:
    """A service on loopback that may ask the record's FHIR server and nobody else."""
    settings = Settings(
        state_dir=tmp_path_factory.mktemp("open"),
        fhir_servers=(f"{running.url}/fhir/",),
        icu_locations=("Location/icu-7",),
    )
    client: httpx.Client = serve(create_app(settings, models=[real_mortality]))
    return client


@pytest.fixture(scope="module")
def settings(running: Ehr, tmp_path_factory: pytest.TempPathFactory) -> Settings:
    return Settings(
        state_dir=tmp_path_factory.mktemp("closed"),
        authentication="required",
        public_url=PUBLIC,
        cds_clients={ISSUER: f"{running.url}/jwks"},
        cds_origins=(ISSUER,),
        icu_locations=("Location/icu-7",),
    )


@pytest.fixture(scope="module")
def client(serve: Any, settings: Settings, real_mortality: ServedModel) -> httpx.Client:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(gatekeeper, "_FAILURES_PER_MINUTE", 1_000)  # the tests fail that often
        opened: httpx.Client = serve(create_app(settings, models=[real_mortality]))
    return opened


def call(**more: Any) -> dict[str, Any]:
    return {
        "hook": "patient-view",
        "hookInstance": str(uuid.uuid4()),
        "context": {
            "userId": f"Practitioner/{uuid.uuid4()}",
            "patientId": "p1",
            "encounterId": "e1",
        },
        "prefetch": SENT,
    } | more


def fetching(ehr: Ehr, **more: Any) -> dict[str, Any]:
    return (
        call(
            prefetch={},
            fhirServer=f"{ehr.url}/fhir",
            fhirAuthorization={
                "access_token": TOKEN,
                "token_type": "Bearer",
                "expires_in": 300,
                "scope": "patient/*.read",
                "subject": "osteon",
            },
        )
        | more
    )


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


def newest(settings: Settings) -> dict[str, Any]:
    with closing(database_of(settings)) as database, database.reading() as connection:
        body = select(RECORDS.c.body).order_by(RECORDS.c.seq.desc()).limit(1)
        found: dict[str, Any] = json.loads(connection.execute(body).scalar_one())
        return found


def test_what_was_not_sent_is_fetched_with_the_given_token(
    open_client: httpx.Client, ehr: Ehr
) -> None:
    answer = open_client.post(SERVICE, json=fetching(ehr))
    assert answer.status_code == 200, answer.text
    assert len(answer.json()["cards"]) == 1
    assert sorted(ehr.kinds()) == [
        "Condition",
        "Encounter",
        "MedicationRequest",
        "Observation",
        "Patient",
        "ServiceRequest",
    ]
    assert {credential for _, credential in ehr.asked} == {f"Bearer {TOKEN}"}
    (asked,) = [path for path, _ in ehr.asked if "/Observation" in path]
    query = parse_qs(urlsplit(asked).query)
    assert query["patient"] == ["p1"]
    assert "http://loinc.org|47855-2" in query["code"][0].split(",")
    assert query["date"][0].startswith("ge20")


def test_every_page_is_fetched(open_client: httpx.Client, ehr: Ehr) -> None:
    ehr.pages = True
    answer = open_client.post(SERVICE, json=fetching(ehr))
    assert "410 RU/mL" in answer.json()["cards"][0]["detail"]  # on the second page
    assert ehr.kinds().count("Observation") == 2


def test_prefetch_that_was_sent_in_part_is_fetched_whole(
    open_client: httpx.Client, ehr: Ehr
) -> None:
    part = bundle(*observations()[:1], link=[{"relation": "next", "url": "https://x.example/2"}])
    sent = fetching(ehr, prefetch=SENT | {"observations": part})
    assert len(open_client.post(SERVICE, json=sent).json()["cards"]) == 1
    assert ehr.kinds() == ["Observation"]


def test_nothing_more_is_fetched_once_there_is_a_reason_for_silence(
    open_client: httpx.Client, ehr: Ehr
) -> None:
    child = {"patient": PATIENT | {"birthDate": "2020-01-01"}}
    answer = open_client.post(SERVICE, json=fetching(ehr, prefetch=child))
    assert answer.json() == {"cards": []}
    assert ehr.asked == []


@pytest.mark.parametrize("key", sorted(SENT))
def test_what_cannot_be_had_is_answered_with_412(open_client: httpx.Client, key: str) -> None:
    sent = {name: value for name, value in SENT.items() if name != key}
    answer = open_client.post(SERVICE, json=call(prefetch=sent))
    assert answer.status_code == 412
    assert answer.json()["type"] == "urn:osteon:problem:precondition-failed"


@pytest.mark.parametrize("status", [302, 401, 404, 500])
def test_a_fhir_server_that_does_not_answer_is_a_412(
    open_client: httpx.Client, ehr: Ehr, status: int
) -> None:
    ehr.status = status
    assert open_client.post(SERVICE, json=fetching(ehr)).status_code == 412
    assert len(ehr.asked) == 1  # no redirect is followed, nothing is tried again


def test_no_other_server_is_asked_than_the_sites_own(open_client: httpx.Client, ehr: Ehr) -> None:
    with closing(Ehr()) as other:
        for server in (
            f"{other.url}/fhir",
            f"{ehr.url}/fhir/../fhir",
            f"{ehr.url}/jwks?",
            f"{ehr.url}/fhir@{urlsplit(other.url).netloc}",
            "http://169.254.169.254/latest",
            "file:///etc/passwd",
        ):
            answer = open_client.post(SERVICE, json=fetching(ehr, fhirServer=server))
            assert answer.status_code == 412, server
        ehr.next_page = f"{other.url}/fhir/Observation?page=2"
        assert open_client.post(SERVICE, json=fetching(ehr)).status_code == 412
        assert other.asked == []  # and the token stays where it belongs
        ehr.next_page = f"{ehr.url}/jwks"
        assert open_client.post(SERVICE, json=fetching(ehr)).status_code == 412
    assert not any(path == "/jwks" for path, _ in ehr.asked)


def test_a_slow_fhir_server_keeps_no_prediction_waiting(
    open_client: httpx.Client, ehr: Ehr
) -> None:
    ehr.answers.clear()
    try:
        with ThreadPoolExecutor(48) as pool:
            waiting = [
                pool.submit(open_client.post, SERVICE, json=fetching(ehr)) for _ in range(48)
            ]
            while not ehr.asked:
                time.sleep(0.01)
            time.sleep(0.2)  # so that all of them have come
            assert open_client.get("/v1/models").status_code == 200
            assert not any(one.done() for one in waiting)
            ehr.answers.set()
            assert {one.result().status_code for one in waiting} == {200}
    finally:
        ehr.answers.set()


def test_pages_without_end_are_left(open_client: httpx.Client, ehr: Ehr) -> None:
    ehr.next_page = f"{ehr.url}/fhir/Observation?page=2"
    assert open_client.post(SERVICE, json=fetching(ehr)).status_code == 412
    assert ehr.kinds().count("Observation") == 10


def test_a_token_goes_with_its_server(open_client: httpx.Client, ehr: Ehr) -> None:
    sent = {name: one for name, one in fetching(ehr).items() if name != "fhirServer"}
    answer = open_client.post(SERVICE, json=sent)
    assert answer.status_code == 422
    assert TOKEN not in answer.text


@pytest.mark.parametrize(("key", "alg"), [(EC_KEY, "ES384"), (RSA_KEY, "RS384")])
def test_a_client_that_the_site_knows_is_let_in_and_is_who_asked(
    client: httpx.Client, settings: Settings, running: Ehr, key: Any, alg: str
) -> None:
    header = signed(key, alg, {"jku": f"{running.url}/jwks"})
    answer = client.post(SERVICE, json=call(), headers=header)
    assert answer.status_code == 200
    assert len(answer.json()["cards"]) == 1
    record = newest(settings)
    assert (record["action"], record["actor"]) == ("card", f"cds:{ISSUER}")


def test_a_token_may_be_meant_for_several(client: httpx.Client) -> None:
    header = signed(aud=["https://other.example", PUBLIC + SERVICE])
    assert client.post(SERVICE, json=call(), headers=header).status_code == 200


def test_a_token_opens_nothing_else_and_another_credential_not_this(
    client: httpx.Client, settings: Settings
) -> None:
    assert client.post("/v1/predict", json={}, headers=signed()).status_code == 401
    assert client.get("/v1/models", headers=signed()).status_code == 401
    path = f"{SERVICE}/feedback"
    assert client.post(path, json={}, headers=signed()).status_code == 401  # of another address
    assert client.post(path, json={}, headers=signed(aud=PUBLIC + path)).status_code == 422
    assert client.post(SERVICE, json=call()).status_code == 401
    assert newest(settings)["status"] == "no_credential"


def test_a_token_is_taken_once(client: httpx.Client, settings: Settings) -> None:
    header = signed()
    assert client.post(SERVICE, json=call(), headers=header).status_code == 200
    for _ in range(2):
        answer = client.post(SERVICE, json=call(), headers=header)
        assert answer.status_code == 401
    assert newest(settings)["status"] == "invalid_credential"
    jti = str(uuid.uuid4())
    assert client.post(SERVICE, json=call(), headers=signed(jti=jti)).status_code == 200
    assert client.post(SERVICE, json=call(), headers=signed(jti=jti)).status_code == 401


def test_tokens_that_nobody_could_use_again_are_forgotten(
    client: httpx.Client, settings: Settings
) -> None:
    with closing(database_of(settings)) as database:
        with database.writing() as connection:
            connection.execute(USED_TOKENS.insert().values(token="old", expires=1_000_000_000))
        assert client.post(SERVICE, json=call(), headers=signed()).status_code == 200
        with database.reading() as connection:
            kept = connection.execute(select(USED_TOKENS.c.token)).scalars().all()
    assert kept
    assert "old" not in kept
    assert all(len(token) == 64 for token in kept)  # hashes


def test_cards_feedback_and_tokens_stand_on_either_database(
    serve: Any, running: Ehr, tmp_path: Path, database_url: str, real_mortality: ServedModel
) -> None:
    settings = Settings(
        state_dir=tmp_path / "state",
        database_url=database_url,
        authentication="required",
        public_url=PUBLIC,
        cds_clients={ISSUER: f"{running.url}/jwks"},
        icu_locations=("Location/icu-7",),
    )
    client = serve(create_app(settings, models=[real_mortality]))
    once, asked = signed(), call()
    (card,) = client.post(SERVICE, json=asked, headers=once).json()["cards"]
    assert client.post(SERVICE, json=asked, headers=once).status_code == 401
    assert client.post(SERVICE, json=asked, headers=signed()).json() == {"cards": []}
    said = {"card": card["uuid"], "outcome": "overridden", "outcomeTimestamp": MEASURED}
    path = f"{SERVICE}/feedback"
    answer = client.post(path, json={"feedback": [said]}, headers=signed(aud=PUBLIC + path))
    assert answer.status_code == 200
    with closing(open_trail(settings)) as trail:
        assert prune(trail, older_than_days=0, actor="command:a") == 5
        with trail.database.reading() as connection:
            for table in (CARDS, CARD_FEEDBACK):
                assert connection.execute(select(table)).all() == []


NOW = int(time.time())


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
    client: httpx.Client, changed: dict[str, Any]
) -> None:
    try:
        header = signed(**changed)
    except TypeError:  # PyJWT makes no token of an issuer that is a list
        said = bare(json.dumps(claims(**changed)).encode())
        header = {"Authorization": f"Bearer {bare(b'{}')}.{said}.AAAA"}
    assert client.post(SERVICE, json=call(), headers=header).status_code == 401


def test_a_forged_token_opens_nothing(client: httpx.Client) -> None:
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
        assert client.post(SERVICE, json=call(), headers=header).status_code == 401


def test_discovery_is_open_and_without_clients_nothing_else_is(
    serve: Any, tmp_path: Path, client: httpx.Client
) -> None:
    assert client.get("/cds-services").status_code == 200
    closed = serve(create_app(Settings(state_dir=tmp_path, authentication="required")))
    assert closed.get("/cds-services").status_code == 200
    assert closed.post(SERVICE, json=call(), headers=signed()).status_code == 401


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
