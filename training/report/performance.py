"""Performance metrics as tables, each with its interval, direction and reference value."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import groupby

import numpy as np

from models.inference.contract import Evaluation
from models.metrics.catalogue import (
    AT_HORIZON,
    METRICS,
    AnyMetricSpec,
    Group,
    Place,
    by_group,
    shown_in,
)
from models.metrics.metric import Metric, metric_at
from models.metrics.pooling import Pooled
from models.metrics.summary import added_variance
from models.model_summary import estimate_text as estimate_of_metric
from training.report.content import Section, Table

__all__ = ["bedside_section", "estimate_text", "performance_section"]


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
    where it refuses none, and of them only the main ones are shown. `basis` is a sentence on what
    the metrics are of, and `evaluation` how a training run obtained them; None for other patients.
    """
    everyone = "" if not of_answered else ", all stays"
    main = [spec.name for spec in AT_HORIZON if spec.at_a_glance]
    of_main = [metric for metric in of_answered if metric.metric in main]
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
            for table in (
                _by_horizon(metrics, everyone),
                _whole_follow_up(metrics, everyone),
                _by_horizon(of_main, ", stays not refused"),
            )
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
        f"{wider:.2f} for what other training patients would have changed (after Nadeau & Bengio "
        f"2003, doi:10.1023/A:1024068626366), those of calibration by {of_calibration:.2f}, since "
        "recalibration is learned from the same patients."
    )


def bedside_section(metrics: Sequence[Metric], blanked: Sequence[Metric]) -> Section:
    """Return the figures as recorded beside those with some of the fields left empty.

    `metrics` are of the patients as recorded, `blanked` of the same patients by share.
    """
    shares = list(dict.fromkeys(metric.blank_share for metric in blanked))
    horizons = list(dict.fromkeys(metric.horizon_days for metric in blanked))
    of_share = {
        0.0: metrics,
        **{share: [m for m in blanked if m.blank_share == share] for share in shares},
    }
    return Section(
        "As at the bedside",
        (
            "At the bedside some fields are left empty that were filled in the cohort. Each "
            "patient was predicted again with each variable left empty at random with the stated "
            "probability, the same gaps for every model. Risks should stay right on average "
            "(observed over expected near 1) and in their spread (slope near 1); ranking is lost "
            "with the values that are missing. Real gaps follow severity and ordering, and may "
            "cost more.",
        ),
        (
            Table(
                "As recorded, and with some of the fields left empty; 95 % intervals",
                (
                    "Metric (direction, reference value)",
                    "as recorded",
                    *(f"{100 * share:g} % empty" for share in shares),
                ),
                tuple(_bedside_rows(of_share, horizons)),
                numbers=all(metric.is_defined for metric in blanked),
            ),
        ),
    )


def _bedside_rows(
    of_share: Mapping[float, Sequence[Metric]], horizons: Sequence[float | None]
) -> Iterator[tuple[str, ...]]:
    """Yield a heading for each horizon, then its metrics by share of empty fields."""
    for days in horizons:
        yield (f"{days:g} days",)
        for spec in shown_in(Place.BLANKED):
            estimates = [metric_at(of, spec.name, days) for of in of_share.values()]
            yield (_label(spec), *map(estimate_text, estimates))


def estimate_text(metric: Metric | Pooled | None) -> str:
    """Return an estimate with its interval, or why there is none."""
    if isinstance(metric, Pooled):
        return estimate_of_metric(
            Metric(metric.metric, metric.horizon_days, metric.estimate, metric.low, metric.high)
        )
    return estimate_of_metric(metric)


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
