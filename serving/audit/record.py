"""One record of the audit trail, and the keyed hashes that chain records and hide identities."""

from __future__ import annotations

import hashlib
import hmac
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Literal

__all__ = ["Action", "AuditEvent", "AuditKeys", "canonical", "now"]

Action = Literal[
    "start",
    "stop",
    "model_swapped",
    "model_refused",
    "promoted",
    "rolled_back",
    "predict",
    "outcome",
    "card",
    "feedback",
    "denied",
    "sign_in",
    "sign_out",
    "launch",
    "key_created",
    "key_rotated",
    "key_revoked",
    "pruned",
    "adopted",
]


@dataclass(frozen=True, slots=True)
class AuditEvent:
    """What is to be recorded; number, time and chain are added when it is written.

    Parameters
    ----------
    action : Action
    actor : str
        Who: `local`, `key:ID`, `oidc:ISSUER|SUBJECT`, `cds:ISSUER` or `command:USER`.
    status : str
        How it ended, as `ok` or `refused`.
    route : str
        The address's template, never the address as it was sent.
    prediction_id : str or None
    patient : str or None
        Keyed hash of the patient's identifier.
    input : str or None
        Keyed hash of the request.
    outcomes : sequence of str
        The outcomes asked for.
    models : sequence of mappings
        Of each model its name, version, sha256, outcome and status.
    request_key : str or None
        Keyed hash of caller and `Idempotency-Key`.
    detail : mapping
        What else is known, by name; nothing of a patient.
    """

    action: Action
    actor: str
    status: str
    route: str = ""
    prediction_id: str | None = None
    patient: str | None = None
    input: str | None = None
    outcomes: Sequence[str] = ()
    models: Sequence[Mapping[str, Any]] = ()
    request_key: str | None = None
    detail: Mapping[str, Any] = field(default_factory=dict)

    def body(self, *, seq: int, at: str) -> str:
        """Return the text of the record; what is empty is left out."""
        said = {name: getattr(self, name) for name in self.__slots__}
        return canonical(
            {"seq": seq, "at": at} | {name: value for name, value in said.items() if value}
        )


class AuditKeys:
    """One key for each purpose, so that a hash of one kind is never one of another.

    Parameters
    ----------
    secret : bytes
        `OSTEON_AUDIT_KEY`; whoever holds it can write a trail that passes its check.
    """

    def __init__(self, secret: bytes) -> None:
        self._keys = {
            purpose: hmac.digest(secret, f"osteon audit {purpose}".encode(), hashlib.sha256)
            for purpose in (
                "chain",
                "head",
                "checkpoint",
                "patient",
                "input",
                "request",
                "viewer",
                "card",
                "token",
            )
        }

    def chain(self, before: str, body: str) -> str:
        """Return the mac of a record, given the mac of the one before it."""
        return self._hash("chain", f"{before}\n{body}")

    def head(self, seq: int, mac: str) -> str:
        """Return the signature of a head that is kept outside the database."""
        return self._hash("head", f"{seq}\n{mac}")

    def checkpoint(self, seq: int, mac: str) -> str:
        """Return the signature that allows the records up to `seq` to be missing."""
        return self._hash("checkpoint", f"{seq}\n{mac}")

    def patient(self, patient_id: str) -> str:
        """Return what stands for a patient: the same for the same, of no use without the key."""
        return self._hash("patient", patient_id)

    def input(self, text: str) -> str:
        """Return what stands for a whole request."""
        return self._hash("input", text)

    def request(self, actor: str, idempotency_key: str) -> str:
        """Return what stands for a caller's `Idempotency-Key`."""
        return self._hash("request", f"{actor}\n{idempotency_key}")

    def viewer(self, *names: str) -> str:
        """Return what stands for one user's look at one patient's outcome."""
        return self._hash("viewer", canonical(names))

    def card(self, text: str) -> str:
        """Return what stands for what a card said."""
        return self._hash("card", text)

    def token(self, issuer: str, token_id: str) -> str:
        """Return what stands for a token that may be used once."""
        return self._hash("token", canonical([issuer, token_id]))

    def _hash(self, purpose: str, text: str) -> str:
        return hmac.digest(self._keys[purpose], text.encode(), hashlib.sha256).hex()


def canonical(value: Any) -> str:
    """Return the one JSON text of a value."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), allow_nan=False)


def now() -> str:
    """Return the present time as records hold it: RFC 3339 in UTC, always as long."""
    return datetime.now(UTC).isoformat(timespec="microseconds")
