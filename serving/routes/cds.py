"""`/cds-services`: CDS Hooks 2.0.1, called by an electronic health record."""

from __future__ import annotations

import asyncio
from datetime import datetime
from functools import partial
from typing import Any

from fastapi import APIRouter, Request
from pydantic import BaseModel, Field
from starlette.exceptions import HTTPException

from serving.cds.answering import cards
from serving.cds.hook_request import HookRequest, SentFeedback
from serving.cds.services import SERVICES, CdsService, discovery
from serving.cds.shown import keep_feedback
from serving.http.route_classes import StrictRoute
from serving.prediction.caller import recorder_of, served_models
from serving.problems.details import FieldProblem, RequestBroken

__all__ = ["router"]

router = APIRouter(prefix="/cds-services", route_class=StrictRoute, tags=["CDS Hooks"])


class Services(BaseModel):
    """What this service offers to an electronic health record."""

    services: list[dict[str, Any]]


class Cards(BaseModel):
    """At most one card, of indicator `info` and without suggestions."""

    cards: list[dict[str, Any]] = Field(max_length=1)


class Received(BaseModel):
    """Feedback was kept."""


@router.get("", summary="CDS Hooks discovery")
def services(request: Request) -> Services:
    """Called by an electronic health record to learn hooks and prefetch; nothing is audited."""
    return Services.model_validate(discovery(served_models(request), _now().date()))


@router.post("/{service_id}", summary="Cards of one patient")
async def call(service_id: str, body: HookRequest, request: Request) -> Cards:
    """Called by an electronic health record when a clinician opens or discharges a patient.

    No card is an answer too: whoever is not an adult in intensive care within the time that counts,
    or of whom there is nothing new to say, gets none. FHIR data that were not sent are fetched from
    `fhirServer` if the site knows it, or the answer is 412. Every call is audited before it is
    answered.
    """
    service = _service(service_id)
    _check(service, body)
    answer = partial(
        cards,
        service,
        body,
        served_models(request),
        recorder_of(request),
        request.app.state.settings,
        now=_now(),
        count=request.app.state.metrics.count_cards,
    )
    # Threads of their own: a FHIR server that is slow must not keep predictions waiting.
    threads = request.app.state.cds_threads
    found = await asyncio.get_running_loop().run_in_executor(threads, answer)
    return Cards.model_validate({"cards": found})


@router.post("/{service_id}/feedback", summary="What users did with cards")
def feedback(service_id: str, body: SentFeedback, request: Request) -> Received:
    """Called by an electronic health record after a card; kept, and audited without the comment."""
    keep_feedback(recorder_of(request), _service(service_id).id, body.feedback)
    return Received()


def _now() -> datetime:
    return datetime.now().astimezone()


def _service(service_id: str) -> CdsService:
    if service_id not in SERVICES:
        raise HTTPException(status_code=404)
    return SERVICES[service_id]


def _check(service: CdsService, body: HookRequest) -> None:
    """Refuse a call of another hook, or one without what its hook must say."""
    problems = []
    if body.hook != service.hook:
        message = f"hook must be {service.hook} at this address; it is another."
        problems.append(FieldProblem(field="hook", rule="not_allowed", message=message))
    if service.hook == "encounter-discharge" and body.context.encounterId is None:
        message = "context.encounterId must be given."
        problems.append(FieldProblem(field="context.encounterId", rule="required", message=message))
    if problems:
        raise RequestBroken(problems)
