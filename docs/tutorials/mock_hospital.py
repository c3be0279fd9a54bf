"""A hospital's systems in one file, to try Osteon with: an EHR, and a sign-in provider.

    python mock_hospital.py cards http://localhost:8123 cohort.csv
    python mock_hospital.py predict http://localhost:8123 [KEY]
    python mock_hospital.py provider 8130

`cards` opens the charts of simulated patients (CDS Hooks `patient-view`) until a card is shown, and
sets it aside. `predict` sends the results of a woman as a Bundle to the FHIR operation, with an API
key if one is given. `provider` is an OpenID Connect provider whose only user may ask for
predictions. None of it is for a network.
"""

from __future__ import annotations

import base64
import hashlib
import json
import secrets
import sys
import time
import urllib.request
import uuid
from datetime import datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, parse_qsl, urlencode, urlsplit

import jwt
import pandas as pd
from cryptography.hazmat.primitives.asymmetric import rsa

from data_schema.biomarkers import VARIABLES

_ICU = {"system": "http://terminology.hl7.org/CodeSystem/v3-RoleCode", "code": "ICU"}


_RESULTS = {
    "kappa_free": ("urn:osteon:codes", "mg/dL", 2.6),
    "lambda_free": ("urn:osteon:codes", "mg/dL", 2.1),
    "creatinine": ("http://loinc.org", "mg/dL", 1.2),
}
"""What a laboratory found in the blood of the woman whose record `predict` sends."""


def post(url: str, document: Any, *, key: str = "") -> Any:
    """Send JSON and return the JSON that is answered."""
    headers = {"Content-Type": "application/json"}
    if key:
        headers["Authorization"] = f"Bearer {key}"
    request = urllib.request.Request(url, json.dumps(document).encode(), headers)
    with urllib.request.urlopen(request) as answer:
        return json.load(answer)


class Record:
    """The record of one patient, thirty hours after admission to intensive care."""

    def __init__(self, row: pd.Series, patient: str) -> None:
        now = datetime.now().astimezone()
        self.admitted = now - timedelta(hours=30)
        born = now - timedelta(days=365.25 * float(row["age"]))
        self.patient = {
            "resourceType": "Patient",
            "id": patient,
            "gender": row["sex"],
            "birthDate": born.date().isoformat(),
        }
        self.encounter = {
            "resourceType": "Encounter",
            "id": "e1",
            "status": "in-progress",
            "class": _ICU,
            "subject": {"reference": f"Patient/{patient}"},
            "period": {"start": self.admitted.isoformat(timespec="seconds")},
        }
        self.observations = [
            self._observation(name, float(row[name]))
            for name in row.index
            if name in VARIABLES and name != "age" and VARIABLES[name].kind == "number"
            if not pd.isna(row[name])
        ]

    def _observation(self, name: str, value: float) -> dict[str, Any]:
        unit, code = VARIABLES[name].unit, VARIABLES[name].codes[0]
        taken = self.admitted + timedelta(hours=20)
        quantity = {"value": value, "system": "http://unitsofmeasure.org", "code": unit}
        return {
            "resourceType": "Observation",
            "id": name.replace("_", "-"),
            "status": "final",
            "code": {"coding": [{"system": code.system, "code": code.code}]},
            "subject": {"reference": f"Patient/{self.patient['id']}"},
            "effectiveDateTime": taken.isoformat(timespec="seconds"),
            "valueQuantity": quantity,
        }

    def prefetch(self, templates: dict[str, str]) -> dict[str, Any]:
        """Answer the templates of a CDS service, as an EHR's FHIR server would."""
        return {
            key: self._answer(template.replace("{{context.patientId}}", self.patient["id"]))
            for key, template in templates.items()
            if "{{" not in template.replace("{{context.patientId}}", "")
        }

    def _answer(self, address: str) -> dict[str, Any]:
        parts = urlsplit(address)
        if parts.path.startswith("Patient/"):
            return self.patient
        found: list[dict[str, Any]] = []
        if parts.path == "Encounter":
            found = [self.encounter]
        elif parts.path == "Observation":
            codes = set(parse_qs(parts.query)["code"][0].split(","))
            found = [one for one in self.observations if one["code"]["coding"][0]["code"] in codes]
        entry = [{"resource": resource} for resource in found]
        return {"resourceType": "Bundle", "type": "searchset", "entry": entry}


def records(path: str) -> list[Record]:
    """Return the records of a cohort, those with most results first."""
    cohort = pd.read_csv(path)
    order = cohort.notna().sum(axis=1).sort_values(ascending=False, kind="stable").index
    return [Record(cohort.loc[index], f"p{number}") for number, index in enumerate(order)]


def show_card(url: str, path: str) -> None:
    """Open charts until there is a card; print it, and set it aside."""
    with urllib.request.urlopen(f"{url}/cds-services") as answer:
        services = {one["id"]: one for one in json.load(answer)["services"]}
    service = f"{url}/cds-services/osteon-mortality"
    for number, record in enumerate(records(path), 1):
        hook = {
            "hook": "patient-view",
            "hookInstance": str(uuid.uuid4()),
            "context": {"userId": "Practitioner/1", "patientId": record.patient["id"]},
            "prefetch": record.prefetch(services["osteon-mortality"]["prefetch"]),
        }
        answered = post(service, hook)
        if answered["cards"]:
            break
        silence = answered["extension"]["osteon"]["noCard"]
        print(f"chart {number}: no card ({silence['reason']}). {silence['message']}")
    else:
        sys.exit("No chart gave a card.")
    (card,) = answered["cards"]
    print(f"chart {number}: {card['summary']}\n\n{card['detail']}\n")
    reason = card["overrideReasons"][0]
    feedback = {
        "card": card["uuid"],
        "outcome": "overridden",
        "overrideReason": {"reason": {"system": reason["system"], "code": reason["code"]}},
        "outcomeTimestamp": datetime.now().astimezone().isoformat(timespec="seconds"),
    }
    request = urllib.request.Request(
        f"{service}/feedback",
        json.dumps({"feedback": [feedback]}).encode(),
        {"Content-Type": "application/json"},
    )
    urllib.request.urlopen(request).close()
    print(f"The card was set aside: {reason['display']}.")


def predict(url: str, key: str = "") -> None:
    """Send one record to the FHIR operation, and print the risks that it answers."""
    taken = (datetime.now().astimezone() - timedelta(hours=2)).isoformat(timespec="seconds")
    patient = {"resourceType": "Patient", "id": "p1", "gender": "female", "birthDate": "1948-03-02"}
    observations = [
        {
            "resourceType": "Observation",
            "id": name.replace("_", "-"),
            "status": "final",
            "code": {"coding": [{"system": system, "code": _code(name)}]},
            "subject": {"reference": "Patient/p1"},
            "effectiveDateTime": taken,
            "valueQuantity": {"value": value, "system": "http://unitsofmeasure.org", "code": unit},
        }
        for name, (system, unit, value) in _RESULTS.items()
    ]
    bundle = {
        "resourceType": "Bundle",
        "type": "collection",
        "entry": [{"resource": resource} for resource in (patient, *observations)],
    }
    query = urlencode({"outcome": "mortality", "timeZero": taken})
    answer = post(f"{url}/fhir/RiskAssessment/$predict?{query}", bundle, key=key)
    for resource in [entry["resource"] for entry in answer.get("entry", ())] or [answer]:
        risks = [one for one in resource.get("prediction", ()) if "probabilityDecimal" in one]
        for one in risks:
            until = one["whenPeriod"]["end"][:10]
            print(f"{resource['resourceType']}: {one['probabilityDecimal']:g} % by {until}")


def _code(name: str) -> str:
    """Return the first code of a variable of the catalogue, or the name of a site's own."""
    return VARIABLES[name].codes[0].code if name in VARIABLES else name


def serve_provider(port: int) -> None:
    """Answer as an OpenID Connect provider that lets its one user in at once."""
    issuer, key = f"http://localhost:{port}", rsa.generate_private_key(65537, 2048)
    codes: dict[str, dict[str, str]] = {}

    def token(form: dict[str, str]) -> dict[str, str]:
        asked = codes.pop(form["code"])
        digest = hashlib.sha256(form["code_verifier"].encode()).digest()
        if base64.urlsafe_b64encode(digest).rstrip(b"=").decode() != asked["code_challenge"]:
            return {"error": "invalid_grant"}
        now = int(time.time())
        claims = {"iss": issuer, "sub": "clinician-7", "aud": asked["client_id"], "iat": now}
        claims |= {"exp": now + 300, "nonce": asked["nonce"], "name": "Dr. Ada Moreau"}
        claims |= {"roles": ["predict"]}
        signed = jwt.encode(claims, key, algorithm="RS256", headers={"kid": "1"})
        return {"access_token": "none", "token_type": "Bearer", "id_token": signed}

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            parts = urlsplit(self.path)
            if parts.path == "/authorize":
                asked, code = dict(parse_qsl(parts.query)), secrets.token_urlsafe(16)
                codes[code] = asked
                back = urlencode({"code": code, "state": asked["state"]})
                self.send_response(302)
                self.send_header("Location", f"{asked['redirect_uri']}?{back}")
                self.end_headers()
            elif parts.path == "/jwks":
                public = jwt.algorithms.RSAAlgorithm.to_jwk(key.public_key(), as_dict=True)
                self.send_json({"keys": [{**public, "kid": "1", "use": "sig"}]})
            else:
                names = {"authorization_endpoint": "authorize", "token_endpoint": "token"}
                names |= {"jwks_uri": "jwks"}
                places = {name: f"{issuer}/{path}" for name, path in names.items()}
                methods = {"code_challenge_methods_supported": ["S256"]}
                self.send_json({"issuer": issuer, **places, **methods})

        def do_POST(self) -> None:
            form = self.rfile.read(int(self.headers["Content-Length"])).decode()
            self.send_json(token(dict(parse_qsl(form))))

        def send_json(self, document: Any) -> None:
            self.send_response(400 if "error" in document else 200)
            self.send_header("Content-Type", "application/json")
            self.end_headers()
            self.wfile.write(json.dumps(document).encode())

        def log_message(self, *_: Any) -> None:
            """Print nothing."""

    ThreadingHTTPServer(("127.0.0.1", port), Handler).serve_forever()


def main(arguments: list[str]) -> None:
    """Run one of the three commands."""
    match arguments:
        case ["cards", url, path]:
            show_card(url, path)
        case ["predict", url]:
            predict(url)
        case ["predict", url, key]:
            predict(url, key)
        case ["provider", port]:
            serve_provider(int(port))
        case _:
            sys.exit(__doc__)


if __name__ == "__main__":
    main(sys.argv[1:])
