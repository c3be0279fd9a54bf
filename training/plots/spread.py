"""Figures of the distribution of contributions, and of their relation to values.

In each, `simulated` is whether the patients are simulated, which the figure then states.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import LinearSegmentedColormap, Normalize
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullFormatter
from numpy.typing import NDArray

from data_schema.printed_units import printed_unit
from models.patient_explanation import pathway_label
from training.explanation.cohort import Dots, Response
from training.plots.style import (
    BLACK,
    BLUE,
    DASHED,
    GREY,
    VERMILLION,
    journal_figure,
    shade,
)

__all__ = ["plot_beeswarm", "plot_responses"]

_FROM_LOW_TO_HIGH = LinearSegmentedColormap.from_list("value", [BLUE, "#C9C0CE", VERMILLION])
_LOG_RATIO = 30


def plot_beeswarm(dots: Sequence[Dots], *, horizon_days: float, simulated: bool) -> Figure:
    """Draw the distribution of contributions of each variable, in the order given.

    No dot represents fewer than `SMALLEST_CELL` patients.
    """
    title = f"Distribution of contributions at {horizon_days:g} days"
    height = 1.7 + 0.3 * len(dots)
    with journal_figure(6.2, height, title=title, simulated=simulated) as figure:
        axes = figure.subplots()
        width = np.ptp(np.concatenate([variable.points for variable in dots])) or 1.0
        for place, variable in enumerate(dots):
            offsets = place + _offsets(variable.points, width)
            ranked = variable.measured & np.isfinite(variable.value)
            axes.scatter(
                variable.points[ranked],
                offsets[ranked],
                c=variable.value[ranked],
                cmap=_FROM_LOW_TO_HIGH,
                vmin=0,
                vmax=1,
                s=8,
                linewidths=0,
                rasterized=True,
            )
            for rows, colour, marker in (
                (variable.measured & ~ranked, BLACK, "o"),
                (~variable.measured, GREY, "x"),
            ):
                axes.scatter(
                    variable.points[rows],
                    offsets[rows],
                    c=colour,
                    s=8,
                    marker=marker,
                    linewidths=0 if marker == "o" else 0.8,
                    rasterized=True,
                )
        axes.axvline(0, color=GREY, linewidth=0.8, zorder=0)
        axes.set_yticks(range(len(dots)), [f"{v.label} ({pathway_label(v.pathway)})" for v in dots])
        axes.set(ylim=(len(dots) - 0.4, -0.6))
        axes.tick_params(axis="y", length=0)
        axes.xaxis.set_major_locator(MaxNLocator(7, steps=[1, 2, 5, 10]))
        axes.set_xlabel("Change of the estimate, in points of risk")
        colours = figure.colorbar(
            ScalarMappable(Normalize(0, 1), _FROM_LOW_TO_HIGH), ax=axes, aspect=40, pad=0.02
        )
        colours.set_ticks([0, 1], labels=["lowest\nvalue", "highest\nvalue"])
        colours.outline.set_visible(False)
        keys = [
            Line2D([], [], linestyle="", marker="o", color=BLACK, markersize=3, label="category"),
            Line2D([], [], linestyle="", marker="x", color=GREY, markersize=4, label="not entered"),
        ]
        axes.legend(handles=keys, loc="lower right", bbox_to_anchor=(1, 1), ncols=2)
    return figure


def plot_responses(
    responses: Sequence[Response], *, horizon_days: float, simulated: bool
) -> Figure:
    """Draw contribution against value, one panel for each of at least one variable.

    All panels share one scale of points.
    """
    title = f"Contributions at {horizon_days:g} days by value of the variable"
    columns = min(3, len(responses))
    rows = -(-len(responses) // columns)
    with journal_figure(
        max(2.2 * columns, 4.4), 0.9 + 2.0 * rows, title=title, simulated=simulated
    ) as figure:
        grid = figure.subplots(rows, columns, squeeze=False, sharey=True)
        for axes, response in zip(grid.ravel(), responses, strict=False):
            _draw_response(axes, response)
        for axes in grid.ravel()[len(responses) :]:
            axes.set_visible(False)
        figure.supylabel("Change of the estimate, in points of risk", fontsize=9)
    return figure


def _offsets(points: NDArray[np.float64], width: float) -> NDArray[np.float64]:
    """Return how far each dot is moved off its line so that dots do not overlap."""
    cell = np.floor(points / width * 90).astype(np.int64)
    offsets = np.zeros(len(points))
    for value in np.unique(cell):
        rows = np.flatnonzero(cell == value)
        rows = rows[np.argsort(points[rows], kind="stable")]
        turn = np.arange(len(rows))
        offsets[rows] = np.where(turn % 2, -1, 1) * ((turn + 1) // 2)
    widest = np.abs(offsets).max(initial=0)
    spread: NDArray[np.float64] = offsets * min(0.07, 0.38 / max(widest, 1))
    return spread


def _draw_response(axes: Axes, response: Response) -> None:
    """Draw one panel: a curve over a number, or a mark for each category."""
    if response.levels:
        _draw_levels(axes, response)
    else:
        _draw_curve(axes, response)
    axes.axhline(0, color=GREY, linewidth=0.7, zorder=0)
    if response.not_measured is not None:
        axes.axhline(response.not_measured, color=GREY, linewidth=1, linestyle=DASHED)
        axes.annotate(
            "not entered",
            (1, response.not_measured),
            (-2, 2),
            ("axes fraction", "data"),
            "offset points",
            ha="right",
            fontsize=7,
            color=GREY,
            bbox={"facecolor": "white", "alpha": 0.8, "pad": 0.5, "linewidth": 0},
        )
    axes.set_title(_short(response.label, 30), fontsize=8, loc="left")
    axes.set_xlabel(printed_unit(response.unit), fontsize=8)
    axes.tick_params(labelsize=7)


def _draw_curve(axes: Axes, response: Response) -> None:
    shade(axes, response.values, response.low, response.high, colour=BLUE)
    axes.plot(response.values, response.middle, color=BLUE, marker=".", markersize=4)
    lowest, highest = response.values[0], response.values[-1]
    if lowest > 0 and highest / lowest > _LOG_RATIO:
        axes.set_xscale("log")
        axes.xaxis.set_major_locator(LogLocator(10, subs=(1.0, 3.0), numticks=6))
        axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
        axes.xaxis.set_minor_formatter(NullFormatter())
    else:
        whole = bool(np.all(response.values == np.round(response.values)))
        axes.xaxis.set_major_locator(MaxNLocator(4, integer=whole))


def _draw_levels(axes: Axes, response: Response) -> None:
    places = np.arange(len(response.levels))
    below, above = response.middle - response.low, response.high - response.middle
    axes.errorbar(places, response.middle, [below, above], fmt="o", color=BLUE, markersize=4)
    many = len(places) > 2
    axes.set_xticks(
        places,
        [_short(level, 18) for level in response.levels],
        rotation=40 if many else 0,
        ha="right" if many else "center",
        rotation_mode="anchor",
    )
    axes.set_xlim(-0.6, len(places) - 0.4)


def _short(text: str, characters: int) -> str:
    return text if len(text) <= characters else f"{text[: characters - 1]}…"
