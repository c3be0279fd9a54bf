"""One patient's risks, what moved them, and the sentences that say so."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import pandas as pd

from data_schema.biomarkers import VARIABLES
from data_schema.errors import UsageError
from models.inference.contract import Contract
from models.inference.prediction import Remark
from models.inference.risk_model import InferenceError, Prediction, RiskModel
from models.wording import (
    NOT_MEASURED as NOT_MEASURED_IN_WORDS,
)
from models.wording import (
    NOTICE,
    Mover,
    estimate_sentence,
    mover_sentences,
    refusal_sentence,
)
from training.explanation.importance import NOT_MEASURED, pathway_sums

__all__ = [
    "Moved",
    "PatientExplanation",
    "RiskAtHorizon",
    "example_patient",
    "explain_patient",
]

_MOVERS = 3


@dataclass(frozen=True, slots=True)
class Moved:
    """What one variable contributed, in log-odds and in points of risk; its value if measured."""

    variable: str
    label: str
    pathway: str
    measured: bool
    value: float | str | bool | None
    unit: str
    log_odds: float
    points: float


@dataclass(frozen=True, slots=True)
class RiskAtHorizon:
    """One risk and what it is made of.

    The points of `contributions`, or of `pathways`, and `monotone_adjustment_points` sum to
    100 * (risk - baseline_risk).
    """

    horizon_days: float
    risk: float
    risk_low: float
    risk_high: float
    baseline_risk: float
    cohort_risk: float
    competing_risk: float | None
    monotone_adjustment: float
    monotone_adjustment_points: float
    contributions: tuple[Moved, ...]
    pathways: Mapping[str, float]

    def as_json(self) -> dict[str, Any]:
        """Return the risk as the command line prints it."""
        return asdict(self) | {
            "pathways": [{"pathway": key, "points": sum_} for key, sum_ in self.pathways.items()],
        }


@dataclass(frozen=True, slots=True)
class PatientExplanation:
    """What the model says of one patient; no risks if it refuses."""

    status: str
    risks: tuple[RiskAtHorizon, ...]
    refusals: tuple[Remark, ...]
    warnings: tuple[Remark, ...]
    summary: str

    def as_json(self) -> dict[str, Any]:
        """Return the explanation as the command line prints it."""
        return {
            "status": self.status,
            "risks": [risk.as_json() for risk in self.risks],
            "refusals": [remark._asdict() for remark in self.refusals],
            "warnings": [remark._asdict() for remark in self.warnings],
            "summary": self.summary,
            "notice": NOTICE,
        }


def example_patient(contract: Contract) -> pd.DataFrame:
    """Return the contract's made-up patient of middle values, who never existed."""
    row = {name: [value] for name, value in contract.example.items()}
    text = [f.name for f in contract.features if f.kind == "category"]
    return pd.DataFrame(row).astype({name: object if name in text else np.float64 for name in row})


def explain_patient(
    risk_model: RiskModel, frame: pd.DataFrame, horizons_days: Sequence[float] | None = None
) -> PatientExplanation:
    """Return risks with intervals, contributions and plain sentences.

    Parameters
    ----------
    risk_model : RiskModel
        With the contract that a training run completes.
    frame : DataFrame, shape (1, ...)
        One patient, with every column that the model reads.
    horizons_days : sequence of float, optional
        The model's default horizons without it.

    Returns
    -------
    PatientExplanation

    Raises
    ------
    UsageError
        If a horizon lies outside the model's range.
    """
    try:
        prediction = risk_model.predict(frame, horizons_days, explain=True)
    except InferenceError as error:
        raise UsageError(str(error)) from None
    status = prediction.status[0]
    risks = () if status != "ok" else tuple(_risks(risk_model.contract, frame, prediction))
    refusals = tuple(prediction.refusals[0])
    return PatientExplanation(
        status=status,
        risks=risks,
        refusals=refusals,
        warnings=tuple(prediction.warnings[0]),
        summary=_summary(risk_model.contract, risks, refusals),
    )


def _risks(contract: Contract, frame: pd.DataFrame, prediction: Prediction) -> list[RiskAtHorizon]:
    assert prediction.log_odds is not None  # it was asked to explain
    assert prediction.points is not None
    assert prediction.adjustment_points is not None
    risks = []
    for at, days in enumerate(prediction.horizons_days):
        points = prediction.points[:, at]
        sums = pathway_sums(points, prediction.measured, prediction.pathways)
        risks.append(
            RiskAtHorizon(
                horizon_days=float(days),
                risk=float(prediction.risk[0, at]),
                risk_low=float(prediction.risk_low[0, at]),
                risk_high=float(prediction.risk_high[0, at]),
                baseline_risk=float(prediction.baseline_risk[at]),
                cohort_risk=float(prediction.cohort_risk[at]),
                competing_risk=(
                    None
                    if prediction.competing_risk is None
                    else float(prediction.competing_risk[0, at])
                ),
                monotone_adjustment=float(prediction.monotone_adjustment[0, at]),
                monotone_adjustment_points=float(prediction.adjustment_points[0, at]),
                contributions=_contributions(contract, frame, prediction, at),
                pathways={key: float(sum_[0]) for key, sum_ in sums.items()},
            )
        )
    return risks


def _contributions(
    contract: Contract, frame: pd.DataFrame, prediction: Prediction, at: int
) -> tuple[Moved, ...]:
    """Return each variable's contribution: measured first, the largest first."""
    assert prediction.log_odds is not None  # it was asked to explain
    assert prediction.points is not None
    # A variable's own column last, so that its kind and unit win over those of its maximum or flag.
    own_last = sorted(contract.features, key=lambda f: f.name == f.variable)
    facts = {feature.variable: feature for feature in own_last}
    moved = []
    for place, name in enumerate(prediction.variables):
        recorded = frame[name].iloc[0] if name in frame else None
        moved.append(
            Moved(
                variable=name,
                label=facts[name].label,
                pathway=facts[name].pathway,
                measured=bool(prediction.measured[0, place]),
                value=_value(recorded, facts[name].kind),
                unit=facts[name].unit,
                log_odds=float(prediction.log_odds[0, at, place]),
                points=float(prediction.points[0, at, place]),
            )
        )
    return tuple(sorted(moved, key=lambda one: (not one.measured, -abs(one.points), one.variable)))


def _value(recorded: Any, kind: str) -> float | str | bool | None:
    """Return what was recorded; a flag as yes or no."""
    if pd.isna(recorded):
        return None
    return bool(recorded) if kind == "flag" else recorded


def _summary(
    contract: Contract,
    risks: Sequence[RiskAtHorizon],
    refusals: Sequence[Remark],
) -> str:
    """Say the answer in plain sentences; what moved it is said for the first horizon."""
    learned_from = f"The model learned from: {contract.population.rstrip('.')}."
    if not risks:
        reasons = [refusal.message for refusal in refusals]
        return " ".join([refusal_sentence(reasons), learned_from, NOTICE])
    sentences = [
        estimate_sentence(
            risk=risk.risk,
            low=risk.risk_low,
            high=risk.risk_high,
            level=contract.interval.level,
            horizon_days=risk.horizon_days,
            events=contract.event_label,
            competing_risk=risk.competing_risk,
        )
        for risk in risks
    ]
    sentences += mover_sentences(_movers(risks[0]), horizon_days=risks[0].horizon_days)
    return " ".join([*sentences, learned_from, NOTICE])


def _movers(risk: RiskAtHorizon) -> list[Mover]:
    """Return the measured variables that moved a risk most, and all that was not measured."""
    movers = [
        Mover(
            label=one.label,
            points=one.points,
            treatment=one.variable in VARIABLES and VARIABLES[one.variable].treatment,
            caution=VARIABLES[one.variable].caution if one.variable in VARIABLES else "",
        )
        for one in risk.contributions[:_MOVERS]
        if one.measured
    ]
    return [*movers, Mover(label=NOT_MEASURED_IN_WORDS, points=risk.pathways[NOT_MEASURED])]
