"""Figures of what an evaluation tells beyond the metrics: groups, risks, net benefit, the panel."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Literal

import numpy as np

from models.metrics.comparison.paired_changes import Change
from models.metrics.curves import decision_curve
from models.metrics.metric import Metric, metric_at
from models.metrics.pooling import Pooled
from models.metrics.risk_distribution import RiskDistribution
from models.metrics.subgroups import Subgroup
from training.cohorts.panel import part_label
from training.plots.comparison import (
    Estimate,
    plot_decision_comparison,
    plot_estimates,
    plot_risk_distribution,
)
from training.plots.performance import plot_decision_curve
from training.report.figures.model_figures import MOST_RESAMPLES, Drawn, Words
from training.report.study_sections import grouping_label, level_label
from training.validation.internal_external import InternalExternal
from training.validation.panel_value import PanelValue
from training.validation.predictions import Predictions
from training.validation.severity_alone import SeverityAlone

__all__ = [
    "net_benefit_figures",
    "panel_figures",
    "risk_distribution_figure",
    "severity_figures",
    "subgroup_figure",
    "validation_figure",
]


def subgroup_figure(
    subgroups: Sequence[Subgroup], *, overall: Metric | None, horizon_days: float, words: Words
) -> Iterator[Drawn]:
    """Yield the area under the curve in each group of patients, if one group has it.

    Parameters
    ----------
    subgroups : sequence of Subgroup
    overall : Metric or None
        The metric of all patients.
    horizon_days : float
    words : Words

    Yields
    ------
    Drawn
    """
    yield from _groups(
        subgroups,
        overall,
        horizon_days,
        words,
        name="subgroups",
        title=f"Ranking in groups of patients at {horizon_days:g} days",
    )


def validation_figure(
    validated: InternalExternal, *, horizon_days: float, words: Words
) -> Iterator[Drawn]:
    """Yield the area under the curve where a model had never been; arguments as above."""
    at = ("auroc", horizon_days)
    yield from _groups(
        validated.clusters,
        next((one for one in validated.pooled if (one.metric, one.horizon_days) == at), None),
        horizon_days,
        words,
        name="validation",
        title=f"Ranking in each {validated.by} by a model of the others, at {horizon_days:g} days",
    )


def _groups(
    groups: Sequence[Subgroup],
    overall: Metric | Pooled | None,
    days: float,
    words: Words,
    *,
    name: Literal["subgroups", "validation"],
    title: str,
) -> Iterator[Drawn]:
    rows: list[Estimate] = []
    heading = ""
    for group in groups:
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
    yield Drawn(
        name,
        name,
        "Area under the ROC curve with 95 % intervals. Groups too small for a metric are in the "
        "table only.",
        f"{title}: {sum(not row.heading for row in rows)} estimates with intervals; the numbers "
        "are in the table.",
        plot_estimates(
            rows,
            title=title,
            axis_label=f"Area under the ROC curve for {words.event}",
            population=words.population,
            reference=0.5 if known is None else known,
            reference_label="chance" if known is None else "all patients",
        ),
    )


def risk_distribution_figure(
    distributions: Sequence[RiskDistribution], *, horizon_days: float, words: Words
) -> Iterator[Drawn]:
    """Yield how predicted risks are spread by outcome at one horizon.

    Parameters
    ----------
    distributions : sequence of RiskDistribution
    horizon_days : float
    words : Words

    Yields
    ------
    Drawn
    """
    for distribution in distributions:
        if distribution.horizon_days == horizon_days and {"event", "no_event"} <= set(
            distribution.shown
        ):
            medians = (100 * distribution.quantiles[kind][2] for kind in ("event", "no_event"))
            with_event, without = (f"{median:.0f} %" for median in medians)
            yield Drawn(
                "risk_distribution",
                "performance",
                f"Predicted risks at {horizon_days:g} days of patients with the event by then and "
                "of those without: quartiles, 5th and 95th percentile. Those lost before are left "
                "out.",
                f"Boxes of predicted risks; median {with_event} of those with {words.event} by "
                f"then, {without} of those without.",
                plot_risk_distribution(
                    distribution, event_label=words.event, population=words.population
                ),
            )


def panel_figures(value: PanelValue, *, words: Words) -> Iterator[Drawn]:
    """Yield what a panel and its parts add, and the net benefit with and without it.

    Parameters
    ----------
    value : PanelValue
    words : Words

    Yields
    ------
    Drawn
    """
    days = f"{value.primary_horizon_days:g}"
    rows = [Estimate("The whole panel", *_ends(value.primary))]
    if value.pathways:
        rows.append(Estimate("Lost if left out", heading=True))
        rows += [Estimate(part_label(p.name), *_ends(p.lost_if_left_out)) for p in value.pathways]
        rows.append(Estimate("Gained by it alone", heading=True))
        rows += [Estimate(part_label(p.name), *_ends(p.gained_alone)) for p in value.pathways]
    yield Drawn(
        "added_value",
        "added value",
        f"Change in the area under the ROC curve at {days} days, paired 95 % intervals. Right of "
        "the dashed line the panel, or its part, adds.",
        f"Change by the whole panel {value.primary.change:+.4f}; the numbers of its parts are "
        "in the table.",
        plot_estimates(
            rows,
            title=f"What the panel adds at {days} days",
            axis_label="Change in the area under the ROC curve",
            population=words.population,
            reference=0.0,
            reference_label="no change",
            signed=True,
        ),
    )
    yield Drawn(
        "added_value_net_benefit",
        "added value",
        "Net benefit of acting on the model with the panel, on the one without it, on everybody "
        "and on nobody; below, what the panel adds with its 95 % interval.",
        f"Net true positives per 100 patients against the risk of {words.event} at which one would "
        "act, with and without the panel, and their difference.",
        plot_decision_comparison(
            value.decision,
            labels=("without the panel", "with the panel"),
            title="Net benefit with and without the panel",
            gain_label="Gain by the panel",
            event_label=words.event,
            population=words.population,
        ),
    )


def net_benefit_figures(
    judged: Predictions,
    horizons_days: Sequence[float],
    *,
    words: Words,
    n_bootstrap: int,
    random_state: int,
) -> Iterator[Drawn]:
    """Yield the net benefit of a model at each horizon, beside everybody and nobody.

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
    for days in horizons_days:
        decision = decision_curve(
            judged.time_days,
            judged.event,
            judged.risk[:, judged.horizons_days.index(days)],
            horizon_days=days,
            n_bootstrap=min(n_bootstrap, MOST_RESAMPLES),
            random_state=random_state,
            groups=judged.patient_id,
        )
        yield Drawn(
            f"net_benefit_{days:g}d",
            "decision",
            f"Net benefit at {days:g} days by the risk at which one would act. The highest curve "
            "at a threshold is the best of the three ways of acting there.",
            f"Net true positives per 100 patients against the threshold of risk of {words.event} "
            f"at {days:g} days: acting on the model with its 95 % interval, on everybody, on "
            "nobody.",
            plot_decision_curve(decision, event_label=words.event, population=words.population),
        )


def severity_figures(alone: SeverityAlone, *, words: Words) -> Iterator[Drawn]:
    """Yield the net benefit of a model at each horizon, beside severity alone, all and nobody.

    Parameters
    ----------
    alone : SeverityAlone
    words : Words

    Yields
    ------
    Drawn
    """
    for one in alone.decision:
        days = f"{one.horizon_days:g}"
        yield Drawn(
            f"net_benefit_{days}d",
            "decision",
            f"Net benefit at {days} days of acting on the model, on severity alone, on everybody "
            "and on nobody; below, what the model gains over severity alone, with its 95 % "
            "interval.",
            f"Net true positives per 100 patients against the risk of {words.event} at which one "
            f"would act at {days} days, of the model and of severity alone, and their difference.",
            plot_decision_comparison(
                one,
                labels=("severity alone", "the model"),
                title="Net benefit of the model and of severity alone",
                gain_label="Gain over severity",
                event_label=words.event,
                population=words.population,
            ),
        )


def _ends(change: Change) -> tuple[float, float, float]:
    """Return a change with its interval; NaN where there is none."""
    return change.change, change.low, change.high
