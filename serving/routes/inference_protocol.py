"""`/v2`: the Open Inference Protocol, over the same predictor as `/v1/predict`.

For KServe, Triton clients and other tooling that speaks it. Tensors are JSON; the binary extension
is not offered. The protocol's own document describes its routes.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from importlib.metadata import version as installed

from fastapi import APIRouter, Request, Response
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import JSONResponse
from pydantic import BaseModel, ValidationError

from data_schema.errors import DataError, OsteonError, UsageError
from serving.http.route_classes import json_body
from serving.prediction import predictor
from serving.prediction.caller import recorder_of, served_models
from serving.prediction.json_translation import questions_of, rules_in_json
from serving.prediction.served import ServedModel
from serving.prediction.tensors import (
    MOST_PATIENTS,
    InferRequest,
    InferResponse,
    metadata_of,
    outputs_of,
    requests_of,
)
from serving.problems.details import FieldProblem, NoChampion, RequestBroken
from serving.routes.health import ready as is_ready

__all__ = ["router"]

router = APIRouter(prefix="/v2", include_in_schema=False)

_MODEL = "/models/{name}"
_VERSION = "/models/{name}/versions/{version}"


def _error(status: int, message: str) -> Response:
    """Return an error as the protocol words it."""
    return JSONResponse({"error": message}, status_code=status)


def _answered(answer: Callable[[], BaseModel]) -> Response:
    """Return an answer, or the rule that the request breaks in the words of the protocol."""
    try:
        return Response(answer().model_dump_json(), media_type="application/json")
    except NoChampion as error:
        return _error(404, _messages(error))
    except (RequestBroken, DataError, UsageError) as error:
        return _error(400, _messages(error))
    except OsteonError:
        return _error(503, "The service cannot answer now.")


def _messages(error: OsteonError) -> str:
    problems = getattr(error, "problems", ())
    return " ".join(dict.fromkeys(one.message for one in problems)) or str(error)


@router.get("")
def server() -> Response:
    """For clients of the protocol: name and version of the service; not audited."""
    return JSONResponse({"name": "osteon", "version": installed("osteon"), "extensions": []})


@router.get("/health/live")
def live() -> Response:
    """For supervisors; nothing is checked and nothing is audited."""
    return JSONResponse({"live": True})


@router.get("/health/ready")
def ready(request: Request) -> Response:
    """For load balancers; 503 where `/health/ready` says so; not audited."""
    return JSONResponse({"ready": True}) if _can_answer(request) else _error(503, "not ready")


@router.get(_MODEL)
@router.get(_VERSION)
def metadata(request: Request, name: str, version: str | None = None) -> Response:
    """For clients, to learn the tensors of a model and their units; not audited."""
    return _answered(lambda: metadata_of(_served(request, name, version)))


@router.get(f"{_MODEL}/ready")
@router.get(f"{_VERSION}/ready")
def model_ready(request: Request, name: str, version: str | None = None) -> Response:
    """For clients; 503 while the service cannot answer with the model; not audited."""
    try:
        _served(request, name, version)
    except NoChampion as error:
        return _error(404, _messages(error))
    if not _can_answer(request):
        return _error(503, "not ready")
    return JSONResponse({"name": name, "ready": True})


@router.post(f"{_MODEL}/infer")
@router.post(f"{_VERSION}/infer")
async def infer(request: Request, name: str, version: str | None = None) -> Response:
    """For clients of the protocol, with some patients in tensors; all are answered or none.

    Every prediction is audited as if it were requested by `/v1/predict`. A refused patient has
    `status` "refused", its code, and no risk.
    """
    try:
        sent = await json_body(request)
    except RequestBroken as error:
        return _error(400, _messages(error))
    return await run_in_threadpool(_inferred, request, sent, name, version)


def _inferred(request: Request, sent: object, name: str, version: str | None) -> Response:
    def answer() -> InferResponse:
        model = _served(request, name, version)
        try:
            body = InferRequest.model_validate(sent)
        except ValidationError as error:
            places = sorted({str(one["loc"][0]) for one in error.errors() if one["loc"]})
            raise UsageError(
                f"The request must follow the Open Inference Protocol with at most {MOST_PATIENTS} "
                f"patients; it does not in {', '.join(places) or 'its body'}."
            ) from None
        requests = requests_of(body, model)
        with rules_in_json():
            questions = questions_of(requests, now=datetime.now(UTC))
            answers = predictor.predict_batch(
                questions, served_models(request), recorder_of(request)
            )
        horizons = requests[0].horizons_days or model.contract.default_horizons_days
        return InferResponse(
            model_name=model.loaded.name,
            model_version=model.loaded.version or "1",
            id=body.id,
            outputs=outputs_of(answers, body.outputs, horizons),
        )

    return _answered(answer)


def _served(request: Request, name: str, version: str | None) -> ServedModel:
    """Return the served model of a name, registered or short; NoChampion if there is none."""
    for model in served_models(request).models:
        is_named = name in (model.loaded.name, model.requested_as)
        if is_named and version in (None, model.loaded.version):
            return model
    message = "models must be served under the name and version of the address."
    raise NoChampion([FieldProblem(field="models", rule="no_champion", message=message)])


def _can_answer(request: Request) -> bool:
    try:
        answer = is_ready(request)
    except OsteonError:
        return False
    return not isinstance(answer, Response)
