"""From the call of a hook to its card, if every condition for a card holds.

The record is fetched piece by piece, and no further once there is a reason for no card. Every call
is audited before it is answered.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Literal
from uuid import uuid4

from data_schema.fhir.history import history, is_comfort_care
from data_schema.fhir.observations import FhirRecord, read_record
from data_schema.fhir.resources import Entry, FhirBroken
from data_schema.fhir.site_codes import SiteCodes
from data_schema.variables import base_name
from serving.audit.record import AuditEvent, Detail, canonical
from serving.cds.cards import Card, card, says_enough
from serving.cds.hook_request import HookRequest
from serving.cds.moment import is_living_adult, landmark
from serving.cds.prefetch import Prefetch
from serving.cds.services import CdsService, model_of, templates
from serving.cds.shown import ShownCard, show, was_shown
from serving.fhir.question import Circumstances, fhir_broken, question_of
from serving.prediction import predictor
from serving.prediction.answer import Prediction
from serving.prediction.json_translation import rules_in_json
from serving.prediction.on_record import Recorder
from serving.prediction.served import Served
from serving.problems.details import PreconditionFailed, RequestBroken
from serving.settings import Settings

__all__ = ["cards"]

# Why there is no card, coarse enough to count without identifying a patient.
_Silence = Literal["no_model", "not_eligible", "no_moment", "refused", "says_little", "seen"]

_PRACTITIONER = re.compile(r"Practitioner(Role)?/[A-Za-z0-9.\-]{1,64}")


class _NoCard(Exception):
    """There is no card, for a reason."""

    def __init__(self, why: _Silence) -> None:
        self.why = why


def cards(
    service: CdsService,
    request: HookRequest,
    served: Served,
    recorder: Recorder,
    settings: Settings,
    *,
    site: SiteCodes,
    now: datetime,
    count: Callable[[str, str], None],
) -> list[Card]:
    """Return one card for a call, or none.

    There is no card if no model of real patients counts from this time zero (`no_model`); if the
    patient is under 18, of unknown age, dead or in comfort care (`not_eligible`); outside intensive
    care or the service's window (`no_moment`); if the model refuses the patient (`refused`); if no
    bone marker was measured, the entries are sparse, or the interval is wider than 30 points
    (`says_little`); or if this
    user saw a card for this patient and outcome today, or one with the same content (`seen`).

    The recorder audits the call and its prediction. `site` holds the site's own codes. `now` has
    the local offset, which defines the day of "one card a day". `count` takes the service and
    `card` or the reason for none.

    Raises
    ------
    PreconditionFailed
        If required FHIR data were not sent and cannot be fetched.
    RequestBroken
        If the data are not FHIR, or not of one patient.
    OutsideError
        If the call cannot be recorded.
    """
    trail, context = recorder.trail, request.context
    viewer = trail.keys.viewer(recorder.actor, context.userId, context.patientId, service.outcome)
    event = _event(recorder, service, request)
    try:
        if was_shown(trail, viewer, day=now.date()):
            raise _NoCard("seen")
        new_card, prediction_id = _new_card(service, request, served, recorder, settings, site, now)
        content = trail.keys.card(canonical(new_card))
        if was_shown(trail, viewer, day=now.date(), content=content):
            raise _NoCard("seen")
        name = str(uuid4())
        shown = ShownCard(name, service.id, prediction_id, viewer, content, now.date())
        detail: Detail = {**event.detail, "card": name}
        with_card = replace(event, status="shown", prediction_id=prediction_id, detail=detail)
        if not show(trail, shown, with_card):
            raise _NoCard("seen")
    except _NoCard as silence:
        trail.append(event)
        count(service.id, silence.why)
        return []
    except (PreconditionFailed, RequestBroken):
        trail.append(replace(event, status="not_answered"))
        raise
    count(service.id, "card")
    return [{**new_card, "uuid": name}]


def _event(recorder: Recorder, service: CdsService, request: HookRequest) -> AuditEvent:
    """Return the audit event of a call, which names staff only."""
    user = request.context.userId
    detail: Detail = {"service": service.id, "hook_instance": request.hookInstance}
    if _PRACTITIONER.fullmatch(user):
        detail["user"] = user
    if recorder.token is not None:
        detail["token"] = recorder.token
    return AuditEvent(
        action="card",
        actor=recorder.actor,
        status="no_card",
        route=recorder.route,
        patient=recorder.trail.keys.patient(request.context.patientId),
        outcomes=[service.outcome],
        detail=detail,
    )


def _new_card(
    service: CdsService,
    request: HookRequest,
    served: Served,
    recorder: Recorder,
    settings: Settings,
    site: SiteCodes,
    now: datetime,
) -> tuple[Card, str]:
    """Return a card and the id of its prediction, or raise `_NoCard` at the first reason."""
    model = model_of(service, served)
    if model is None:
        raise _NoCard("no_model")
    wanted = templates(service, model, now.date(), site)
    prefetch = Prefetch(request, wanted, settings.fhir_servers)
    patient = prefetch.entries("patient")
    if not patient or not is_living_adult(patient[0].resource, now.date()):
        raise _NoCard("not_eligible")
    encounter = prefetch.encounters()
    at = landmark(service, encounter, now=now, icu_locations=settings.icu_locations)
    if at is None:
        raise _NoCard("no_moment")
    conditions = prefetch.entries("conditions")
    if is_comfort_care([*encounter, *conditions, *prefetch.entries("comfortCare")]):
        raise _NoCard("not_eligible")
    try:
        record = read_record(
            patient + prefetch.observations(),
            own=model.own_variables,
            zone=at.time_zero.tzinfo or UTC,
            site=site,
        )
    except FhirBroken as error:
        raise fhir_broken(error) from None
    recorded = [*conditions, *prefetch.entries("medications")]
    flags = history(recorded, icu_start=at.icu_start, time_zero=at.time_zero)
    record = replace(
        record,
        observations=(*record.observations, *flags),
        encounter=_reference(encounter),
    )
    with rules_in_json():
        about = Circumstances(at.time_zero, asked_at=now, icu_admission=at.icu_start)
        question = question_of(record, about, outcomes=[model.requested_as])
        answer = predictor.predict(question, served, recorder)
    (prediction,) = answer.predictions
    if prediction.status != "ok" or not prediction.risks:
        raise _NoCard("refused")
    if not says_enough(prediction):
        raise _NoCard("says_little")
    taken, url = _taken(record, prediction), settings.public_url
    new_card = card(prediction, model, at, taken=taken, unread=_unread(prediction), url=url)
    return new_card, answer.prediction_id


def _reference(entries: Sequence[Entry]) -> str:
    """Return the reference to the encounter, empty if there are several in progress."""
    references = {entry.reference for entry in entries if entry.kind == "Encounter"}
    return references.pop() if len(references) == 1 else ""


def _unread(prediction: Prediction) -> list[str]:
    """Return the variables with a value that could not be read or used; "" where none is named."""
    listed = ("unreadable", "no_time", "contradiction")
    return list(
        dict.fromkeys(base_name(one.variable) for one in prediction.ignored if one.reason in listed)
    )


def _taken(record: FhirRecord, prediction: Prediction) -> dict[str, datetime]:
    """Return the time of each value that was used."""
    unused = {one.number for one in prediction.ignored if one.part == "measurements"}
    return {
        one.measurement.variable or "": one.time
        for number, one in enumerate(record.observations)
        if number not in unused and one.time is not None
    }
