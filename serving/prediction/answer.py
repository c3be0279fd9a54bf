"""What `predict` answers, before an interface writes it: as JSON, as FHIR or as a card."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from models.inference.next_best import Narrowing
from models.inference.prediction import Curve, Remark
from models.patient_explanation import ExplainedRisk

__all__ = [
    "Answer",
    "Ignored",
    "IgnoredReason",
    "ModelName",
    "NextBest",
    "Prediction",
    "as_days",
]

IgnoredReason = Literal[
    "duplicate", "after_time_zero", "stated_elsewhere", "not_in_model", "not_measured"
]


@dataclass(frozen=True, slots=True)
class ModelName:
    """Which model answered; `alias` is null when it was not promoted here."""

    name: str
    version: str | None
    alias: str | None


@dataclass(frozen=True, slots=True)
class Ignored:
    """A measurement of the question, by its number, that was not used, and why."""

    number: int
    variable: str
    reason: IgnoredReason


@dataclass(frozen=True, slots=True)
class NextBest:
    """What to expect of the interval once a missing test is known, and the sentence for it."""

    narrowing: Narrowing
    message: str


@dataclass(frozen=True, slots=True)
class Prediction:
    """The answer for one outcome; a refusal has no risk and no curve, and says why.

    `next_best_summary` is None where the question did not ask what to measure next.
    """

    outcome: str
    status: Literal["ok", "refused"]
    model: ModelName
    risks: tuple[ExplainedRisk, ...]
    curve: Curve | None
    summary: str
    missing: tuple[str, ...]
    ignored: tuple[Ignored, ...]
    warnings: tuple[Remark, ...]
    refusals: tuple[Remark, ...]
    next_best: tuple[NextBest, ...] = ()
    next_best_summary: str | None = None


@dataclass(frozen=True, slots=True)
class Answer:
    """One prediction for each outcome of the question, in its order."""

    prediction_id: str
    created_at: datetime
    predictions: tuple[Prediction, ...]


def as_days(days: float) -> int | float:
    """Return days as they are written: a whole number without a decimal point."""
    return int(days) if days.is_integer() else days
