"""Models under another contract."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from data_schema.biomarkers import VARIABLES
from models.inference.contract import Feature
from models.inference.risk_model import RiskModel

if TYPE_CHECKING:
    from serving.prediction.served import ServedModel


def restated(risk_model: RiskModel, **changes: Any) -> RiskModel:
    """Return the model under its contract with the given fields replaced."""
    return risk_model.with_contract(replace(risk_model.contract, **changes))


def reading_everything(model: ServedModel) -> ServedModel:
    """Return a model that says of itself that it reads every variable of the catalogue."""
    own = model.contract.features
    further = tuple(
        Feature(
            name=one.name,
            variable=one.name,
            label=one.label,
            pathway=one.pathway,
            kind=one.kind,
            unit=one.unit,
            low=one.low,
            high=one.high,
            categories=one.categories,
            direction=0,
        )
        for one in VARIABLES.values()
        if one.name not in {feature.name for feature in own}
    )
    features = (*own, *further)
    risk_model = restated(model.loaded.risk_model, features=features)
    return replace(model, loaded=replace(model.loaded, risk_model=risk_model))
