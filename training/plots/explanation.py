"""The figure of contributions to the estimate of one patient.

`simulated` is whether the patients are simulated, which the figure then states.
"""

from __future__ import annotations

from dataclasses import dataclass

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Patch
from matplotlib.ticker import MaxNLocator

from models.patient_explanation import NOT_MEASURED_LABEL
from training.explanation.importance import points_digits
from training.plots.style import (
    BLACK,
    BLUE,
    GREY,
    LIGHT_GREY,
    VERMILLION,
    journal_figure,
    percent,
)

__all__ = [
    "Contribution",
    "PatientEstimate",
    "plot_waterfall",
]

_VARIABLES_NAMED = 8


@dataclass(frozen=True, slots=True)
class Contribution:
    """The contribution of one variable to a patient's risk, in points (100 points = 100 %)."""

    label: str
    pathway: str
    points: float
    measured: bool = True


@dataclass(frozen=True, slots=True)
class PatientEstimate:
    """One patient's risk and the contributions to it.

    The points, `adjustment_points` included, sum to 100 * (risk - baseline_risk).
    """

    horizon_days: float
    baseline_risk: float
    risk: float
    risk_low: float
    risk_high: float
    contributions: tuple[Contribution, ...]
    adjustment_points: float = 0.0


def plot_waterfall(estimate: PatientEstimate, *, event_label: str, simulated: bool) -> Figure:
    """Draw how one patient's estimate builds up from the reference, in points of risk.

    Each pathway starts where the previous one ended. Below it are its variables: those with the
    largest contributions by name, the others together. What was inferred for variables without a
    value is one grey bar.
    `event_label` is the event in the singular ("death").
    """
    bars = _waterfall(estimate)
    start, end = 100 * estimate.baseline_risk, 100 * estimate.risk
    interval = (100 * estimate.risk_low, 100 * estimate.risk_high)
    last = len(bars) + 1
    title = "What raised and lowered the estimate, in points of risk"
    with journal_figure(6.2, 1.9 + 0.23 * last, title=title, simulated=simulated) as figure:
        axes = figure.subplots()
        digits = points_digits(max((abs(bar.points) for bar in bars), default=0.0))
        for place, bar in enumerate(bars, start=1):
            _draw(axes, place, bar, digits)
        axes.plot(start, 0, "D", end, last, "D", color=BLACK, markersize=5)
        axes.plot(interval, [last, last], color=BLACK)
        axes.axvline(start, color=GREY, linewidth=0.8, linestyle=":", zorder=0)
        labels = [
            f"Reference: {start:.1f} %",
            *(bar.label for bar in bars),
            f"This patient: {end:.1f} % (95 % interval {interval[0]:.0f} to {interval[1]:.0f})",
        ]
        axes.set_yticks(range(last + 1), labels)
        for bar, label in zip(bars, axes.get_yticklabels()[1:], strict=False):
            label.set(color=BLACK if bar.main else GREY, fontsize=8 if bar.main else 7)
        edges = [start, *interval, *(edge for b in bars for edge in (b.left, b.left + b.points))]
        room = 0.1 * (max(edges) - min(edges))
        axes.set(xlim=(min(edges) - room / 2, max(edges) + room), ylim=(last + 0.7, -0.7))
        axes.tick_params(axis="y", length=0)
        axes.spines["left"].set_visible(False)
        axes.xaxis.set_major_locator(MaxNLocator(7, steps=[1, 2, 5, 10]))
        axes.xaxis.set_major_formatter(percent(100))
        axes.set_xlabel(f"Risk of {event_label} within {estimate.horizon_days:g} days")
        meanings = {"raised": VERMILLION, "lowered": BLUE, "belongs to no pathway": LIGHT_GREY}
        keys = [Patch(color=colour, label=text) for text, colour in meanings.items()]
        axes.legend(handles=keys, loc="lower right", bbox_to_anchor=(1, 1), ncols=3)
    return figure


@dataclass(frozen=True, slots=True)
class _Bar:
    """One bar of the waterfall: a pathway (`main`), or a variable of the pathway above it."""

    label: str
    left: float
    points: float
    main: bool = True
    grey: bool = False


def _signed(points: float, digits: int) -> str:
    """Return points with their sign; zero has no sign."""
    text = f"{points:+.{digits}f}"
    return (text if float(text) else text[1:]).replace("-", "\N{MINUS SIGN}")


def _draw(axes: Axes, place: int, bar: _Bar, digits: int) -> None:
    """Draw one bar with its signed points at its right end."""
    colour = LIGHT_GREY if bar.grey else VERMILLION if bar.points > 0 else BLUE
    axes.barh(
        place,
        bar.points,
        0.72 if bar.main else 0.4,
        left=bar.left,
        color=colour,
        alpha=1.0 if bar.main else 0.45,
    )
    axes.annotate(
        _signed(bar.points, digits),
        (max(bar.left, bar.left + bar.points), place),
        (3, 0),
        textcoords="offset points",
        va="center",
        color=BLACK if bar.main else GREY,
        fontsize=8 if bar.main else 7,
    )


def _waterfall(estimate: PatientEstimate) -> list[_Bar]:
    """Return bars from the top: pathways by size with their variables, then those without one."""
    measured = sorted(
        (c for c in estimate.contributions if c.measured), key=lambda c: -abs(c.points)
    )
    members: dict[str, list[Contribution]] = {}
    for contribution in measured:
        members.setdefault(contribution.pathway, []).append(contribution)
    totals = {pathway: sum(c.points for c in parts) for pathway, parts in members.items()}
    weakest = abs(measured[:_VARIABLES_NAMED][-1].points) if measured else 0.0
    bars: list[_Bar] = []
    left = 100 * estimate.baseline_risk
    for pathway in sorted(totals, key=lambda name: -abs(totals[name])):
        bars += _of_pathway(pathway, members[pathway], left, weakest)
        left += totals[pathway]
    unmeasured = [c.points for c in estimate.contributions if not c.measured]
    if unmeasured:
        bars.append(_Bar(NOT_MEASURED_LABEL, left, sum(unmeasured), grey=True))
        left += sum(unmeasured)
    if estimate.adjustment_points:
        label = "Monotone adjustment (risk never falls)"
        bars.append(_Bar(label, left, estimate.adjustment_points, grey=True))
    return bars


def _of_pathway(
    pathway: str, parts: list[Contribution], left: float, weakest_named: float
) -> list[_Bar]:
    """Return a pathway's bar and those of its variables; one bar where it has one variable."""
    total = sum(c.points for c in parts)
    if len(parts) == 1:
        return [_Bar(f"{pathway}: {parts[0].label}", left, total)]
    bars = [_Bar(pathway, left, total)]
    named = [c for c in parts if abs(c.points) >= weakest_named]
    rows = [(c.label, c.points) for c in named]
    if named and len(named) < len(parts):
        rows.append((f"{len(parts) - len(named)} more", total - sum(c.points for c in named)))
    for label, points in rows:
        bars.append(_Bar(label, left, points, main=False))
        left += points
    return bars
