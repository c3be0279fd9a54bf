"""A patient as FHIR resources, and what an answer in FHIR must keep."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

import fhirkit
import fhirpathpy
from fhirpathpy.models import models as fhirpath_models

if TYPE_CHECKING:
    import httpx


PATH = "/fhir/RiskAssessment/$predict"
TIME_ZERO = "2026-11-01T08:00:00+01:00"
MEASURED = "2026-11-01T06:00:00+01:00"
# ras-1 and ras-2 as hl7.fhir.r4b.core and hl7.fhir.r5.core write them.
RAS_1 = (
    "RiskAssessment.prediction.probability.where($this is Range).all("
    "(low.empty() or ((low.code = '%') and (low.system = 'http://unitsofmeasure.org'))) and "
    "(high.empty() or ((high.code = '%') and (high.system = 'http://unitsofmeasure.org'))))"
)
RAS_2 = (
    "RiskAssessment.prediction.all(probability is decimal implies (probability as decimal) <= 100)"
)
CODES = {
    "lactate": ("2524-7", "mmol/L", 2.5),
    "albumin": ("1751-7", "g/dL", 2.8),
    "fgf23_c": ("47855-2", "[arb'U]/mL", 900),
    "ctx_s": ("41171-0", "pg/mL", 500),
}
LOCAL = {"diabetes": {"valueBoolean": True}, "dzgroup": {"valueString": "Cirrhosis"}}


def observation(name: str, system: str, code: str, **more: Any) -> dict[str, Any]:
    return {
        "resourceType": "Observation",
        "id": name.replace("_", "-"),
        "status": "final",
        "code": {"coding": [{"system": system, "code": code}]},
        "subject": {"reference": "Patient/p1"},
        "encounter": {"reference": "Encounter/e1"},
        "effectiveDateTime": MEASURED,
    } | more


def patient() -> dict[str, Any]:
    return {"resourceType": "Patient", "id": "p1", "gender": "female", "birthDate": "1966-11-01"}


def resources() -> list[dict[str, Any]]:
    coded = [
        observation(
            name,
            "http://loinc.org",
            code,
            valueQuantity={"value": value, "system": "http://unitsofmeasure.org", "code": unit},
        )
        for name, (code, unit, value) in CODES.items()
    ]
    local = [observation(name, "urn:osteon:codes", name, **value) for name, value in LOCAL.items()]
    aps = {"value": 40, "system": "http://unitsofmeasure.org", "code": "{score}"}
    local.append(observation("aps", "urn:osteon:codes", "aps", valueQuantity=aps))
    return [patient(), *coded, *local]


def bundle(*sent: dict[str, Any]) -> dict[str, Any]:
    entry = [{"resource": resource} for resource in sent]
    return {"resourceType": "Bundle", "type": "collection", "entry": entry}


def ask(client: httpx.Client, document: Any, query: str = "") -> httpx.Response:
    return client.post(
        f"{PATH}?{query or 'outcome=mortality'}&timeZero=2026-11-01T08:00:00%2B01:00"
        "&askedAt=2026-11-01T08:00:00%2B01:00",
        json=document,
        headers={"content-type": "application/fhir+json"},
    )


def answered(client: httpx.Client, document: Any, query: str = "") -> dict[str, Any]:
    answer = ask(client, document, query)
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"].startswith("application/fhir+json")
    found = answer.json()
    assert_valid(found)
    return found


def assert_valid(resource: dict[str, Any]) -> None:
    """Check a resource by three validators, and RiskAssessments by the two invariants."""
    kind = resource["resourceType"]
    for package in ("fhir.resources.R4B", "fhir.resources"):
        module = importlib.import_module(f"{package}.{kind.lower()}")
        getattr(module, kind).model_validate(resource)
    if resource.get("fhirVersion", "4.0.1") == "4.0.1":
        assert fhirkit.validate(resource) == []
    entries = [entry["resource"] for entry in resource.get("entry", [])]
    for assessment in [*entries, resource]:
        if assessment["resourceType"] == "RiskAssessment":
            assert_invariants(assessment)


def assert_invariants(assessment: dict[str, Any]) -> None:
    for rule in (RAS_1, RAS_2):
        assert invariant(assessment, rule), rule


def invariant(assessment: dict[str, Any], rule: str) -> bool:
    return fhirpathpy.evaluate(assessment, rule, model=fhirpath_models["r4"]) == [True]


def issues(answer: httpx.Response, status: int = 422) -> set[tuple[str, str]]:
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"].startswith("application/fhir+json")
    assert_valid(answer.json())
    assert answer.json()["resourceType"] == "OperationOutcome"
    return {
        (issue["expression"][0] if "expression" in issue else "", issue["details"]["text"])
        for issue in answer.json()["issue"]
    }


def _lactate(value: float) -> dict[str, Any]:
    return {"value": value, "system": "http://unitsofmeasure.org", "code": "mmol/L"}
