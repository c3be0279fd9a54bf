"""Models under another contract."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from models.inference.risk_model import RiskModel


def restated(risk_model: RiskModel, **changes: Any) -> RiskModel:
    """Return the model under its contract with the given fields replaced."""
    return risk_model.with_contract(replace(risk_model.contract, **changes))
