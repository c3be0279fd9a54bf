"""`/cds-services`: CDS Hooks 2.0.1, called by an electronic health record."""

from __future__ import annotations

import asyncio
from contextvars import copy_context
from datetime import datetime
from functools import partial
from typing import Any

from fastapi import APIRouter, Request
from pydantic import BaseModel, Field
from starlette.exceptions import HTTPException

from serving.cds.answering import AboutAnswer, cards
from serving.cds.hook_request import HookRequest, SentFeedback
from serving.cds.services import SERVICES, CdsService, discovery
from serving.cds.shown import store_feedback
from serving.http.route_classes import StrictRoute
from serving.prediction.caller import recorder_of, served_models
from serving.problems.details import FieldProblem, RequestBroken

__all__ = ["router"]

router = APIRouter(prefix="/cds-services", route_class=StrictRoute, tags=["CDS Hooks"])


class Services(BaseModel):
    """The services for an electronic health record."""

    services: list[dict[str, Any]]


class CdsExtension(BaseModel):
    """Osteon's part of the extension."""

    osteon: AboutAnswer


class Cards(BaseModel):
    """At most one card, of indicator `info` and without suggestions.

    The extension gives the id of the prediction, for its outcome and its record, or the reason why
    there is no card, and the codes that were not recognised.
    """

    cards: list[dict[str, Any]] = Field(max_length=1)
    extension: CdsExtension


class Received(BaseModel):
    """The feedback was stored."""


@router.get("", summary="CDS Hooks discovery")
def services(request: Request) -> Services:
    """For electronic health records, to discover hooks and prefetch templates; not audited."""
    site = request.app.state.site_codes
    return Services.model_validate(discovery(served_models(request), _now().date(), site))


@router.post("/{service_id}", summary="Cards of one patient")
async def call(service_id: str, body: HookRequest, request: Request) -> Cards:
    """For electronic health records, when a clinician opens or discharges a patient.

    There is no card unless the patient is an adult in intensive care, within the service's time
    window, and the card is new to the user; the extension says why. FHIR data that were not sent
    are fetched from `fhirServer` if it is in the settings of the site; otherwise the answer is 412.
    Every call is audited before the answer is sent. A repeated `hookInstance` gets its card again.
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
        site=request.app.state.site_codes,
        now=_now(),
        count=request.app.state.metrics.count_cards,
    )
    # Separate threads: a slow FHIR server must not delay predictions.
    threads = request.app.state.cds_threads
    answered = await asyncio.get_running_loop().run_in_executor(threads, copy_context().run, answer)
    shown = [{**one} for one in answered.cards]
    return Cards(cards=shown, extension=CdsExtension(osteon=answered.about))


@router.post("/{service_id}/feedback", summary="What users did with cards")
def feedback(service_id: str, body: SentFeedback, request: Request) -> Received:
    """For electronic health records, after a card; stored, and audited without the comment."""
    store_feedback(recorder_of(request), _service(service_id).id, body.feedback)
    return Received()


def _now() -> datetime:
    return datetime.now().astimezone()


def _service(service_id: str) -> CdsService:
    if service_id not in SERVICES:
        raise HTTPException(status_code=404)
    return SERVICES[service_id]


def _check(service: CdsService, body: HookRequest) -> None:
    """Reject a call of another hook, or without the context that the hook requires."""
    problems = []
    if body.hook != service.hook:
        message = f"hook must be {service.hook} at this address."
        problems.append(FieldProblem(field="hook", rule="not_allowed", message=message))
    if service.hook == "encounter-discharge" and body.context.encounterId is None:
        message = "context.encounterId must be given."
        problems.append(FieldProblem(field="context.encounterId", rule="required", message=message))
    if problems:
        raise RequestBroken(problems)
