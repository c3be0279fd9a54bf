"""A record as an electronic health record holds it, its FHIR server and keys, and a service beside.

Everything is relative to now: a patient came to intensive care thirty hours ago.
"""

from __future__ import annotations

import json
import threading
import uuid
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import replace
from datetime import datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from sqlalchemy import select

from contracts import restated
from serving.app import create_app
from serving.audit.opening import database_of
from serving.settings import Settings
from serving.store.tables import RECORDS

if TYPE_CHECKING:
    import httpx

    from serving.prediction.served import ServedModel

NOW = datetime.now().astimezone()
ADMITTED = NOW - timedelta(hours=30)
MEASURED = ADMITTED + timedelta(hours=20)
LOINC = "http://loinc.org"
ICU = {"system": "http://terminology.hl7.org/CodeSystem/v3-RoleCode", "code": "ICU"}
CODES = {
    "lactate": ("2524-7", "mmol/L", 1.4),
    "albumin": ("1751-7", "g/dL", 3.0),
    "fgf23_c": ("47855-2", "[arb'U]/mL", 410),
    "ctx_s": ("41171-0", "pg/mL", 500),
}


class Build:
    """What a call is made of."""

    now, admitted, measured, codes = NOW, ADMITTED, MEASURED, CODES

    @staticmethod
    def observation(name: str, value: float | None = None, **more: Any) -> dict[str, Any]:
        code, unit, usual = CODES[name]
        return {
            "resourceType": "Observation",
            "id": name.replace("_", "-"),
            "status": "final",
            "code": {"coding": [{"system": LOINC, "code": code}]},
            "subject": {"reference": "Patient/p1"},
            "effectiveDateTime": MEASURED.isoformat(timespec="seconds"),
            "valueQuantity": {
                "value": usual if value is None else value,
                "system": "http://unitsofmeasure.org",
                "code": unit,
            },
        } | more

    @staticmethod
    def bundle(*resources: dict[str, Any], **more: Any) -> dict[str, Any]:
        entry = [{"resource": resource} for resource in resources]
        return {"resourceType": "Bundle", "type": "searchset", "entry": entry} | more

    @staticmethod
    def patient(**more: Any) -> dict[str, Any]:
        return {
            "resourceType": "Patient",
            "id": "p1",
            "gender": "female",
            "birthDate": "1966-11-01",
            "name": [{"family": "NameSentinel"}],
        } | more

    @staticmethod
    def encounter(
        start: datetime = ADMITTED, end: datetime | None = None, **more: Any
    ) -> dict[str, Any]:
        period = {"start": start.isoformat(timespec="seconds")}
        if end:
            period["end"] = end.isoformat(timespec="seconds")
        return {
            "resourceType": "Encounter",
            "id": "e1",
            "status": "in-progress",
            "class": ICU,
            "subject": {"reference": "Patient/p1"},
            "period": period,
        } | more

    @staticmethod
    def condition(system: str, code: str) -> dict[str, Any]:
        return {
            "resourceType": "Condition",
            "subject": {"reference": "Patient/p1"},
            "code": {"coding": [{"system": system, "code": code}]},
        }

    @staticmethod
    def record(**changed: Any) -> dict[str, Any]:
        return {
            "patient": Build.patient(),
            "encounter": Build.encounter(),
            "observations": Build.bundle(*(Build.observation(name) for name in CODES)),
            "conditions": Build.bundle(Build.condition("http://hl7.org/fhir/sid/icd-10", "E11.9")),
            "comfortCare": Build.bundle(),
            "medications": Build.bundle(),
        } | changed

    @staticmethod
    def call(hook: str = "patient-view", user: str = "", **more: Any) -> dict[str, Any]:
        return {
            "hook": hook,
            "hookInstance": str(uuid.uuid4()),
            "context": {
                "userId": user or f"Practitioner/{uuid.uuid4()}",
                "patientId": "p1",
                "encounterId": "e1",
            },
            "prefetch": Build.record(),
        } | more


@pytest.fixture(scope="session")
def build() -> type[Build]:
    """Functions that make resources, records and calls."""
    return Build


OBSERVATIONS = [Build.observation(name) for name in CODES]
# Only the site itself can say that this is intensive care.
ENCOUNTER = Build.encounter(
    **{
        "class": {"code": "IMP"},
        "location": [
            {
                "location": {"reference": "Location/icu-7"},
                "period": {"start": ADMITTED.isoformat(timespec="seconds")},
            }
        ],
    }
)


class Ehr:
    """A record with a FHIR server and published keys, on a free port of this machine."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, str]] = []
        self.pages = False
        self.status = 200
        self.next_page = ""
        self.answers = threading.Event()
        self.answers.set()
        self.published: dict[str, Any] = {}
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
        threading.Thread(target=self.server.serve_forever, args=(0.02,), daemon=True).start()

    def document(self, path: str) -> Any:
        parts = urlsplit(path)
        if parts.path == "/jwks":
            return {"keys": [_jwk(name, key) for name, key in self.published.items()]}
        if parts.path == "/fhir/Observation" and self.next_page:
            return Build.bundle(link=[{"relation": "next", "url": self.next_page}])
        if parts.path == "/fhir/Observation" and self.pages and "page" not in parts.query:
            page = Build.bundle(*OBSERVATIONS[:2])
            return page | {
                "link": [{"relation": "next", "url": f"{self.url}/fhir/Observation?page=2"}]
            }
        if parts.path == "/fhir/Observation" and self.pages:
            return Build.bundle(*OBSERVATIONS[2:])
        return {
            "/fhir/Patient/p1": Build.patient(),
            "/fhir/Encounter/e1": ENCOUNTER,
            # A server that does not filter by status.
            "/fhir/Encounter": Build.bundle(
                Build.encounter(ADMITTED - timedelta(days=9), id="e0", status="finished"),
                ENCOUNTER,
            ),
            "/fhir/Observation": Build.bundle(*OBSERVATIONS),
            "/fhir/Condition": Build.bundle(),
            "/fhir/ServiceRequest": Build.bundle(),
            "/fhir/MedicationRequest": Build.bundle(),
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
    """An electronic health record that runs as long as a file of tests."""
    with closing(Ehr()) as ehr:
        yield ehr


@pytest.fixture
def ehr(running: Ehr) -> Ehr:
    """The same, as if nobody had asked it anything."""
    running.asked, running.pages, running.status, running.next_page = [], False, 200, ""
    return running


@pytest.fixture
def other_ehr() -> Iterator[Ehr]:
    """A stranger, which holds the same."""
    with closing(Ehr()) as ehr:
        yield ehr


@pytest.fixture(scope="module")
def settings(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    """A service on loopback, where nobody proves who they are."""
    return Settings(state_dir=tmp_path_factory.mktemp("cds"), public_url="https://osteon.example/")


@pytest.fixture(scope="module")
def client(
    serve: Any, settings: Settings, sure_mortality: ServedModel, sure_fracture: ServedModel
) -> httpx.Client:
    """A client of it."""
    opened: httpx.Client = serve(create_app(settings, models=[sure_mortality, sure_fracture]))
    return opened


@pytest.fixture
def less_sure(sure_mortality: ServedModel) -> Callable[[float], ServedModel]:
    """Return a function that makes the model of death unsure of what comes after a day."""

    def made(after_days: float) -> ServedModel:
        fitted = sure_mortality.loaded.risk_model
        grid, interval = fitted.contract.grid_days, fitted.contract.interval
        wide = tuple(9.0 if day > after_days else 0.0 for day in grid)
        unsure = restated(fitted, interval=replace(interval, squared_bias=wide))
        return replace(sure_mortality, loaded=replace(sure_mortality.loaded, risk_model=unsure))

    return made


@pytest.fixture
def user() -> str:
    """Somebody who has seen no card yet."""
    return f"Practitioner/{uuid.uuid4()}"


@pytest.fixture
def ask(client: httpx.Client, user: str) -> Callable[..., httpx.Response]:
    """Return a function that calls a service as that user."""

    def asked(service: str = "osteon-mortality", **more: Any) -> httpx.Response:
        hook = "patient-view" if service == "osteon-mortality" else "encounter-discharge"
        return client.post(f"/cds-services/{service}", json=Build.call(hook, user) | more)

    return asked


@pytest.fixture
def card_of(ask: Callable[..., httpx.Response]) -> Callable[..., dict[str, Any]]:
    """Return the same function, of the one card in its answer."""

    def card(*said: Any, **more: Any) -> dict[str, Any]:
        answer = ask(*said, **more)
        assert answer.status_code == 200, answer.text
        (found,) = answer.json()["cards"]
        return dict(found)

    return card


@pytest.fixture(scope="session")
def records() -> Callable[[Settings], list[dict[str, Any]]]:
    """Return a function that reads the audit trail."""

    def read(settings: Settings) -> list[dict[str, Any]]:
        with closing(database_of(settings)) as database, database.reading() as connection:
            bodies = connection.execute(select(RECORDS.c.body).order_by(RECORDS.c.seq)).scalars()
            return [json.loads(body) for body in bodies]

    return read
