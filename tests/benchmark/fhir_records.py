"""Send whole records to `$predict`, as they are, and count the errors.

    make demo
    MLFLOW_TRACKING_URI=sqlite:///demo/mlflow.db .venv/bin/python tests/benchmark/fhir_records.py \\
        --model models:/osteon-mortality-support2@champion

Synthea's transaction Bundles lie in ../shared/data/synthea_r4. Stays in intensive care come from
the package clinosim, which is not a dependency (install it elsewhere):

    clinosim test-disease sepsis -n 3 --severity severe --format fhir-r4 -o build/clinosim
    ... fhir_records.py --model ... --clinosim build/clinosim/fhir_r4

Time zero is that of the newest Observation, and the estimate is wanted for that moment. A record is
in error if it gets no RiskAssessment; a refusal of the patient is one. A batch of 100 requests with
the whole catalogue is sent to `/v1/predict/batch` too. Prints one JSON object; exit 1 if anything
is in error.
"""

from __future__ import annotations

import argparse
import gzip
import json
import sys
import tempfile
import time
from collections import Counter, defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx

from data_schema.biomarkers import VARIABLES
from models.registry.lifecycle import load
from serving.app import create_app
from serving.prediction.served import ServedModel
from serving.settings import Settings

PATH = "/fhir/RiskAssessment/$predict"
KINDS = ("Encounter", "Observation", "Condition", "MedicationRequest", "MedicationAdministration")
BATCH = 100


def synthea(folder: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield each Bundle of a folder by its name."""
    for path in sorted(folder.glob("*.json.gz")):
        with gzip.open(path, "rb") as file:
            yield path.name.partition(".")[0], json.load(file)


def clinosim(folder: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield one Bundle for each patient of a bulk export."""
    by_patient: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for kind in ("Patient", *KINDS):
        for line in (folder / f"{kind}.ndjson").read_text().splitlines():
            resource = json.loads(line)
            subject = resource.get("subject", {}).get("reference", f"Patient/{resource['id']}")
            by_patient[subject].append({"resource": resource})
    for number, entry in enumerate(by_patient.values(), start=1):
        yield f"stay_{number}", {"resourceType": "Bundle", "type": "collection", "entry": entry}


def resources(bundle: dict[str, Any], kind: str) -> list[dict[str, Any]]:
    """Return the resources of one kind."""
    listed = (entry["resource"] for entry in bundle["entry"])
    return [one for one in listed if one["resourceType"] == kind]


def outcome_of(client: httpx.Client, word: str, bundle: dict[str, Any]) -> dict[str, Any]:
    """Send one record, and return what came of it."""
    observations = resources(bundle, "Observation")
    newest = max(one["effectiveDateTime"] for one in observations if "effectiveDateTime" in one)
    body = json.dumps(bundle).encode()
    started = time.perf_counter()
    answer = client.post(
        PATH,
        params={"outcome": word, "timeZero": newest, "askedAt": newest},
        content=body,
        headers={"content-type": "application/fhir+json"},
    )
    document = answer.json()
    notes = [note["text"] for note in document.get("note", ())]
    return {
        "status": answer.status_code,
        "assessment": document.get("status"),
        "refusal": [note for note in notes if note.startswith("Code of the refusal")],
        "issues": [issue.get("details", {}).get("text") for issue in document.get("issue", ())],
        "observations": len(observations),
        "bytes": len(body),
        "seconds": round(time.perf_counter() - started, 3),
        "left_out": [note for note in notes if note.startswith(("Not read", "Codes that were"))],
    }


def batch_status(client: httpx.Client, word: str) -> dict[str, Any]:
    """Send a batch of requests with every number of the catalogue, and return what came of it."""
    values = [
        {"variable": name, "value": (one.low or 0) + ((one.high or 1) - (one.low or 0)) / 10}
        | ({"unit": one.unit} if one.unit else {})
        for name, one in VARIABLES.items()
        if one.kind == "number" and name != "age"
    ]
    request = {
        "patient_id": "p",
        "time_zero": "2026-11-01T08:00:00Z",
        "asked_at": "2026-11-01T08:00:00Z",
        "birth_date": "1958-03-02",
        "sex": "female",
        "outcomes": [word],
        "measurements": values,
        "explain": False,
    }
    body = json.dumps({"requests": [request] * BATCH}).encode()
    answer = client.post(
        "/v1/predict/batch", content=body, headers={"content-type": "application/json"}
    )
    return {"status": answer.status_code, "bytes": len(body), "requests": BATCH}


def main() -> int:
    """Run the command line."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--model", required=True, help="URI of a model of real patients")
    parser.add_argument("--synthea", type=Path, default=Path("../shared/data/synthea_r4"))
    parser.add_argument("--clinosim", type=Path, help="folder of a bulk export of clinosim")
    parser.add_argument("--stays", type=int, default=3, help="number of stays of clinosim")
    stated = parser.parse_args()
    from starlette.testclient import TestClient  # its warning must not end a collection of tests

    model = ServedModel(load(stated.model), promoted=False)
    records = dict(synthea(stated.synthea))
    if stated.clinosim is not None:
        stays = sorted(
            clinosim(stated.clinosim), key=lambda stay: len(resources(stay[1], "Observation"))
        )
        records |= dict(stays[: stated.stays])
    with tempfile.TemporaryDirectory() as folder:
        app = create_app(Settings(state_dir=Path(folder)), models=[model])
        with TestClient(app, base_url="http://127.0.0.1", client=("127.0.0.1", 50_000)) as client:
            found = {
                name: outcome_of(client, model.requested_as, bundle)
                for name, bundle in records.items()
            }
            batch = batch_status(client, model.requested_as)
    errors = [name for name, one in found.items() if one["status"] != 200]
    print(
        json.dumps(
            {
                "records": found,
                "count": len(found),
                "assessments": Counter(one["assessment"] for one in found.values()),
                "errors": errors,
                "batch": batch,
            },
            indent=2,
        )
    )
    return 1 if errors or batch["status"] != 200 or not found else 0


if __name__ == "__main__":
    sys.exit(main())
