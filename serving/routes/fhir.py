"""`POST /fhir/RiskAssessment/$predict`, and the description of the FHIR interface."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated, Any
from uuid import NAMESPACE_URL, uuid5

from fastapi import APIRouter, Depends, Request
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException

from data_schema.fhir.resources import Resource
from serving.fhir import conformance as fhir_conformance
from serving.fhir.further_pages import completed
from serving.fhir.predictor import assess
from serving.fhir.question import PARAMETERS, read_question
from serving.fhir.risk_assessment import PREDICTION_SYSTEM
from serving.http.idempotency import IdempotencyKey
from serving.http.route_classes import json_body
from serving.prediction.caller import recorder_of, served_models
from serving.problems.operation_outcome import FHIR_JSON, OPERATION_OUTCOME_RESPONSES

__all__ = ["router"]


class _FhirResponse(JSONResponse):
    media_type = FHIR_JSON


# The last three are of earlier versions of FHIR, or of clients that leave out `fhir`.
_JSON = frozenset({FHIR_JSON, "application/json", "application/json+fhir", "text/json", "json"})
_ANY = frozenset({"*/*", "application/*", "text/*", ""})


def _json_is_accepted(request: Request) -> None:
    """Reject a request whose answer must not be JSON, by `_format` or else by `Accept`."""
    # A blank was the plus of a media type, not escaped in the address.
    stated = request.query_params.get("_format", "").replace(" ", "+")
    wanted = [stated] if stated else request.headers.get("accept", "").split(",")
    types = {one.partition(";")[0].strip().casefold() for one in wanted}
    if not types & (_JSON | _ANY):
        raise HTTPException(status_code=406)


router = APIRouter(
    prefix="/fhir",
    dependencies=[Depends(_json_is_accepted)],
    tags=["FHIR"],
    responses=OPERATION_OUTCOME_RESPONSES,
    default_response_class=_FhirResponse,
)

_SENT: dict[str, Any] = {
    "type": "object",
    "required": ["resourceType"],
    "properties": {"resourceType": {"enum": ["Bundle", "Parameters"]}},
}


def _only_json(request: Request) -> None:
    """Reject a body with a media type other than JSON, such as FHIR's XML."""
    stated = request.headers.get("content-type", FHIR_JSON).partition(";")[0].strip().casefold()
    if stated not in _JSON:
        raise HTTPException(status_code=415)


@router.post(
    "/RiskAssessment/$predict",
    summary="Risks of one patient as RiskAssessment",
    dependencies=[Depends(_only_json)],
    openapi_extra={
        "requestBody": {"required": True, "content": {FHIR_JSON: {"schema": _SENT}}},
        "parameters": [
            {
                "name": name,
                "in": "query",
                "description": PARAMETERS[name],
                "schema": {"type": "array", "items": {"type": "string"}},
            }
            for name in ("outcome", "timeZero", "askedAt", "horizonDays")
        ],
    },
)
def predict(
    request: Request,
    document: Annotated[object, Depends(json_body)],
    idempotency_key: IdempotencyKey = None,
) -> Resource:
    """For clients with a Bundle of one patient's Observations, which is not stored.

    Conditions and medications of the Bundle set flags, as in CDS Hooks. Several outcomes are
    returned as a Bundle. If the model refuses the patient, the RiskAssessment has status
    `cancelled` and no prediction. Its identifier is the prediction's id in `/v1/outcomes`. Audited
    as `/v1/predict`; a request repeated with the same `Idempotency-Key` gets its first answer.
    """
    settings = request.app.state.settings
    question = completed(
        read_question(document, request.query_params.multi_items()), settings.fhir_servers
    )
    resources = assess(
        question,
        served_models(request),
        recorder_of(request, idempotency_key=idempotency_key),
        now=datetime.now(UTC),
        icu_locations=settings.icu_locations,
        site=request.app.state.site_codes,
    )
    if len(resources) == 1:
        return resources[0]
    entries = [{"fullUrl": _full_url(one), "resource": one} for one in resources]
    return {"resourceType": "Bundle", "type": "collection", "entry": entries}


def _full_url(resource: Resource) -> str:
    """Return the address of a resource within its Bundle, the same for a repeated request."""
    name = f"{PREDICTION_SYSTEM}:{resource['id']}"
    return f"urn:uuid:{uuid5(NAMESPACE_URL, name)}"


@router.get("/metadata", summary="CapabilityStatement")
def metadata(request: Request) -> Resource:
    """For FHIR clients, before other requests; not audited."""
    return fhir_conformance.capability_statement(request.headers.get("accept", ""))


@router.get("/OperationDefinition/RiskAssessment-predict", summary="OperationDefinition")
def operation_definition() -> Resource:
    """For clients, to learn the parameters of `$predict`; not audited."""
    return fhir_conformance.operation_definition()


@router.get("/CodeSystem/osteon", summary="The one local CodeSystem")
def code_system() -> Resource:
    """For mapping laboratory codes that LOINC does not have; not audited."""
    return fhir_conformance.code_system()
