"""`POST /v1/predict`: measurements in, explained risks out."""

from __future__ import annotations

from fastapi import APIRouter, Request, Response

from serving import predictor
from serving.schemas import PredictRequest, PredictResponse
from serving.served import served_by

__all__ = ["router"]

router = APIRouter(prefix="/v1", tags=["prediction"])


@router.post("/predict", summary="Risks of one patient, explained", response_model=PredictResponse)
def predict(body: PredictRequest, request: Request) -> Response:
    """Called by whoever holds a patient's measurements; nothing is kept of them.

    A patient the model must not be used for gets `status: refused` and no risk.
    """
    answer = predictor.predict(body, served_by(request))
    # An unmeasured contribution has no value and no unit, rather than null ones.
    return Response(answer.model_dump_json(exclude_unset=True), media_type="application/json")
