"""The criteria of the gate: what the figures of a model must reach for it to become champion."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from models.inference.contract import Contract
from models.metrics.catalogue import METRICS, IntervalAbove, IntervalReaches
from models.metrics.metric import BLANK_SHARES, Metric, metrics_of
from models.registry.gate import Criterion

__all__ = [
    "Judgement",
    "judge_fact",
    "judge_figures",
    "judge_groups",
    "judge_reach",
    "reasons_against",
]


def reasons_against(metrics: Sequence[Metric]) -> tuple[str, ...]:
    """Return which of the gate's criteria the metrics miss, at any horizon.

    Criteria that also hold with fields left empty are missed where there are no such metrics.
    """
    return tuple(one.reason for one in judge_figures(metrics) if not one.criterion.is_met)


@dataclass(frozen=True, slots=True)
class Judgement:
    """A criterion with its figure, and the reason against promotion if it is not met."""

    criterion: Criterion
    reason: str = ""


def judge_fact(criterion: str, rule: str, reason: str = "", *, figure: float | None) -> Judgement:
    """Return the judgement of a criterion that has a count, or nothing, for its figure.

    It is met unless there is a reason against promotion.
    """
    return Judgement(Criterion(criterion, "", figure, None, None, rule, not reason), reason)


def judge_figures(metrics: Sequence[Metric], *, blanks: bool = True) -> Iterator[Judgement]:
    """Judge the metrics of all patients, as recorded and with fields left empty.

    `blanks` is false where no figure could be computed, so that those with empty fields cannot be
    missed.
    """
    for metric in metrics:
        spec = METRICS.get(metric.metric)
        if spec is None or (rule := spec.gate) is None:
            continue
        if metric.blank_share and not spec.gate_when_blanked:
            continue
        if isinstance(rule, IntervalReaches):
            yield judge_reach(metric, rule)
        else:
            yield _above(metric, rule)
    missing = [
        f"{100 * share:g}"
        for share in BLANK_SHARES
        if not any(metric.blank_share == share for metric in metrics)
    ]
    if missing and blanks:
        reason = (
            f"no figures with {' and '.join(missing)} % of the fields left empty. Train again, or "
            "give a cohort to judge the model on (--cohort)."
        )
        yield judge_fact("blank_fields", "judged with fields left empty", reason, figure=None)


def judge_groups(contract: Contract) -> Iterator[Judgement]:
    """Judge calibration by sex, age and race in the figures of the training run."""
    limits = METRICS["oe_ratio"].gate
    assert isinstance(limits, IntervalReaches)
    for group in () if contract.evaluation is None else contract.evaluation.groups:
        for metric in metrics_of(group.metrics):
            if metric.metric == "oe_ratio" and metric.has_interval:
                yield judge_reach(metric, limits, f"{group.grouping}: {group.level}")


def _above(metric: Metric, rule: IntervalAbove) -> Judgement:
    """Judge a metric whose whole interval must lie above a limit."""
    words = f"above {rule.limit:g} with its interval"
    reason = ""
    if metric.has_interval and metric.low <= rule.limit:
        reason = f"{_named(metric)} must lie {words}; got {_interval(metric)}."
    return _judged(metric, words, reason)


def judge_reach(metric: Metric, rule: IntervalReaches, group: str = "") -> Judgement:
    """Judge a metric whose interval must reach into a range, in all patients or in a group."""
    words = f"an interval that overlaps {rule.least:g} to {rule.most:g}"
    reason = ""
    if metric.has_interval and (metric.high < rule.least or metric.low > rule.most):
        reason = f"{_named(metric, group)} must have {words}; got {_interval(metric)}."
    return _judged(metric, words, reason, group)


def _judged(metric: Metric, rule: str, reason: str, group: str = "") -> Judgement:
    """Return the judgement of a metric; without an interval it is not met."""
    if not metric.has_interval:
        reason = f"{_named(metric, group)} has no interval. Judge the model on more patients."
    place = _place(metric)
    judged_in = ", ".join(part for part in (place.strip(), group) if part)
    estimate, low, high = (
        None if value != value else float(value)
        for value in (metric.estimate, metric.low, metric.high)
    )
    criterion = Criterion(metric.metric, judged_in, estimate, low, high, rule, not reason)
    return Judgement(criterion, reason)


def _named(metric: Metric, group: str = "") -> str:
    within = f" ({group})" if group else ""
    return f"{metric.metric}{_place(metric)}{within}"


def _place(metric: Metric) -> str:
    """Return horizon and share of empty fields of a metric, in words."""
    at = "" if metric.horizon_days is None else f" at {metric.horizon_days:g} days"
    empty = (
        f" with {100 * metric.blank_share:g} % of the fields empty" if metric.blank_share else ""
    )
    return f"{at}{empty}"


def _interval(metric: Metric) -> str:
    return f"{metric.low:.3f} to {metric.high:.3f}"
