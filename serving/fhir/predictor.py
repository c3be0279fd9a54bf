"""From a FHIR question to RiskAssessments, through the same door as every other prediction."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from pydantic import ValidationError

from data_schema.fhir.observations import FhirRecord, SentObservation, read_record
from data_schema.fhir.resources import FhirBroken, text
from serving.fhir.question import FhirQuestion, fhir_broken
from serving.fhir.risk_assessment import risk_assessment
from serving.prediction import predictor
from serving.prediction.on_record import Recorder
from serving.prediction.schemas import PredictRequest
from serving.prediction.served import Served, ServedModel
from serving.problems.details import FieldProblem, NoChampion, RequestBroken, field_problems

__all__ = ["assess", "predict_request"]

_FIELDS = {
    "birth_date": "Patient.birthDate",
    "horizons_days": "horizonDays",
    "outcomes": "outcome",
    "time_zero": "timeZero",
}


def assess(
    question: FhirQuestion, served: Served, recorder: Recorder | None = None
) -> list[dict[str, Any]]:
    """Answer one question.

    Parameters
    ----------
    question : FhirQuestion
    served : Served
    recorder : Recorder, optional
        As `serving.prediction.predictor.predict` takes it.

    Returns
    -------
    list of dict
        One RiskAssessment for each outcome, in the order asked.

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
        record = read_record(question.entries, own=own, zone=zone or UTC)
    except FhirBroken as error:
        raise fhir_broken(error) from None
    if record.broken:
        raise fhir_broken(FhirBroken(record.broken))
    time_zero = question.time_zero or _newest(record)
    asked = replace(
        question, outcomes=tuple(model.asked_as for model in models), time_zero=time_zero
    )
    try:
        answer = predictor.predict(predict_request(record, asked), served, recorder)
    except RequestBroken as error:
        problems = [_in_fhir(problem, record.observations) for problem in error.problems]
        raise RequestBroken(problems) from None
    return [
        risk_assessment(
            prediction, model, record, time_zero=time_zero, created_at=answer.created_at
        )
        for prediction, model in zip(answer.predictions, models, strict=True)
    ]


def predict_request(record: FhirRecord, question: FhirQuestion) -> PredictRequest:
    """Return what `POST /v1/predict` would be sent for a record.

    Parameters
    ----------
    record : FhirRecord
    question : FhirQuestion
        With its outcomes and time zero.

    Returns
    -------
    PredictRequest
        `measurements[i]` is `record.observations[i]`.

    Raises
    ------
    RequestBroken
        With every rule that the record breaks.
    """
    assert question.time_zero is not None
    sent: dict[str, Any] = {
        "patient_id": _bare_id(record.subject),
        "encounter_id": record.encounter.rsplit("/", 1)[-1] or None,
        "time_zero": question.time_zero.isoformat(),
        "sex": record.sex,
        "birth_date": record.birth_date.isoformat() if record.birth_date else None,
        "outcomes": list(question.outcomes),
        "horizons_days": list(question.horizons_days) if question.horizons_days else None,
        "measurements": [
            {
                "variable": one.measurement.variable,
                "loinc": one.measurement.loinc,
                "value": one.measurement.value,
                "unit": one.measurement.unit,
                "comparator": one.measurement.comparator,
                "assay": one.measurement.assay,
                "specimen": one.measurement.specimen,
                "time": one.time.isoformat() if one.time else None,
            }
            for one in record.observations
        ],
    }
    try:
        return PredictRequest.model_validate(sent)
    except ValidationError as error:
        problems = field_problems(error.errors(include_url=False, include_input=False))
    raise RequestBroken(problems)


def _models(question: FhirQuestion, served: Served) -> tuple[ServedModel, ...]:
    """Return the models asked; a simulated one says nothing about a real patient."""
    served.require_any()
    try:
        found = served.find(question.outcomes) if question.outcomes else served.models
    except RequestBroken as error:
        raise RequestBroken([_in_fhir(problem, ()) for problem in error.problems]) from None
    except NoChampion as error:
        raise NoChampion([_in_fhir(problem, ()) for problem in error.problems]) from None
    real = tuple(model for model in found if not model.contract.simulated)
    if not real or (question.outcomes and len(real) < len(found)):
        message = "outcome must have a model of real patients here; it has a simulated one."
        raise NoChampion([FieldProblem(field="outcome", rule="simulated", message=message)])
    return real


def _newest(record: FhirRecord) -> datetime:
    times = [one.time for one in record.observations if one.time is not None]
    if not times:
        message = "timeZero must be given where no Observation states its time; it is not."
        raise RequestBroken([FieldProblem(field="timeZero", rule="required", message=message)])
    return max(times)


def _bare_id(subject: Mapping[str, Any]) -> str:
    """Return the patient's id without the server's address."""
    if text(subject, "reference"):
        return text(subject, "reference").rsplit("/", 1)[-1]
    return text(subject.get("identifier", {}), "value")


def _in_fhir(problem: FieldProblem, observations: Sequence[SentObservation]) -> FieldProblem:
    """Return the same problem where it stands in FHIR."""
    name, _, rest = problem.field.partition("[")
    if name == "measurements" and rest:
        field = observations[int(rest.partition("]")[0])].expression
    else:
        field = _FIELDS.get(name, name)
    return problem.model_copy(update={"field": field})
