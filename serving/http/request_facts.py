"""What operators may know of a request: its id, door, caller and predictions; no clinical value."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Literal, Protocol

from starlette.types import Scope

from models.inference.risk_model import Table
from serving.prediction.answer import Prediction
from serving.prediction.on_record import ComputedAnswer
from serving.prediction.served import ServedModel

__all__ = ["Door", "PredictionCount", "RequestFacts", "facts_of", "request_facts"]

Door = Literal["api", "batch", "fhir", "cds", "page", "smart", "operations"]
"""The interface that a request came by."""

_DOORS: Sequence[tuple[str, Door]] = (
    ("/v1/predict/batch", "batch"),
    ("/v1", "api"),
    ("/fhir", "fhir"),
    ("/cds-services", "cds"),
    ("/health", "operations"),
    ("/metrics", "operations"),
    ("/v2/health", "operations"),
    ("/v2", "api"),
    ("/openapi.json", "operations"),
    ("/launch", "smart"),
    ("/page/record", "smart"),
)


class PredictionCount(Protocol):
    """Counts one prediction, and takes the seconds of its model."""

    def __call__(self, prediction: Prediction, door: Door, seconds: float) -> None:
        """Count one prediction."""


@dataclass(slots=True)
class RequestFacts:
    """The facts of one request, completed while it is answered.

    Parameters
    ----------
    request_id : str
        The trace id of its `traceparent`; without one, its `X-Request-Id` if that is a UUID, since
        any other text could identify a patient; otherwise a new UUID. 32 hexadecimal digits.
    """

    scope: Scope
    request_id: str
    count: PredictionCount
    count_inputs: Callable[[ServedModel, Table], None]
    prediction_ids: list[str] = field(default_factory=list)

    @property
    def route(self) -> str:
        """The route's template, never the address as it was sent."""
        return str(getattr(self.scope.get("route"), "path", "(no route)"))

    @property
    def door(self) -> Door:
        """The interface that the request came by; a session of the page makes it the page's."""
        session = self.scope.get("state", {}).get("session")
        if session is not None:
            return "smart" if "record" in session.content else "page"
        for start, door in _DOORS:
            if self.route == start or self.route.startswith(f"{start}/"):
                return door
        return "page"

    @property
    def caller(self) -> str | None:
        """The caller, as `AuditEvent.actor`; None before the gate has allowed the request."""
        caller = self.scope.get("state", {}).get("caller")
        return None if caller is None else str(caller.actor)

    def recorded(self, prediction_id: str, answer: ComputedAnswer | None) -> None:
        """Note an answer that is on record; None if it repeats an earlier one.

        Interim answers of a page in use are not counted.
        """
        self.prediction_ids.append(prediction_id)
        if answer is not None and not answer.question.is_interim:
            for prediction, seconds in zip(answer.predictions, answer.seconds, strict=True):
                self.count(prediction, self.door, seconds)
            for model, table in zip(answer.models, answer.inputs, strict=True):
                self.count_inputs(model, table)

    def as_json(self, status: int, seconds: float) -> dict[str, object]:
        """Return the fields of the request's line in the log."""
        return {
            "request_id": self.request_id,
            "method": self.scope["method"],
            "route": self.route,
            "door": self.door,
            "caller": self.caller,
            "prediction_ids": self.prediction_ids,
            "status": status,
            "milliseconds": round(1_000 * seconds, 1),
        }


def request_facts(
    scope: Scope,
    count: PredictionCount,
    count_inputs: Callable[[ServedModel, Table], None],
    trace_id: str | None,
) -> RequestFacts:
    """Return the facts of a new request, which its scope holds from now on."""
    facts = RequestFacts(scope, trace_id or _request_id(scope), count, count_inputs)
    scope.setdefault("state", {})["facts"] = facts
    return facts


def facts_of(scope: Scope) -> RequestFacts | None:
    """Return the facts of a request, or None outside the service's boundary."""
    facts: RequestFacts | None = scope.get("state", {}).get("facts")
    return facts


def _request_id(scope: Scope) -> str:
    stated = dict(scope["headers"]).get(b"x-request-id", b"")
    try:
        return uuid.UUID(str(stated, "latin-1")).hex
    except ValueError:
        return uuid.uuid4().hex
