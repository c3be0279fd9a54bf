"""A metric of a model with its interval: the record behind every table and file."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import NotRequired, TypedDict

import numpy as np

from models.inference.contract import Contract, HeldOutMetric

__all__ = [
    "BLANK_SHARES",
    "Metric",
    "MetricJson",
    "held_out_metrics",
    "held_out_metrics_when_blanked",
    "metric_at",
    "metrics_from_json",
    "metrics_of",
    "primary_horizon",
]

BLANK_SHARES = (0.2, 0.4)
"""Shares of the fields left empty at which every model is judged beside its figures as recorded."""


class MetricJson(TypedDict):
    """A metric as JSON; null where it is undefined, and then `note` says why."""

    metric: str
    horizon_days: float | None
    estimate: float | None
    low: float | None
    high: float | None
    note: NotRequired[str]
    blank_share: NotRequired[float]


@dataclass(frozen=True, slots=True)
class Metric:
    """A metric with its interval; where it is undefined, NaN with a `note` that says why.

    `metric` is a name in `models.metrics.catalogue.METRICS`. `horizon_days` is None for a metric
    of the whole follow-up. `blank_share` is the share of the fields that were left empty at random
    before the patients were predicted; 0 for patients as recorded.
    """

    metric: str
    horizon_days: float | None
    estimate: float
    low: float
    high: float
    note: str = ""
    blank_share: float = 0.0

    @classmethod
    def undefined(cls, metric: str, horizon_days: float | None, note: str) -> Metric:
        """Return a metric without a value."""
        return cls(metric, horizon_days, np.nan, np.nan, np.nan, note)

    @property
    def is_defined(self) -> bool:
        """Whether there is an estimate."""
        return not np.isnan(self.estimate)

    @property
    def has_interval(self) -> bool:
        """Whether there is an interval around the estimate."""
        return not (np.isnan(self.low) or np.isnan(self.high))

    def as_json(self) -> MetricJson:
        """Return what the command line prints; null stands for NaN."""
        entry = MetricJson(
            metric=self.metric,
            horizon_days=self.horizon_days,
            estimate=_null_for_nan(self.estimate),
            low=_null_for_nan(self.low),
            high=_null_for_nan(self.high),
        )
        if self.note:
            entry["note"] = self.note
        if self.blank_share:
            entry["blank_share"] = self.blank_share
        return entry


def metrics_from_json(entries: Iterable[MetricJson]) -> tuple[Metric, ...]:
    """Return the metrics that `Metric.as_json` wrote.

    >>> entry = {"metric": "ipa", "horizon_days": 28, "estimate": 0.2, "low": None, "high": None}
    >>> metrics_from_json([entry])[0].as_json() == entry
    True
    """
    return tuple(
        Metric(
            entry["metric"],
            entry["horizon_days"],
            _nan_for_null(entry["estimate"]),
            _nan_for_null(entry["low"]),
            _nan_for_null(entry["high"]),
            entry.get("note", ""),
            entry.get("blank_share", 0.0),
        )
        for entry in entries
    )


def held_out_metrics(contract: Contract) -> tuple[Metric, ...]:
    """Return a model's metrics on the patients its training run held out, if there was a run."""
    return () if contract.evaluation is None else metrics_of(contract.evaluation.metrics)


def held_out_metrics_when_blanked(contract: Contract) -> tuple[Metric, ...]:
    """Return those of the same patients with some of their fields left empty."""
    return () if contract.evaluation is None else metrics_of(contract.evaluation.blanked)


def metrics_of(records: Iterable[HeldOutMetric]) -> tuple[Metric, ...]:
    """Return the metrics that a contract holds."""
    return tuple(
        Metric(
            held_out.metric,
            held_out.horizon_days,
            _nan_for_null(held_out.estimate),
            _nan_for_null(held_out.low),
            _nan_for_null(held_out.high),
            held_out.note,
            held_out.blank_share,
        )
        for held_out in records
    )


def metric_at(metrics: Iterable[Metric], name: str, horizon_days: float | None) -> Metric | None:
    """Return the metric of that name and horizon, or None."""
    return next((m for m in metrics if (m.metric, m.horizon_days) == (name, horizon_days)), None)


def primary_horizon(horizons_days: Sequence[float], metrics: Sequence[Metric]) -> float:
    """Return the middle horizon, or the first that can be judged if the middle one cannot."""
    judged = [metric.horizon_days for metric in metrics if metric.is_defined]
    middle = float(horizons_days[len(horizons_days) // 2])
    if middle in judged:
        return middle
    return next((float(days) for days in horizons_days if days in judged), middle)


def _null_for_nan(value: float) -> float | None:
    return None if np.isnan(value) else value


def _nan_for_null(value: float | None) -> float:
    return np.nan if value is None else value
