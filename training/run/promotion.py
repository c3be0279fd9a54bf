"""The gate: the figures on unseen patients that a model must reach to become champion."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime

import pandas as pd

from data_schema.errors import GateError, UsageError
from data_schema.mapping.file import CohortMapping
from models.metrics.catalogue import METRICS, Direction, IntervalAbove
from models.metrics.metric import Metric, held_out_metrics, metric_at
from models.registry import lifecycle as registry
from models.registry.gate import GateRecord, gate_key
from models.registry.lifecycle import CHAMPION, LoadedModel, load, load_champion
from models.registry.versions import aliased_version
from training.run.mlflow_run import user_name
from training.score import cohort_for_model
from training.validation.predictions import predict_cohort

__all__ = ["Decision", "promote", "reasons_against"]

_RESAMPLES = 1000


@dataclass(frozen=True, slots=True)
class Decision:
    """What the gate decided about one version, on which figures, and why.

    Parameters
    ----------
    reasons : tuple of str
        Reasons against promotion; empty if there are none.
    judged_on : str
        The patients that the figures are of, in words.
    by, at : str
        User who requested the promotion, and when.
    alias : str or None
        `champion` if promoted.
    """

    name: str
    version: str
    model_sha256: str
    decision: str
    reasons: tuple[str, ...]
    judged_on: str
    cohort_fingerprint: str
    metrics: tuple[Metric, ...]
    by: str
    at: str
    alias: str | None

    def as_json(self) -> dict[str, object]:
        """Return what `osteon promote --json` prints."""
        metrics = [replace(metric, note="").as_json() for metric in self.metrics]
        return asdict(self) | {"metrics": metrics}


def promote(
    name: str,
    version: str,
    *,
    table: pd.DataFrame | None = None,
    mapping: CohortMapping | None = None,
) -> Decision:
    """Make a version champion if its figures allow it, with a signed record of them.

    Parameters
    ----------
    table : DataFrame, optional
        A cohort that the model was not trained on (default: the held-out patients of its training
        run, whose figures are in the bundle).

    Returns
    -------
    Decision
        The registry is unchanged if the decision is "refuse".
    """
    key = gate_key()
    loaded = load(f"models:/{name}/{version}")
    judged_on, fingerprint, metrics = (
        _of_the_run(loaded) if table is None else _of_cohort(loaded, table, mapping)
    )
    against = (
        *reasons_against(metrics),
        *_against_the_champion(name, version, fingerprint, metrics, key),
    )
    record = GateRecord(
        model_sha256=loaded.sha256,
        cohort_fingerprint=fingerprint,
        metrics=metrics,
        decision="refuse" if against else "promote",
        by=user_name(),
        at=datetime.now(UTC).isoformat(timespec="seconds"),
    )
    if not against:
        registry.promote(name, version, record, key=key)
    return Decision(
        name=name,
        version=version,
        model_sha256=loaded.sha256,
        decision=record.decision,
        reasons=against,
        judged_on=judged_on,
        cohort_fingerprint=fingerprint,
        metrics=metrics,
        by=record.by,
        at=record.at,
        alias=None if against else CHAMPION,
    )


def reasons_against(metrics: Sequence[Metric]) -> tuple[str, ...]:
    """Return which of the gate's criteria the metrics miss, at any horizon."""
    return tuple(reason for metric in metrics for reason in _against(metric))


def _against(metric: Metric) -> Iterator[str]:
    """Yield the reason against promotion if a metric breaks the catalogue's rule for it."""
    spec = METRICS.get(metric.metric)
    if spec is None or (rule := spec.gate) is None:
        return
    at = "" if metric.horizon_days is None else f" at {metric.horizon_days:g} days"
    what = f"{metric.metric}{at}"
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


def _against_the_champion(
    name: str, version: str, fingerprint: str, metrics: Sequence[Metric], key: bytes
) -> Iterator[str]:
    """Yield where a challenger is worse than the champion on the same patients."""
    champion = aliased_version(name, CHAMPION)
    if champion is None or champion.version == version or champion.gate_record is None:
        return
    try:
        load_champion(name, key)
    except GateError:
        return  # a champion without a valid record sets no standard
    record = champion.gate_record
    if record.cohort_fingerprint != fingerprint:
        return
    for spec in METRICS.values():
        ours, theirs = (metric_at(all_, spec.name, None) for all_ in (metrics, record.metrics))
        if spec.worse_by is None or ours is None or theirs is None:
            continue
        gain = ours.estimate - theirs.estimate
        if (gain if spec.direction is Direction.LOWER else -gain) > spec.worse_by:
            yield (
                f"{spec.name} must not be worse than the champion's on the same patients by more "
                f"than {spec.worse_by:g}; got {ours.estimate:.4f} against {theirs.estimate:.4f}."
            )


_Judged = tuple[str, str, tuple[Metric, ...]]


def _of_the_run(loaded: LoadedModel) -> _Judged:
    """Return the figures in the bundle, of the held-out patients of its run."""
    contract = loaded.risk_model.contract
    evaluation = contract.evaluation
    if evaluation is None:
        raise UsageError(
            f"{loaded.name} version {loaded.version} has no figures of held-out patients. "
            "Give a cohort to judge it on (--cohort)."
        )
    return (
        "the held-out patients of its training run",
        evaluation.cohort_fingerprint,
        held_out_metrics(contract),
    )


def _of_cohort(loaded: LoadedModel, table: pd.DataFrame, mapping: CohortMapping | None) -> _Judged:
    """Return the model's figures on the given patients."""
    contract = loaded.risk_model.contract
    cohort = cohort_for_model(table, contract, outcome=contract.outcome, mapping=mapping)
    fingerprint = cohort.fingerprint()
    origin = contract.provenance
    if origin and fingerprint in (origin.data_fingerprint, origin.training_fingerprint):
        raise UsageError(
            "the model must be judged on patients that it was not trained on; this is the cohort "
            "of its training run. Omit --cohort to judge it on the patients held out in that run."
        )
    metrics = predict_cohort(loaded.risk_model, cohort).metrics(
        n_bootstrap=_RESAMPLES, random_state=0
    )
    return "the given cohort", fingerprint, metrics
