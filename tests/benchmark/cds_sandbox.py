"""Play an EHR that shows the cards of `osteon serve --demo`, and draw them as the sandbox does.

    make demo
    MLFLOW_TRACKING_URI=sqlite:///demo/mlflow.db .venv/bin/osteon serve --demo &
    .venv/bin/python tests/benchmark/cds_sandbox.py --cohort demo/simulated.parquet --out demo/cards

Simulated patients are opened (`patient-view`, without an encounter, as the sandbox calls it) and
discharged (`encounter-discharge`), those with most scans and measurements first, until a hook
gives a card; the user then sets it aside (feedback). The record answers the prefetch templates of
the service, as a FHIR server would. Requests, answers and a picture of each card are written to the
folder; the answers and one JSON object of results are printed. Exit 1 unless both hooks give a card
with its banner and every address has under 2,000 characters.

With `--fhir-port 9000` the command then stays as the FHIR server of that EHR, and prints the
address at which the public sandbox shows the card of patient-view itself.

The picture needs Chromium (Debian: `apt install chromium`). It follows `CardList` of
github.com/cds-hooks/sandbox: summary, source and detail as GitHub's Markdown.
"""

from __future__ import annotations

import argparse
import json
import shutil
import sys
import uuid
from collections import Counter
from datetime import datetime, timedelta
from html import escape
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

import httpx
import pandas as pd
from markdown_it import MarkdownIt
from playwright.sync_api import sync_playwright

from data_schema.biomarkers import VARIABLES
from data_schema.variables import LOCAL_SYSTEM

SERVER = f"https://ehr.{'hospital.' * 8}example/fhir/r4"
# Not the sandbox's own user, who is to see the card as well.
ENCOUNTER, USER = "e1", "Practitioner/cds-sandbox-script"
MOST_PATIENTS = 300
HOOKS = {"patient-view": "osteon-mortality", "encounter-discharge": "osteon-fracture"}
LONGEST_ADDRESS = 2_000
BANNER = "SIMULATED PATIENTS"
COLOURS = {"info": "#0079be", "warning": "#ffae42", "critical": "#c00"}
STYLE = """
body { font: 14px "Helvetica Neue", Helvetica, Arial, sans-serif; width: 860px; margin: 10px; }
.card { padding: 15px; background: #fcfcfc; border: 2px solid #ddd; border-left-width: 3px;
        border-radius: 4px; border-left-color: %s; }
.summary { font-size: 18px; font-weight: 700; color: %s; margin: 0 0 5px; }
.source { font-size: .85em; font-style: italic; margin: 0 0 5px; }
.source a { color: blue; text-decoration: none; }
table { border-collapse: collapse; } td, th { padding: 2px 8px; }
"""


class Record:
    """The record of one simulated patient, thirty hours after admission to intensive care."""

    def __init__(self, row: pd.Series, patient: str) -> None:
        self.id = patient
        now = datetime.now().astimezone()
        self.admitted = now - timedelta(hours=30)
        taken = now - timedelta(hours=10)
        born = now - timedelta(days=365.25 * float(row["age"]))
        self.patient = {
            "resourceType": "Patient",
            "id": patient,
            "gender": str(row["sex"]),
            "birthDate": born.date().isoformat(),
        }
        self.observations = [
            observation(name, row[name], taken, patient)
            for name in row.index
            if name in VARIABLES and name not in ("age", "sex") and not pd.isna(row[name])
        ]
        self.addresses: list[str] = []

    def encounter(self) -> dict[str, Any]:
        """Return the stay in intensive care, in progress."""
        role = "http://terminology.hl7.org/CodeSystem/v3-RoleCode"
        return {
            "resourceType": "Encounter",
            "id": ENCOUNTER,
            "status": "in-progress",
            "class": {"system": role, "code": "ICU"},
            "subject": {"reference": f"Patient/{self.id}"},
            "period": {"start": self.admitted.isoformat(timespec="seconds")},
        }

    def prefetch(self, templates: dict[str, str], context: dict[str, str]) -> dict[str, Any]:
        """Answer the templates whose context is there, as a FHIR server would."""
        filled = {}
        for key, template in templates.items():
            address = template
            for name, value in context.items():
                address = address.replace(f"{{{{context.{name}}}}}", value)
            if "{{" in address:
                continue
            self.addresses.append(f"{SERVER}/{address}")
            filled[key] = self.answer(address)
        return filled

    def answer(self, address: str) -> dict[str, Any]:
        """Return a resource or the result of a search."""
        parts = urlsplit(address)
        query = parse_qs(parts.query)
        if parts.path == f"Patient/{self.id}":
            return self.patient
        if parts.path == f"Encounter/{ENCOUNTER}":
            return self.encounter()
        found: list[dict[str, Any]] = []
        if parts.path == "Encounter":
            found = [self.encounter()]
        elif parts.path == "Observation":
            codes = set(query["code"][0].split(","))
            found = [one for one in self.observations if codes & {code_of(one)}]
        entry = [
            {"fullUrl": f"{SERVER}/{one['resourceType']}/{one['id']}", "resource": one}
            for one in found
        ]
        return {"resourceType": "Bundle", "type": "searchset", "entry": entry}


def observation(name: str, value: Any, taken: datetime, patient: str) -> dict[str, Any]:
    """Return one value as an Observation, in the catalogue's unit and under its first code."""
    variable = VARIABLES[name]
    code = variable.codes[0]
    stated: dict[str, Any]
    if variable.kind == "number":
        quantity = {"value": float(value), "unit": variable.unit, "code": variable.unit}
        stated = {"valueQuantity": {**quantity, "system": "http://unitsofmeasure.org"}}
    elif variable.kind == "flag":
        stated = {"valueBoolean": bool(value)}
    else:
        stated = {"valueString": str(value)}
    system, known = (code.system, code.code) if not code.assay_required else (LOCAL_SYSTEM, name)
    return {
        "resourceType": "Observation",
        "id": name.replace("_", "-"),
        "status": "final",
        "code": {"coding": [{"system": system, "code": known}]},
        "subject": {"reference": f"Patient/{patient}"},
        "effectiveDateTime": taken.isoformat(timespec="seconds"),
        **({"bodySite": {"text": code.body_site}} if code.body_site else {}),
        **stated,
    }


def code_of(resource: dict[str, Any]) -> str:
    """Return the code of an Observation."""
    return str(resource["code"]["coding"][0]["code"])


def picture(cards: list[dict[str, Any]], path: Path) -> None:
    """Draw cards as the sandbox's list does."""
    markdown = MarkdownIt("commonmark").enable("table")
    drawn = []
    for card in cards:
        colour = COLOURS[card["indicator"]]
        source = escape(card["source"]["label"])
        drawn.append(
            f"<style>{STYLE % (colour, colour)}</style><div class=card>"
            f"<div class=summary>{escape(card['summary'])}</div>"
            f"<div class=source>Source: <a href='#'>{source}</a></div>"
            f"{markdown.render(card['detail'])}</div>"
        )
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=shutil.which("chromium"), args=["--no-sandbox"]
        )
        page = browser.new_page(viewport={"width": 900, "height": 600})
        page.set_content("".join(drawn) or "<div>No Cards</div>")
        page.screenshot(path=path, full_page=True)
        browser.close()


def called(
    client: httpx.Client, hook: str, service: str, templates: dict[str, str], record: Record
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Call a service for a patient, and return request and answer."""
    context = {"userId": USER, "patientId": record.id}
    if hook == "encounter-discharge":
        context["encounterId"] = ENCOUNTER
    call = {
        "hook": hook,
        "hookInstance": str(uuid.uuid4()),
        "context": context,
        "prefetch": record.prefetch(templates, context),
    }
    answer = client.post(f"/cds-services/{service}", json=call).raise_for_status()
    return call, answer.json()


def sent_feedback(client: httpx.Client, service: str, cards: list[dict[str, Any]]) -> int:
    """Set cards aside for the first reason that each offers, and return how many."""
    feedback = [
        {
            "card": card["uuid"],
            "outcome": "overridden",
            "overrideReason": {"reason": card["overrideReasons"][0]},
            "outcomeTimestamp": datetime.now().astimezone().isoformat(timespec="seconds"),
        }
        for card in cards
    ]
    if feedback:
        path = f"/cds-services/{service}/feedback"
        client.post(path, json={"feedback": feedback}).raise_for_status()
    return len(feedback)


def stay(records: list[Record], patient: str, service: str, port: int) -> None:
    """Answer as the EHR's FHIR server, for the sandbox in a browser of this machine."""
    by_id = {record.id: record for record in records}

    class Handler(BaseHTTPRequestHandler):
        def _answer(self, status: int, document: dict[str, Any]) -> None:
            self.send_response(status)
            for name, value in (
                ("Content-Type", "application/fhir+json"),
                ("Access-Control-Allow-Origin", "*"),
                ("Access-Control-Allow-Headers", "*"),
                ("Access-Control-Allow-Private-Network", "true"),
            ):
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(json.dumps(document).encode())

        def do_OPTIONS(self) -> None:
            self._answer(200, {})

        def do_GET(self) -> None:
            address = self.path.removeprefix("/")
            parts = urlsplit(address)
            if parts.path == "metadata":
                self._answer(200, {"resourceType": "CapabilityStatement", "fhirVersion": "4.0.1"})
                return
            kind, _, name = parts.path.partition("/")
            asked = name if kind == "Patient" else parse_qs(parts.query).get("patient", [""])[0]
            record = by_id.get(asked)
            if record is None:
                self._answer(404, {"resourceType": "OperationOutcome"})
            else:
                self._answer(200, record.answer(address))

        def log_message(self, *_: Any) -> None:
            """Print nothing."""

    query = {
        "fhirServiceUrl": f"http://localhost:{port}",
        "patientId": patient,
        "serviceDiscoveryURL": f"{service}/cds-services",
    }
    print(f"https://sandbox.cds-hooks.org/?{urlencode(query)}", flush=True)
    ThreadingHTTPServer(("127.0.0.1", port), Handler).serve_forever()


def main() -> int:
    """Run the command line."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--service", default="http://127.0.0.1:8000", help="address of Osteon")
    parser.add_argument("--cohort", type=Path, default=Path("demo/simulated.parquet"))
    parser.add_argument("--fhir-port", type=int, help="stay, as the FHIR server of the sandbox")
    parser.add_argument("--out", type=Path, default=Path("demo/cards"))
    stated = parser.parse_args()
    cohort = pd.read_parquet(stated.cohort)
    scans = [
        name for name in cohort if name in VARIABLES and VARIABLES[name].pathway == "bone_mass"
    ]
    counts = {"scans": cohort[scans].notna().sum(axis=1), "all": cohort.notna().sum(axis=1)}
    measured = pd.DataFrame(counts).sort_values(["scans", "all"], ascending=False).index
    records = [
        Record(cohort.loc[index], f"p{number}")
        for number, index in enumerate(measured[:MOST_PATIENTS])
    ]
    stated.out.mkdir(parents=True, exist_ok=True)
    client = httpx.Client(base_url=stated.service, timeout=60)
    services = client.get("/cds-services").raise_for_status().json()["services"]
    templates = {one["id"]: one["prefetch"] for one in services}
    results: dict[str, Any] = {}
    patients: dict[str, str] = {}
    for hook, service in HOOKS.items():
        silences: Counter[str] = Counter()
        for record in records:
            call, answer = called(client, hook, service, templates[service], record)
            if answer["cards"]:
                break
            silences[answer["extension"]["osteon"]["noCard"]["reason"]] += 1
        patients[hook] = record.id
        cards = answer["cards"]
        for name, document in (("request", call), ("answer", answer)):
            (stated.out / f"{hook}.{name}.json").write_text(json.dumps(document, indent=1))
        picture(cards, stated.out / f"{hook}.png")
        print(f"{hook}:\n{json.dumps(answer, indent=2)}\n")
        results[hook] = {
            "cards": len(cards),
            "banner": all(BANNER in card["detail"] for card in cards),
            "feedback": sent_feedback(client, service, cards),
            "patients_without_card": silences,
            "picture": str(stated.out / f"{hook}.png"),
            **answer["extension"]["osteon"],
        }
    addresses = [address for record in records for address in record.addresses]
    results["longest_address"] = max(map(len, addresses))
    print(json.dumps(results, indent=2))
    seen = all(results[hook]["cards"] == 1 and results[hook]["banner"] for hook in HOOKS)
    if stated.fhir_port is not None:
        stay(records, patients["patient-view"], stated.service, stated.fhir_port)
    return 0 if seen and results["longest_address"] < LONGEST_ADDRESS else 1


if __name__ == "__main__":
    sys.exit(main())
