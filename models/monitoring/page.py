"""The monitoring page for people: one chart each, with its figures and how to read it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np
from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from data_schema.biomarkers import VARIABLES
from models.metrics.catalogue import METRICS
from models.monitoring.alerts import control_limit
from models.monitoring.charts import Row, calibration_chart, row_chart
from models.monitoring.watch import Watched
from models.wording import NOTICE

__all__ = ["ChartSection", "chart_sections", "monitoring_page"]

_MOST_ROWS = 12
_LONGEST_LABEL = 40
_RATIO_RANGE = (0.25, 4.0)


@dataclass(frozen=True, slots=True)
class ChartSection:
    """One chart, the sentence above it, and its figures as a table.

    `chart` is SVG; `header` and `rows` are the table.
    """

    title: str
    reading: str
    chart: Markup
    header: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


def chart_sections(watched: Watched) -> tuple[ChartSection, ...]:
    """Return every chart for which there are figures."""
    sections = (
        _promised(watched),
        _ratios(watched),
        _calibration(watched),
        _groups(watched),
        _risks(watched),
        _inputs(watched),
        _recorded(watched),
        _changes(watched),
    )
    return tuple(section for section in sections if section is not None)


def monitoring_page(watched: Watched) -> str:
    """Return one HTML file with everything that was watched, which needs no network."""
    template = _environment().get_template("file.html")
    return template.render(watched=watched, sections=chart_sections(watched), notice=NOTICE)


@cache
def _environment() -> Environment:
    return Environment(
        loader=PackageLoader("models.monitoring"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )


def _section(
    title: str, reading: str, chart: str, header: Sequence[str], rows: Sequence[Sequence[str]]
) -> ChartSection:
    return ChartSection(
        title, reading, Markup(chart), tuple(header), tuple(tuple(row) for row in rows)
    )


def _promised(watched: Watched) -> ChartSection | None:
    """Return discrimination and Brier score: promised by the risks, and observed."""
    observed = {(m.metric, m.horizon_days): m for m in watched.metrics}
    rows = []
    for one in watched.expected:
        metric = observed.get((one.metric, one.horizon_days))
        label = f"{METRICS[one.metric].label}, {one.horizon_days:g} days"
        known = metric is not None and metric.is_defined
        value = metric.estimate if metric is not None and known else one.estimate
        rows.append(
            Row(
                label,
                value,
                one.low,
                one.high,
                None if known else one.estimate,
                f"{value:.2f}" if known else "not yet",
                is_alert=known and not one.low <= value <= one.high,
            )
        )
    if not rows:
        return None
    table = [
        (
            row.label,
            f"{one.estimate:.3f} ({one.low:.3f} to {one.high:.3f})",
            row.text if row.text == "not yet" else f"{row.value:.3f}",
        )
        for row, one in zip(rows, watched.expected, strict=True)
    ]
    name = "Discrimination and Brier score that the risks promise, and observed"
    return _section(
        "How well the model should do, and does",
        "The bar is what the risks promise in 95 % of periods like this; the mark is what was "
        "observed, once outcomes are known. An area of 0.5 is chance and 1 is perfect; a lower "
        "Brier score is better.",
        row_chart(rows, name=name, axis="Value", low=0.0, high=1.0),
        ("Figure", "Promised (95 % of periods)", "Observed"),
        table,
    )


def _ratios(watched: Watched) -> ChartSection | None:
    """Return observed over expected events, of all stays and by site."""
    if not watched.ratios:
        return None
    rows, table = [], []
    for one in watched.ratios:
        place = "all" if one.site is None else one.site
        label = f"{place}, {one.horizon_days:g} days"
        rows.append(
            Row(
                label,
                one.ratio,
                one.low,
                one.high,
                text=f"{one.ratio:.2f}",
                is_alert=one.is_beyond,
            )
        )
        events = f"{one.observed:.0f} / {one.expected:.1f}"
        limits = f"{one.low:.2f} to {one.high:.2f}"
        table.append((label, f"{one.ratio:.2f}", limits, events, f"{one.patients}"))
    name = "Observed over expected events, with control limits"
    return _section(
        "Events observed over events expected",
        "1 means that as many patients had the event as the risks say. Above 1 the risks are too "
        "low, below 1 too high. The bar lies between the control limits: what chance, and what "
        "training leaves uncertain, explain. A triangle lies beyond them.",
        row_chart(
            rows,
            name=name,
            axis="Observed over expected",
            low=_RATIO_RANGE[0],
            high=_RATIO_RANGE[1],
            ideal=1.0,
            logarithmic=True,
        ),
        ("Patients", "Observed / expected", "Control limits", "Events", "Known outcomes"),
        table,
    )


def _calibration(watched: Watched) -> ChartSection | None:
    """Return observed against predicted risk in tenths of the patients."""
    if watched.calibration is None:
        return None
    days, tenths = watched.calibration.horizon_days, watched.calibration.tenths
    table = [(f"{number}", f"{p:.1%}", f"{o:.1%}") for number, (p, o) in enumerate(tenths, 1)]
    return _section(
        f"Calibration by {days:g} days",
        "Each dot is a tenth of the patients, by predicted risk. On the line, what was predicted "
        "happened as often; above it, more often.",
        calibration_chart(tenths, name=f"Observed against predicted risk by {days:g} days"),
        ("Tenth", "Predicted", "Observed"),
        table,
    )


def _groups(watched: Watched) -> ChartSection | None:
    """Return observed over expected events by group, at the last horizon that can be judged."""
    figures = [
        (f"{group.grouping}: {group.level}", metric)
        for group in watched.subgroups
        for metric in group.metrics
        if metric.metric == "oe_ratio" and metric.has_interval
    ]
    if not figures:
        return None
    last = max(metric.horizon_days or 0.0 for _, metric in figures)
    shown = [(label, metric) for label, metric in figures if metric.horizon_days == last]
    rows = [
        Row(
            label,
            metric.estimate,
            metric.low,
            metric.high,
            text=f"{metric.estimate:.2f}",
            is_alert=metric.low > 1.25 or metric.high < 0.8,
        )
        for label, metric in shown
    ]
    table = [
        (label, f"{metric.estimate:.2f}", f"{metric.low:.2f} to {metric.high:.2f}")
        for label, metric in shown
    ]
    return _section(
        f"Observed over expected events by group, {last:g} days",
        "With 95 % intervals. Groups are many: one of twenty intervals misses 1 by chance. A "
        "triangle marks a group whose whole interval lies outside 0.8 to 1.25.",
        row_chart(
            rows,
            name=f"Observed over expected events by group at {last:g} days",
            axis="Observed over expected",
            low=_RATIO_RANGE[0],
            high=_RATIO_RANGE[1],
            limits=(0.8, 1.25),
            ideal=1.0,
            logarithmic=True,
        ),
        ("Group", "Observed / expected", "95 % interval"),
        table,
    )


def _risks(watched: Watched) -> ChartSection | None:
    """Return mean risks and the share refused beside those of the training cohort."""
    if not watched.risks:
        return None
    limit = _drift_limit(watched)
    labels = [
        "Stays refused" if one.horizon_days is None else f"Mean risk, {one.horizon_days:g} days"
        for one in watched.risks
    ]
    rows = [
        Row(
            label,
            one.estimate,
            reference=one.expected,
            text=f"{one.estimate:.1%}",
            is_alert=abs(one.statistic) > limit,
        )
        for label, one in zip(labels, watched.risks, strict=True)
    ]
    table = [
        (label, f"{one.estimate:.1%}", f"{one.expected:.1%}")
        for label, one in zip(labels, watched.risks, strict=True)
    ]
    top = max(max(one.estimate, one.expected) for one in watched.risks)
    return _section(
        "Risks beside the training cohort's",
        "The filled mark is this period, the ring the training cohort. A triangle differs by more "
        "than chance explains: other patients, or other inputs.",
        row_chart(
            rows,
            name="Mean risk and share of refused stays beside the training cohort",
            axis="Share",
            low=0.0,
            high=min(max(np.ceil(12.5 * top) / 10, 0.2), 1.0),
        ),
        ("Figure", "This period", "Training cohort"),
        table,
    )


def _inputs(watched: Watched) -> ChartSection | None:
    """Return the distributions furthest from the training cohort's, in standard errors."""
    checks = sorted(
        (check for check in watched.checks if check.kind == "drift"),
        key=lambda check: -abs(check.statistic),
    )[:_MOST_ROWS]
    if not checks:
        return None
    limit = _drift_limit(watched)
    rows = [
        Row(
            _label(*check.variables, of=f" ({check.what})"),
            check.statistic,
            text=f"{check.statistic:+.1f}",
            is_alert=abs(check.statistic) > limit,
        )
        for check in checks
    ]
    table = [
        (row.label, row.text, f"{check.patients}") for row, check in zip(rows, checks, strict=True)
    ]
    return _section(
        "Values furthest from the training cohort's",
        f"The {len(checks)} comparisons that differ most, in standard errors. Inside the band, "
        "chance explains them.",
        row_chart(
            rows,
            name="Differences of inputs from the training cohort in standard errors",
            axis="Standard errors",
            low=-3 * limit,
            high=3 * limit,
            limits=(-limit, limit),
            ideal=0.0,
        ),
        ("Variable", "Standard errors", "Values"),
        table,
    )


def _drift_limit(watched: Watched) -> float:
    """Return the control limit that inputs and risks share."""
    return control_limit(
        len(watched.risks) + sum(check.kind == "drift" for check in watched.checks)
    )


def _recorded(watched: Watched) -> ChartSection | None:
    """Return the variables whose share of recorded values has changed most."""
    checks = sorted(
        (check for check in watched.checks if check.kind == "missing"),
        key=lambda check: -abs(check.statistic),
    )[:_MOST_ROWS]
    if not checks:
        return None
    limit = control_limit(sum(check.kind == "missing" for check in watched.checks))
    rows = [
        Row(
            _label(check.variables[0]),
            check.estimate,
            reference=check.expected,
            text=f"{check.estimate:.0%}",
            is_alert=abs(check.statistic) > limit,
        )
        for check in checks
    ]
    table = [
        (_label(check.variables[0]), f"{check.estimate:.1%}", f"{check.expected:.1%}")
        for check in checks
    ]
    return _section(
        "How often values are recorded",
        "The variables that changed most: the filled mark is this period, the ring the training "
        "cohort. A triangle differs by more than chance explains.",
        row_chart(
            rows,
            name="Share of stays with a value, beside the training cohort",
            axis="Share of stays with a value",
            low=0.0,
            high=1.0,
        ),
        ("Variable", "This period", "Training cohort"),
        table,
    )


def _changes(watched: Watched) -> ChartSection | None:
    """Return what differs most from the earlier period, beside what the training cohort shows."""
    if not watched.changes or watched.earlier_stays is None:
        return None
    limits = {
        kind: control_limit(sum(change.kind == kind for change in watched.changes))
        for kind in ("missing", "drift")
    }
    others = {
        alert.variable for alert in watched.alerts if alert.compared_with == "training cohort"
    }
    shown = sorted(watched.changes, key=lambda one: -abs(one.statistic) / limits[one.kind])
    rows, table = [], []
    for one in shown[:_MOST_ROWS]:
        days = "" if one.horizon_days is None else f", {one.horizon_days:g} days"
        label = _label(one.variable, of=f" ({one.what}{days})")
        share = one.statistic / limits[one.kind]
        has_changed = abs(share) > 1
        rows.append(Row(label, share, text=f"{one.statistic:+.1f}", is_alert=has_changed))
        differs = one.variable in others
        reading = (
            "changed here"
            if has_changed
            else "other patients than in training, as before"
            if differs
            else "no change"
        )
        table.append(
            (label, f"{one.statistic:+.1f}", f"{one.estimate:.3g}", f"{one.earlier:.3g}", reading)
        )
    return _section(
        "This period beside the earlier one",
        f"Compared with {watched.earlier_stays:,} earlier stays of the same place; the numbers at "
        "the right are standard errors. Inside the band, chance explains the difference. A "
        "triangle has changed here, as when a laboratory changes a method. What differs from the "
        "training cohort but not from the earlier period are other patients, or another hospital.",
        row_chart(
            rows,
            name="Differences from the earlier period by their control limits",
            axis="Times the control limit",
            low=-4.0,
            high=4.0,
            limits=(-1.0, 1.0),
            ideal=0.0,
        ),
        ("Figure", "Standard errors", "This period", "Earlier period", "Reading"),
        table,
    )


def _label(*names: str, of: str = "") -> str:
    """Return the catalogue's labels of variables, or their names where a chart has no room."""
    labels = [VARIABLES[name].label if name in VARIABLES else name for name in names]
    text = " and ".join(labels) + of
    return text if len(text) <= _LONGEST_LABEL else " and ".join(names) + of
