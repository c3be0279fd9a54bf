"""Error responses of the FHIR endpoints: OperationOutcomes without a patient's values."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias, TypedDict

from fastapi.responses import JSONResponse

from serving.problems.field_problem import FieldProblem

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

OPERATION_OUTCOME_RESPONSES: Responses = {
    "default": {
        "description": "An OperationOutcome; no part of it repeats what was sent.",
        "content": {FHIR_JSON: {"schema": {"type": "object", "required": ["resourceType"]}}},
    }
}
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
    413: "too-long",
    415: "not-supported",
    422: "value",
    429: "throttled",
    500: "exception",
    503: "transient",
}


class _Issue(TypedDict, total=False):
    severity: str
    code: str
    details: dict[str, str]
    diagnostics: str
    expression: list[str]


def speaks_fhir(path: str) -> bool:
    """Return whether clients of a path expect FHIR."""
    return path == "/fhir" or path.startswith("/fhir/")


def outcome_response(
    status: int,
    title: str,
    errors: Sequence[FieldProblem] = (),
    headers: Mapping[str, str] | None = None,
) -> JSONResponse:
    """Return the OperationOutcome of one status, with one issue for each error.

    Parameters
    ----------
    status : int
        HTTP status.
    title : str
        Text of the issue if there are no errors.
    errors : sequence of FieldProblem
        `field` is the FHIRPath of an element.
    """
    otherwise = _BY_STATUS.get(status, "processing")
    issues: list[_Issue] = [
        {
            "severity": "error",
            "code": _BY_RULE.get(error.rule, otherwise),
            "details": {"text": error.rule},
            "diagnostics": error.message,
            "expression": [error.field],
        }
        for error in errors
    ] or [{"severity": "error", "code": otherwise, "diagnostics": title}]
    return JSONResponse(
        {"resourceType": "OperationOutcome", "issue": issues},
        status_code=status,
        media_type=FHIR_JSON,
        headers=dict(headers or {}),
    )
