"""`POST /v1/predict`: measurements in, explained risks out."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated

from fastapi import APIRouter, Request, Response
from pydantic import BaseModel, ConfigDict, Field

from serving.http.idempotency import IdempotencyKey
from serving.http.route_classes import StrictRoute
from serving.prediction import predictor
from serving.prediction.caller import recorder_of, served_models
from serving.prediction.json_translation import (
    question_of,
    questions_of,
    response_of,
    rules_in_json,
)
from serving.prediction.long_lists import in_steps
from serving.prediction.schemas import PredictRequest, PredictResponse

__all__ = ["router"]

# With explanations an answer has some 100 kB.
_MAX_BATCH = 100
_STEP = 5


class BatchRequest(BaseModel):
    """Requests as for `/v1/predict`, for any patients and outcomes."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    requests: Annotated[
        list[PredictRequest],
        Field(min_length=1, max_length=_MAX_BATCH),
        in_steps(_STEP, at_most=_MAX_BATCH),
    ]


class BatchResponse(BaseModel):
    """One answer for each request, in the same order."""

    model_config = ConfigDict(frozen=True)

    answers: list[PredictResponse]


router = APIRouter(prefix="/v1", route_class=StrictRoute, tags=["prediction"])


@router.post("/predict", summary="Risks of one patient, explained", response_model=PredictResponse)
def predict(
    body: PredictRequest, request: Request, idempotency_key: IdempotencyKey = None
) -> Response:
    """For clients with a patient's measurements, which are not stored.

    If the model refuses the patient, the answer has `status: refused` and no risk. The caller, the
    time, the model and keyed hashes of patient and request are audited before the answer is sent.
    A request repeated with the same `Idempotency-Key` gets its first answer.
    """
    recorder = recorder_of(request, idempotency_key=idempotency_key)
    with rules_in_json():
        question = question_of(body, now=datetime.now(UTC))
        answer = predictor.predict(question, served_models(request), recorder)
    return _sent(response_of(question, answer))


@router.post(
    "/predict/batch", summary="Risks of several patients, explained", response_model=BatchResponse
)
def predict_batch(body: BatchRequest, request: Request) -> Response:
    """For clients with several patients, such as a ward; all are answered or none.

    Every prediction is audited as if it were requested alone.
    """
    now = datetime.now(UTC)
    with rules_in_json():
        questions = questions_of(body.requests, now=now)
        answers = predictor.predict_batch(questions, served_models(request), recorder_of(request))
    return _sent(BatchResponse(answers=list(map(response_of, questions, answers))))


def _sent(answer: BaseModel) -> Response:
    # The contribution of what was not entered has no value and no unit, rather than null.
    return Response(answer.model_dump_json(exclude_unset=True), media_type="application/json")
