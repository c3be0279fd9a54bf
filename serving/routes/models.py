"""`GET /v1/models`: the served models, their populations and their performance."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from fastapi import APIRouter, Request
from pydantic import BaseModel

from models.inference.records import json_of
from serving.prediction.caller import served_models
from serving.prediction.served import ServedModel

__all__ = ["router"]

router = APIRouter(prefix="/v1", tags=["models"])


class Metric(BaseModel):
    """One figure on patients not learned from, with its interval.

    `blank_share` is the share of the patients' fields left empty before they were predicted.
    """

    metric: str
    horizon_days: int | float | None
    estimate: float | None
    low: float | None
    high: float | None
    blank_share: float = 0.0


class Evaluation(BaseModel):
    """The patients that the metrics are of, and how they were judged.

    `refitted`: the registered model learned from them afterwards, so the metrics are of the
    procedure that fitted it.
    """

    method: str
    split: str
    folds: int
    repeats: int
    refitted: bool
    stays: int
    patients: int
    events: int
    refused: int


class IntervalFacts(BaseModel):
    """The method of the interval of a risk, and its guarantee."""

    level: float
    kind: str
    guarantee: str


class Model(BaseModel):
    """One served model."""

    name: str
    version: str | None
    alias: str | None
    asked_as: str
    outcome: str
    outcome_label: str
    time_zero: str
    competing: str | None
    population: str
    simulated: bool
    default_horizons_days: list[int | float]
    min_horizon_days: int | float
    max_horizon_days: int | float
    asked_within_days: int | float
    variables: list[str]
    interval: IntervalFacts
    training: dict[str, Any]
    evaluation: Evaluation | None
    metrics: list[Metric]
    blanked: list[Metric]
    model_card: str | None
    sha256: str
    run_id: str | None


class Models(BaseModel):
    """Every served model."""

    models: list[Model]


@router.get("/models", summary="The served models")
def models(request: Request) -> Models:
    """For clients, to learn which models answer; without patients, and not audited."""
    return Models(models=[_described(model) for model in served_models(request).models])


def _described(model: ServedModel) -> Model:
    contract = model.contract
    evaluation = contract.evaluation
    same = {name: getattr(contract, name) for name in Model.model_fields if hasattr(contract, name)}
    return Model.model_validate(
        {
            **same,
            "interval": json_of(contract.interval),
            "training": json_of(contract.training),
            **asdict(model.identity),
            "asked_as": model.requested_as,
            "variables": list(dict.fromkeys(f.variable for f in contract.features)),
            "evaluation": json_of(evaluation),
            "metrics": json_of(evaluation.metrics) if evaluation else [],
            "blanked": json_of(evaluation.blanked) if evaluation else [],
            "model_card": model.model_card,
            "sha256": model.loaded.sha256,
            "run_id": model.loaded.run_id,
        }
    )
