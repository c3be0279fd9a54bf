"""Metrics as tables: by horizon and of the whole follow-up, each with its interval and reading."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from models.metrics.metric import Metric
from models.metrics.pooling import Pooled
from training.report.content import Section, Table

__all__ = ["METRIC_LABELS", "estimate_text", "metric_at", "performance_section"]

METRIC_LABELS: Mapping[str, tuple[str, str]] = {
    "auroc": ("Area under the ROC curve", "higher is better, 0.5 is chance"),
    "auprc": (
        "Area under the precision-recall curve",
        "higher is better, the event rate is chance",
    ),
    "oe_ratio": ("Observed over expected events", "1 is ideal"),
    "calibration_intercept": ("Calibration intercept", "0 is ideal"),
    "calibration_slope": ("Calibration slope", "1 is ideal"),
    "ici": ("Mean distance to the calibration curve (ICI)", "lower is better"),
    "e50": ("Median distance (E50)", "lower is better"),
    "e90": ("90th percentile of the distance (E90)", "lower is better"),
    "brier": ("Brier score", "lower is better"),
    "ipa": ("Scaled Brier score (IPA)", "higher is better, 0 is no better than the event rate"),
    "net_benefit": (
        "Net benefit at the observed event rate",
        "higher is better, 0 is acting on nobody or on everybody",
    ),
    "c_harrell": ("Harrell's C", "higher is better, 0.5 is chance"),
    "c_uno": ("Uno's C", "higher is better, 0.5 is chance"),
    "ibs": ("Integrated Brier score", "lower is better"),
}
"""Metric -> what it is called and how it is read."""

_GROUPS = {
    "Discrimination": ("auroc", "auprc"),
    "Calibration": ("oe_ratio", "calibration_intercept", "calibration_slope", "ici", "e50", "e90"),
    "Overall": ("brier", "ipa"),
    "Clinical use": ("net_benefit",),
}


def performance_section(title: str, metrics: Sequence[Metric], *, resamples: int) -> Section:
    """Return every metric with its interval and how it is read.

    Parameters
    ----------
    title : str
    metrics : sequence of Metric
    resamples : int
        Bootstrap resamples of the patients.

    Returns
    -------
    Section
    """
    return Section(
        title,
        (
            f"Estimates with 95 % intervals from {resamples:,} bootstrap resamples of patients, "
            "all stays of a patient together. Outcomes lost before a horizon are made up for by "
            "inverse-probability-of-censoring weights.",
        ),
        tables=tuple(
            table for table in (_by_horizon(metrics), _whole_follow_up(metrics)) if table.rows
        ),
    )


def metric_at(metrics: Sequence[Metric], name: str, horizon_days: float | None) -> Metric | None:
    """Return one metric at a horizon, or None where there is no such one."""
    return next((m for m in metrics if (m.metric, m.horizon_days) == (name, horizon_days)), None)


def estimate_text(metric: Metric | Pooled | None) -> str:
    """Return an estimate with its interval, or why there is none.

    Examples
    --------
    >>> estimate_text(Metric("auroc", 28.0, 0.8123, 0.75, 0.86))
    '0.812 (0.750 to 0.860)'
    """
    if metric is None:
        return ""
    if isinstance(metric, Metric) and not metric.is_defined:
        return f"none: {metric.note}"
    if isinstance(metric, Metric) and not metric.has_interval:
        return f"{_number(metric.estimate)} (no interval: {metric.note})"
    return f"{_number(metric.estimate)} ({_number(metric.low)} to {_number(metric.high)})"


def _number(value: float) -> str:
    return f"{value:z.3f}".replace("-", "\N{MINUS SIGN}")


def _by_horizon(metrics: Sequence[Metric]) -> Table:
    horizons = list(dict.fromkeys(m.horizon_days for m in metrics if m.horizon_days is not None))
    told = {m.metric for m in metrics if m.horizon_days is not None}
    rows: list[tuple[str, ...]] = []
    for group, names in _GROUPS.items():
        members = [name for name in names if name in told]
        rows += [(group,)] if members else []
        rows += [
            (
                f"{METRIC_LABELS[name][0]}: {METRIC_LABELS[name][1]}",
                *(estimate_text(metric_at(metrics, name, days)) for days in horizons),
            )
            for name in members
        ]
    return Table(
        "Performance by horizon, with 95 % intervals",
        ("Metric and how it is read", *(f"{days:g} days" for days in horizons)),
        tuple(rows),
        numbers=all(m.is_defined for m in metrics),
    )


def _whole_follow_up(metrics: Sequence[Metric]) -> Table:
    return Table(
        "Performance over the whole follow-up, with 95 % intervals",
        ("Metric and how it is read", "whole follow-up"),
        tuple(
            (
                f"{METRIC_LABELS[m.metric][0]}: {METRIC_LABELS[m.metric][1]}",
                estimate_text(m),
            )
            for m in metrics
            if m.horizon_days is None
        ),
    )
