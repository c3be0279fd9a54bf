"""Performance metrics as tables, each with its interval, direction and reference value."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import groupby

import numpy as np

from models.inference.contract import Evaluation
from models.metrics.catalogue import AT_HORIZON, METRICS, AnyMetricSpec, Group, by_group
from models.metrics.metric import Metric, metric_at
from models.metrics.pooling import Pooled
from models.metrics.summary import added_variance
from training.report.content import Section, Table

__all__ = ["estimate_text", "performance_section"]


def performance_section(
    title: str,
    metrics: Sequence[Metric],
    *,
    of_answered: Sequence[Metric] = (),
    resamples: int,
    basis: str,
    evaluation: Evaluation | None = None,
) -> Section:
    """Return every metric with its interval and how it is read.

    `metrics` are of all stays judged, `of_answered` of those that the model does not refuse; empty
    where it refuses none. `basis` is a sentence on what the metrics are of, and `evaluation` how a
    training run obtained them; None for other patients.
    """
    everyone = "" if not of_answered else ", all stays"
    return Section(
        title,
        (
            basis,
            *_out_of_fold(evaluation),
            f"Estimates with 95 % intervals from {resamples:,} bootstrap resamples of the patients "
            "evaluated, with all stays of a patient together. Censoring before a horizon is "
            "accounted for by inverse probability of censoring weighting.",
        ),
        tables=tuple(
            table
            for of, patients in ((metrics, everyone), (of_answered, ", stays not refused"))
            for table in (_by_horizon(of, patients), _whole_follow_up(of, patients))
            if table.rows
        ),
    )


def _out_of_fold(evaluation: Evaluation | None) -> Iterator[str]:
    """Yield how metrics and intervals of out-of-fold risks are computed."""
    if evaluation is None or evaluation.method != "cross-validation":
        return
    means = "Metrics are means over the repeats. " if evaluation.repeats > 1 else ""
    wider, of_calibration = (
        np.sqrt(1 + added_variance(group, folds=evaluation.folds, repeats=evaluation.repeats))
        for group in (Group.DISCRIMINATION, Group.CALIBRATION)
    )
    yield (
        f"{means}Ranking compares patients of the same fold only, whose risks are of one model; "
        "calibration and overall metrics are of all patients together. Intervals are widened by "
        f"{wider:.2f} for what other training patients would have changed (Nadeau & Bengio 2003, "
        f"doi:10.1023/A:1024068626366), those of calibration by {of_calibration:.2f}, since "
        "recalibration is learned from the same patients."
    )


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
        return f"not estimated: {metric.note}"
    if isinstance(metric, Metric) and not metric.has_interval:
        return f"{_number(metric.estimate)} (no interval: {metric.note})"
    return f"{_number(metric.estimate)} ({_number(metric.low)} to {_number(metric.high)})"


def _number(value: float) -> str:
    return f"{value:z.3f}".replace("-", "\N{MINUS SIGN}")


def _label(spec: AnyMetricSpec) -> str:
    return f"{spec.label}: {spec.reading}"


def _by_horizon(metrics: Sequence[Metric], patients: str) -> Table:
    horizons = list(dict.fromkeys(m.horizon_days for m in metrics if m.horizon_days is not None))
    return Table(
        f"Performance by horizon{patients}, with 95 % intervals",
        ("Metric (direction, reference value)", *(f"{days:g} days" for days in horizons)),
        tuple(_group_rows(metrics, horizons)),
        numbers=all(m.is_defined for m in metrics),
    )


def _group_rows(metrics: Sequence[Metric], horizons: Sequence[float]) -> Iterator[tuple[str, ...]]:
    """Yield a heading for each group of metrics, then its metrics by horizon."""
    names = {m.metric for m in metrics}
    listed = by_group(spec for spec in AT_HORIZON if spec.name in names)
    for group, specs in groupby(listed, key=lambda spec: spec.group):
        yield (group.value,)
        for spec in specs:
            estimates = (estimate_text(metric_at(metrics, spec.name, days)) for days in horizons)
            yield (_label(spec), *estimates)


def _whole_follow_up(metrics: Sequence[Metric], patients: str) -> Table:
    return Table(
        f"Performance over the whole follow-up{patients}, with 95 % intervals",
        ("Metric (direction, reference value)", "whole follow-up"),
        tuple(
            (_label(METRICS[m.metric]), estimate_text(m)) for m in metrics if m.horizon_days is None
        ),
    )
