"""The gate record: the signed decision without which no version is served as champion.

Any user who may edit the registry can move an MLflow alias, so an alias alone proves nothing.
The record binds the decision to the bytes of the bundle (`model_sha256`), and the HMAC binds the
record to the holder of the key. The whole record, with every metric and criterion, is the artifact
`gate.json` of the run. The tag of the model version, which registries limit in length, holds its
`short_form`: the decision, signed in the same way, with the hash of `gate.json` in the place of the
figures. Tags written before hold the whole record and are read as they are.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import os
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields, replace
from typing import Any, Literal, TypeGuard, get_args

from data_schema.errors import GateError, UsageError
from models.metrics.metric import Metric, metrics_from_json

__all__ = [
    "GATE_KEY",
    "Criterion",
    "GateRecord",
    "gate_key",
    "is_whole_record_of",
    "parse",
    "seal",
    "short_form",
    "sign",
    "verify",
]

Decision = Literal["promote", "refuse"]

GATE_KEY = "OSTEON_GATE_KEY"
"""The variable that holds the key."""
_SHORTEST_KEY = 16
_SIGNATURE = "hmac_sha256"
_LARGEST = 1e300


@dataclass(frozen=True, slots=True)
class Criterion:
    """One criterion of the gate, the figure that it was judged by, and the result.

    Parameters
    ----------
    criterion : str
        A metric of the catalogue, or `sample_size`, `leakage`, `report`, `real_patients`,
        `not_worse` or `blank_fields`.
    judged_in : str
        Horizon, share of empty fields and group, in words; "" where there are none.
    estimate, low, high : float or None
        The figure with its interval; None where it has none.
    rule : str
        What the figure must reach, in words.
    is_met : bool
    """

    criterion: str
    judged_in: str
    estimate: float | None
    low: float | None
    high: float | None
    rule: str
    is_met: bool


@dataclass(frozen=True, slots=True)
class GateRecord:
    """What was decided about a bundle, on which figures, by which user and when.

    Parameters
    ----------
    model_sha256 : str
        Hash of the bundle that was judged (`models.registry.bundle.bundle_sha256`).
    cohort_fingerprint : str
        `Cohort.fingerprint()` of the patients it was judged on.
    metrics : tuple of Metric
        Signed without their notes.
    by, at : str
        The user who decided, and an RFC 3339 time with an offset; of the records of one name, the
        newest decides which version may be champion.
    criteria : tuple of Criterion
        Every criterion with its figure; none in a record from before they were recorded.
    whole_sha256 : str
        Of a short form: SHA-256 of the text of the whole record; empty in a whole record.
    """

    model_sha256: str
    cohort_fingerprint: str
    metrics: tuple[Metric, ...]
    decision: Decision
    by: str
    at: str
    criteria: tuple[Criterion, ...] = ()
    whole_sha256: str = ""

    def as_json(self) -> dict[str, object]:
        """Return what is signed; null stands for a missing value of a metric."""
        metrics = [replace(metric, note="").as_json() for metric in self.metrics]
        stated = asdict(self) | {"metrics": metrics}
        # Left out where there are none, so that the signatures of older records hold.
        del stated["criteria"], stated["whole_sha256"]
        criteria = [asdict(criterion) for criterion in self.criteria]
        return (
            stated
            | ({"criteria": criteria} if criteria else {})
            | ({"whole_sha256": self.whole_sha256} if self.whole_sha256 else {})
        )


def gate_key(environment: Mapping[str, str] = os.environ) -> bytes:
    """Return the key that signs gate records, from `OSTEON_GATE_KEY`: at least 16 characters."""
    key = environment.get(GATE_KEY, "")
    if len(key) < _SHORTEST_KEY:
        raise UsageError(
            f"{GATE_KEY} must hold a secret of at least {_SHORTEST_KEY} characters; it holds "
            f"{len(key)}. Make one with "
            '`python -c "import secrets; print(secrets.token_hex(32))"`.'
        )
    return key.encode()


def sign(record: GateRecord, key: bytes) -> str:
    """Return the HMAC-SHA256 of the record's canonical JSON, in hexadecimal."""
    text = json.dumps(record.as_json(), sort_keys=True, separators=(",", ":"), allow_nan=False)
    return hmac.new(key, text.encode(), hashlib.sha256).hexdigest()


def seal(record: GateRecord, key: bytes) -> str:
    """Return the text of `gate.json`: the record's fields and its signature."""
    sealed = record.as_json() | {_SIGNATURE: sign(record, key)}
    return json.dumps(sealed, sort_keys=True, indent=2, allow_nan=False)


def short_form(record: GateRecord, text: str) -> GateRecord:
    """Return a record without its figures, bound to the sealed text that holds them."""
    digest = hashlib.sha256(text.encode()).hexdigest()
    return replace(record, metrics=(), criteria=(), whole_sha256=digest)


def is_whole_record_of(short: GateRecord, text: str) -> bool:
    """Return whether a text is the whole record that a short form was made of."""
    return hashlib.sha256(text.encode()).hexdigest() == short.whole_sha256


def parse(text: str) -> tuple[GateRecord, str]:
    """Return the record and the signature of a `gate.json`, unverified.

    Raises
    ------
    GateError
        If the text is not a gate record.
    """
    try:
        sealed = json.loads(text, parse_constant=_refuse_constant)
    except ValueError:
        sealed = None
    if not _is_sealed_record(sealed):
        raise GateError(
            "The gate record must hold exactly its own fields and a signature. "
            "Promote the version again."
        )
    signature = sealed.pop(_SIGNATURE)
    criteria = tuple(Criterion(**criterion) for criterion in sealed.get("criteria", ()))
    metrics = metrics_from_json(sealed["metrics"])
    return GateRecord(**sealed | {"metrics": metrics, "criteria": criteria}), signature


def verify(text: str, key: bytes, *, model_sha256: str) -> GateRecord:
    """Return the record of a `gate.json` if it allows this bundle to be champion.

    Parameters
    ----------
    text : str
        What `seal` returned.
    key : bytes
        From `gate_key`.
    model_sha256 : str
        The bundle's actual hash, computed from its files.

    Raises
    ------
    GateError
        If the record was altered or signed with another key, is for another bundle, or its
        decision is not "promote".
    """
    record, signature = parse(text)
    if not hmac.compare_digest(sign(record, key), signature):
        raise GateError(
            "The gate record's signature must match: the record was altered, or signed with "
            f"another {GATE_KEY}. Promote the version again."
        )
    if record.model_sha256 != model_sha256:
        raise GateError(
            "The gate record must be for the bundle that is served; it is for another. "
            "Promote the version again."
        )
    if record.decision != "promote":
        raise GateError(
            'The gate record must hold "promote"; it holds "refuse". Promote a version that passes.'
        )
    return record


def _is_sealed_record(sealed: object) -> TypeGuard[dict[str, Any]]:
    """Return whether a JSON value has the shape that `seal` writes."""
    names = {field.name for field in fields(GateRecord)} | {_SIGNATURE}
    return (
        isinstance(sealed, dict)
        and set(sealed) | {"criteria", "whole_sha256"} == names
        and re.fullmatch("[0-9a-f]{64}", str(sealed.get("whole_sha256", "0" * 64))) is not None
        and sealed["decision"] in get_args(Decision)
        and isinstance(sealed["metrics"], list)
        and all(map(_is_metric, sealed["metrics"]))
        and isinstance(criteria := sealed.get("criteria", []), list)
        and all(map(_is_criterion, criteria))
        # ASCII only, because compare_digest raises on any other text.
        and re.fullmatch("[0-9a-f]{64}", str(sealed[_SIGNATURE])) is not None
    )


def _is_metric(entry: object) -> bool:
    """Return whether a JSON value is a metric as `GateRecord.as_json` writes it."""
    always = {field.name for field in fields(Metric)} - {"note", "blank_share"}
    return (
        isinstance(entry, dict)
        and set(entry) - {"blank_share"} == always
        and isinstance(entry["metric"], str)
        and all(
            value is None or (type(value) in (int, float) and abs(value) < _LARGEST)
            for name, value in entry.items()
            if name != "metric"
        )
    )


def _is_criterion(entry: object) -> bool:
    """Return whether a JSON value is a criterion as `GateRecord.as_json` writes it."""
    return (
        isinstance(entry, dict)
        and set(entry) == {field.name for field in fields(Criterion)}
        and all(isinstance(entry[name], str) for name in ("criterion", "judged_in", "rule"))
        and isinstance(entry["is_met"], bool)
        and all(
            value is None or (type(value) in (int, float) and abs(value) < _LARGEST)
            for value in (entry["estimate"], entry["low"], entry["high"])
        )
    )


def _refuse_constant(constant: str) -> None:
    """Refuse NaN and Infinity, which are not JSON and which canonical JSON cannot hold."""
    raise ValueError(constant)
