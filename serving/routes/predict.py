"""`POST /v1/predict`: measurements in, explained risks out."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Header, Request, Response

from serving import predictor
from serving.schemas import PredictRequest, PredictResponse
from serving.served import served_by
from serving.strict_json import StrictRoute

__all__ = ["router"]

IdempotencyKey = Annotated[
    str | None,
    Header(
        alias="Idempotency-Key",
        pattern=r"^[\x21-\x7e]+$",
        max_length=255,
        description="Any text of the caller's own, new for every prediction, as a UUID.",
    ),
]

router = APIRouter(prefix="/v1", route_class=StrictRoute, tags=["prediction"])


@router.post("/predict", summary="Risks of one patient, explained", response_model=PredictResponse)
def predict(
    body: PredictRequest, request: Request, idempotency_key: IdempotencyKey = None
) -> Response:
    """Called by whoever holds a patient's measurements; nothing is kept of them.

    A patient the model must not be used for gets `status: refused` and no risk. Who asked, when,
    which model answered and keyed hashes of patient and request are audited before the answer is
    sent. Sent again with the same `Idempotency-Key`, a request gets its first answer.
    """
    answer = predictor.predict(body, served_by(request, idempotency_key=idempotency_key))
    # An unmeasured contribution has no value and no unit, rather than null ones.
    return Response(answer.model_dump_json(exclude_unset=True), media_type="application/json")
