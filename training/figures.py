"""The figures of a run, by what they show: of the evaluation, of what moved the estimates."""

from __future__ import annotations

import io
from collections.abc import Iterator, Sequence
from typing import Any

from matplotlib.figure import Figure

from models.inference import RiskModel
from training.answers import Answers
from training.evaluation.curves import (
    auroc_over_time,
    calibration_curve,
    decision_curve,
    incidence_by_risk,
)
from training.explaining import Importance, pathway_label
from training.explanation_plots import (
    Contribution,
    PatientEstimate,
    plot_importance,
    plot_pathway_shares,
    plot_waterfall,
)
from training.one_patient import RiskAtHorizon, example_patient, explain_patient
from training.plots import (
    plot_auroc_over_time,
    plot_calibration,
    plot_decision_curve,
    plot_incidence_by_risk,
)

__all__ = ["as_png", "evaluation_figures", "explanation_figures"]

MOST_RESAMPLES = 200
"""Pointwise bands need no more; the intervals of the metrics have their own number."""


def evaluation_figures(
    held_out: Answers,
    horizons_days: Sequence[float],
    *,
    event_label: str,
    population: str,
    n_bootstrap: int,
    random_state: int,
) -> Iterator[tuple[str, Figure]]:
    """Yield name and figure of calibration, net benefit, ranking and incidence.

    Parameters
    ----------
    held_out : Answers
    horizons_days : sequence of float
        Those that could be judged.
    event_label, population : str
        The event in the plural, and who the patients are.
    n_bootstrap, random_state : int
        As for the metrics; at most `MOST_RESAMPLES` are drawn.

    Yields
    ------
    tuple of (str, Figure)
    """
    told = held_out.time_days, held_out.event
    words = {"event_label": event_label.removesuffix("s"), "population": population}
    bands: dict[str, Any] = {
        "n_bootstrap": min(n_bootstrap, MOST_RESAMPLES),
        "random_state": random_state,
        "groups": held_out.patient_id,
    }
    for days in horizons_days:
        risk = held_out.risk[:, held_out.horizons_days.index(days)]
        calibration = calibration_curve(*told, risk, horizon_days=days, **bands)
        yield f"calibration_{days:g}d", plot_calibration(calibration, **words)
        decision = decision_curve(*told, risk, horizon_days=days, **bands)
        yield f"net_benefit_{days:g}d", plot_decision_curve(decision, **words)
    if held_out.curve_risk is not None and held_out.curve_days is not None:
        curve = *told, held_out.curve_risk, held_out.curve_days
        yield "auroc_by_day", plot_auroc_over_time(auroc_over_time(*curve, **bands), **words)
        incidence = incidence_by_risk(*curve, **bands)
        yield "incidence_by_risk", plot_incidence_by_risk(incidence, **words)


def explanation_figures(
    risk_model: RiskModel, moved: Sequence[Importance]
) -> Iterator[tuple[str, Figure]]:
    """Yield name and figure of what moved the estimates, and of a made-up patient's.

    Parameters
    ----------
    risk_model : RiskModel
        With the whole contract.
    moved : sequence of Importance
        One for each horizon.

    Yields
    ------
    tuple of (str, Figure)
    """
    population = risk_model.contract["population"]
    for one in moved:
        yield (
            f"pathways_{one.horizon_days:g}d",
            plot_pathway_shares(
                {pathway_label(key): points for key, points in one.pathways.items()},
                horizon_days=one.horizon_days,
                population=population,
            ),
        )
        yield (
            f"variables_{one.horizon_days:g}d",
            plot_importance(
                [variable.label for variable in one.variables],
                [pathway_label(variable.pathway) for variable in one.variables],
                [variable.mean_points for variable in one.variables],
                horizon_days=one.horizon_days,
                population=population,
            ),
        )
    example = explain_patient(risk_model, example_patient(risk_model.contract))
    if example.risks:
        estimate = _as_drawn(example.risks[0])
        event = risk_model.contract["event_label"].removesuffix("s")
        yield "example_patient", plot_waterfall(estimate, event_label=event, population=population)


def _as_drawn(risk: RiskAtHorizon) -> PatientEstimate:
    """Return a risk with its contributions under the labels that a reader sees."""
    return PatientEstimate(
        horizon_days=risk.horizon_days,
        baseline_risk=risk.baseline_risk,
        risk=risk.risk,
        risk_low=risk.risk_low,
        risk_high=risk.risk_high,
        contributions=tuple(
            Contribution(one.label, pathway_label(one.pathway), one.points, one.measured)
            for one in risk.contributions
        ),
        adjustment_points=risk.monotone_adjustment_points,
    )


def as_png(figure: Figure) -> bytes:
    """Return a figure as the content of a PNG file."""
    content = io.BytesIO()
    figure.savefig(content, format="png")
    return content.getvalue()
