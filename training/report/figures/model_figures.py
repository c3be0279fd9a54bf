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
from data_schema.variables import BELOW
from models.inference.contract import Contract, Description
from models.inference.risk_model import RiskModel
from models.metrics.curves import auroc_over_time, calibration_curve, incidence_by_risk
from models.patient_explanation import Contribution as ExplainedContribution
from models.patient_explanation import (
    ExplainedRisk,
    example_patient,
    explain_patient,
    pathway_label,
)
from training.cohorts.description import recorded_share
from training.explanation.cohort import ExplainedCohort
from training.explanation.synthetic_patients import synthetic_patients
from training.plots.explanation import (
    Contribution,
    PatientEstimate,
    plot_importance,
    plot_pathway_shares,
    plot_waterfall,
)
from training.plots.performance import (
    plot_auroc_over_time,
    plot_calibration,
    plot_incidence_by_risk,
)
from training.plots.spread import RecordedShare, plot_beeswarm, plot_recorded, plot_responses
from training.validation.predictions import Predictions

__all__ = [
    "FigureContext",
    "ReportFigure",
    "as_png",
    "as_svg",
    "evaluation_figures",
    "example_figures",
    "explanation_figures",
    "labelled_population",
    "recorded_figure",
]

MOST_RESAMPLES = 200
"""Most resamples for pointwise bands; the intervals of metrics have a number of their own."""

FigureSection = Literal[
    "performance",
    "calibration",
    "decision",
    "patients",
    "subgroups",
    "added value",
    "validation",
    "explanation",
    "examples",
    "files",
]
"""The section that shows a figure; a figure of `files` is written as a file only."""

_MOST_RECORDED = 30

_EXAMPLES = {"example_low_risk": ("low", 0.1), "example_high_risk": ("high", 0.9)}


class _Bands(TypedDict):
    """Keyword arguments of the resampling for pointwise bands."""

    n_bootstrap: int
    random_state: int
    groups: NDArray[np.object_]


@dataclass(frozen=True, slots=True)
class FigureContext:
    """What every figure states: the event in the singular, and the patients."""

    event: str
    population: str

    @classmethod
    def of(cls, contract: Contract, population: str | None = None) -> FigureContext:
        """Return the context of a model; `population` replaces that of its contract."""
        patients = contract.population if population is None else population
        label = labelled_population(patients, simulated=contract.simulated)
        return cls(contract.event_singular, label)


def labelled_population(population: str, *, simulated: bool) -> str:
    """Return who the patients are, stating once whether they are simulated.

    Examples
    --------
    >>> labelled_population("Adults of two ICUs", simulated=True)
    'Simulated patients. Adults of two ICUs'
    >>> labelled_population("Simulated patients (drift): made up", simulated=True)
    'Simulated patients (drift): made up'
    """
    stated = population.startswith("Simulated patients")
    return f"Simulated patients. {population}" if simulated and not stated else population


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
    """Yield calibration at each horizon, discrimination by day, and incidence by predicted risk.

    `n_bootstrap` and `random_state` are those of the metrics; at most `MOST_RESAMPLES` are used.
    """
    outcome = predictions.time_days, predictions.event
    labels = {"event_label": context.event, "population": context.population}
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
            plot_calibration(calibration, **labels),
        )
    if predictions.curve_risk is not None and predictions.curve_days is not None:
        curve = *outcome, predictions.curve_risk, predictions.curve_days
        areas = auroc_over_time(*curve, **bands)
        if len(areas.days):
            yield ReportFigure(
                "auroc_by_day",
                "performance",
                "Area under the ROC curve of the risk by each day, with pointwise 95 % intervals. "
                "Days with too few outcomes are omitted.",
                f"Area under the ROC curve for {context.event} against days from time zero, with "
                "chance at 0.5.",
                plot_auroc_over_time(areas, **labels),
            )
        incidence = incidence_by_risk(*curve, **bands)
        yield ReportFigure(
            "incidence_by_risk",
            "performance",
            "Observed cumulative incidence (Aalen-Johansen; Kaplan-Meier without a competing "
            "event) and mean predicted risk, in fifths of predicted risk.",
            f"Cumulative incidence of {context.event} by day in fifths of predicted risk: observed "
            "with 95 % intervals, and predicted.",
            plot_incidence_by_risk(incidence, **labels),
        )


def recorded_figure(described: Description, *, context: FigureContext) -> Iterator[ReportFigure]:
    """Yield the share recorded by outcome, of variables that are missing in some patients."""
    labels = [group["label"] for group in described["groups"][1:]]
    incomplete = [
        RecordedShare(variable["label"], shares)
        for variable in described["variables"]
        if not variable["name"].endswith(f"__{BELOW}")
        for shares in [tuple(recorded_share(values) for values in variable["groups"][1:])]
        if any(share is not None for share in shares)
        and any(share is None or share < 1 for share in shares)
    ]
    widest = sorted(incomplete, key=lambda variable: -_widest_gap(variable.shares))[:_MOST_RECORDED]
    plotted = [variable for variable in incomplete if variable in widest]
    if plotted and labels:
        yield ReportFigure(
            "recorded",
            "patients",
            f"Share of stays in which a variable was recorded, by outcome: the {len(plotted)} "
            "variables with the largest differences between outcomes. Where the shares differ, "
            "whether a variable was measured is informative about the outcome. Withheld shares "
            "are omitted.",
            f"Share recorded of {len(plotted)} variables in each group: {', '.join(labels)}; the "
            "numbers are in the table of missing data.",
            plot_recorded(plotted, labels, population=context.population),
        )


def _widest_gap(shares: Sequence[float | None]) -> float:
    known = [share for share in shares if share is not None]
    return max(known) - min(known)


def explanation_figures(
    explained: ExplainedCohort, *, context: FigureContext
) -> Iterator[ReportFigure]:
    """Yield contributions by pathway and variable, their spread, and their relation to values."""
    population = context.population
    for importance in explained.importance:
        days = importance.horizon_days
        section: FigureSection = "explanation" if days == explained.horizon_days else "files"
        shares = {pathway_label(key): points for key, points in importance.pathways.items()}
        largest = ", ".join(f"{k} {v:.1f}" for k, v in sorted(shares.items(), key=lambda x: -x[1]))
        yield ReportFigure(
            f"pathways_{days:g}d",
            section,
            f"Mean absolute contribution of each pathway to the estimate at {days:g} days. "
            "What is inferred for variables without a value is a separate bar.",
            f"Bars, in points of risk: {largest}.",
            plot_pathway_shares(shares, horizon_days=days, population=population),
        )
        variables = importance.variables
        yield ReportFigure(
            f"variables_{days:g}d",
            section,
            f"Mean absolute contribution of each variable to the estimate at {days:g} days.",
            "Bars, the largest first: "
            + ", ".join(f"{v.label} {v.mean_points:.1f}" for v in variables[:5])
            + " points of risk.",
            plot_importance(
                [variable.label for variable in variables],
                [pathway_label(variable.pathway) for variable in variables],
                [variable.mean_points for variable in variables],
                horizon_days=days,
                population=population,
            ),
        )
    days = explained.horizon_days
    yield ReportFigure(
        "beeswarm",
        "explanation",
        f"Distribution of contributions at {days:g} days. Each dot is the mean of at least "
        f"{max(dots.patients_per_dot for dots in explained.dots)} patients with similar "
        "contributions, never a single patient; its colour is the mean rank of their values.",
        f"For {len(explained.dots)} variables, dots along the change of the estimate at {days:g} "
        "days in points of risk, coloured from the lowest to the highest value.",
        plot_beeswarm(explained.dots, horizon_days=days, population=population),
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
            plot_responses(explained.responses, horizon_days=days, population=population),
        )


def example_figures(
    risk_model: RiskModel, *, horizon_days: float, context: FigureContext, random_state: int
) -> Iterator[ReportFigure]:
    """Yield the contributions of synthetic patients: of median values, of low and of high risk."""
    patients = {"example_patient": example_patient(risk_model.contract)} | synthetic_patients(
        risk_model,
        horizon_days=horizon_days,
        random_state=random_state,
        shares={name: share for name, (_, share) in _EXAMPLES.items()},
    )
    captions = {
        "example_patient": "Synthetic patient with median values",
        **{
            name: f"Synthetic patient at {risk} risk, with numerical values sampled jointly from "
            "summaries of the training cohort and the most frequent value of all other variables"
            for name, (risk, _) in _EXAMPLES.items()
        },
    }
    for name, frame in patients.items():
        explanation = explain_patient(risk_model, frame, [horizon_days])
        if explanation.risks:
            risk = explanation.risks[0]
            yield ReportFigure(
                name,
                "examples",
                f"{captions[name]}; not a patient of the cohort. {risk.sentences[0]}",
                "Bars that lead from the model's reference to the risk of this patient.",
                plot_waterfall(
                    _patient_estimate(risk),
                    event_label=context.event,
                    population=context.population,
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


def as_png(figure: Figure) -> bytes:
    """Return a figure as the content of a PNG file; this also fixes its layout."""
    content = io.BytesIO()
    figure.savefig(content, format="png")
    figure.set_layout_engine("none")
    return content.getvalue()


def as_svg(figure: Figure) -> bytes:
    """Return a figure as the content of an SVG file, with text as outlines."""
    content = io.BytesIO()
    with mpl.rc_context({"svg.hashsalt": "osteon"}):
        figure.savefig(content, format="svg", metadata={"Date": None})
    return content.getvalue()
