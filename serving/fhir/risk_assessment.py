"""One prediction as a FHIR RiskAssessment, the same in R4, R4B and R5.

`probabilityDecimal` is a percentage, 0 to 100, and `when` is a period: in R4 a range is the age of
the patient. A prediction holds a decimal or a range, so the interval is a second prediction, and
the range of the estimate if everything were entered is a third.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta

from data_schema.fhir.code_systems import SNOMED, UCUM
from data_schema.fhir.observations import NOT_COUNTED, FhirRecord
from data_schema.fhir.resources import Resource
from data_schema.outcomes import OUTCOMES
from data_schema.variables import LOCAL_SYSTEM, base_name
from models import wording
from models.patient_explanation import ExplainedRisk, panel_sentence
from serving.fhir.unknown_codes import unknown_codes_in_words
from serving.prediction.answer import IgnoredReason, Prediction
from serving.prediction.served import ServedModel

__all__ = ["AI_ASSERTED", "PREDICTION_SYSTEM", "risk_assessment"]

PREDICTION_SYSTEM = "urn:osteon:prediction"
"""System of the identifier that `POST /v1/outcomes` takes and the audit trail holds."""

AI_ASSERTED = {
    "system": "http://terminology.hl7.org/CodeSystem/v3-ObservationValue",
    "code": "AIAST",
    "display": "Artificial Intelligence asserted",
}
"""The security label of content from artificial intelligence."""

_IGNORED: Mapping[IgnoredReason, str] = {
    "duplicate": "another of the same variable was used",
    "contradiction": "contradicting another of the same time",
    "issued_after_time_zero": "issued after time zero",
    "too_old": "taken before the window of the variable",
    "no_time": "without the time at which they were taken",
    "unreadable": "that cannot be read",
    "after_time_zero": "taken after time zero",
    "stated_elsewhere": "stated by the Patient resource",
    "not_in_model": "not a variable of this model",
    "not_measured": "stated without a value",
    "measured": "records of not done beside a value of another time",
}


# What a reader may want to correct in the record.
_NAMED: frozenset[IgnoredReason] = frozenset(
    {"contradiction", "issued_after_time_zero", "too_old", "no_time", "unreadable"}
)
_MOST_LISTED = 50


def risk_assessment(
    prediction: Prediction,
    model: ServedModel,
    record: FhirRecord,
    *,
    time_zero: datetime,
    created_at: datetime,
    prediction_id: str,
    number: int,
) -> Resource:
    """Return the RiskAssessment of a model's prediction for a record.

    A refusal has status `cancelled`, no prediction, and its reasons in a note. Identifier and id
    follow from the prediction's id and the number of the prediction in its answer, so that a
    repeated request gets the same.
    """
    contract = model.contract
    named = f"{model.identity.name} version {model.identity.version or 'unregistered'}"
    resource: dict[str, object] = {
        "resourceType": "RiskAssessment",
        "id": f"{prediction_id}.{number}",
        "identifier": [{"system": PREDICTION_SYSTEM, "value": prediction_id}],
        "meta": {"security": [AI_ASSERTED]},
        "status": "final" if prediction.status == "ok" else "cancelled",
        "method": {"text": f"{named} (Osteon)"},
        "code": _outcome(model, contract.outcome_label),
        "subject": dict(record.subject),
        "occurrenceDateTime": created_at.isoformat(timespec="seconds"),
        "performer": {"type": "Device", "display": named},
        "note": [{"text": note} for note in _notes(prediction, model, record)],
    }
    if record.encounter:
        resource["encounter"] = {"reference": record.encounter}
    if basis := list(_basis(prediction, model, record)):
        resource["basis"] = basis
    if prediction.risks:
        resource["prediction"] = [
            one for risk in prediction.risks for one in _predictions(risk, model, time_zero)
        ]
    return resource


def _outcome(model: ServedModel, words: str) -> Resource:
    name = model.contract.outcome
    local = {"system": LOCAL_SYSTEM, "code": name, "display": OUTCOMES[name].label}
    snomed = [
        {"system": SNOMED, "code": code, "display": display}
        for code, display in OUTCOMES[name].snomed
    ]
    return {"coding": [local, *snomed], "text": words}


def _predictions(
    risk: ExplainedRisk, model: ServedModel, time_zero: datetime
) -> Iterator[Resource]:
    """Yield the risk by one horizon, its interval, its range if complete, the competing risk."""
    label = model.contract.outcome_label
    by = f"within {risk.horizon_days:g} days of time zero"
    end = time_zero + timedelta(days=risk.horizon_days)
    when = {
        "whenPeriod": {
            "start": time_zero.isoformat(timespec="seconds"),
            "end": end.isoformat(timespec="seconds"),
        }
    }
    yield {
        "outcome": _outcome(model, f"{label} {by}"),
        "probabilityDecimal": _percent(risk.risk),
        **when,
        "rationale": " ".join(_rationale(risk)),
    }
    level = f"{100 * risk.interval.level:g} % interval"
    yield {
        "outcome": _outcome(model, f"{label} {by} ({level})"),
        "probabilityRange": {
            "low": _quantity(risk.interval.low),
            "high": _quantity(risk.interval.high),
        },
        **when,
    }
    yield {
        "outcome": _outcome(model, f"{label} {by} (estimate if everything were entered)"),
        "probabilityRange": {
            "low": _quantity(risk.if_complete.low),
            "high": _quantity(risk.if_complete.high),
        },
        **when,
        "rationale": risk.if_complete.sentence,
    }
    if risk.competing_risk is not None:
        first = model.contract.competing or "the competing event"
        yield {
            "outcome": {
                "text": f"{first.capitalize()} first, {by}, before this outcome: {label.lower()}"
            },
            "probabilityDecimal": _percent(risk.competing_risk),
            **when,
        }


def _rationale(risk: ExplainedRisk) -> Iterator[str]:
    """Yield what is said of a risk: itself, what moved it, a comparable patient, the panel."""
    yield from risk.sentences
    if risk.comparison is not None:
        yield risk.comparison.sentence
    if risk.panel_sentence:
        yield risk.panel_sentence


def _percent(risk: float) -> float:
    return round(100 * risk, 2)


def _quantity(risk: float) -> Resource:
    return {"value": _percent(risk), "unit": "%", "system": UCUM, "code": "%"}


def _basis(prediction: Prediction, model: ServedModel, record: FhirRecord) -> Iterator[Resource]:
    """Yield a reference to each resource that the prediction used."""
    unused = {one.number for one in prediction.ignored if one.part == "measurements"}
    missing = set(prediction.missing)
    features = {feature.variable for feature in model.contract.features}
    if record.patient and (("age" in features - missing) or ("sex" in features - missing)):
        yield dict(record.subject)
    listed = set()
    for number, one in enumerate(record.observations):
        variable = base_name(one.measurement.variable or "")
        if number in unused or variable in missing or one.reference in listed:
            continue
        listed.add(one.reference)
        source = {"reference": one.reference} if one.reference else {"display": one.expression}
        yield {**source, "type": one.kind}


def _notes(prediction: Prediction, model: ServedModel, record: FhirRecord) -> Iterator[str]:
    """Yield the sentences that belong to the numbers."""
    contract = model.contract
    if prediction.refusals:
        yield wording.refusal_sentence([refusal.message for refusal in prediction.refusals])
        yield f"Code of the refusal: {', '.join(refusal.code for refusal in prediction.refusals)}."
    yield f"Time zero: {contract.time_zero}."
    yield f"The model learned from: {contract.population.rstrip('.')}."
    yield wording.validation_sentence(contract.evaluation)
    if panel := panel_sentence(contract):
        yield panel
    for warning in prediction.warnings:
        about = f" ({', '.join(warning.variables)})" if warning.variables else ""
        yield f"Warning: {warning.message}{about}"
    if prediction.absent:
        yield (
            f"Recorded as not done, which the estimate takes as not entered: "
            f"{', '.join(prediction.absent)}."
        )
    if not_entered := [name for name in prediction.missing if name not in prediction.absent]:
        yield f"Not entered: {', '.join(not_entered)}."
    if prediction.risks:
        yield wording.completeness_sentence(prediction.completeness)
        settling = [(one.label, one.share) for one in prediction.would_settle]
        first_days = prediction.risks[0].horizon_days
        if settling:
            yield wording.settling_sentence(settling, horizon_days=first_days)
    yield from _not_used(prediction, record)
    for why, count in record.not_counted.items():
        yield f"Observations that do not count, {NOT_COUNTED[why]}: {count}."
    if record.unknown_codes:
        yield f"Codes that were not recognised: {unknown_codes_in_words(record.unknown_codes)}."
    if prediction.treatment_limitation == "not_recorded":
        yield wording.LIMITATION_NOT_RECORDED
    yield wording.NOTICE


def _not_used(prediction: Prediction, record: FhirRecord) -> Iterator[str]:
    """Yield how many measurements were not used and why, and each that cannot be read."""
    reasons = Counter(ignored.reason for ignored in prediction.ignored)
    for reason, count in reasons.items():
        of_reason = {one.variable for one in prediction.ignored if one.reason == reason}
        names = ", ".join(sorted(of_reason - {""})) if reason in _NAMED else ""
        named = f" ({names})" if names else ""
        yield f"Measurements not used, {_IGNORED[reason]}: {count}{named}."
    unreadable = [one for one in prediction.ignored if one.reason == "unreadable"]
    for one in unreadable[:_MOST_LISTED]:
        sent = record.unread if one.part == "unread" else record.observations
        where = f"{sent[one.number].expression} [{one.rule}]"
        yield f"Not read: {where}: {one.variable or 'value'}: {one.message}"
    if len(unreadable) > _MOST_LISTED:
        yield f"Not read: {len(unreadable) - _MOST_LISTED} more."
