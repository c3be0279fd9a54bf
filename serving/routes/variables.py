"""`GET /v1/variables`: every variable that can be sent, with its units, codes and ranges."""

from __future__ import annotations

from dataclasses import asdict

from fastapi import APIRouter, Request
from pydantic import BaseModel

from data_schema.biomarkers import VARIABLES
from data_schema.variables import Kind, Variable
from serving.prediction.caller import served_models

__all__ = ["router"]

router = APIRouter(prefix="/v1", tags=["variables"])


class CodeEntry(BaseModel):
    """One code of a variable; with `assay_required` an assay must be stated."""

    code: str
    display: str
    units: list[str]
    system: str
    assay_required: bool


class ReferenceEntry(BaseModel):
    """A reference interval in the canonical unit, and the patients it applies to."""

    low: float | None
    high: float | None
    source: str
    sex: str | None
    menopause: str | None
    age_from: float | None
    age_to: float | None


class VariableEntry(BaseModel):
    """One variable; `units` are the accepted ones with their factor to the canonical `unit`."""

    name: str
    label: str
    pathway: str
    kind: Kind
    unit: str
    units: dict[str, float]
    codes: list[CodeEntry]
    low: float | None
    high: float | None
    references: list[ReferenceEntry]
    detection_limit: float | None
    direction: dict[str, int]
    categories: list[str]
    specimen: str
    renal_retention: bool
    treatment: bool
    window: str
    note: str
    models: list[str]


class Variables(BaseModel):
    """The catalogue and the served models' own variables."""

    variables: list[VariableEntry]


@router.get("/variables", summary="The variables that can be sent")
def variables(request: Request) -> Variables:
    """For building forms and mapping laboratory codes; not audited."""
    users: dict[str, list[str]] = {}
    entries = dict(VARIABLES)
    for model in served_models(request).models:
        entries |= model.own_variables
        for name in dict.fromkeys(f.variable for f in model.contract.features):
            users.setdefault(name, []).append(model.loaded.name)
    return Variables(
        variables=[_described(entry, users.get(name, [])) for name, entry in entries.items()]
    )


def _described(entry: Variable, models: list[str]) -> VariableEntry:
    retained = entry.origin is not None and "renal_retention" in entry.origin.caveats
    stated = {"window": entry.window.words, "renal_retention": retained, "models": models}
    return VariableEntry.model_validate(asdict(entry) | stated)
