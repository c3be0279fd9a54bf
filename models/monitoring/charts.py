"""Charts as SVG, drawn without a script: figures with intervals and control limits.

Colours come from the page's style sheet by class, so that both themes apply; every chart has a name
and is repeated as a table by the page.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from math import log

__all__ = ["Row", "calibration_chart", "row_chart"]

_WIDTH, _LABEL, _RIGHT = 780, 290, 80
_ROW = 26
_TOP, _BOTTOM = 14, 40


@dataclass(frozen=True, slots=True)
class Row:
    """One row of a chart: a figure, its interval, and what it is compared with.

    `is_alert` marks a figure beyond its limit, by shape and not by colour alone.
    """

    label: str
    value: float
    low: float | None = None
    high: float | None = None
    reference: float | None = None
    text: str = ""
    is_alert: bool = False


def row_chart(
    rows: Sequence[Row],
    *,
    name: str,
    axis: str,
    low: float,
    high: float,
    limits: tuple[float, float] | None = None,
    ideal: float | None = None,
    logarithmic: bool = False,
) -> str:
    """Return rows of figures on one axis.

    Parameters
    ----------
    rows : sequence of Row
    name, axis : str
        What the chart shows; what its axis is, with the unit.
    low, high : float
        Ends of the axis; figures beyond them are drawn at the end.
    limits : (float, float), optional
        A band in which figures lie by chance.
    ideal : float, optional
        A line.
    logarithmic : bool
        Whether ratios are drawn, so that 0.5 and 2 lie as far from 1.
    """
    height = _TOP + _ROW * len(rows) + _BOTTOM

    def x(value: float) -> float:
        a, b, v = (log(one) if logarithmic else one for one in (low, high, max(value, 1e-9)))
        if not logarithmic:
            a, b, v = low, high, value
        share = (min(max(v, a), b) - a) / (b - a)
        return _LABEL + share * (_WIDTH - _LABEL - _RIGHT)

    bottom = height - _BOTTOM
    parts = []
    if limits is not None:
        start, end = x(limits[0]), x(limits[1])
        parts.append(
            f'<rect class="band" x="{start:.1f}" y="{_TOP}" width="{end - start:.1f}" '
            f'height="{bottom - _TOP}"/>'
        )
    if ideal is not None:
        parts.append(_line("ideal", x(ideal), _TOP, x(ideal), bottom))
    for number, row in enumerate(rows):
        y = _TOP + _ROW * (number + 0.5)
        parts.append(_text(row.label, _LABEL - 10, y + 4, anchor="end"))
        if row.low is not None and row.high is not None:
            parts.append(_line("interval", x(row.low), y, x(row.high), y))
        if row.reference is not None:
            at = x(row.reference)
            parts.append(f'<circle class="ring" cx="{at:.1f}" cy="{y:.1f}" r="5"/>')
        at = x(row.value)
        if row.is_alert:
            points = f"{at:.1f},{y - 7:.1f} {at + 7:.1f},{y + 6:.1f} {at - 7:.1f},{y + 6:.1f}"
            parts.append(f'<polygon class="alert" points="{points}"/>')
        else:
            parts.append(f'<circle class="figure" cx="{at:.1f}" cy="{y:.1f}" r="4.5"/>')
        parts.append(_text(row.text, _WIDTH - _RIGHT + 8, y + 4))
    parts.append(_line("axis", _LABEL, bottom, _WIDTH - _RIGHT, bottom))
    for tick in _ticks(low, high, logarithmic=logarithmic):
        parts.append(_line("axis", x(tick), bottom, x(tick), bottom + 5))
        parts.append(_text(f"{tick:g}", x(tick), bottom + 17, anchor="middle"))
    parts.append(_text(axis, (_LABEL + _WIDTH - _RIGHT) / 2, height - 6, anchor="middle"))
    return _svg(name, _WIDTH, height, parts)


def calibration_chart(points: Sequence[tuple[float, float]], *, name: str) -> str:
    """Return observed against predicted risk of tenths of the patients, with the diagonal.

    Parameters
    ----------
    points : sequence of (float, float)
        Mean predicted and observed risk of each tenth, in [0, 1].
    """
    size, left, top = 380, 56, 14
    side = size - left - 30
    bottom = top + side
    parts = [_line("ideal", left, bottom, left + side, top)]
    path = " ".join(
        f"{left + side * predicted:.1f},{bottom - side * min(max(observed, 0), 1):.1f}"
        for predicted, observed in points
    )
    parts.append(f'<polyline class="path" points="{path}"/>')
    for predicted, observed in points:
        x, y = left + side * predicted, bottom - side * min(max(observed, 0), 1)
        parts.append(f'<circle class="figure" cx="{x:.1f}" cy="{y:.1f}" r="4.5"/>')
    parts += [
        _line("axis", left, bottom, left + side, bottom),
        _line("axis", left, top, left, bottom),
    ]
    for tick in (0.0, 0.25, 0.5, 0.75, 1.0):
        at = left + side * tick
        parts.append(_text(f"{tick:.0%}", at, bottom + 17, anchor="middle"))
        parts.append(_text(f"{tick:.0%}", left - 6, bottom - side * tick + 4, anchor="end"))
    parts.append(_text("Predicted risk", left + side / 2, bottom + 36, anchor="middle"))
    parts.append(_text("Observed risk", left, top - 3))
    return _svg(name, size, bottom + 44, parts, kind="chart square")


def _ticks(low: float, high: float, *, logarithmic: bool) -> list[float]:
    """Return about five values to print on an axis."""
    if logarithmic:
        return [tick for tick in (0.1, 0.25, 0.5, 0.8, 1, 1.25, 2, 4, 10) if low <= tick <= high]
    if low < 0:  # symmetric around 0
        most = max(int(high), 1)
        return [-most, -most / 2, 0.0, most / 2, most]
    step = (high - low) / 4
    return [round(low + step * number, 3) for number in range(5)]


def _line(kind: str, x1: float, y1: float, x2: float, y2: float) -> str:
    return f'<line class="{kind}" x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}"/>'


def _text(text: str, x: float, y: float, *, anchor: str = "start") -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}">{escape(text)}</text>'


def _svg(
    name: str, width: float, height: float, parts: Sequence[str], *, kind: str = "chart"
) -> str:
    return (
        f'<svg class="{kind}" viewBox="0 0 {width:.0f} {height:.0f}" role="img" '
        f'aria-label="{escape(name)}">{"".join(parts)}</svg>'
    )
