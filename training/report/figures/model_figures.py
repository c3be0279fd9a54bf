"""The figures of a run, by what they show: of the evaluation, of what moved the estimates."""

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
from models.metrics.curves import (
    auroc_over_time,
    calibration_curve,
    incidence_by_risk,
)
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
    "Drawn",
    "Words",
    "as_png",
    "as_svg",
    "called_simulated",
    "evaluation_figures",
    "example_figures",
    "explanation_figures",
    "recorded_figure",
]

MOST_RESAMPLES = 200
"""Pointwise bands need no more; the intervals of the metrics have their own number."""

Place = Literal[
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
"""Section of a report; `files` is none of them: such a figure is a file of its own only."""

_MOST_RECORDED = 30

_EXAMPLES = {"example_low_risk": ("low", 0.1), "example_high_risk": ("high", 0.9)}


class _Bands(TypedDict):
    """How patients are resampled for pointwise bands."""

    n_bootstrap: int
    random_state: int
    groups: NDArray[np.object_]


@dataclass(frozen=True, slots=True)
class Words:
    """What every figure says: the event in the singular, and who the patients are."""

    event: str
    population: str

    @classmethod
    def of(cls, contract: Contract, population: str | None = None) -> Words:
        """Return the words of a model; patients that are simulated are called so."""
        who = contract.population if population is None else population
        event = contract.event_singular
        return cls(event, called_simulated(who, simulated=contract.simulated))


def called_simulated(population: str, *, simulated: bool) -> str:
    """Return who the patients are; those that are simulated are called so, once.

    Examples
    --------
    >>> called_simulated("Adults of two ICUs", simulated=True)
    'Simulated patients. Adults of two ICUs'
    >>> called_simulated("Simulated patients (drift): nobody real", simulated=True)
    'Simulated patients (drift): nobody real'
    """
    said = population.startswith("Simulated patients")
    return f"Simulated patients. {population}" if simulated and not said else population


@dataclass(frozen=True, slots=True)
class Drawn:
    """A figure, where in a report it belongs, how it is read and what it shows in words."""

    name: str
    place: Place
    caption: str
    alternative: str
    figure: Figure


def evaluation_figures(
    judged: Predictions,
    horizons_days: Sequence[float],
    *,
    words: Words,
    n_bootstrap: int,
    random_state: int,
) -> Iterator[Drawn]:
    """Yield calibration, ranking and incidence.

    Parameters
    ----------
    judged : Predictions
    horizons_days : sequence of float
        Those that could be judged.
    words : Words
    n_bootstrap, random_state : int
        As for the metrics; at most `MOST_RESAMPLES` are drawn.

    Yields
    ------
    Drawn
    """
    told = judged.time_days, judged.event
    said = {"event_label": words.event, "population": words.population}
    bands: _Bands = {
        "n_bootstrap": min(n_bootstrap, MOST_RESAMPLES),
        "random_state": random_state,
        "groups": judged.patient_id,
    }
    for days in horizons_days:
        risk = judged.risk[:, judged.horizons_days.index(days)]
        calibration = calibration_curve(*told, risk, horizon_days=days, **bands)
        yield Drawn(
            f"calibration_{days:g}d",
            "calibration",
            f"Calibration at {days:g} days: on the dashed line, observed and predicted risk are "
            "the same; above it, risk was underestimated. The bars count patients by predicted "
            f"risk; bars of fewer than {SMALLEST_CELL} are left empty.",
            f"Smoothed observed against predicted risk of {words.event} at {days:g} days, with its "
            "95 % interval and the line of ideal calibration; the metrics are in the table of "
            "performance.",
            plot_calibration(calibration, **said),
        )
    if judged.curve_risk is not None and judged.curve_days is not None:
        curve = *told, judged.curve_risk, judged.curve_days
        areas = auroc_over_time(*curve, **bands)
        if len(areas.days):
            yield Drawn(
                "auroc_by_day",
                "performance",
                "Area under the ROC curve of the risk by each day, pointwise 95 % interval. Days "
                "with too few outcomes are left out.",
                f"Area under the ROC curve for {words.event} against days from time zero, with "
                "chance at 0.5.",
                plot_auroc_over_time(areas, **said),
            )
        incidence = incidence_by_risk(*curve, **bands)
        yield Drawn(
            "incidence_by_risk",
            "performance",
            "Patients in five groups of equal size by predicted risk: observed cumulative "
            "incidence (Aalen-Johansen; Kaplan-Meier where nothing competes) and the mean of the "
            "predictions.",
            f"Cumulative incidence of {words.event} by day in five groups of predicted risk, "
            "observed with 95 % intervals beside predicted.",
            plot_incidence_by_risk(incidence, **said),
        )


def recorded_figure(described: Description, *, words: Words) -> Iterator[Drawn]:
    """Yield what was recorded by outcome, of variables that somebody lacks, if there are such."""
    labels = [group["label"] for group in described["groups"][1:]]
    varying = [
        RecordedShare(variable["label"], shares)
        for variable in described["variables"]
        if not variable["name"].endswith(f"__{BELOW}")
        for shares in [tuple(recorded_share(values) for values in variable["groups"][1:])]
        if any(share is not None for share in shares)
        and any(share is None or share < 1 for share in shares)
    ]
    apart = sorted(varying, key=lambda variable: -_widest_gap(variable.shares))[:_MOST_RECORDED]
    shown = [variable for variable in varying if variable in apart]
    if shown and labels:
        yield Drawn(
            "recorded",
            "patients",
            f"Share in whom a variable was recorded, by outcome: the {len(shown)} variables in "
            "which the groups lie furthest apart. Where they do, that it was measured tells of the "
            "outcome. Shares that must be withheld are not drawn.",
            f"Share recorded of {len(shown)} variables in each of the groups: {', '.join(labels)}; "
            "the numbers are in the table of what was not recorded.",
            plot_recorded(shown, labels, population=words.population),
        )


def _widest_gap(shares: Sequence[float | None]) -> float:
    known = [share for share in shares if share is not None]
    return max(known) - min(known)


def explanation_figures(explained: ExplainedCohort, *, words: Words) -> Iterator[Drawn]:
    """Yield what moved the estimates: by pathway and variable, spread, and with the values.

    Parameters
    ----------
    explained : ExplainedCohort
    words : Words

    Yields
    ------
    Drawn
    """
    population = words.population
    for one in explained.importance:
        days = one.horizon_days
        place: Place = "explanation" if days == explained.horizon_days else "files"
        shares = {pathway_label(key): points for key, points in one.pathways.items()}
        largest = ", ".join(f"{k} {v:.1f}" for k, v in sorted(shares.items(), key=lambda x: -x[1]))
        yield Drawn(
            f"pathways_{days:g}d",
            place,
            f"How far each pathway moved the estimate at {days:g} days, up or down: the mean over "
            "patients. What was not measured is one bar apart.",
            f"Bars, in points of risk: {largest}.",
            plot_pathway_shares(shares, horizon_days=days, population=population),
        )
        yield Drawn(
            f"variables_{days:g}d",
            place,
            f"How far each variable moved the estimate at {days:g} days, up or down: the mean over "
            "patients.",
            "Bars, the strongest first: "
            + ", ".join(f"{v.label} {v.mean_points:.1f}" for v in one.variables[:5])
            + " points of risk.",
            plot_importance(
                [variable.label for variable in one.variables],
                [pathway_label(variable.pathway) for variable in one.variables],
                [variable.mean_points for variable in one.variables],
                horizon_days=days,
                population=population,
            ),
        )
    days = explained.horizon_days
    yield Drawn(
        "beeswarm",
        "explanation",
        "How the contributions spread. Each dot is the mean of "
        f"{max(one.patients_per_dot for one in explained.dots)} or more patients with "
        "neighbouring contributions, none is one patient; its colour is the mean rank of their "
        "values.",
        f"For {len(explained.dots)} variables, dots along the change of the estimate at {days:g} "
        "days in points of risk, coloured from the lowest to the highest value.",
        plot_beeswarm(explained.dots, horizon_days=days, population=population),
    )
    if explained.responses:
        yield Drawn(
            "responses",
            "explanation",
            "How the contribution of the strongest variables goes with their value: median and "
            f"middle half of the patients in each bin, at least {SMALLEST_CELL} in each. It shows "
            "how the model responds, not what treatment would do.",
            "One panel for each of " + ", ".join(one.label for one in explained.responses) + ".",
            plot_responses(explained.responses, horizon_days=days, population=population),
        )


def example_figures(
    risk_model: RiskModel, *, horizon_days: float, words: Words, random_state: int
) -> Iterator[Drawn]:
    """Yield what moved the estimates of made-up patients: of middle values, of low and high risk.

    Parameters
    ----------
    risk_model : RiskModel
        With the whole contract.
    horizon_days : float
    words : Words
    random_state : int

    Yields
    ------
    Drawn
    """
    contract = risk_model.contract
    drawn = synthetic_patients(
        risk_model,
        horizon_days=horizon_days,
        random_state=random_state,
        shares={name: share for name, (_, share) in _EXAMPLES.items()},
    )
    who = {
        "example_patient": "A made-up patient of middle values.",
        **{
            name: f"A made-up patient of {risk} risk: numbers drawn together from fitted summaries "
            "of the training cohort, everything else its most frequent value."
            for name, (risk, _) in _EXAMPLES.items()
        },
    }
    for name, frame in {"example_patient": example_patient(contract), **drawn}.items():
        told = explain_patient(risk_model, frame, [horizon_days])
        if told.risks:
            yield Drawn(
                name,
                "examples",
                f"{who[name]} Nobody in the cohort is this patient. {told.risks[0].sentences[0]}",
                "Bars that lead from the model's reference to this patient's risk.",
                plot_waterfall(
                    _as_drawn(told.risks[0]), event_label=words.event, population=words.population
                ),
            )


def _as_drawn(risk: ExplainedRisk) -> PatientEstimate:
    """Return a risk with its contributions under the labels that a reader sees."""
    return PatientEstimate(
        horizon_days=risk.horizon_days,
        baseline_risk=risk.baseline_risk,
        risk=risk.risk,
        risk_low=risk.interval.low,
        risk_high=risk.interval.high,
        contributions=tuple(
            Contribution(_with_value(one), pathway_label(one.pathway), one.points, one.measured)
            for one in risk.contributions
        ),
        adjustment_points=risk.monotone_adjustment_points,
    )


def _with_value(one: ExplainedContribution) -> str:
    value = one.recorded.value
    if value is None:
        return one.label
    if isinstance(value, bool):
        return f"{one.label}: {'yes' if value else 'no'}"
    if isinstance(value, str):
        return f"{one.label}: {value}"
    return f"{one.label} {value:,g} {printed_unit(one.unit)}".rstrip()


def as_png(figure: Figure) -> bytes:
    """Return a figure as the content of a PNG file; its layout is settled from then on."""
    content = io.BytesIO()
    figure.savefig(content, format="png")
    figure.set_layout_engine("none")
    return content.getvalue()


def as_svg(figure: Figure) -> bytes:
    """Return a figure as the content of an SVG file, with its letters drawn as curves."""
    content = io.BytesIO()
    with mpl.rc_context({"svg.hashsalt": "osteon"}):
        figure.savefig(content, format="svg", metadata={"Date": None})
    return content.getvalue()
