"""The recorder of one request, which audits answers before they are sent."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Literal, Protocol

from pydantic_core import to_json
from sqlalchemy import Connection, insert
from ulid import ULID

from data_schema.errors import GateError
from models.inference.risk_model import Table
from serving.audit.record import AuditEvent, ModelRecord, canonical
from serving.audit.stored_rows import digest
from serving.audit.trail import AuditTrail, Entry, Recorded
from serving.http.tracing import span
from serving.prediction.answer import Prediction, as_days
from serving.prediction.question import Question
from serving.prediction.served import ServedModel
from serving.problems.details import Conflict, FieldProblem, RequestBroken
from serving.store.tables import RISKS, SHADOW

__all__ = ["ComputedAnswer", "Identity", "Recorder", "ShadowRisks"]

_FIELD = "Idempotency-Key"
_INSERT_RISKS = insert(RISKS)


@dataclass(frozen=True, slots=True)
class Identity:
    """The id of an answer and the time when it was made."""

    prediction_id: str
    created_at: datetime


@dataclass(frozen=True, slots=True)
class ShadowRisks:
    """What a model in the shadow would have answered: (days, risk), empty if it refused."""

    model: ServedModel
    risks: Sequence[tuple[float, float]]


@dataclass(frozen=True, slots=True)
class ComputedAnswer:
    """The predictions for one question, one by each model, and the seconds that each took.

    `shadows` are recorded with them and never sent; `inputs` are the rows that the models read,
    which are counted and not stored.
    """

    question: Question
    models: Sequence[ServedModel]
    predictions: Sequence[Prediction]
    seconds: Sequence[float]
    shadows: Sequence[ShadowRisks] = ()
    inputs: Sequence[Table] = ()


class Observer(Protocol):
    """Notes each answer that is on record, for logs and metrics."""

    def recorded(self, prediction_id: str, answer: ComputedAnswer | None) -> None:
        """Note one answer; None if it repeats an earlier one."""


@dataclass(frozen=True, slots=True)
class Recorder:
    """The audit trail, with the caller and the route (a template) of one request.

    With an `idempotency_key` of the caller, a repeated request is not a second prediction.
    `observer` is for logs and metrics.
    `token` is that of `Caller`.
    """

    trail: AuditTrail
    actor: str
    route: str
    idempotency_key: str | None = None
    observer: Observer | None = None
    token: str | None = None

    def record(self, answers: Sequence[ComputedAnswer]) -> list[Identity]:
        """Record answers durably and return their identities.

        An `Idempotency-Key` allows one answer only. If it is on record for the same caller, the
        identity is that of the first answer, which the same model computes again.

        Raises
        ------
        RequestBroken
            If the caller used the key for another request.
        Conflict
            If a model has changed since the key was used.
        GateError
            If the first record was changed, or the trail is not whole.
        OutsideError
            If the answers cannot be recorded; then they must not be sent.
        """
        events = [self._event(answer) for answer in answers]
        entries = [
            Entry(event, beside=_storing(event.prediction_id, _risks_of(answer)))
            for event, answer in zip(events, answers, strict=True)
        ]
        identities = []
        with span("audit trail"):
            recordings = self.trail.append_all(entries)
        for event, answer, recorded in zip(events, answers, recordings, strict=True):
            if recorded.earlier:
                _check_same(event, recorded)
            at = datetime.fromisoformat(recorded.body["at"])
            identity = Identity(recorded.body["prediction_id"], at)
            identities.append(identity)
            if self.observer is not None:
                self.observer.recorded(identity.prediction_id, None if recorded.earlier else answer)
        return identities

    def _event(self, answer: ComputedAnswer) -> AuditEvent:
        keys, question = self.trail.keys, answer.question
        models: list[ModelRecord] = [
            {
                "name": model.loaded.name,
                "version": model.loaded.version,
                "sha256": model.loaded.sha256,
                "outcome": prediction.outcome,
                "status": prediction.status,
            }
            for model, prediction in zip(answer.models, answer.predictions, strict=True)
        ]
        stay = _stay(question)
        refused = all(prediction.status == "refused" for prediction in answer.predictions)
        return AuditEvent(
            action="predict",
            actor=self.actor,
            status="refused" if refused else "ok",
            route=self.route,
            prediction_id=str(ULID()),
            patient=keys.patient(question.patient_id),
            stay=None if stay is None else keys.stay(question.patient_id, stay),
            moment=keys.moment(question.patient_id, question.time_zero),
            input=keys.input(_input(question)),
            outcomes=list(question.outcomes),
            models=models,
            absent=sorted({name for one in answer.predictions for name in one.absent}),
            session=(
                None if question.session is None else keys.session(self.actor, question.session)
            ),
            stage=_stage(question),
            request_key=(
                None
                if self.idempotency_key is None
                else keys.request(self.actor, self.idempotency_key)
            ),
            digest=digest(keys, RISKS, _risks_of(answer)),
        )


def _stay(question: Question) -> str | None:
    """Return what tells the stays of a patient apart; None where a request states nothing."""
    if question.encounter_id is not None:
        return f"encounter {question.encounter_id}"
    if question.icu_admission is not None:
        return f"admitted {question.icu_admission.astimezone(UTC).isoformat(timespec='seconds')}"
    return None


def _stage(question: Question) -> Literal["", "interim", "final"]:
    if question.session is None:
        return ""
    return "interim" if question.is_interim else "final"


def _stated(value: bool | float | str | None) -> bool | float | str | None:
    """Return a value as it is hashed: every number as the float of it, if there is one."""
    if value is None or isinstance(value, bool | str):
        return value
    try:
        return float(value)
    except OverflowError:  # a whole number of more than 308 digits
        return f"{int(value):#x}"


def _input(question: Question) -> str:
    """Return the text whose keyed hash identifies a question, the same for every interface.

    Audit trails hold this hash, so the text must not change when the types do.
    """
    measurements = [
        {
            "variable": sent.variable,
            "loinc": sent.loinc,
            "value": _stated(sent.value),
            "comparator": sent.comparator,
            "unit": sent.unit,
            "time": time,
            "assay": sent.assay,
            "specimen": sent.specimen,
            **({} if one.issued is None else {"issued": one.issued}),
            **({"is_corrected": True} if one.is_corrected else {}),
        }
        for one in question.measurements
        for sent, time in ((one.measurement, one.time),)
    ]
    absent = [{"variable": one.variable, "time": one.time} for one in question.absent]
    text = to_json(
        {
            "patient_id": question.patient_id,
            "encounter_id": question.encounter_id,
            "time_zero": question.time_zero,
            "sex": question.sex,
            "birth_date": None if question.birth_date is None else str(question.birth_date),
            "outcomes": question.outcomes,
            "horizons_days": question.horizons_days,
            "measurements": measurements,
            "explain": question.explain,
            "next_best": question.next_best,
            # Left out if empty, as in records from before it could be stated.
            **({"absent": absent} if absent else {}),
            **_stated_policy(question),
        }
    )
    return text.decode()


def _stated_policy(question: Question) -> dict[str, object]:
    """Return what a question states about the moment and the record, left out where it is not."""
    death = question.death
    stated: dict[str, object] = {
        "icu_admission": question.icu_admission,
        "death": None if death is None else [death.earliest],
        "comfort_care": question.is_comfort_care,
        "incomplete": question.is_incomplete,
        "session": question.session,
        "interim": question.is_interim,
        "unread": [(one.variable, one.rule, one.time) for one in question.unread],
        # The moment of any other request is not part of it: a repeated one is the same request.
        "asked_at": question.asked_at if question.is_retrospective else None,
    }
    return {name: value for name, value in stated.items() if value}


def _risks_of(answer: ComputedAnswer) -> list[dict[str, object]]:
    """Return the rows of the predicted risks, to which `POST /v1/outcomes` refers.

    An interim answer has none, so that monitoring and outcomes know final answers only.
    """
    if answer.question.is_interim:
        return []
    shown: list[dict[str, object]] = [
        {
            "outcome": prediction.outcome,
            "model": model.loaded.name,
            "version": model.loaded.version,
            "absent": canonical(prediction.absent) if prediction.absent else None,
            "risks": canonical(
                [[as_days(risk.horizon_days), risk.risk] for risk in prediction.risks]
            ),
        }
        for model, prediction in zip(answer.models, answer.predictions, strict=True)
    ]
    return shown + [
        {
            "outcome": shadow.model.contract.outcome,
            "model": f"{shadow.model.loaded.name}{SHADOW}",
            "version": shadow.model.loaded.version,
            "absent": None,
            "risks": canonical([[as_days(days), risk] for days, risk in shadow.risks]),
        }
        for shadow in answer.shadows
    ]


def _storing(
    prediction_id: str | None, risks: Sequence[Mapping[str, object]]
) -> Callable[[Connection], object]:
    rows = [{**row, "prediction_id": prediction_id} for row in risks]

    def write(connection: Connection) -> None:
        if rows:
            connection.execute(_INSERT_RISKS, rows)

    return write


def _check_same(event: AuditEvent, recorded: Recorded) -> None:
    """Raise unless the earlier record of the key has the same request and models."""
    if not recorded.body:
        raise GateError(
            f"The record of an {_FIELD} must be unchanged; got a changed record. Run `osteon "
            "audit verify`."
        )
    if recorded.body.get("input") != event.input or recorded.body.get("route") != event.route:
        raise RequestBroken(
            [_problem("reused", "must be new for each request; it belongs to another request")]
        )
    if recorded.body.get("models") != event.models:
        raise Conflict(
            [_problem("model_changed", "must be new; a model has changed since it was used")]
        )


def _problem(rule: str, rest: str) -> FieldProblem:
    return FieldProblem(field=_FIELD, rule=rule, message=f"{_FIELD} {rest}.")
