"""Error responses, as RFC 9457 problem details or, for FHIR, as OperationOutcome.

HTTP status is assigned here and nowhere else. An entry names a field, a rule and a count; it never
repeats what a client sent, except the path of the field.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Iterable, Mapping, Sequence

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from pydantic import BaseModel, Field
from pydantic_core import ErrorDetails
from starlette.exceptions import HTTPException

from data_schema.errors import DataError, GateError, OsteonError, OutsideError, UsageError
from serving.problems.field_problem import FieldProblem, listed
from serving.problems.operation_outcome import outcome_response, speaks_fhir

__all__ = [
    "MEDIA_TYPE",
    "RULE_PREFIX",
    "TITLES",
    "BodyTooLarge",
    "BodyTooSlow",
    "Conflict",
    "FieldProblem",
    "NoChampion",
    "PreconditionFailed",
    "Problem",
    "RequestBroken",
    "field_problems",
    "install",
    "problem_response",
    "respond",
]

_LOG = logging.getLogger(__name__)

MEDIA_TYPE = "application/problem+json"

RULE_PREFIX = "osteon_"
"""Prefix of a pydantic error type whose rule and message are ours and hold no value."""


class Problem(BaseModel):
    """Problem details of RFC 9457."""

    type: str = Field(examples=["urn:osteon:problem:invalid-request"])
    title: str
    status: int = Field(ge=400, le=599)
    errors: list[FieldProblem] = []


class RequestBroken(DataError):
    """A request breaks the rules listed in `problems`."""

    def __init__(self, problems: Sequence[FieldProblem]) -> None:
        self.problems = tuple(problems)
        super().__init__("; ".join(f"[{p.rule}] {p.field}: {p.message}" for p in self.problems))


class NoChampion(GateError):
    """No model is served for a requested outcome."""

    def __init__(self, problems: Sequence[FieldProblem]) -> None:
        self.problems = tuple(problems)
        super().__init__("; ".join(f"{p.field}: {p.message}" for p in self.problems))


class Conflict(RequestBroken):
    """A request that was valid once no longer fits the state of the service."""


class BodyTooLarge(HTTPException):
    """A request body is longer than the settings allow."""

    def __init__(self) -> None:
        super().__init__(status_code=413)


class BodyTooSlow(HTTPException):
    """A request body arrives too slowly."""

    def __init__(self) -> None:
        super().__init__(status_code=408, headers={"Connection": "close"})


class PreconditionFailed(HTTPException):
    """FHIR data that a card needs were not sent and could not be fetched."""

    def __init__(self) -> None:
        super().__init__(status_code=412)


TITLES: Mapping[int, tuple[str, str]] = {
    400: ("malformed-request", "The request could not be read."),
    401: ("unauthorized", "Authentication failed."),
    403: ("forbidden", "The caller is not allowed to do this."),
    404: ("not-found", "Nothing exists at this address."),
    405: ("method-not-allowed", "This address does not support the method."),
    406: ("not-acceptable", "The service answers in JSON only."),
    408: ("too-slow", "The request took too long to arrive."),
    409: ("conflict", "The request no longer fits the state of the service."),
    412: ("precondition-failed", "Required FHIR data were not sent and could not be fetched."),
    413: ("too-large", "The request is too large."),
    415: ("unsupported-media-type", "The service reads JSON only, and without compression."),
    429: ("too-many-requests", "The caller sends too many requests."),
    422: ("invalid-request", "The request breaks rules of the contract."),
    500: ("internal-error", "Unexpected error in the service."),
    503: ("unavailable", "The service cannot answer this now."),
}
"""HTTP status -> name of the problem type, and its title."""

_STATUS: tuple[tuple[type[OsteonError], int], ...] = (
    (GateError, 503),
    (OutsideError, 503),
    (Conflict, 409),
    (DataError, 422),
    (UsageError, 422),
)

# pydantic's own messages hold the input, so each of its errors gets a message of ours.
_PYDANTIC_RULES: Mapping[str, tuple[str, str]] = {
    "missing": ("required", "must be given"),
    "extra_forbidden": ("unknown_field", "must be a field of the contract; see /openapi.json"),
    "json_invalid": ("json", "must be one valid JSON document"),
    "model_attributes_type": ("object", "must be one JSON object, sent as application/json"),
    "model_type": ("object", "must be one JSON object"),
    "bool_type": ("flag", "must be true or false"),
    "string_type": ("text", "must be text"),
    "string_too_short": ("text_length", "must not be empty"),
    "string_too_long": ("text_length", "must be shorter"),
    "list_type": ("list", "must be a list"),
    "too_short": ("too_few", "must have more entries"),
    "too_long": ("too_many", "must have fewer entries"),
    "literal_error": ("not_allowed", "must be one of the values that /openapi.json states"),
}

# A client's key is shown only if it looks like a field name.
_PLAIN_KEY = re.compile(r"[A-Za-z_-]{1,40}")


def problem_response(
    status: int,
    errors: Sequence[FieldProblem] = (),
    headers: Mapping[str, str] | None = None,
) -> JSONResponse:
    """Return the problem of one status; an unlisted status gets the text of 400 or 500."""
    slug, title = TITLES.get(status) or TITLES[400 if status < 500 else 500]
    problem = Problem(
        type=f"urn:osteon:problem:{slug}", title=title, status=status, errors=list(listed(errors))
    )
    return JSONResponse(
        problem.model_dump(), status_code=status, media_type=MEDIA_TYPE, headers=headers
    )


def respond(
    path: str,
    status: int,
    errors: Sequence[FieldProblem] = (),
    headers: Mapping[str, str] | None = None,
) -> JSONResponse:
    """Return the problem of one status in the format that clients of `path` expect."""
    if speaks_fhir(path):
        _, title = TITLES.get(status) or TITLES[400 if status < 500 else 500]
        return outcome_response(status, title, errors, headers)
    return problem_response(status, errors, headers)


def install(app: FastAPI) -> None:
    """Make every error of `app` a problem."""
    app.add_exception_handler(RequestValidationError, _invalid)
    app.add_exception_handler(HTTPException, _refused_by_framework)
    app.add_exception_handler(OsteonError, _ours)


def field_problems(errors: Iterable[ErrorDetails]) -> list[FieldProblem]:
    """Return pydantic's errors with messages of ours, which hold no value."""
    return [_entry(error) for error in errors]


async def _invalid(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, RequestValidationError)
    return respond(request.url.path, 422, field_problems(error.errors()))


async def _refused_by_framework(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, HTTPException)
    # Raised while the framework read the body.
    if isinstance(error.__cause__, RequestBroken):
        return respond(request.url.path, 422, error.__cause__.problems)
    # The framework answers 400 to a body that it cannot parse (too deep, not UTF-8): not JSON, 422.
    if error.status_code == 400:
        errors = [_entry({"type": "json_invalid", "loc": ("body",), "msg": "", "input": None})]
        return respond(request.url.path, 422, errors)
    return respond(request.url.path, error.status_code, headers=error.headers)


async def _ours(request: Request, error: Exception) -> JSONResponse:
    status = next(status for kind, status in _STATUS if isinstance(error, kind))
    if status == 503 and not isinstance(error, NoChampion):
        _LOG.warning("A request is answered with 503. %s", error)
    # Only these two have messages for a client; others may name a path or a host.
    listed = error.problems if isinstance(error, RequestBroken | NoChampion) else ()
    return respond(request.url.path, status, listed)


def _entry(error: ErrorDetails) -> FieldProblem:
    kind = str(error["type"])
    field = _path([part for part in error["loc"] if part != "body"])
    if kind == "json_invalid":
        field = "body"
    if kind.startswith(RULE_PREFIX):
        rule, rest = kind.removeprefix(RULE_PREFIX), str(error["msg"])
    else:
        rule, rest = _PYDANTIC_RULES.get(kind, ("invalid", "must follow /openapi.json"))
    return FieldProblem(field=field, rule=rule, message=f"{field} {rest}.")


def _path(parts: Sequence[str | int]) -> str:
    """Return a path such as `measurements[3].value`, or `body` for the whole document."""
    text = ""
    for part in parts:
        if isinstance(part, int):
            text += f"[{part}]"
        else:
            text += f".{part if _PLAIN_KEY.fullmatch(part) else '(unnamed)'}"
    return text.lstrip(".") or "body"
