"""Figures of the performance of a model, drawn from the results of `models.metrics.curves`.

In each, `event_label` is the event in the singular ("death"), and `simulated` whether the patients
are, which the figure then states.
"""

from __future__ import annotations

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from data_schema.disclosure import SMALLEST_CELL
from models.metrics.curves import (
    CalibrationCurve,
    DecisionCurve,
    IncidenceByRisk,
)
from training.plots.style import (
    BLACK,
    BLUE,
    DASHED,
    GREEN,
    GREY,
    ORANGE,
    SKY,
    VERMILLION,
    journal_figure,
    percent,
    shade,
)

__all__ = [
    "plot_calibration",
    "plot_decision_curve",
    "plot_incidence_by_risk",
]

_FROM_LOW_TO_HIGH = (SKY, BLUE, GREEN, ORANGE, VERMILLION)


def plot_calibration(curve: CalibrationCurve, *, event_label: str, simulated: bool) -> Figure:
    """Draw observed against predicted risk, with the distribution of predicted risks below.

    Bins of fewer than `SMALLEST_CELL` patients are left empty.
    """
    title = f"Calibration at {curve.horizon_days:g} days"
    with journal_figure(3.6, 4.3, title=title, simulated=simulated) as figure:
        axes, below = figure.subplots(2, 1, height_ratios=[4, 1], sharex=True)
        risks = np.concatenate([curve.predicted, curve.observed.high])
        top = min(1.0, np.ceil(20 * float(np.nanmax(risks))) / 20)
        axes.plot([0, top], [0, top], color=GREY, linewidth=1, linestyle=DASHED, label="ideal")
        shade(axes, curve.predicted, curve.observed.low, curve.observed.high, colour=BLUE)
        axes.plot(
            curve.predicted, curve.observed.estimate, color=BLUE, label="smoothed, 95 % interval"
        )
        axes.set(xlim=(0, top), ylim=(0, top), aspect="equal", anchor="S")
        axes.set_ylabel(f"Observed risk of {event_label}")
        axes.legend(loc="lower right")
        for axis in (axes.xaxis, axes.yaxis):
            axis.set_major_locator(MaxNLocator(5, steps=[1, 2, 2.5, 5, 10]))
            axis.set_major_formatter(percent())
        counts = np.where(curve.bin_counts >= SMALLEST_CELL, curve.bin_counts, 0)
        below.bar(curve.bin_edges[:-1], counts, np.diff(curve.bin_edges), align="edge", color=BLUE)
        below.set_xlabel(f"Predicted risk of {event_label}")
        below.set_ylabel("Patients")
        below.yaxis.set_major_locator(MaxNLocator(3, integer=True))
    return figure


def plot_decision_curve(curve: DecisionCurve, *, event_label: str, simulated: bool) -> Figure:
    """Draw the net benefit of acting on the model, on all patients and on none."""
    title = f"Net benefit at {curve.horizon_days:g} days"
    with journal_figure(4.6, 3.6, title=title, simulated=simulated) as figure:
        axes = figure.subplots()
        low, estimate, high = (
            100 * values for values in (curve.model.low, curve.model.estimate, curve.model.high)
        )
        top = float(np.nanmax(high))
        shade(axes, curve.thresholds, low, high, colour=BLUE)
        axes.plot(curve.thresholds, estimate, color=BLUE, label="act on the model, 95 % interval")
        axes.plot(
            curve.thresholds, 100 * curve.treat_all, color=ORANGE, label="act on all patients"
        )
        axes.axhline(0, color=BLACK, linewidth=1, label="act on none")
        axes.set(xlim=(0, curve.thresholds[-1]), ylim=(-0.15 * top, 1.08 * top))
        axes.xaxis.set_major_formatter(percent())
        axes.set_xlabel(f"Risk of {event_label} at which one would act")
        axes.set_ylabel("Net true positives per 100 patients")
        axes.legend(loc="upper right")
    return figure


def plot_incidence_by_risk(
    incidence: IncidenceByRisk, *, event_label: str, simulated: bool
) -> Figure:
    """Draw observed and predicted cumulative incidence in groups of predicted risk.

    Groups of fewer than `SMALLEST_CELL` patients are left out.
    """
    title = f"Predicted and observed {event_label}, by predicted risk"
    with journal_figure(5.4, 3.9, title=title, simulated=simulated) as figure:
        axes = figure.subplots()
        n_groups = len(incidence.groups)
        days = np.append(0.0, incidence.days)
        ends: list[tuple[float, str]] = []
        for number, group in enumerate(incidence.groups):
            if group.n_patients < SMALLEST_CELL:
                continue
            place = number * (len(_FROM_LOW_TO_HIGH) - 1) // max(n_groups - 1, 1)
            colour = _FROM_LOW_TO_HIGH[place]
            # Lines, not steps: between two days of the grid the step is not where events were.
            low, observed, high = (
                np.append(0.0, values)
                for values in (group.observed.low, group.observed.estimate, group.observed.high)
            )
            shade(axes, days, low, high, colour=colour)
            axes.plot(days, observed, color=colour)
            axes.plot(days, np.append(0.0, group.predicted), color=colour, linestyle=DASHED)
            which = {0: ", lowest risk", n_groups - 1: ", highest risk"}.get(number, "")
            ends.append((observed[-1], f"group {number + 1}{which}"))
        axes.plot([], [], color=BLACK, label="observed, 95 % interval")
        axes.plot([], [], color=BLACK, linestyle=DASHED, label="predicted, mean")
        # Above the panel: the curve of the highest risk may pass anywhere inside it.
        axes.legend(loc="lower left", bbox_to_anchor=(0, 1), ncols=2)
        axes.set(xlim=(0, days[-1]), ylim=(0, None))
        axes.yaxis.set_major_formatter(percent())
        axes.set_xlabel("Days from time zero")
        axes.set_ylabel(f"Cumulative incidence of {event_label}")
        _label_ends(axes, ends)
    return figure


def _label_ends(axes: Axes, ends: list[tuple[float, str]]) -> None:
    """Write each label at the end of its line, moved up where it would cover the label below."""
    apart = 0.055 * axes.get_ylim()[1]
    lowest = -np.inf
    for height, label in sorted(ends):
        lowest = max(height, lowest + apart)
        axes.annotate(
            label,
            (1, lowest),
            (4, 0),
            ("axes fraction", "data"),
            "offset points",
            fontsize=8,
            va="center",
        )
