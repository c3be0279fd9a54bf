"""The common style of figures: size, colours, and a footnote where patients are simulated."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter
from numpy.typing import NDArray

__all__ = [
    "BLACK",
    "BLUE",
    "DASHED",
    "GREEN",
    "GREY",
    "LIGHT_GREY",
    "ORANGE",
    "SKY",
    "VERMILLION",
    "journal_figure",
    "percent",
    "shade",
]

# Okabe & Ito: distinct with any colour vision.
BLUE, VERMILLION, GREEN, ORANGE, SKY = "#0072B2", "#D55E00", "#009E73", "#E69F00", "#56B4E9"
BLACK, GREY, LIGHT_GREY = "#000000", "#666666", "#BBBBBB"
DASHED = (0, (4, 3))

_FOOTNOTE_SIZE = 6

_STYLE: dict[Any, Any] = {
    "font.family": "sans-serif",
    "font.size": 9,
    "axes.labelsize": 9,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.linewidth": 0.8,
    "xtick.labelsize": 8,
    "ytick.labelsize": 8,
    "legend.fontsize": 8,
    "legend.frameon": False,
    "lines.linewidth": 1.6,
    "figure.constrained_layout.w_pad": 0.08,
    "figure.dpi": 200,
    "savefig.dpi": 200,
}


@contextmanager
def journal_figure(width: float, height: float, *, title: str, simulated: bool) -> Iterator[Figure]:
    """Yield a figure of that many inches, which states under it if its patients are simulated."""
    with mpl.rc_context(_STYLE):
        figure = Figure(figsize=(width, height), layout="constrained")
        figure.suptitle(title, x=0.01, ha="left", fontsize=10, fontweight="bold")
        if simulated:
            figure.supxlabel(
                "Simulated patients", x=0.99, ha="right", fontsize=_FOOTNOTE_SIZE, color=GREY
            )
        yield figure


def percent(whole: float = 1.0) -> FuncFormatter:
    """Return tick labels in percent of `whole`, with as many decimals as needed."""
    return FuncFormatter(lambda value, _: f"{round(100 * value / whole, 6):g} %")


def shade(
    axes: Axes, at: NDArray[Any], low: NDArray[Any], high: NDArray[Any], *, colour: str
) -> None:
    """Shade a pointwise interval in the colour of its line; arrays have shape (n_points,)."""
    axes.fill_between(at, low, high, color=colour, alpha=0.18, linewidth=0)
