"""The gate: what a model's figures on unseen patients must reach before it may be champion."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import Any

import pandas as pd

from data_schema.errors import GateError, UsageError
from data_schema.mapping.file import CohortMapping
from models.registry import lifecycle as registry
from models.registry.gate import GateRecord, gate_key
from models.registry.lifecycle import CHAMPION, LoadedModel, load, load_champion
from models.registry.versions import aliased_version
from training.run.mlflow_run import user_name
from training.score import cohort_for_model
from training.validation.predictions import answers

__all__ = ["Decision", "promote", "reasons_against"]

AUROC_ABOVE = 0.5
"""The interval of the area must lie above chance."""

IPA_ABOVE = 0.0
"""The interval of the index of prediction accuracy must lie above that of the event rate alone."""

OE_WITHIN = (0.8, 1.25)
"""The interval of observed over expected must reach into this range."""

SLOPE_WITHIN = (0.7, 1.4)
"""The interval of the calibration slope must reach into this range."""

WORSE_BY = {"c_harrell": -0.01, "ibs": 0.002}
"""A challenger judged on the champion's patients may be worse by this much, no more."""

_RESAMPLES = 1000


@dataclass(frozen=True, slots=True)
class Decision:
    """What the gate decided about one version, on which figures, and why.

    Parameters
    ----------
    name, version : str
    model_sha256 : str
    decision : {"promote", "refuse"}
    reasons : tuple of str
        What speaks against it; empty if nothing does.
    judged_on : str
        Which patients, in words.
    cohort_fingerprint : str
    metrics : sequence of mappings
    by, at : str
        Who asked, and when.
    alias : str or None
        `champion` from now on, or None.
    """

    name: str
    version: str
    model_sha256: str
    decision: str
    reasons: tuple[str, ...]
    judged_on: str
    cohort_fingerprint: str
    metrics: Sequence[Mapping[str, Any]]
    by: str
    at: str
    alias: str | None

    def as_json(self) -> dict[str, Any]:
        """Return what `osteon promote --json` prints."""
        return asdict(self)


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
    name, version : str
        A registered version.
    table : DataFrame, optional
        A cohort that the model did not learn from, to be judged on; without it, the held-out
        patients of the run that trained it, whose figures are in the bundle.
    mapping : CohortMapping, optional
        Of that cohort.

    Returns
    -------
    Decision
        Nothing was changed if it says "refuse".

    Raises
    ------
    UsageError
        If there is no such version, or `OSTEON_GATE_KEY` is not set.
    DataError
        If the cohort breaks a rule, or has too few events.
    OutsideError
        If the registry fails.
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


def reasons_against(metrics: Sequence[Mapping[str, Any]]) -> tuple[str, ...]:
    """Return which of the gate's criteria the figures miss, at any horizon.

    Parameters
    ----------
    metrics : sequence of mappings
        Entries of metric, horizon_days, estimate, low and high.

    Returns
    -------
    tuple of str
    """
    return tuple(
        reason for metric in metrics if metric["metric"] in _CRITERIA for reason in _against(metric)
    )


_CRITERIA = {
    "auroc": (AUROC_ABOVE, None),
    "ipa": (IPA_ABOVE, None),
    "oe_ratio": OE_WITHIN,
    "calibration_slope": SLOPE_WITHIN,
}


def _against(metric: Mapping[str, Any]) -> Iterator[str]:
    """Yield why one figure speaks against the model."""
    least, most = _CRITERIA[metric["metric"]]
    low, high = metric["low"], metric["high"]
    what = f"{metric['metric']} at {metric['horizon_days']:g} days"
    if low is None or high is None:
        yield f"{what} must have an interval; it has none. Judge it on more patients."
    elif most is None and low <= least:
        yield f"{what} must lie above {least:g} with its interval; it is {low:.3f} to {high:.3f}."
    elif most is not None and (high < least or low > most):
        yield (
            f"{what} must be {least:g} to {most:g} somewhere in its interval; "
            f"it is {low:.3f} to {high:.3f}."
        )


def _against_the_champion(
    name: str,
    version: str,
    fingerprint: str,
    metrics: Sequence[Mapping[str, Any]],
    key: bytes,
) -> Iterator[str]:
    """Yield where a challenger is worse than the champion; only the same patients can tell."""
    champion = aliased_version(name, CHAMPION)
    if champion is None or champion.version == version or champion.gate_record is None:
        return
    try:
        load_champion(name, key)
    except GateError:
        return  # what nobody vouches for is no bar
    record = champion.gate_record
    if record.cohort_fingerprint != fingerprint:
        return
    ours, theirs = _overall(metrics), _overall(record.metrics)
    for metric, margin in WORSE_BY.items():
        mine, his = ours.get(metric), theirs.get(metric)
        if mine is None or his is None:
            continue
        if (mine - his) * (1 if margin > 0 else -1) > abs(margin):
            yield (
                f"{metric} must not be worse than the champion's on the same patients by more "
                f"than {abs(margin):g}; it is {mine:.4f} against {his:.4f}."
            )


def _overall(metrics: Sequence[Mapping[str, Any]]) -> dict[str, float | None]:
    return {m["metric"]: m["estimate"] for m in metrics if m["horizon_days"] is None}


_Judged = tuple[str, str, list[dict[str, Any]]]


def _of_the_run(loaded: LoadedModel) -> _Judged:
    """Return the figures that the bundle carries, of patients it did not learn from."""
    evaluation = loaded.risk_model.contract.get("evaluation")
    if evaluation is None:
        raise UsageError(
            f"{loaded.name} version {loaded.version} must carry figures of held-out patients; it "
            "carries none. Give a cohort to judge it on (--cohort)."
        )
    return (
        "the held-out patients of its training run",
        evaluation["cohort_fingerprint"],
        _entries(evaluation["metrics"]),
    )


def _of_cohort(loaded: LoadedModel, table: pd.DataFrame, mapping: CohortMapping | None) -> _Judged:
    """Return the model's figures on the given patients."""
    contract = loaded.risk_model.contract
    cohort = cohort_for_model(table, contract, outcome=contract["outcome"], mapping=mapping)
    fingerprint = cohort.fingerprint()
    provenance = contract.get("provenance", {})
    if fingerprint in (
        provenance.get("data_fingerprint"),
        provenance.get("training_fingerprint"),
    ):
        raise UsageError(
            "cohort must hold patients that the model did not learn from; these are the ones of "
            "its run. Leave --cohort out to judge it on those of them that were held out."
        )
    metrics = answers(loaded.risk_model, cohort).metrics(n_bootstrap=_RESAMPLES, random_state=0)
    return "the cohort that was given", fingerprint, _entries(m.as_json() for m in metrics)


def _entries(
    metrics: Iterator[Mapping[str, Any]] | Sequence[Mapping[str, Any]],
) -> list[dict[str, Any]]:
    """Return figures as a gate record keeps them."""
    keys = ("metric", "horizon_days", "estimate", "low", "high")
    return [{key: metric[key] for key in keys} for metric in metrics]
