"""Figures that compare: subgroups, risks by outcome, net benefit, and models with a panel."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from models.metrics.comparison.paired_changes import Change
from models.metrics.curves import decision_curve
from models.metrics.metric import metric_at
from models.metrics.risk_distribution import RiskDistribution
from models.panel_verdict import part_label
from training.plots.comparison import (
    Estimate,
    plot_decision_comparison,
    plot_estimates,
    plot_risk_distribution,
)
from training.plots.performance import plot_decision_curve
from training.report.figures.model_figures import MOST_RESAMPLES, FigureContext, ReportFigure
from training.report.study_sections import grouping_label, level_label
from training.validation.internal_external import InternalExternal
from training.validation.panel_value import PanelValue
from training.validation.predictions import Predictions
from training.validation.severity_alone import SeverityAlone

__all__ = [
    "net_benefit_figure",
    "panel_figures",
    "risk_distribution_figure",
    "severity_figure",
    "validation_figure",
]


def validation_figure(
    validated: InternalExternal, *, horizon_days: float, context: FigureContext
) -> Iterator[ReportFigure]:
    """Yield the area under the curve at sites or in years that the model was not fitted to."""
    days = horizon_days
    overall = next(
        (mean for mean in validated.pooled if (mean.metric, mean.horizon_days) == ("auroc", days)),
        None,
    )
    rows: list[Estimate] = []
    heading = ""
    for group in validated.clusters:
        metric = metric_at(group.metrics, "auroc", days)
        if metric is None or not metric.has_interval:
            continue
        if group.grouping != heading:
            heading = group.grouping
            rows.append(Estimate(grouping_label(heading), heading=True))
        rows.append(Estimate(level_label(group.level), metric.estimate, metric.low, metric.high))
    if not rows:
        return
    known = None if overall is None or np.isnan(overall.estimate) else overall.estimate
    title = f"Discrimination in each {validated.by} held out, at {days:g} days"
    yield ReportFigure(
        "validation",
        "validation",
        "Area under the ROC curve with 95 % intervals. Groups too small for an estimate are in the "
        "table only.",
        f"{title}: {sum(not row.heading for row in rows)} estimates with intervals; the numbers "
        "are in the table.",
        plot_estimates(
            rows,
            title=title,
            axis_label=f"Area under the ROC curve for {context.event}",
            simulated=context.simulated,
            reference=0.5 if known is None else known,
            reference_label="chance" if known is None else "all patients",
        ),
    )


def risk_distribution_figure(
    distributions: Sequence[RiskDistribution], *, horizon_days: float, context: FigureContext
) -> Iterator[ReportFigure]:
    """Yield the distribution of predicted risks by outcome at one horizon."""
    for distribution in distributions:
        if distribution.horizon_days == horizon_days and {"event", "no_event"} <= set(
            distribution.shown
        ):
            medians = (100 * distribution.quantiles[kind][2] for kind in ("event", "no_event"))
            with_event, without = (f"{median:.0f} %" for median in medians)
            yield ReportFigure(
                "risk_distribution",
                "performance",
                f"Predicted risks at {horizon_days:g} days of patients with and without the event "
                "by then: quartiles, 5th and 95th percentile. Patients censored before are "
                "omitted.",
                f"Boxes of predicted risks; median {with_event} with and {without} without "
                f"{context.event} by then.",
                plot_risk_distribution(
                    distribution, event_label=context.event, simulated=context.simulated
                ),
            )


def panel_figures(value: PanelValue, *, context: FigureContext) -> Iterator[ReportFigure]:
    """Yield what a panel and its parts add, and the net benefit with and without it."""
    if value.pathways:
        yield _parts_figure(value, context)
    days = f"{value.primary_horizon_days:g}"
    yield ReportFigure(
        "added_value_net_benefit",
        "added value",
        f"Net benefit at {days} days of acting on the model with the panel, on the model without "
        "it, on all patients and on none; below, the gain from the panel with its 95 % interval.",
        f"Net true positives per 100 patients against the risk of {context.event} at which one "
        "would act, with and without the panel, and their difference.",
        plot_decision_comparison(
            value.decision,
            labels=("without the panel", "with the panel"),
            title="Net benefit with and without the panel",
            gain_label="Gain from the panel",
            event_label=context.event,
            simulated=context.simulated,
        ),
    )


def _parts_figure(value: PanelValue, context: FigureContext) -> ReportFigure:
    """Return what a panel and each of its parts add."""
    days = f"{value.primary_horizon_days:g}"
    parts = [(part_label(part.name), part) for part in value.pathways]
    rows = [
        Estimate("Whole panel", *_interval(value.primary)),
        Estimate("Added to all other variables", heading=True),
        *(Estimate(label, *_interval(part.lost_if_left_out)) for label, part in parts),
        Estimate("Added to variables outside the panel", heading=True),
        *(Estimate(label, *_interval(part.gained_alone)) for label, part in parts),
    ]
    return ReportFigure(
        "added_value",
        "added value",
        f"Change in the area under the ROC curve at {days} days with paired 95 % intervals. To the "
        "right of the dashed line, the panel or its part improves discrimination.",
        f"Change with the whole panel {value.primary.change:+.4f}; the numbers of its parts are "
        "in the table.",
        plot_estimates(
            rows,
            title=f"Added value of the panel at {days} days",
            axis_label="Change in the area under the ROC curve",
            simulated=context.simulated,
            reference=0.0,
            reference_label="no change",
            signed=True,
        ),
    )


def net_benefit_figure(
    predictions: Predictions,
    horizon_days: float,
    *,
    context: FigureContext,
    n_bootstrap: int,
    random_state: int,
) -> Iterator[ReportFigure]:
    """Yield the net benefit of a model at one horizon, beside acting on all patients or none.

    `n_bootstrap` and `random_state` are those of the metrics; at most `MOST_RESAMPLES` are used.
    """
    days = horizon_days
    decision = decision_curve(
        predictions.time_days,
        predictions.event,
        predictions.risk[:, predictions.horizons_days.index(days)],
        horizon_days=days,
        n_bootstrap=min(n_bootstrap, MOST_RESAMPLES),
        random_state=random_state,
        groups=predictions.patient_id,
    )
    yield ReportFigure(
        f"net_benefit_{days:g}d",
        "clinical use",
        f"Net benefit at {days:g} days by threshold. At each threshold, the highest curve is "
        "the best of the three strategies.",
        f"Net true positives per 100 patients against the risk of {context.event} at "
        f"{days:g} days at which one would act: acting on the model with its 95 % interval, on "
        "all patients, on none.",
        plot_decision_curve(decision, event_label=context.event, simulated=context.simulated),
    )


def severity_figure(
    alone: SeverityAlone, horizon_days: float, *, context: FigureContext
) -> Iterator[ReportFigure]:
    """Yield the net benefit of a model at one horizon, beside severity alone, all and none."""
    for comparison in alone.decision:
        if comparison.horizon_days != horizon_days:
            continue
        days = f"{comparison.horizon_days:g}"
        yield ReportFigure(
            f"net_benefit_{days}d",
            "clinical use",
            f"Net benefit at {days} days of acting on the model, on severity alone, on all "
            "patients and on none; below, the gain of the model over severity alone with its 95 % "
            "interval.",
            f"Net true positives per 100 patients against the risk of {context.event} at {days} "
            "days at which one would act, with the model and with severity alone, and their "
            "difference.",
            plot_decision_comparison(
                comparison,
                labels=("severity alone", "the model"),
                title="Net benefit of the model and of severity alone",
                gain_label="Gain over severity",
                event_label=context.event,
                simulated=context.simulated,
            ),
        )


def _interval(change: Change) -> tuple[float, float, float]:
    """Return a change with its interval; NaN where there is none."""
    return change.change, change.low, change.high
