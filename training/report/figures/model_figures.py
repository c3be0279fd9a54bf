"""The figures of one model: evaluation, recorded data, and explanation of its estimates."""

from __future__ import annotations

import io
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal, TypedDict

import matplotlib as mpl
import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

from data_schema.disclosure import SMALLEST_CELL
from data_schema.printed_units import printed_unit
from models.inference.contract import Contract
from models.inference.risk_model import RiskModel
from models.metrics.curves import calibration_curve, incidence_by_risk
from models.patient_explanation import Contribution as ExplainedContribution
from models.patient_explanation import (
    ExplainedRisk,
    example_patient,
    explain_patient,
    pathway_label,
)
from training.explanation.cohort import ExplainedCohort
from training.explanation.synthetic_patients import synthetic_patients
from training.plots.explanation import (
    Contribution,
    PatientEstimate,
    plot_waterfall,
)
from training.plots.performance import (
    plot_calibration,
    plot_incidence_by_risk,
)
from training.plots.spread import plot_beeswarm, plot_responses
from training.validation.predictions import Predictions

__all__ = [
    "FigureContext",
    "ReportFigure",
    "as_svg",
    "evaluation_figures",
    "example_figures",
    "explanation_figures",
]

MOST_RESAMPLES = 200
"""Most resamples for pointwise bands; the intervals of metrics have a number of their own."""

FigureSection = Literal[
    "performance",
    "calibration",
    "clinical use",
    "added value",
    "validation",
    "explanation",
    "examples",
]
"""The section that shows a figure."""

_EXAMPLE = {"example_high_risk": 0.9}


class _Bands(TypedDict):
    """Keyword arguments of the resampling for pointwise bands."""

    n_bootstrap: int
    random_state: int
    groups: NDArray[np.object_]


@dataclass(frozen=True, slots=True)
class FigureContext:
    """What every figure states: the event in the singular, and whether patients are simulated."""

    event: str
    simulated: bool

    @classmethod
    def of(cls, contract: Contract) -> FigureContext:
        """Return the context of a model."""
        return cls(contract.event_singular, contract.simulated)


@dataclass(frozen=True, slots=True)
class ReportFigure:
    """A figure with its section, its caption, and an alternative text for screen readers."""

    name: str
    section: FigureSection
    caption: str
    alternative: str
    figure: Figure


def evaluation_figures(
    predictions: Predictions,
    horizons_days: Sequence[float],
    *,
    context: FigureContext,
    n_bootstrap: int,
    random_state: int,
) -> Iterator[ReportFigure]:
    """Yield calibration at each horizon, and incidence by predicted risk.

    `n_bootstrap` and `random_state` are those of the metrics; at most `MOST_RESAMPLES` are used.
    """
    outcome = predictions.time_days, predictions.event
    bands: _Bands = {
        "n_bootstrap": min(n_bootstrap, MOST_RESAMPLES),
        "random_state": random_state,
        "groups": predictions.patient_id,
    }
    for days in horizons_days:
        risk = predictions.risk[:, predictions.horizons_days.index(days)]
        calibration = calibration_curve(*outcome, risk, horizon_days=days, **bands)
        yield ReportFigure(
            f"calibration_{days:g}d",
            "calibration",
            f"Calibration at {days:g} days. On the dashed line, observed and predicted risk are "
            "equal; above it, the model underestimates risk. Bars: patients by predicted risk; "
            f"bars of fewer than {SMALLEST_CELL} are left empty.",
            f"Smoothed observed against predicted risk of {context.event} at {days:g} days, with "
            "its 95 % interval and the line of ideal calibration; the metrics are in the table of "
            "performance.",
            plot_calibration(calibration, event_label=context.event, simulated=context.simulated),
        )
    if predictions.curve_risk is not None and predictions.curve_days is not None:
        curve = *outcome, predictions.curve_risk, predictions.curve_days
        incidence = incidence_by_risk(*curve, **bands)
        yield ReportFigure(
            "incidence_by_risk",
            "performance",
            "Observed cumulative incidence (Aalen-Johansen; Kaplan-Meier without a competing "
            "event) and mean predicted risk, in fifths of predicted risk.",
            f"Cumulative incidence of {context.event} by day in fifths of predicted risk: observed "
            "with 95 % intervals, and predicted.",
            plot_incidence_by_risk(
                incidence, event_label=context.event, simulated=context.simulated
            ),
        )


def explanation_figures(
    explained: ExplainedCohort, *, context: FigureContext
) -> Iterator[ReportFigure]:
    """Yield the spread of contributions by variable, and their relation to values."""
    days = explained.horizon_days
    yield ReportFigure(
        "beeswarm",
        "explanation",
        f"Distribution of contributions at {days:g} days. Each dot is the mean of at least "
        f"{max(dots.patients_per_dot for dots in explained.dots)} patients with similar "
        "contributions, never a single patient; its colour is the mean rank of their values.",
        f"For {len(explained.dots)} variables, dots along the change of the estimate at {days:g} "
        "days in points of risk, coloured from the lowest to the highest value.",
        plot_beeswarm(explained.dots, horizon_days=days, simulated=context.simulated),
    )
    if explained.responses:
        yield ReportFigure(
            "responses",
            "explanation",
            f"Contribution at {days:g} days against the value of the variable, for the variables "
            "with the largest contributions: median and interquartile range in bins of at least "
            f"{SMALLEST_CELL} patients. It shows how the model responds, not what treatment would "
            "do.",
            "One panel for each of " + ", ".join(r.label for r in explained.responses) + ".",
            plot_responses(explained.responses, horizon_days=days, simulated=context.simulated),
        )


def example_figures(
    risk_model: RiskModel, *, horizon_days: float, context: FigureContext, random_state: int
) -> Iterator[ReportFigure]:
    """Yield the contributions of one synthetic patient: at high risk, or of median values."""
    frames = synthetic_patients(
        risk_model, horizon_days=horizon_days, random_state=random_state, shares=_EXAMPLE
    )
    (name,) = _EXAMPLE
    caption = (
        "Synthetic patient at high risk, with numerical values sampled jointly from summaries of "
        "the training cohort and the most frequent value of all other variables"
    )
    if name not in frames:
        name, caption = "example_patient", "Synthetic patient with median values"
    frame = frames.get(name, example_patient(risk_model.contract))
    explanation = explain_patient(risk_model, frame, [horizon_days])
    if explanation.risks:
        risk = explanation.risks[0]
        yield ReportFigure(
            name,
            "examples",
            f"{caption}; not a patient of the cohort. {risk.sentences[0]}",
            "Bars that lead from the model's reference to the risk of this patient.",
            plot_waterfall(
                _patient_estimate(risk), event_label=context.event, simulated=context.simulated
            ),
        )


def _patient_estimate(risk: ExplainedRisk) -> PatientEstimate:
    return PatientEstimate(
        horizon_days=risk.horizon_days,
        baseline_risk=risk.baseline_risk,
        risk=risk.risk,
        risk_low=risk.interval.low,
        risk_high=risk.interval.high,
        contributions=tuple(
            Contribution(_with_value(part), pathway_label(part.pathway), part.points, part.measured)
            for part in risk.contributions
        ),
        adjustment_points=risk.monotone_adjustment_points,
    )


def _with_value(contribution: ExplainedContribution) -> str:
    label, value = contribution.label, contribution.recorded.value
    if value is None:
        return label
    if isinstance(value, bool):
        return f"{label}: {'yes' if value else 'no'}"
    if isinstance(value, str):
        return f"{label}: {value}"
    return f"{label} {value:,g} {printed_unit(contribution.unit)}".rstrip()


def as_svg(figure: Figure) -> bytes:
    """Return a figure as the content of an SVG file, with text as outlines."""
    content = io.BytesIO()
    with mpl.rc_context({"svg.hashsalt": "osteon"}):
        figure.savefig(content, format="svg", metadata={"Date": None})
    return content.getvalue()
