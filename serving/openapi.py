"""The OpenAPI document: its address, credentials, error responses, and an example that works."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import date, timedelta
from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi
from fastapi.routing import APIRoute
from pydantic import JsonValue, TypeAdapter

from data_schema.variables import is_state
from models.wording import NOTICE
from serving.access.gatekeeper import credential_for
from serving.prediction import predictor
from serving.prediction.json_translation import question_of, response_of
from serving.prediction.schemas import PredictRequest
from serving.prediction.served import Served, ServedModel
from serving.problems.details import MEDIA_TYPE, Problem
from serving.problems.operation_outcome import Responses
from serving.settings import Settings

__all__ = ["PROBLEM_RESPONSES", "describe", "example_request", "operation_id"]

_SCHEMAS = "#/components/schemas/"

_PROBLEM: Mapping[str, object] = {MEDIA_TYPE: {"schema": {"$ref": f"{_SCHEMAS}Problem"}}}

PROBLEM_RESPONSES: Responses = {
    "4XX": {
        "description": "The request breaks a rule, or its caller may not make it; no field of the "
        "problem repeats what was sent.",
        "content": _PROBLEM,
    },
    "default": {
        "description": "The service cannot answer now; no field of the problem repeats what was "
        "sent.",
        "content": _PROBLEM,
    },
}
"""The error responses of every route."""

_TAGS: Mapping[str, str] = {
    "prediction": "Risks of patients, explained.",
    "monitoring": "What happened after predictions.",
    "variables": "The variables that can be sent.",
    "models": "The served models.",
    "FHIR": "The same predictions as FHIR resources.",
    "CDS Hooks": "Cards for electronic health records.",
    "operations": "Health and counters.",
}

_CALLER, _CLIENT, _CERTIFICATE = "caller", "cdsClient", "certificate"
_SCHEMES: Mapping[str, Mapping[str, str]] = {
    _CALLER: {
        "type": "http",
        "scheme": "bearer",
        "description": "An API key, or an access token of an issuer that the site trusts.",
    },
    _CLIENT: {
        "type": "http",
        "scheme": "bearer",
        "bearerFormat": "JWT",
        "description": "A token for one call, signed by a registered client (CDS Hooks 2.0.1).",
    },
    _CERTIFICATE: {
        "type": "mutualTLS",
        "description": "The certificate of a machine that the site has named.",
    },
}

_TIME_ZERO = "2026-11-01T08:00:00+01:00"
_MEASURED = "2026-11-01T06:10:00+01:00"
# So that the example works unchanged on any later day.
_ASKED_AT = "2026-11-01T09:00:00+01:00"

_WITHOUT_MODEL: dict[str, JsonValue] = {
    "patient_id": "opaque",
    "time_zero": _TIME_ZERO,
    "asked_at": _ASKED_AT,
    "sex": "female",
    "birth_date": "1958-03-02",
    "outcomes": ["mortality"],
    "horizons_days": [28, 90, 365],
    "measurements": [
        {"variable": "fgf23_c", "value": 1471, "unit": "[arb'U]/mL", "time": _MEASURED},
        {
            "loinc": "2243-4",
            "value": 9.99,
            "comparator": "<",
            "unit": "pg/mL",
            "assay": "LC-MS/MS",
        },
    ],
}


def describe(app: FastAPI) -> None:
    """Make `app` serve this document at `/openapi.json`; it is built on the first request."""

    def document() -> dict[str, Any]:
        if app.openapi_schema is None:
            app.openapi_schema = _document(app)
        return app.openapi_schema

    app.openapi = document  # type: ignore[method-assign]  # FastAPI's own way to change it


def example_request(served: Served) -> dict[str, JsonValue]:
    """Return a request that this service can answer: the synthetic patient of its first model."""
    return _example_of(served.models[0]) if served.models else _WITHOUT_MODEL


def _example_of(model: ServedModel) -> dict[str, JsonValue]:
    contract = model.contract
    example = dict(contract.example)
    request: dict[str, JsonValue] = {
        "patient_id": "opaque",
        "encounter_id": "opaque",
        "time_zero": _TIME_ZERO,
        "asked_at": _ASKED_AT,
    }
    if isinstance(sex := example.get("sex"), str):
        request["sex"] = sex
        del example["sex"]
    if isinstance(years := example.get("age"), float):
        age = timedelta(days=365.25 * years)
        request["birth_date"] = str(date.fromisoformat(_TIME_ZERO[:10]) - age)
        del example["age"]
    measurements: list[JsonValue] = []
    for feature in contract.features:
        value = example.get(feature.name)
        if value is None or is_state(feature.name):
            continue
        measurement: dict[str, JsonValue] = {"variable": feature.name, "value": value}
        if feature.unit:
            measurement["unit"] = feature.unit
        measurement["time"] = _MEASURED
        measurements.append(measurement)
    request["outcomes"] = [model.requested_as]
    request["horizons_days"] = [*contract.default_horizons_days]
    request["measurements"] = measurements
    return request


def operation_id(route: APIRoute) -> str:
    """Return the name of a route's operation, which generated clients use.

    Examples
    --------
    >>> from serving.routes import cds
    >>> operation_id(next(one for one in cds.router.routes if isinstance(one, APIRoute)))
    'cds_hooks_services'
    """
    tag = str(route.tags[0]) if route.tags else "page"
    return f"{tag}_{route.name}".casefold().replace(" ", "_")


def _state_credentials(document: dict[str, Any], settings: Settings) -> None:
    """State for each operation which credential it needs from this service."""
    if settings.authentication == "none":
        document["security"] = []
        return
    offered = {
        _CALLER: True,
        _CLIENT: settings.cds_clients,
        _CERTIFICATE: settings.tls_client_roles,
    }
    document["components"]["securitySchemes"] = {
        name: scheme for name, scheme in _SCHEMES.items() if offered[name]
    }
    alternatives = (_CALLER, _CERTIFICATE)
    document["security"] = [{name: []} for name in alternatives if offered[name]]
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            needed = credential_for(path, method.upper())
            if needed == "none":
                operation["security"] = []
            elif needed == "client" and settings.cds_clients:
                operation["security"] = [{_CLIENT: []}]


def _document(app: FastAPI) -> dict[str, Any]:
    settings: Settings = app.state.settings
    document = get_openapi(
        title=app.title,
        version=app.version,
        description=NOTICE,
        contact={"name": "The Osteon developers"},
        license_info={"name": "Apache-2.0", "identifier": "Apache-2.0"},
        tags=[{"name": name, "description": text} for name, text in _TAGS.items()],
        routes=app.routes,
        # Absolute where it is known; otherwise relative to the document's own address.
        servers=[{"url": settings.public_url or "/"}],
    )
    problem = TypeAdapter(Problem).json_schema(ref_template=_SCHEMAS + "{model}")
    schemas = document["components"]["schemas"]
    schemas.update(problem.pop("$defs"))
    schemas["Problem"] = problem
    _state_credentials(document, settings)
    served: Served = app.state.served
    if served.models:
        # Examples, since a list of all would end with the next model.
        outcomes = schemas["PredictRequest"]["properties"]["outcomes"]
        outcomes["items"]["examples"] = served.answerable
    request: dict[str, JsonValue] = {**example_request(served)}
    if served.menu:
        request["next_best"] = True
    operation = document["paths"]["/v1/predict"]["post"]
    operation["requestBody"]["content"]["application/json"]["example"] = request
    if served.models:
        question = question_of(PredictRequest.model_validate(request))
        answer = response_of(question, predictor.predict(question, served))
        operation["responses"]["200"]["content"]["application/json"]["example"] = json.loads(
            answer.model_dump_json(exclude_unset=True)
        )
    return document
