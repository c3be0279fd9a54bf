"""What there is to know of a model before believing it: its patients, its figures, its limits."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from serving.prediction.served import ServedModel

__all__ = ["Figure", "cohort_rows", "figures", "limits"]

# Fewer patients than this might point to someone.
_SMALLEST_CELL = 10

# The figures that a clinician reads first, and how: the report of the run has all of them.
_READ: Mapping[str, tuple[str, str]] = {
    "auroc": ("Discrimination (AUROC)", "1 tells everybody apart, 0.5 is chance"),
    "c_uno": ("Discrimination over time (Uno's C)", "1 ranks everybody right, 0.5 is chance"),
    "oe_ratio": ("Observed over expected", "1 is ideal; above 1 the model expects too few"),
    "calibration_slope": ("Calibration slope", "1 is ideal; below 1 risks are too extreme"),
    "ici": ("Distance of risks from what was observed (ICI)", "0 is ideal"),
    "ipa": ("Index of prediction accuracy", "0 is no better than the event rate"),
    "net_benefit": ("Net benefit at the event rate", "higher is better, 0 is acting on nobody"),
}

# Figures near 0, of which two decimals leave one digit or none.
_SMALL = frozenset({"ici", "net_benefit", "ipa"})


@dataclass(frozen=True, slots=True)
class Figure:
    """One figure of performance, ready to print."""

    label: str
    horizon: str
    estimate: str
    reading: str


def figures(contract: Mapping[str, Any]) -> tuple[Figure, ...]:
    """Return the figures on patients whom the model did not learn from, each with its interval."""
    evaluation = contract.get("evaluation") or {"metrics": []}
    return tuple(
        Figure(
            label=_READ[one["metric"]][0],
            horizon="all" if one["horizon_days"] is None else f"{one['horizon_days']:g} days",
            estimate=_estimate(one),
            reading=_READ[one["metric"]][1],
        )
        for one in evaluation["metrics"]
        if one["metric"] in _READ
    )


def cohort_rows(contract: Mapping[str, Any]) -> tuple[tuple[str, str, str], ...]:
    """Return what is counted, how many the model learned from, and how many it was judged on."""
    training, evaluation = contract["training"], contract.get("evaluation") or {}
    rows = (
        ("patients", training["patients"], evaluation.get("patients")),
        ("stays", training["stays"], _answered(evaluation)),
        (contract["event_label"], training["events"], evaluation.get("events")),
    )
    return tuple((what, _count(learned), _count(judged)) for what, learned, judged in rows)


def _answered(evaluation: Mapping[str, Any]) -> int | None:
    """Return the held-out stays that got an answer, which the patients and events are of."""
    return evaluation["stays"] - evaluation["refused"] if evaluation else None


def limits(model: ServedModel) -> tuple[str, ...]:
    """Return the model's limits in sentences."""
    interval = model.contract["interval"]
    return (
        "It refuses patients under 18, pregnancy, values outside the plausible range, patients "
        "with too little measured and combinations unlike any it learned from.",
        f"The {100 * interval['level']:g} % interval is a {interval['kind']}. "
        f"{interval['guarantee']}",
        "It has not been validated on other patients than those above.",
        "What raised or lowered the estimate describes the model; it does not say what would "
        "change the outcome. A treatment marks the patient; this is not the drug's effect.",
    )


def _estimate(one: Mapping[str, Any]) -> str:
    if one["estimate"] is None:
        return "not defined here"
    digits = 3 if one["metric"] in _SMALL else 2
    numbers = (one["estimate"], one["low"], one["high"])
    estimate, low, high = (None if n is None else f"{n:.{digits}f}" for n in numbers)
    return f"{estimate} (no interval)" if low is None else f"{estimate} ({low} to {high})"


def _count(number: int | None) -> str:
    if number is None:
        return "unknown"
    if 0 < number < _SMALLEST_CELL:
        return f"fewer than {_SMALLEST_CELL}"
    return f"{number:,}"
