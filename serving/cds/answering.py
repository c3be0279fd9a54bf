"""From the call of a hook to its card, if every condition for a card holds.

The record is fetched piece by piece, and no further once there is a reason for no card. Every call
is audited before it is answered.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from typing import Literal, NotRequired
from uuid import uuid4

from typing_extensions import TypedDict

from data_schema.fhir.history import history, is_comfort_care
from data_schema.fhir.observations import FhirRecord, UnknownCode, read_record
from data_schema.fhir.resources import Entry, FhirBroken
from data_schema.fhir.site_codes import SiteCodes
from data_schema.variables import base_name
from serving.audit.record import AuditEvent, Detail, canonical
from serving.audit.trail import AuditTrail
from serving.cds.cards import Card, card, says_enough
from serving.cds.hook_request import HookRequest
from serving.cds.moment import landmark, reason_not_due, reason_not_eligible
from serving.cds.prefetch import Prefetch
from serving.cds.services import CdsService, model_of, templates
from serving.cds.shown import ShownCard, card_of_call, show, was_shown
from serving.fhir.question import Circumstances, fhir_broken, question_of
from serving.fhir.unknown_codes import named_codes
from serving.prediction import predictor
from serving.prediction.answer import Ignored, IgnoredReason, Prediction
from serving.prediction.json_translation import rules_in_json
from serving.prediction.on_record import Recorder
from serving.prediction.served import Served
from serving.problems.details import PreconditionFailed, RequestBroken
from serving.settings import Settings

__all__ = ["AboutAnswer", "CdsAnswer", "cards"]

# Why there is no card, coarse enough to count without identifying a patient.
_Silence = Literal["no_model", "not_eligible", "no_moment", "refused", "says_little", "seen"]
_IN_WORDS: Mapping[_Silence, str] = {
    "no_model": "No model of real patients is served for this outcome at this time zero.",
    "not_eligible": "Cards are for living adults whose goal of care is not comfort.",
    "no_moment": "The record has no stay in intensive care within the time window of this service.",
    "refused": "The model gives no risk for this patient.",
    "says_little": "The estimate would say little: no bone marker was measured, the entries are "
    "sparse, or the interval is wide.",
    "seen": "This user saw a card of this patient and outcome today, or one with the same content.",
}

# Reasons that someone may want to see in the record.
_LISTED: frozenset[IgnoredReason] = frozenset(
    {"contradiction", "issued_after_time_zero", "too_old", "no_time", "unreadable"}
)
_MOST_LISTED = 50

_PRACTITIONER = re.compile(r"Practitioner(Role)?/[A-Za-z0-9.\-]{1,64}")


class NoCard(TypedDict):
    """Why there is no card; `refusals` holds the codes of a model's refusal."""

    reason: str
    message: str
    refusals: NotRequired[Sequence[str]]


class UnusedValue(TypedDict):
    """A variable of which a value was not used, and why."""

    variable: str
    reason: IgnoredReason
    rule: NotRequired[str]


@dataclass(frozen=True, slots=True)
class _LeftOut:
    """What of a record was not recognised or not used."""

    unknown_codes: Sequence[UnknownCode] = ()
    ignored: Sequence[Ignored] = ()


class AboutAnswer(TypedDict):
    """What an answer says beside its card.

    `predictionId` is that of `POST /v1/outcomes` and of the audit trail; `unrecognisedCodes` holds
    codes of Observations, each with its system and the number of Observations. `notUsed` names the
    variables of which a value of the record was not used, with the reason and, for what cannot be
    read, the rule that it breaks.
    """

    predictionId: NotRequired[str]
    noCard: NotRequired[NoCard]
    unrecognisedCodes: NotRequired[Sequence[Mapping[str, str | int]]]
    notUsed: NotRequired[Sequence[UnusedValue]]


@dataclass(frozen=True, slots=True)
class CdsAnswer:
    """At most one card, and what the answer says beside it."""

    cards: Sequence[Card]
    about: AboutAnswer


@dataclass(frozen=True, slots=True)
class _MadeCard:
    """A card without its id, the id of its prediction, and what of the record was left out.

    Without a recorder, the prediction is not on record and its id is of no use.
    """

    card: Card
    prediction_id: str
    left_out: _LeftOut


_NOTHING = _LeftOut()


class _NoCard(Exception):
    """There is no card, for a reason."""

    def __init__(
        self,
        why: _Silence,
        *,
        refusals: Sequence[str] = (),
        left_out: _LeftOut = _NOTHING,
    ) -> None:
        self.why = why
        self.refusals = tuple(refusals)
        self.left_out = left_out


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
) -> CdsAnswer:
    """Return one card for a call, or none with the reason.

    There is no card if no model of real patients counts from this time zero (`no_model`); if the
    patient is under 18, of unknown age, dead or in comfort care (`not_eligible`); outside intensive
    care or the service's window (`no_moment`); if the model refuses the patient (`refused`); if no
    bone marker was measured, the entries are sparse, or the interval is wider than 30 points
    (`says_little`); or if this
    user saw a card for this patient and outcome today, or one with the same content (`seen`).

    A call that repeats a hook instance, as a client does that got no answer, gets the same card
    again unless the record has changed in between.

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
        earlier = card_of_call(trail, viewer, request.hookInstance)
        if earlier is None and was_shown(trail, viewer, day=now.date()):
            raise _NoCard("seen")
        # A repeated call is no second prediction.
        of_call = recorder if earlier is None else None
        made = _new_card(service, request, served, of_call, settings, site, now)
        content = trail.keys.card(canonical(made.card))
        if earlier is None:
            new = ShownCard(
                str(uuid4()), service.id, made.prediction_id, viewer, content, now.date()
            )
            shown = _shown(trail, new, event)
        else:
            shown = earlier
        if shown is None:  # another call was faster, perhaps of the same hook instance
            earlier = shown = card_of_call(trail, viewer, request.hookInstance)
        if shown is None or shown.content != content:
            raise _NoCard("seen", left_out=made.left_out)
        if earlier is not None:
            trail.append(_with_card(event, "repeated", earlier))
    except _NoCard as silence:
        trail.append(event)
        count(service.id, silence.why)
        return CdsAnswer([], _about_silence(silence))
    except (PreconditionFailed, RequestBroken):
        trail.append(replace(event, status="not_answered"))
        raise
    count(service.id, "card")
    about: AboutAnswer = {"predictionId": shown.prediction_id, **_left_out(made.left_out)}
    return CdsAnswer([{**made.card, "uuid": shown.card}], about)


def _shown(trail: AuditTrail, card: ShownCard, event: AuditEvent) -> ShownCard | None:
    """Record a new card, and return it unless its viewer saw another today or the same before."""
    if was_shown(trail, card.viewer, day=card.day, content=card.content):
        return None
    return card if show(trail, card, _with_card(event, "shown", card)) else None


def _with_card(
    event: AuditEvent, status: Literal["shown", "repeated"], card: ShownCard
) -> AuditEvent:
    detail: Detail = {**event.detail, "card": card.card}
    return replace(event, status=status, prediction_id=card.prediction_id, detail=detail)


def _about_silence(silence: _NoCard) -> AboutAnswer:
    why: NoCard = {"reason": silence.why, "message": _IN_WORDS[silence.why]}
    if silence.refusals:
        why["refusals"] = silence.refusals
    return {"noCard": why, **_left_out(silence.left_out)}


def _left_out(left_out: _LeftOut) -> AboutAnswer:
    """Return what of a record was left out, each variable once for each reason."""
    about: AboutAnswer = {}
    if named := named_codes(left_out.unknown_codes):
        about["unrecognisedCodes"] = [asdict(code) for code in named]
    unused: dict[tuple[str, str, str], UnusedValue] = {}
    for one in left_out.ignored:
        if one.reason in _LISTED:
            value: UnusedValue = {"variable": base_name(one.variable), "reason": one.reason}
            unused[base_name(one.variable), one.reason, one.rule] = (
                {**value, "rule": one.rule} if one.rule else value
            )
    if unused:
        about["notUsed"] = list(unused.values())[:_MOST_LISTED]
    return about


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
    recorder: Recorder | None,
    settings: Settings,
    site: SiteCodes,
    now: datetime,
) -> _MadeCard:
    """Return a card and its prediction, or raise `_NoCard` at the first reason."""
    model = model_of(service, served)
    if model is None:
        raise _NoCard("no_model")
    wanted = templates(service, model, now.date(), site)
    prefetch = Prefetch(request, wanted, settings.fhir_servers)
    patient = prefetch.entries("patient")
    if not patient:
        raise _NoCard("not_eligible")
    if code := reason_not_eligible(patient[0].resource, now.date()):
        raise _NoCard("not_eligible", refusals=[code])
    encounter = prefetch.encounters()
    at = landmark(service, encounter, now=now, icu_locations=settings.icu_locations)
    if at is None:
        raise _NoCard("no_moment")
    # Adults of today may have been children at a time zero of years ago.
    if code := reason_not_eligible(patient[0].resource, at.time_zero.date()):
        raise _NoCard("not_eligible", refusals=[code])
    within = model.contract.asked_within_days
    late = reason_not_due(service, at, now=now, asked_within_days=within)
    if late is not None:
        raise _NoCard("no_moment", refusals=[late] if late else [])
    conditions = prefetch.entries("conditions")
    if is_comfort_care([*encounter, *conditions, *prefetch.entries("comfortCare")]):
        raise _NoCard("not_eligible", refusals=["comfort_care"])
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
    left_out = _LeftOut(record.unknown_codes, prediction.ignored)
    if prediction.status != "ok" or not prediction.risks:
        codes = [refusal.code for refusal in prediction.refusals]
        raise _NoCard("refused", refusals=codes, left_out=left_out)
    if not says_enough(prediction):
        raise _NoCard("says_little", left_out=left_out)
    taken, url = _taken(record, prediction), settings.public_url
    new_card = card(prediction, model, at, taken=taken, unread=_unread(prediction), url=url)
    return _MadeCard(new_card, answer.prediction_id, left_out)


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
