"""Figures that compare estimates: groups, parts of a panel, models, and risks by outcome.

In each, `event_label` is the event in the singular ("death"), and `simulated` whether the patients
are, which the figure then states.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from models.metrics.comparison.decision_curves import DecisionComparison
from models.metrics.risk_distribution import RiskDistribution
from training.plots.style import (
    BLACK,
    BLUE,
    DASHED,
    GREY,
    ORANGE,
    VERMILLION,
    journal_figure,
    percent,
    shade,
)

__all__ = ["Estimate", "plot_decision_comparison", "plot_estimates", "plot_risk_distribution"]


@dataclass(frozen=True, slots=True)
class Estimate:
    """One row of `plot_estimates`: an estimate with its interval (NaN if none), or a heading."""

    label: str
    estimate: float = np.nan
    low: float = np.nan
    high: float = np.nan
    heading: bool = False


def plot_estimates(
    rows: Sequence[Estimate],
    *,
    title: str,
    axis_label: str,
    simulated: bool,
    reference: float,
    reference_label: str,
    signed: bool = False,
) -> Figure:
    """Draw a forest plot with a labelled reference line; numbers are printed beside the marks.

    With `signed`, the numbers are changes and are printed with their sign.
    """
    height = 1.7 + 0.21 * len(rows)
    with journal_figure(6.0, height, title=title, simulated=simulated) as figure:
        axes = figure.subplots()
        axes.axvline(reference, color=GREY, linewidth=1, linestyle=DASHED, label=reference_label)
        for place, row in enumerate(rows):
            if row.heading or np.isnan(row.estimate):
                continue
            axes.plot([row.low, row.high], [place, place], color=BLUE, linewidth=1.4)
            axes.plot(row.estimate, place, "s", color=BLUE, markersize=4.5)
            form = "+.4f" if signed else ".3f"
            text = f"{row.estimate:{form}} ({row.low:{form}} to {row.high:{form}})"
            axes.annotate(
                text.replace("-", "\N{MINUS SIGN}"),
                (1.02, place),
                xycoords=("axes fraction", "data"),
                va="center",
                fontsize=7,
            )
        axes.set_yticks(range(len(rows)), [row.label for row in rows])
        for row, label in zip(rows, axes.get_yticklabels(), strict=True):
            label.set_fontweight("bold" if row.heading else "normal")
        axes.set(ylim=(len(rows) - 0.4, -0.6))
        axes.tick_params(axis="y", length=0)
        axes.xaxis.set_major_locator(MaxNLocator(5))
        axes.set_xlabel(axis_label)
        axes.legend(loc="lower left", bbox_to_anchor=(0, 1))
    return figure


def plot_decision_comparison(
    comparison: DecisionComparison,
    *,
    labels: tuple[str, str],
    title: str,
    gain_label: str,
    event_label: str,
    simulated: bool,
) -> Figure:
    """Draw the net benefit of two models, and below it the gain of the second over the first.

    `labels` are those of the first and second model; the horizon is appended to `title`.
    """
    days = f"{comparison.horizon_days:g}"
    thresholds = comparison.thresholds
    models = (
        (comparison.second, labels[1], BLUE, "-"),
        (comparison.first, labels[0], VERMILLION, DASHED),
    )
    with journal_figure(4.8, 5.2, title=f"{title} at {days} days", simulated=simulated) as figure:
        axes, below = figure.subplots(2, 1, height_ratios=[3, 2], sharex=True)
        top = 0.0
        for model, label, colour, style in models:
            net = 100 * model.estimate
            axes.plot(thresholds, net, color=colour, linestyle=style, label=label)
            top = max(top, float(np.nanmax(net)))
        axes.plot(thresholds, 100 * comparison.treat_all, color=ORANGE, label="act on all patients")
        axes.axhline(0, color=BLACK, linewidth=1, label="act on none")
        axes.set(xlim=(0, thresholds[-1]), ylim=(-0.1 * top, 1.1 * top))
        axes.set_ylabel("Net true positives\nper 100 patients")
        axes.legend(loc="upper right")
        gain = comparison.gain
        shade(below, thresholds, 100 * gain.low, 100 * gain.high, colour=BLUE)
        below.plot(thresholds, 100 * gain.estimate, color=BLUE)
        below.axhline(0, color=BLACK, linewidth=1)
        below.set_ylabel(f"{gain_label}\n(95 % interval)")
        below.set_xlabel(f"Risk of {event_label} at which one would act")
        below.xaxis.set_major_formatter(percent())
    return figure


def plot_risk_distribution(
    distribution: RiskDistribution, *, event_label: str, simulated: bool
) -> Figure:
    """Draw predicted risks of patients with and without the event, of which there must be both.

    Boxes show the quartiles, whiskers the 5th and 95th percentile.
    """
    title = f"Predicted risks at {distribution.horizon_days:g} days, by outcome"
    kinds = {"event": f"{event_label} by then", "no_event": f"no {event_label} by then"}
    with journal_figure(5.4, 2.2, title=title, simulated=simulated) as figure:
        axes = figure.subplots()
        boxes = [
            dict(
                zip(
                    ("whislo", "q1", "med", "q3", "whishi"),
                    distribution.quantiles[kind],
                    strict=True,
                ),
                label=f"{label} ({distribution.n[kind]:,})",
                fliers=[],
            )
            for kind, label in kinds.items()
        ]
        artists = axes.bxp(
            boxes,
            orientation="horizontal",
            widths=0.5,
            showfliers=False,
            patch_artist=True,
            medianprops={"color": BLACK, "linewidth": 1.6},
        )
        for box, colour in zip(artists["boxes"], (VERMILLION, BLUE), strict=True):
            box.set(facecolor=colour, alpha=0.55)
        means = [distribution.mean[kind] for kind in kinds]
        axes.plot(means, [1, 2], "D", color=BLACK, markersize=4, label="mean")
        most = max(distribution.quantiles[kind][-1] for kind in kinds)
        axes.set(xlim=(0, min(1, 1.1 * most)), ylim=(2.6, 0.4))
        axes.tick_params(axis="y", length=0)
        axes.xaxis.set_major_formatter(percent())
        axes.set_xlabel(f"Predicted risk of {event_label}")
        axes.legend(loc="lower left", bbox_to_anchor=(0, 1))
    return figure
