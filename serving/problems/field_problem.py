"""One broken rule, as every kind of error response lists it."""

from __future__ import annotations

from collections.abc import Sequence

from pydantic import BaseModel, Field

__all__ = ["MAX_LISTED", "FieldProblem", "listed"]

MAX_LISTED = 100
"""How many problems a response lists; a client that breaks more rules mends these first."""


class FieldProblem(BaseModel):
    """One field that breaks one rule."""

    field: str = Field(examples=["measurements[0].unit"])
    rule: str = Field(examples=["unit"])
    message: str
    count: int = Field(default=1, ge=1, description="How many values break the rule.")


def listed(problems: Sequence[FieldProblem]) -> Sequence[FieldProblem]:
    """Return the first problems, and the number of the others as one more."""
    others = len(problems) - MAX_LISTED
    if others <= 0:
        return problems
    message = f"{others} more problems are not listed."
    rest = FieldProblem(field="body", rule="more_problems", message=message, count=others)
    return [*problems[:MAX_LISTED], rest]
