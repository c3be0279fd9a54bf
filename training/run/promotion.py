"""The gate: the figures in patients not learned from that a model must reach to be champion."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime

import pandas as pd

from data_schema.errors import GateError, UsageError
from data_schema.mapping.file import CohortMapping
from models.metrics.catalogue import METRICS, Direction
from models.metrics.metric import (
    Metric,
    held_out_metrics,
    held_out_metrics_when_blanked,
    metric_at,
)
from models.registry import lifecycle as registry
from models.registry.gate import GateRecord, gate_key
from models.registry.gate_criteria import reasons_against
from models.registry.lifecycle import CHAMPION, LoadedModel, load, load_champion
from models.registry.versions import aliased_version
from training.run.mlflow_run import user_name
from training.score import cohort_for_model
from training.validation.overlap import overlap_with_training
from training.validation.predictions import predict_cohort

__all__ = ["Decision", "promote"]

_RESAMPLES = 1000


@dataclass(frozen=True, slots=True)
class Decision:
    """What the gate decided about one version, on which figures, and why.

    Parameters
    ----------
    reasons : tuple of str
        Reasons against promotion; empty if there are none.
    judged_on : str
        What the figures are of, in words.
    overlap_not_known : str
        Why it is not known whether the model learned from patients of the given cohort; "" if it
        learned from none of them, or none was given.
    champion : str
        Whether and how the version was compared with the champion, in words.
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
    overlap_not_known: str
    champion: str
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
        A cohort that neither the model nor the champion learned from (default: the figures of its
        training run, which are in the bundle).

    Returns
    -------
    Decision
        The registry is unchanged if the decision is "refuse".
    """
    key = gate_key()
    loaded = load(f"models:/{name}/{version}")
    given = None if table is None else _GivenCohort(table, mapping)
    not_known = ""
    if given is None:
        judged_on, fingerprint, metrics = _of_the_run(loaded)
    else:
        judged_on = "the given cohort"
        fingerprint, metrics, not_known = _on_cohort(loaded, given, whose="the model")
    theirs, compared = _of_the_champion(name, version, loaded, given, key)
    against = (*reasons_against(metrics), *_worse_than(theirs, metrics))
    record = GateRecord(
        model_sha256=loaded.sha256,
        cohort_fingerprint=fingerprint,
        metrics=metrics,
        decision="refuse" if against else "promote",
        by=user_name(),
        at=datetime.now(UTC).isoformat(timespec="microseconds"),
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
        overlap_not_known=not_known,
        champion=compared,
        cohort_fingerprint=fingerprint,
        metrics=metrics,
        by=record.by,
        at=record.at,
        alias=None if against else CHAMPION,
    )


def _of_the_champion(
    name: str, version: str, loaded: LoadedModel, given: _GivenCohort | None, key: bytes
) -> tuple[tuple[Metric, ...], str]:
    """Return the champion's figures on the same patients, and what is compared, in words.

    Champion and challenger are compared as procedures where their runs judged the same patients by
    the same splits, or as models on a cohort that neither learned from. There are no figures where
    neither holds, or there is no champion that sets a standard.
    """
    champion = aliased_version(name, CHAMPION)
    if champion is None or champion.version == version:
        return (), "there is no other champion"
    try:
        theirs = load_champion(name, key)
    except GateError:
        return (), "the champion has no valid gate record, so it sets no standard"
    if given is not None:
        _, metrics, _ = _on_cohort(theirs, given, whose="the champion")
        return metrics, f"compared with champion {champion.version} on the given cohort"
    ours, evaluation = loaded.risk_model.contract.evaluation, theirs.risk_model.contract.evaluation
    if not ours or not evaluation or not ours.partition or ours.partition != evaluation.partition:
        return (), (
            f"not compared with champion {champion.version}: their runs did not judge the same "
            "patients by the same splits. Give a cohort that neither learned from (--cohort)"
        )
    return (
        held_out_metrics(theirs.risk_model.contract),
        f"compared with champion {champion.version} as procedures, on the same patients and splits",
    )


def _worse_than(theirs: Sequence[Metric], metrics: Sequence[Metric]) -> Iterator[str]:
    """Yield where a challenger is worse than the champion on the same patients."""
    for spec in METRICS.values():
        our, their = (metric_at(all_, spec.name, None) for all_ in (metrics, theirs))
        if spec.worse_by is None or our is None or their is None:
            continue
        gain = our.estimate - their.estimate
        if (gain if spec.direction is Direction.LOWER else -gain) > spec.worse_by:
            yield (
                f"{spec.name} must not be worse than the champion's on the same patients by more "
                f"than {spec.worse_by:g}; got {our.estimate:.4f} against {their.estimate:.4f}."
            )


_Judged = tuple[str, str, tuple[Metric, ...]]


def _of_the_run(loaded: LoadedModel) -> _Judged:
    """Return the figures in the bundle, of the procedure or of the patients held out."""
    contract = loaded.risk_model.contract
    evaluation = contract.evaluation
    if evaluation is None:
        raise UsageError(
            f"{loaded.name} version {loaded.version} has no figures of its training run. "
            "Give a cohort to judge it on (--cohort)."
        )
    return (
        "all patients of its training run, out of fold"
        if evaluation.method == "cross-validation"
        else "the held-out patients of its training run",
        evaluation.cohort_fingerprint,
        (*held_out_metrics(contract), *held_out_metrics_when_blanked(contract)),
    )


@dataclass(frozen=True, slots=True)
class _GivenCohort:
    """A table to judge models on, and what its columns are."""

    table: pd.DataFrame
    mapping: CohortMapping | None


def _on_cohort(
    loaded: LoadedModel, given: _GivenCohort, *, whose: str
) -> tuple[str, tuple[Metric, ...], str]:
    """Return the fingerprint of a cohort, a model's figures on it, and why overlap is not known.

    Raises
    ------
    UsageError
        If the model learned from some of its patients.
    """
    contract = loaded.risk_model.contract
    cohort = cohort_for_model(
        given.table, contract, outcome=contract.outcome, mapping=given.mapping
    )
    fingerprint = cohort.fingerprint()
    origin = contract.provenance
    if origin and fingerprint in (origin.data_fingerprint, origin.training_fingerprint):
        raise UsageError(
            f"{whose} must be judged on patients that it was not trained on; this is the cohort of "
            "its training run. Omit --cohort to judge it by the figures of that run."
        )
    overlap = overlap_with_training(loaded, cohort)
    if overlap.shared:
        raise UsageError(
            f"{whose} must be judged on patients that it was not trained on; it learned from "
            f"{overlap.shared} of {overlap.patients}. Leave them out."
        )
    predictions = predict_cohort(loaded.risk_model, cohort)
    metrics, when_blanked = (
        judged(n_bootstrap=_RESAMPLES, random_state=0)
        for judged in (predictions.metrics, predictions.metrics_when_blanked)
    )
    return fingerprint, (*metrics, *when_blanked), overlap.not_known
