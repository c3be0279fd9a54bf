"""The answer of `predict`, before an interface writes it as JSON, as FHIR or as a card."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from models.inference.completeness import Completeness
from models.inference.contract import Contract
from models.inference.next_best import ExpectedChange
from models.inference.prediction import Curve, Remark
from models.patient_explanation import ExplainedRisk, SettlingEntry

__all__ = [
    "Answer",
    "Ignored",
    "IgnoredReason",
    "ModelName",
    "NextBest",
    "Part",
    "Prediction",
    "as_days",
]

IgnoredReason = Literal[
    "duplicate",
    "contradiction",
    "after_time_zero",
    "issued_after_time_zero",
    "too_old",
    "no_time",
    "unreadable",
    "stated_elsewhere",
    "not_in_model",
    "not_measured",
    "measured",
]
Part = Literal["measurements", "absent", "unread"]


@dataclass(frozen=True, slots=True)
class ModelName:
    """The model that answered; `alias` is null if it was not promoted here."""

    name: str
    version: str | None
    alias: str | None


@dataclass(frozen=True, slots=True)
class Ignored:
    """A measurement that was not used, by its number in the question, and the reason.

    With `part` "absent", the record of a variable as not done; with "unread", a value that the
    interface could not translate. Where the reason is that it is unreadable, `rule` and `message`
    state the rule that it breaks.
    """

    number: int
    variable: str
    reason: IgnoredReason
    part: Part = "measurements"
    rule: str = ""
    message: str = ""


@dataclass(frozen=True, slots=True)
class NextBest:
    """How far one missing test is expected to move the estimate, and a sentence about it."""

    change: ExpectedChange
    message: str


@dataclass(frozen=True, slots=True)
class Prediction:
    """The answer for one outcome; a refusal has reasons, and neither risks nor a curve.

    `missing` holds the model's variables without a value, and `absent` those that are recorded as
    not done. `would_settle` holds up to three empty fields that would settle most of what is open
    at the first horizon. `contract` describes the model, and `comparison_curve` is the risk of a
    comparable patient at the days of the curve, None without one. `treatment_limitation` says
    whether comfort care is recorded; that none is recorded does not mean that there is none.
    `next_best_summary` is None unless the question requests it.
    """

    outcome: str
    status: Literal["ok", "refused"]
    model: ModelName
    completeness: Completeness
    risks: tuple[ExplainedRisk, ...]
    curve: Curve | None
    summary: str
    missing: tuple[str, ...]
    absent: tuple[str, ...]
    would_settle: tuple[SettlingEntry, ...]
    ignored: tuple[Ignored, ...]
    warnings: tuple[Remark, ...]
    refusals: tuple[Remark, ...]
    contract: Contract
    comparison_curve: tuple[float, ...] | None = None
    treatment_limitation: Literal["comfort_care", "not_recorded"] = "not_recorded"
    next_best: tuple[NextBest, ...] = ()
    next_best_summary: str | None = None


@dataclass(frozen=True, slots=True)
class Answer:
    """One prediction for each outcome of the question, in its order."""

    prediction_id: str
    created_at: datetime
    predictions: tuple[Prediction, ...]


def as_days(days: float) -> int | float:
    """Return days as written: a whole number without a decimal point."""
    return int(days) if days.is_integer() else days
