"""From a hook's call to its cards: none unless every condition for one holds.

What is needed of the record is asked for piece by piece, so that nothing more of a patient is
fetched once there is a reason for silence. Every call is on record before it is answered.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Literal
from uuid import uuid4

from data_schema.biomarkers import VARIABLES
from data_schema.errors import Finding
from data_schema.fhir.history import history, is_comfort_care
from data_schema.fhir.observations import FhirRecord, SentObservation, read_record
from data_schema.fhir.resources import Entry, FhirBroken
from data_schema.measurements import canonical_measurement
from data_schema.variables import base_name
from serving.audit.record import AuditEvent, Detail, canonical
from serving.cds.cards import Card, card, says_enough
from serving.cds.hook_request import HookRequest
from serving.cds.moment import Landmark, is_living_adult, landmark
from serving.cds.prefetch import Prefetch
from serving.cds.services import CdsService, model_of, templates
from serving.cds.shown import ShownCard, show, was_shown
from serving.fhir.question import fhir_broken, question_of
from serving.prediction import predictor
from serving.prediction.json_translation import rules_in_json
from serving.prediction.on_record import Recorder
from serving.prediction.served import Served, ServedModel
from serving.problems.details import PreconditionFailed, RequestBroken
from serving.settings import Settings

__all__ = ["SILENCES", "cards"]

Silence = Literal["no_model", "not_eligible", "no_moment", "refused", "says_little", "seen"]
SILENCES: Mapping[Silence, str] = {
    "no_model": "no model of real patients counts from this moment",
    "not_eligible": "not a living adult whose goal is more than comfort",
    "no_moment": "not in intensive care, or outside the time in which a card is of use",
    "refused": "the model refuses this patient",
    "says_little": "no bone marker measured, or an interval wider than 30 points",
    "seen": "this user saw a card today, or one that said the same",
}
"""Why there is no card, as coarse as it may be counted: nothing of it tells of one patient."""

_PRACTITIONER = re.compile(r"Practitioner(Role)?/[A-Za-z0-9.\-]{1,64}")


class _NoCard(Exception):
    """There is no card, and why."""

    def __init__(self, why: Silence) -> None:
        self.why = why


@dataclass(frozen=True, slots=True)
class _CardToShow:
    """A card that may be shown."""

    card: Card
    prediction_id: str


def cards(
    service: CdsService,
    request: HookRequest,
    served: Served,
    recorder: Recorder,
    settings: Settings,
    *,
    now: datetime,
    count: Callable[[str, str], None],
) -> list[Card]:
    """Return the cards of one call: one, or none.

    None in each case of `SILENCES`: no model of real patients; under 18 or age unknown, dead or in
    comfort care; outside intensive care or the service's window; a refusal; no bone marker or too
    wide an interval; and when this user saw a card of this patient and outcome today, or one that
    said the same.

    Parameters
    ----------
    service : CdsService
    request : HookRequest
    served : Served
    recorder : Recorder
        Puts the call, and any prediction that it needs, on record.
    settings : Settings
    now : datetime
        With the offset of the place: its day is the day of "one card a day".
    count : callable
        Takes the service and `card` or why there is none.

    Returns
    -------
    list of Card

    Raises
    ------
    PreconditionFailed
        If what is needed of the record was not sent and cannot be fetched.
    RequestBroken
        If what was sent is no FHIR, or not of one patient.
    OutsideError
        If the call cannot be recorded.
    """
    trail, context = recorder.trail, request.context
    viewer = trail.keys.viewer(recorder.actor, context.userId, context.patientId, service.outcome)
    event = _event(recorder, service, request)
    try:
        if was_shown(trail, viewer, day=now.date()):
            raise _NoCard("seen")
        to_show = _card_to_show(service, request, served, recorder, settings, now)
        said = trail.keys.card(canonical(to_show.card))
        if was_shown(trail, viewer, day=now.date(), said=said):
            raise _NoCard("seen")
        name = str(uuid4())
        shown = ShownCard(name, service.id, to_show.prediction_id, viewer, said, now.date())
        if not show(trail, shown, _of_card(event, shown)):
            raise _NoCard("seen")
    except _NoCard as silence:
        trail.append(event)
        count(service.id, silence.why)
        return []
    except (PreconditionFailed, RequestBroken):
        trail.append(replace(event, status="not_answered"))
        raise
    count(service.id, "card")
    return [{**to_show.card, "uuid": name}]


def _event(recorder: Recorder, service: CdsService, request: HookRequest) -> AuditEvent:
    """Return what is recorded of a call; only staff are named in it."""
    user = request.context.userId
    detail: Detail = {"service": service.id, "hook_instance": request.hookInstance}
    if _PRACTITIONER.fullmatch(user):
        detail["user"] = user
    return AuditEvent(
        action="card",
        actor=recorder.actor,
        status="no_card",
        route=recorder.route,
        patient=recorder.trail.keys.patient(request.context.patientId),
        outcomes=[service.outcome],
        detail=detail,
    )


def _of_card(event: AuditEvent, shown: ShownCard) -> AuditEvent:
    return replace(
        event,
        status="shown",
        prediction_id=shown.prediction_id,
        detail={**event.detail, "card": shown.card},
    )


def _card_to_show(
    service: CdsService,
    request: HookRequest,
    served: Served,
    recorder: Recorder,
    settings: Settings,
    now: datetime,
) -> _CardToShow:
    """Return the card of a call, or raise `_NoCard` at the first reason for silence."""
    model = model_of(service, served)
    if model is None:
        raise _NoCard("no_model")
    if request.context.encounterId is None:
        raise _NoCard("no_moment")
    wanted = templates(service, model, now.date())
    prefetch = Prefetch(request, wanted, settings.fhir_servers)
    patient = prefetch.entries("patient")
    if not patient or not is_living_adult(patient[0].resource, now.date()):
        raise _NoCard("not_eligible")
    encounter = prefetch.entries("encounter")
    at = landmark(service, encounter, now=now, icu_locations=settings.icu_locations)
    if at is None:
        raise _NoCard("no_moment")
    conditions = prefetch.entries("conditions")
    if is_comfort_care([*encounter, *conditions, *prefetch.entries("comfortCare")]):
        raise _NoCard("not_eligible")
    record = _record(patient + prefetch.entries("observations"), model, at)
    record, unread = _usable(record, model, at)
    recorded = [*conditions, *prefetch.entries("medications")]
    flags = history(recorded, icu_start=at.icu_start, time_zero=at.time_zero)
    record = replace(
        record,
        observations=(*record.observations, *flags),
        encounter=f"Encounter/{request.context.encounterId}",
    )
    return _predicted(record, unread, at, model, served, recorder, settings.public_url)


def _record(entries: Sequence[Entry], model: ServedModel, at: Landmark) -> FhirRecord:
    try:
        return read_record(entries, own=model.own_variables, zone=at.time_zero.tzinfo or UTC)
    except FhirBroken as error:
        raise fhir_broken(error) from None


def _usable(
    record: FhirRecord, model: ServedModel, at: Landmark
) -> tuple[FhirRecord, Sequence[str]]:
    """Leave out what is older than its variable's window, and what cannot be read, and name that.

    One slip in a record must not silence all of it.
    """
    variables = {**VARIABLES, **model.own_variables}
    kept: list[SentObservation] = []
    unread = [""] * len(record.broken)
    for one in record.observations:
        checked = canonical_measurement(one.measurement, variables)
        # An unknown category counts as not measured, with a warning.
        is_read = not isinstance(checked, Finding) or checked.rule == "category"
        first = _first_moment(one, at)
        if not is_read or (first is not None and one.time is None):
            unread.append(base_name(one.measurement.variable or ""))
        elif first is None or one.time is None or one.time >= first:
            kept.append(one)
    return replace(record, observations=tuple(kept)), unread


def _first_moment(one: SentObservation, at: Landmark) -> datetime | None:
    known = VARIABLES.get(base_name(one.measurement.variable or ""))
    if known is None:
        return None
    return known.window.start(icu_start=at.icu_start, time_zero=at.time_zero)


def _predicted(
    record: FhirRecord,
    unread: Sequence[str],
    at: Landmark,
    model: ServedModel,
    served: Served,
    recorder: Recorder,
    url: str | None,
) -> _CardToShow:
    with rules_in_json():
        question = question_of(record, outcomes=[model.requested_as], time_zero=at.time_zero)
        answer = predictor.predict(question, served, recorder)
    (prediction,) = answer.predictions
    if prediction.status != "ok" or not prediction.risks:
        raise _NoCard("refused")
    if not says_enough(prediction):
        raise _NoCard("says_little")
    shown = card(prediction, model, at, taken=_taken(record, at), unread=unread, url=url)
    return _CardToShow(shown, answer.prediction_id)


def _taken(record: FhirRecord, at: Landmark) -> dict[str, datetime]:
    """Return when the value of each variable was taken: the last at or before time zero."""
    timed = [one for one in record.observations if one.time is not None and one.measurement]
    taken: dict[str, datetime] = {}
    for one in timed:
        name = one.measurement.variable or ""
        assert one.time is not None
        if one.time <= at.time_zero and one.time >= taken.get(name, one.time):
            taken[name] = one.time
    return taken
