"""The criteria of the gate: what the figures of a model must reach for it to become champion."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from models.metrics.catalogue import METRICS, IntervalAbove
from models.metrics.metric import BLANK_SHARES, Metric

__all__ = ["reasons_against"]


def reasons_against(metrics: Sequence[Metric]) -> tuple[str, ...]:
    """Return which of the gate's criteria the metrics miss, at any horizon.

    Criteria that also hold with fields left empty are missed where there are no such metrics.
    """
    return (
        *(reason for metric in metrics for reason in _against(metric)),
        *_never_blanked(metrics),
    )


def _never_blanked(metrics: Sequence[Metric]) -> Iterator[str]:
    """Yield the reason against a model that was not judged with fields left empty."""
    missing = [
        f"{100 * share:g}"
        for share in BLANK_SHARES
        if not any(metric.blank_share == share for metric in metrics)
    ]
    if missing:
        yield (
            f"no figures with {' and '.join(missing)} % of the fields left empty. Train again, or "
            "give a cohort to judge the model on (--cohort)."
        )


def _against(metric: Metric) -> Iterator[str]:
    """Yield the reason against promotion if a metric breaks the catalogue's rule for it."""
    spec = METRICS.get(metric.metric)
    if spec is None or (rule := spec.gate) is None:
        return
    if metric.blank_share and not spec.gate_when_blanked:
        return
    at = "" if metric.horizon_days is None else f" at {metric.horizon_days:g} days"
    empty = (
        f" with {100 * metric.blank_share:g} % of the fields empty" if metric.blank_share else ""
    )
    what = f"{metric.metric}{at}{empty}"
    interval = f"{metric.low:.3f} to {metric.high:.3f}"
    if not metric.has_interval:
        yield f"{what} has no interval. Judge the model on more patients."
    elif isinstance(rule, IntervalAbove):
        if metric.low <= rule.limit:
            yield f"{what} must lie above {rule.limit:g} with its interval; got {interval}."
    elif metric.high < rule.least or metric.low > rule.most:
        yield (
            f"{what} must have an interval that overlaps {rule.least:g} to {rule.most:g}; "
            f"got {interval}."
        )
