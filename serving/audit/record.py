"""One record of the audit trail, and the keyed hashes that chain records and hide identities."""

from __future__ import annotations

import hashlib
import hmac
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Literal, TypedDict

__all__ = [
    "Action",
    "AuditEvent",
    "AuditKeys",
    "Detail",
    "ModelRecord",
    "RecordBody",
    "canonical",
    "now",
]

Action = Literal[
    "start",
    "stop",
    "model_swapped",
    "model_refused",
    "promoted",
    "rolled_back",
    "withdrawn",
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
    "rows_signed",
    "pruned",
    "adopted",
    "joined",
]


class ModelRecord(TypedDict, total=False):
    """One model as a record names it; fields that are not known are left out."""

    name: str
    version: str | None
    sha256: str
    outcome: str
    status: str
    promoted_by: str
    promoted_at: str


class Detail(TypedDict, total=False):
    """What one kind of event adds to a record; never anything about a patient."""

    at: str
    # start, stop, model_swapped, model_refused
    workers: int
    from_cache: bool
    why: str
    before: Sequence[ModelRecord]
    withdrawn: Sequence[str]
    version: str
    reason: str
    # keys and sessions; `name` is also that of a refused model
    key: str
    name: str
    roles: Sequence[str]
    old: str
    address: str
    keys: Sequence[str]
    unsigned: int
    # pruned, adopted, joined
    records: int
    up_to: int
    older_than_days: int
    database_head: int
    signed_head: int | str
    # CDS Hooks
    service: str
    hook_instance: str
    user: str
    card: str
    token: str


class RecordBody(TypedDict, total=False):
    """A record as its JSON text holds it; empty fields are left out."""

    seq: int
    at: str
    action: Action
    actor: str
    status: str
    route: str
    prediction_id: str
    patient: str
    stay: str
    moment: str
    input: str
    outcomes: Sequence[str]
    models: Sequence[ModelRecord]
    absent: Sequence[str]
    session: str
    stage: str
    request_key: str
    digest: str
    detail: Detail


_PURPOSES = (
    "chain",
    "head",
    "checkpoint",
    "patient",
    "input",
    "request",
    "viewer",
    "card",
    "token",
    "row",
    "stored",
    "backup",
    "session",
    "stay",
    "moment",
)


@dataclass(frozen=True, slots=True)
class AuditEvent:
    """An event to record; number, time and chain are added when it is written.

    Parameters
    ----------
    actor : str
        The caller: `local`, `key:ID`, `tls:NAME`, `oidc:ISSUER|SUBJECT`, `cds:ISSUER` or
        `command:USER`.
    status : str
        The result, as `ok` or `refused`.
    route : str
        The address's template, never the address as it was sent.
    patient : str or None
        Keyed hash of the patient's identifier.
    stay : str or None
        Keyed hash of the patient and the encounter, or else the admission to intensive care; None
        where a request states neither.
    moment : str or None
        Keyed hash of the patient and time zero.
    input : str or None
        Keyed hash of the request.
    outcomes : sequence of str
        The requested outcomes.
    absent : sequence of str
        Variables that the request recorded as not done and a model reads, without any value.
    session : str or None
        Keyed hash of the sitting in which the answer was shown, if the request names one.
    stage : {"", "interim", "final"}
        Whether later answers of the session replaced this one; empty without a session.
    request_key : str or None
        Keyed hash of caller and `Idempotency-Key`.
    digest : str or None
        Keyed hash of the rows stored with the record: risks, an outcome, a card, feedback or a key.
    """

    action: Action
    actor: str
    status: str
    route: str = ""
    prediction_id: str | None = None
    patient: str | None = None
    stay: str | None = None
    moment: str | None = None
    input: str | None = None
    outcomes: Sequence[str] = ()
    models: Sequence[ModelRecord] = ()
    absent: Sequence[str] = ()
    session: str | None = None
    stage: Literal["", "interim", "final"] = ""
    request_key: str | None = None
    digest: str | None = None
    detail: Detail = field(default_factory=Detail)

    def body(self, *, seq: int, at: str) -> str:
        """Return the text of the record, without empty fields."""
        fields = {name: getattr(self, name) for name in self.__slots__}
        return canonical(
            {"seq": seq, "at": at} | {name: value for name, value in fields.items() if value}
        )


class AuditKeys:
    """One key for each purpose, so that hashes of two kinds never coincide.

    All derive from `OSTEON_AUDIT_KEY`, whose holder can write a trail that passes verification.
    """

    def __init__(self, secret: bytes) -> None:
        self._keys = {
            purpose: hmac.digest(secret, f"osteon audit {purpose}".encode(), hashlib.sha256)
            for purpose in _PURPOSES
        }

    def chain(self, before: str, body: str) -> str:
        """Return the mac of a record, given the mac of the one before it."""
        return self._hash("chain", f"{before}\n{body}")

    def head(self, seq: int, mac: str) -> str:
        """Return the signature of a head that is stored outside the database."""
        return self._hash("head", f"{seq}\n{mac}")

    def checkpoint(self, seq: int, mac: str) -> str:
        """Return the signature that allows the records up to `seq` to be missing."""
        return self._hash("checkpoint", f"{seq}\n{mac}")

    def patient(self, patient_id: str) -> str:
        """Return the hash of a patient's identifier, which cannot be reversed without the key."""
        return self._hash("patient", patient_id)

    def stay(self, patient_id: str, stay: str) -> str:
        """Return the hash of a stay: of a patient with the encounter or the admission."""
        return self._hash("stay", canonical([patient_id, stay]))

    def moment(self, patient_id: str, time_zero: datetime) -> str:
        """Return the hash of a patient's time zero, the same in every time zone."""
        utc = time_zero.astimezone(UTC).isoformat(timespec="seconds")
        return self._hash("moment", canonical([patient_id, utc]))

    def input(self, text: str) -> str:
        """Return the hash of a whole request."""
        return self._hash("input", text)

    def request(self, actor: str, idempotency_key: str) -> str:
        """Return the hash of a caller's `Idempotency-Key`."""
        return self._hash("request", f"{actor}\n{idempotency_key}")

    def session(self, actor: str, session: str) -> str:
        """Return the hash of a caller's name of one sitting."""
        return self._hash("session", f"{actor}\n{session}")

    def viewer(self, *names: str) -> str:
        """Return the hash of one user, patient and outcome."""
        return self._hash("viewer", canonical(names))

    def card(self, text: str) -> str:
        """Return the hash of a card's text."""
        return self._hash("card", text)

    def token(self, issuer: str, token_id: str) -> str:
        """Return the hash of a token that may be used once."""
        return self._hash("token", canonical([issuer, token_id]))

    def row(self, table: str, values: Mapping[str, object]) -> str:
        """Return the mac of a row, given the values of its other columns."""
        return self._hash("row", canonical([table, dict(values)]))

    def key_change(self, key_id: str, number: int) -> str:
        """Return the request key of the record of an API key's change of this number."""
        return self._hash("row", canonical(["change", key_id, number]))

    def withdrawal(self, sha256: str) -> str:
        """Return the request key of the record that withdraws a bundle."""
        return self._hash("row", canonical(["withdrawal", sha256]))

    def stored(self, table: str, rows: Sequence[Mapping[str, object]]) -> str:
        """Return the digest of the rows that are stored with a record, in any order."""
        return self._hash(
            "stored", canonical([table, sorted(canonical(dict(row)) for row in rows)])
        )

    def backup(self, text: str) -> str:
        """Return the seal of a backup, given its description."""
        return self._hash("backup", text)

    def _hash(self, purpose: str, text: str) -> str:
        return hmac.digest(self._keys[purpose], text.encode(), hashlib.sha256).hex()


def canonical(value: object) -> str:
    """Return the canonical JSON text of a value."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), allow_nan=False)


def now() -> str:
    """Return the present time as records hold it: RFC 3339 in UTC, of constant length."""
    return datetime.now(UTC).isoformat(timespec="microseconds")
