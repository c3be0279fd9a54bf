"""The Open Inference Protocol (v2): tensors of patients into questions, and answers into tensors.

One tensor holds one field of all patients of a request, in their order; units are the catalogue's,
as the model's metadata states them. Nothing is decided here: every value goes the way of
`POST /v1/predict`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from models.patient_explanation import ExplainedRisk
from serving.prediction.answer import Answer, Prediction
from serving.prediction.schemas import PredictRequest
from serving.prediction.served import ServedModel
from serving.problems.details import FieldProblem, RequestBroken

__all__ = [
    "MOST_PATIENTS",
    "InferRequest",
    "InferResponse",
    "ModelMetadata",
    "OutputTensor",
    "metadata_of",
    "outputs_of",
    "requests_of",
]

Datatype = Literal["BOOL", "INT8", "INT16", "INT32", "INT64", "FP16", "FP32", "FP64", "BYTES"]

MOST_PATIENTS = 100
_MOST_TENSORS = 600
_PERSON = {
    "patient_id": "Opaque; never a name or a record number.",
    "time_zero": "RFC 3339 with an offset.",
    "sex": "female or male; empty if not entered.",
    "birth_date": "ISO 8601; empty if not entered.",
    "asked_at": "RFC 3339; empty for now.",
}
_REQUIRED = ("patient_id", "time_zero")
_OUTPUTS: tuple[tuple[str, Datatype, int], ...] = (
    ("horizons_days", "FP64", 2),
    ("risk", "FP64", 2),
    ("risk_low", "FP64", 2),
    ("risk_high", "FP64", 2),
    ("status", "BYTES", 1),
    ("refusal_code", "BYTES", 1),
    ("prediction_id", "BYTES", 1),
)

Cell = float | str | bool | None


class _Strict(BaseModel):
    model_config = ConfigDict(extra="ignore", frozen=True)


class InputTensor(_Strict):
    """One field of every patient."""

    name: str = Field(max_length=200)
    shape: Annotated[list[int], Field(min_length=1, max_length=2)]
    datatype: Datatype
    data: Annotated[list[Cell | list[Cell]], Field(max_length=MOST_PATIENTS)]


class RequestedOutput(_Strict):
    """An output to send; all are sent where none is named."""

    name: str = Field(max_length=200)


class InferRequest(_Strict):
    """A request of the protocol. `parameters.horizons_days` may name days, as text or numbers."""

    id: str = Field(default="", max_length=200)
    parameters: Mapping[str, Cell | list[float]] = {}
    inputs: Annotated[list[InputTensor], Field(min_length=1, max_length=_MOST_TENSORS)]
    outputs: list[RequestedOutput] = []


class TensorMetadata(BaseModel):
    """Name, type and shape of a tensor; -1 is any number."""

    name: str
    datatype: Datatype
    shape: list[int]
    parameters: dict[str, str] = {}


class ModelMetadata(BaseModel):
    """A served model as the protocol describes it."""

    name: str
    versions: list[str]
    platform: str
    inputs: list[TensorMetadata]
    outputs: list[TensorMetadata]


class OutputTensor(BaseModel):
    """One field of every answer, in the order of the patients; null where there is no number."""

    name: str
    shape: list[int]
    datatype: Datatype
    data: list[float | str | None]


class InferResponse(BaseModel):
    """The answers of a request, refusals among them."""

    model_name: str
    model_version: str
    id: str
    outputs: list[OutputTensor]


def metadata_of(model: ServedModel) -> ModelMetadata:
    """Return the tensors that a model reads, with the unit of each, and those that it sends."""
    person = [
        TensorMetadata(
            name=name,
            datatype="BYTES",
            shape=[-1],
            parameters={"description": text, "required": str(name in _REQUIRED).lower()},
        )
        for name, text in _PERSON.items()
    ]
    features = [
        TensorMetadata(
            name=feature.name,
            datatype="BYTES" if feature.kind == "category" else "FP64",
            shape=[-1],
            parameters={"unit": feature.unit, "label": feature.label},
        )
        for feature in model.contract.features
        if feature.name == feature.variable and feature.name not in (*_PERSON, "age")
    ]
    return ModelMetadata(
        name=model.loaded.name,
        versions=[model.loaded.version or "1"],
        platform="osteon",
        inputs=[*person, *features],
        outputs=[
            TensorMetadata(name=name, datatype=datatype, shape=[-1] * rank)
            for name, datatype, rank in _OUTPUTS
        ],
    )


def requests_of(body: InferRequest, model: ServedModel) -> list[PredictRequest]:
    """Return what the patients of a request would send to `POST /v1/predict`.

    Raises
    ------
    RequestBroken
        If tensors differ in length, are repeated or unknown, or a patient's fields break a rule of
        the contract; nothing that was sent is repeated.
    """
    columns = _columns(body)
    known = {tensor.name: tensor.parameters.get("unit") for tensor in metadata_of(model).inputs}
    unknown = sum(name not in known for name in columns)
    if unknown:
        raise _broken(
            "inputs",
            "unknown_tensor",
            f"must be tensors that the model's metadata names; {unknown} of {len(columns)} are not",
        )
    (n,) = {len(column) for column in columns.values()}
    missing = [name for name in _REQUIRED if name not in columns]
    if missing:
        raise _broken("inputs", "missing", f"must hold {' and '.join(_REQUIRED)}")
    horizons = _horizons(body.parameters.get("horizons_days"))
    requests, problems = [], []
    for row in range(n):
        cells = {name: column[row] for name, column in columns.items()}
        try:
            requests.append(_request(cells, known, model, horizons))
        except ValidationError as error:
            problems += [
                FieldProblem(
                    field=f"inputs.{_place(one['loc'], cells)}",
                    rule=one["type"],
                    message=f"inputs must follow the contract of /v1/predict; patient {row} does "
                    f"not ({one['type']}).",
                )
                for one in error.errors(include_input=False, include_url=False)
            ]
    if problems:
        raise RequestBroken(problems)
    return requests


def _request(
    cells: Mapping[str, Cell],
    units: Mapping[str, str | None],
    model: ServedModel,
    horizons: Sequence[float] | None,
) -> PredictRequest:
    person = {name: cells[name] for name in _PERSON if not _is_empty(cells.get(name))}
    measured = [
        {
            "variable": name,
            "value": value,
            "time": cells["time_zero"],
            **({"unit": units[name]} if units[name] else {}),
        }
        for name, value in cells.items()
        if name not in _PERSON and not _is_empty(value)
    ]
    return PredictRequest.model_validate(
        {
            **person,
            "outcomes": [model.requested_as],
            "horizons_days": horizons,
            "measurements": measured,
            "explain": False,
        }
    )


def _columns(body: InferRequest) -> dict[str, list[Cell]]:
    """Return the cells of each tensor, whose shape is [patients] or [patients, 1]."""
    columns: dict[str, list[Cell]] = {}
    for tensor in body.inputs:
        flat = [
            cell
            for entry in tensor.data
            for cell in (entry if isinstance(entry, list) else [entry])
        ]
        if tensor.shape not in ([len(flat)], [len(flat), 1]):
            raise _broken("inputs", "shape", "must have the shape [patients] or [patients, 1]")
        if tensor.name in columns:
            raise _broken("inputs", "repeated", "must name each tensor once")
        columns[tensor.name] = flat
    lengths = {len(column) for column in columns.values()}
    if len(lengths) > 1 or not lengths - {0}:
        raise _broken("inputs", "shape", "must hold as many patients in every tensor, at least 1")
    return columns


def _is_empty(cell: Cell) -> bool:
    """Return whether nothing is entered: null, empty text, or NaN as text."""
    if isinstance(cell, str):
        return cell.strip() in ("", "NaN", "nan")
    return cell is None or (isinstance(cell, float) and math.isnan(cell))


def _horizons(stated: object) -> list[float] | None:
    """Return the days that a parameter states, as a list, a number or text with commas."""
    if stated is None:
        return None
    try:
        if isinstance(stated, list):
            return [float(days) for days in stated]
        return [float(days) for days in str(stated).split(",")]
    except ValueError:
        raise _broken("parameters", "horizons_days", "must hold days in horizons_days") from None


def _place(where: Sequence[int | str], cells: Mapping[str, Cell]) -> str:
    """Return the tensor that a part of a request came from."""
    if where and where[0] == "measurements" and len(where) > 1 and isinstance(where[1], int):
        names = [n for n, value in cells.items() if n not in _PERSON and not _is_empty(value)]
        return names[where[1]]
    return str(where[0]) if where else "request"


def outputs_of(
    answers: Sequence[Answer], requested: Sequence[RequestedOutput], horizons: Sequence[float]
) -> list[OutputTensor]:
    """Return the tensors of answers of one model; a refusal has no risk, and its code.

    Parameters
    ----------
    answers : sequence of Answer
        With one prediction each.
    requested : sequence of RequestedOutput
        All if empty.
    horizons : sequence of float
        Days from time zero.

    Raises
    ------
    RequestBroken
        If an output is unknown.
    """
    names = {output.name for output in requested}
    if names - {name for name, _, _ in _OUTPUTS}:
        raise _broken("outputs", "unknown_tensor", "must be outputs that the metadata names")
    n, h = len(answers), len(horizons)
    predictions = [answer.predictions[0] for answer in answers]
    data: dict[str, list[float | str | None]] = {
        "horizons_days": [float(days) for _ in predictions for days in horizons],
        "risk": _at_horizons(predictions, h, "risk"),
        "risk_low": _at_horizons(predictions, h, "risk_low"),
        "risk_high": _at_horizons(predictions, h, "risk_high"),
        "status": [one.status for one in predictions],
        "refusal_code": [one.refusals[0].code if one.refusals else "" for one in predictions],
        "prediction_id": [answer.prediction_id for answer in answers],
    }
    return [
        OutputTensor(
            name=name, shape=[n, h] if rank == 2 else [n], datatype=datatype, data=data[name]
        )
        for name, datatype, rank in _OUTPUTS
        if not names or name in names
    ]


def _at_horizons(
    predictions: Sequence[Prediction], horizons: int, what: Literal["risk", "risk_low", "risk_high"]
) -> list[float | str | None]:
    """Return a figure of each patient at each horizon, patient by patient."""
    figure: Callable[[ExplainedRisk], float] = {
        "risk": lambda risk: risk.risk,
        "risk_low": lambda risk: risk.interval.low,
        "risk_high": lambda risk: risk.interval.high,
    }[what]
    cells: list[float | str | None] = []
    for one in predictions:
        cells += map(figure, one.risks) if one.risks else [None] * horizons
    return cells


def _broken(field: str, rule: str, rest: str) -> RequestBroken:
    return RequestBroken([FieldProblem(field=field, rule=rule, message=f"{field} {rest}.")])
