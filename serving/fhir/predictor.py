"""From a FHIR question to RiskAssessments, by the same function as other predictions."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from datetime import UTC, datetime

from data_schema.fhir.observations import FhirRecord, read_record
from data_schema.fhir.resources import FhirBroken, Resource
from data_schema.fhir.site_codes import NO_SITE_CODES, SiteCodes
from serving.fhir.circumstances import circumstances_of, with_death, with_history
from serving.fhir.question import FhirQuestion, fhir_broken, question_of
from serving.fhir.risk_assessment import risk_assessment
from serving.prediction import predictor
from serving.prediction.on_record import Recorder
from serving.prediction.question import BrokenRule, NoModel, Part, Place, QuestionBroken
from serving.prediction.served import Served, ServedModel
from serving.problems.details import FieldProblem, NoChampion, RequestBroken

__all__ = ["assess"]

_FIELDS: Mapping[Part, str] = {
    "birth_date": "Patient.birthDate",
    "horizons_days": "horizonDays",
    "outcomes": "outcome",
}


def assess(
    question: FhirQuestion,
    served: Served,
    recorder: Recorder | None = None,
    *,
    now: datetime,
    icu_locations: Collection[str] = (),
    site: SiteCodes = NO_SITE_CODES,
) -> list[Resource]:
    """Return one RiskAssessment for each outcome of a question, in its order.

    What cannot be read of the record is listed in its notes. `icu_locations` are references to the
    site's intensive care units, and `site` holds the meaning of its own codes.

    Raises
    ------
    RequestBroken
        With every rule that the question breaks.
    NoChampion
        If no model that learned from real patients is served for an outcome.
    """
    models = _models(question, served)
    own = {name: entry for model in models for name, entry in model.own_variables.items()}
    zone = question.time_zero.tzinfo if question.time_zero else None
    try:
        record = read_record(question.entries, own=own, zone=zone or UTC, site=site)
    except FhirBroken as error:
        raise fhir_broken(error) from None
    record = with_death(record, question.entries)
    about = circumstances_of(question, record, now=now, icu_locations=icu_locations)
    record = with_history(record, question.entries, about)
    outcomes = [model.requested_as for model in models]
    try:
        translated = question_of(
            record, about, outcomes=outcomes, horizons_days=question.horizons_days
        )
        answer = predictor.predict(translated, served, recorder)
    except QuestionBroken as error:
        raise RequestBroken(_in_fhir(error.broken, record)) from None
    return [
        risk_assessment(
            prediction,
            model,
            record,
            time_zero=about.time_zero,
            created_at=answer.created_at,
            prediction_id=answer.prediction_id,
            number=number,
        )
        for number, (prediction, model) in enumerate(
            zip(answer.predictions, models, strict=True), start=1
        )
    ]


def _models(question: FhirQuestion, served: Served) -> tuple[ServedModel, ...]:
    """Return the requested models, without simulated ones, or raise."""
    served.require_any()
    try:
        models = served.find(question.outcomes) if question.outcomes else served.models
    except QuestionBroken as error:
        raise RequestBroken(_in_fhir(error.broken)) from None
    except NoModel as error:
        raise NoChampion(_in_fhir(error.broken)) from None
    real = tuple(model for model in models if not model.contract.simulated)
    if not real or (question.outcomes and len(real) < len(models)):
        message = "outcome must have a model of real patients here; got a simulated model."
        raise NoChampion([FieldProblem(field="outcome", rule="simulated", message=message)])
    return real


def _in_fhir(broken: Sequence[BrokenRule], record: FhirRecord | None = None) -> list[FieldProblem]:
    """Return broken rules by their place in FHIR."""

    def field(place: Place) -> str:
        if record is not None and place.number is not None:
            if place.part == "measurements":
                return record.observations[place.number].expression
            if place.part == "absent":
                return record.absent[place.number].expression
            if place.part == "unread":
                return record.unread[place.number].expression
        return _FIELDS.get(place.part, place.part)

    def message(one: BrokenRule) -> str:
        """Return the message with the element of FHIR in place of the part of the question."""
        start = str(one.place) if one.message.startswith(str(one.place)) else one.place.part
        return f"{field(one.place)}{one.message.removeprefix(start)}"

    return [
        FieldProblem(
            field=field(one.place),
            rule=one.rule,
            message=message(one) if one.message.startswith(one.place.part) else one.message,
            count=one.count,
        )
        for one in broken
    ]
