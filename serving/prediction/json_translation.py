"""Translate the JSON of `POST /v1/predict` into a question, and an answer into JSON."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime, timedelta

from data_schema.fhir.vital_status import RecordedDeath
from data_schema.measurements import Measurement
from models.clinical_note import NoteHeading, note_lines
from models.inference.guard import FUTURE_TOLERANCE_DAYS
from models.inference.prediction import Curve
from models.patient_explanation import (
    NOT_MEASURED,
    Contribution,
    ExplainedRisk,
    panel_sentence,
)
from models.wording import NOTICE, validation_sentence
from serving.prediction.answer import Answer, Ignored, IgnoredReason, NextBest, Prediction, as_days
from serving.prediction.question import (
    BrokenRule,
    NoModel,
    Place,
    Question,
    QuestionBroken,
    TimedAbsence,
    TimedMeasurement,
    UnreadValue,
)
from serving.prediction.schemas import PredictRequest, PredictResponse
from serving.problems.details import FieldProblem, NoChampion, RequestBroken

__all__ = ["question_of", "questions_of", "response_of", "rules_in_json"]

_CLOCKS_DIFFER = timedelta(days=FUTURE_TOLERANCE_DAYS)

_REASONS: Mapping[IgnoredReason, str] = {
    "duplicate": "another measurement of the same variable is used",
    "contradiction": "entries of the same time contradict each other",
    "issued_after_time_zero": "its result was issued after time zero",
    "too_old": "it was taken before the window of its variable",
    "no_time": "it does not state when it was taken",
    "unreadable": "it cannot be read",
    "after_time_zero": "it was taken after time zero",
    "stated_elsewhere": "the request's own field is used",
    "not_in_model": "this model has no such variable",
    "not_measured": "it states no value, and so is not entered",
    "measured": "a value of the variable is used",
}


def question_of(request: PredictRequest, *, now: datetime | None = None) -> Question:
    """Return the question that a request asks at a moment, or raise QuestionBroken.

    Without the moment, time zero is compared only with what the request itself states.
    """
    _check_together(request, now)
    death = None
    if request.deceased or request.death_time is not None:
        death = RecordedDeath(request.death_time)
    return Question(
        patient_id=request.patient_id,
        encounter_id=request.encounter_id,
        time_zero=request.time_zero,
        sex=request.sex,
        birth_date=request.birth_date,
        outcomes=tuple(request.outcomes),
        horizons_days=None if request.horizons_days is None else tuple(request.horizons_days),
        measurements=tuple(
            TimedMeasurement(
                Measurement(
                    sent.value,
                    variable=sent.variable,
                    loinc=sent.loinc,
                    unit=sent.unit,
                    comparator=sent.comparator,
                    assay=sent.assay,
                    specimen=sent.specimen,
                ),
                sent.time,
            )
            for sent in request.measurements
        ),
        absent=tuple(map(TimedAbsence, request.absent)),
        unread=tuple(
            UnreadValue(name, "unread", f"{name} was not read.") for name in request.unread
        ),
        icu_admission=request.icu_admission,
        death=death,
        is_comfort_care=request.comfort_care,
        is_incomplete=request.record_incomplete,
        asked_at=request.asked_at or now,
        is_retrospective=request.asked_at is not None,
        session=request.session,
        is_interim=request.stage == "interim",
        explain=request.explain,
        next_best=request.next_best,
    )


def questions_of(requests: Sequence[PredictRequest], *, now: datetime) -> list[Question]:
    """Return the questions of several requests, or raise QuestionBroken with the number of each."""
    questions: list[Question] = []
    broken: list[BrokenRule] = []
    for number, request in enumerate(requests):
        try:
            questions.append(question_of(request, now=now))
        except QuestionBroken as error:
            broken += [replace(one, question=number) for one in error.broken]
    if broken:
        raise QuestionBroken(broken)
    return questions


def _check_together(request: PredictRequest, now: datetime | None) -> None:
    """Reject fields that contradict each other: moments, and an interim stage without session."""
    later = "must not be later than"
    problems = []
    if request.stage == "interim" and request.session is None:
        message = "session must be stated with an interim stage."
        problems.append(BrokenRule(Place("session"), "missing", message))
    if request.icu_admission is not None and request.icu_admission > request.time_zero:
        message = f"icu_admission {later} time_zero."
        problems.append(BrokenRule(Place("icu_admission"), "after_time_zero", message))
    asked_at = request.asked_at
    if asked_at is not None and now is not None and asked_at > now + _CLOCKS_DIFFER:
        problems.append(BrokenRule(Place("asked_at"), "in_future", f"asked_at {later} now."))
    if problems:
        raise QuestionBroken(problems)


@contextmanager
def rules_in_json() -> Iterator[None]:
    """Raise `QuestionBroken` as `RequestBroken`, and `NoModel` as `NoChampion`, by JSON field."""
    try:
        yield
    except QuestionBroken as error:
        raise RequestBroken(list(map(_problem, error.broken))) from None
    except NoModel as error:
        raise NoChampion(list(map(_problem, error.broken))) from None


def _problem(broken: BrokenRule) -> FieldProblem:
    within = "" if broken.question is None else f"requests[{broken.question}]."
    return FieldProblem(
        field=f"{within}{broken.place}",
        rule=broken.rule,
        message=f"{within}{broken.message}",
        count=broken.count,
    )


def response_of(question: Question, answer: Answer) -> PredictResponse:
    """Return the response with an answer.

    Optional fields without content stay unset and are not written: the contribution of what was not
    entered has no value and no unit, rather than null.
    """
    # One call validates the whole response, in half the time of one call for each part.
    return PredictResponse.model_validate(
        {
            "prediction_id": answer.prediction_id,
            "created_at": answer.created_at,
            "time_zero": question.time_zero,
            "predictions": [_prediction(one, question.time_zero) for one in answer.predictions],
            "notice": NOTICE,
        }
    )


def _prediction(one: Prediction, time_zero: datetime) -> dict[str, object]:
    summary = one.next_best_summary
    heading = NoteHeading(one.model.name, one.model.version, time_zero)
    return {
        "outcome": one.outcome,
        "status": one.status,
        "model": one.model,
        "completeness": one.completeness,
        "risks": [_risk(risk) for risk in one.risks],
        "next_best": [_next_best(expected) for expected in one.next_best],
        "curve": [] if one.curve is None else _curve_points(one.curve, one.comparison_curve),
        "summary": one.summary,
        "missing": list(one.missing),
        "absent": list(one.absent),
        "treatment_limitation": one.treatment_limitation,
        "would_settle": list(one.would_settle),
        "ignored": [_ignored(ignored) for ignored in one.ignored],
        "warnings": [remark._asdict() for remark in one.warnings],
        "refusals": [remark._asdict() for remark in one.refusals],
        "panel": panel_sentence(one.contract),
        "validation": validation_sentence(one.contract.evaluation),
        "note": note_lines(heading, one.contract, one.risks, one.refusals, one.completeness),
        **({} if summary is None else {"next_best_summary": summary}),
    }


def _risk(risk: ExplainedRisk) -> dict[str, object]:
    contributing = {one.pathway if one.measured else NOT_MEASURED for one in risk.contributions}
    return {
        "horizon_days": as_days(risk.horizon_days),
        "risk": risk.risk,
        "interval": risk.interval,
        "if_complete": risk.if_complete,
        "baseline_risk": risk.baseline_risk,
        "cohort_risk": risk.cohort_risk,
        "competing_risk": risk.competing_risk,
        "monotone_adjustment": risk.monotone_adjustment,
        "monotone_adjustment_points": risk.monotone_adjustment_points,
        "comparison": risk.comparison,
        "risk_without_panel": risk.risk_without_panel,
        "panel_sentence": risk.panel_sentence,
        "contributions": [_contribution(one) for one in risk.contributions],
        "pathways": [
            {"pathway": name, "points": points}
            for name, points in risk.pathways.items()
            if name in contributing
        ],
        "sentences": list(risk.sentences),
    }


def _contribution(one: Contribution) -> dict[str, object]:
    stated: dict[str, object] = {
        "variable": one.variable,
        "pathway": one.pathway,
        "measured": one.measured,
        "log_odds": one.log_odds,
        "points": one.points,
    }
    recorded = one.recorded
    if recorded.value is not None:
        stated["value"] = recorded.value
        if not isinstance(recorded.value, bool | str):
            stated["unit"] = one.unit
    if recorded.comparator is not None:
        stated["comparator"] = recorded.comparator
    if recorded.multiple_of_reference is not None:
        stated["multiple_of_reference"] = recorded.multiple_of_reference
    if recorded.flag is not None:
        stated["flag"] = recorded.flag
    stated["words"] = one.words
    return stated


def _next_best(one: NextBest) -> dict[str, object]:
    expected = one.change
    return {
        "variable": expected.variable,
        "horizon_days": as_days(expected.horizon_days),
        "change_points": expected.change_points,
        "change_error_points": expected.error_points,
        "message": one.message,
    }


def _curve_points(curve: Curve, comparison: tuple[float, ...] | None) -> list[dict[str, object]]:
    """Return the risk, its interval, and the risks beside it, by day."""
    none = [None] * len(curve.days)
    return [
        {
            "day": as_days(day),
            "risk": risk,
            "low": low,
            "high": high,
            "cohort_risk": cohort_risk,
            "competing_risk": competing_risk,
            "comparison_risk": comparison_risk,
        }
        for day, risk, low, high, cohort_risk, competing_risk, comparison_risk in zip(
            curve.days.tolist(),
            curve.risk[0].tolist(),
            curve.risk_low[0].tolist(),
            curve.risk_high[0].tolist(),
            curve.cohort_risk.tolist(),
            none if curve.competing_risk is None else curve.competing_risk[0].tolist(),
            none if comparison is None else comparison,
            strict=True,
        )
    ]


def _ignored(one: Ignored) -> dict[str, object]:
    place = Place(one.part, one.number)
    return {
        "field": str(place),
        "variable": one.variable,
        "reason": one.reason,
        "message": f"{place} ({one.variable}) is not used: {_REASONS[one.reason]}.",
    }
