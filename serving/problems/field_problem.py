"""One broken rule, as every kind of error response lists it."""

from __future__ import annotations

from pydantic import BaseModel, Field

__all__ = ["FieldProblem"]


class FieldProblem(BaseModel):
    """One field that breaks one rule."""

    field: str = Field(examples=["measurements[0].unit"])
    rule: str = Field(examples=["unit"])
    message: str
    count: int = Field(default=1, ge=1, description="How many values break the rule.")
