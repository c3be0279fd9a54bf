"""Error responses of the FHIR endpoints: OperationOutcomes without a patient's values."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias

from fastapi.responses import JSONResponse

from serving.problems.field_problem import FieldProblem, listed

__all__ = [
    "FHIR_JSON",
    "OPERATION_OUTCOME_RESPONSES",
    "Responses",
    "outcome_response",
    "speaks_fhir",
]

Responses: TypeAlias = dict[int | str, dict[str, Any]]
"""Responses of a route as FastAPI documents them."""

FHIR_JSON = "application/fhir+json"

_OUTCOME: Mapping[str, object] = {
    "description": "An OperationOutcome; no part of it repeats what was sent.",
    "content": {
        FHIR_JSON: {
            "schema": {
                "type": "object",
                "required": ["resourceType"],
                "properties": {"resourceType": {"const": "OperationOutcome"}},
            }
        }
    },
}

OPERATION_OUTCOME_RESPONSES: Responses = {"4XX": {**_OUTCOME}, "default": {**_OUTCOME}}
"""The error responses of every FHIR route."""

# IssueType codes; they are the same in R4, R4B and R5.
_BY_RULE: Mapping[str, str] = {
    "json": "structure",
    "structure": "structure",
    "required": "required",
    "unknown_field": "not-supported",
    "unknown_outcome": "not-found",
    "no_champion": "not-supported",
    "simulated": "not-supported",
    "two_subjects": "business-rule",
    "several_models": "multiple-matches",
    "unit": "code-invalid",
}
_BY_STATUS: Mapping[int, str] = {
    401: "login",
    403: "forbidden",
    404: "not-found",
    405: "not-supported",
    406: "not-supported",
    413: "too-long",
    415: "not-supported",
    422: "value",
    429: "throttled",
    500: "exception",
    503: "transient",
}


def speaks_fhir(path: str) -> bool:
    """Return whether clients of a path expect FHIR."""
    return path == "/fhir" or path.startswith("/fhir/")


def outcome_response(
    status: int,
    title: str,
    errors: Sequence[FieldProblem] = (),
    headers: Mapping[str, str] | None = None,
) -> JSONResponse:
    """Return the OperationOutcome of one HTTP status, with one issue for each error.

    The field of an error is the FHIRPath of an element. If there are no errors, `title` is the text
    of the only issue.
    """
    otherwise = _BY_STATUS.get(status, "processing")
    issues: list[dict[str, object]] = [
        {
            "severity": "error",
            "code": _BY_RULE.get(error.rule, otherwise),
            "details": {"text": error.rule},
            "diagnostics": error.message,
            "expression": [error.field],
        }
        for error in listed(errors)
    ] or [{"severity": "error", "code": otherwise, "diagnostics": title}]
    return JSONResponse(
        {"resourceType": "OperationOutcome", "issue": issues},
        status_code=status,
        media_type=FHIR_JSON,
        headers=dict(headers or {}),
    )
