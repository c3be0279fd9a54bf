"""Keyed fingerprints of the patients that a model learned from, to recognise them elsewhere.

A list of patients, even of their hashes, would disclose who was in intensive care: identifiers can
be enumerated and hashed by anyone. So a fingerprint is an HMAC under a secret of the site. The
fingerprints are sorted, stored with the run in MLflow and never in the bundle, which travels.
Without the key they disclose how many patients there are, which the contract states anyway; with
it, a known identifier can be looked up, so the key is as confidential as the list of patients.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import os
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from data_schema.errors import OutsideError, UsageError
from models.registry.tracking import connect, outside_errors

__all__ = ["FINGERPRINTS_FILE", "PatientFingerprints", "patient_key", "stored_fingerprints"]

FINGERPRINTS_FILE = "patient_fingerprints.json"
"""Artifact of the run."""

_KEY_VARIABLE, _GATE_KEY_VARIABLE = "OSTEON_PATIENT_KEY", "OSTEON_GATE_KEY"
_SHORTEST_KEY = 16
# 64 bits: the chance that two of a million patients share a fingerprint is 3 in 100 million.
_BYTES = 8


@dataclass(frozen=True, slots=True)
class PatientFingerprints:
    """Fingerprints of some patients, and of the key that they were made with.

    Fingerprints under different keys cannot be compared.
    """

    key: str
    patients: frozenset[str]

    @classmethod
    def of(cls, patient_id: NDArray[np.object_], key: bytes) -> PatientFingerprints | None:
        """Return the fingerprints of patients; None where rows are numbered for want of an id.

        Parameters
        ----------
        patient_id : ndarray of object, shape (n_stays,)
            From a checked cohort.
        key : bytes
            From `patient_key`.

        Examples
        --------
        >>> import numpy as np
        >>> key = b"a key of this example"
        >>> few = PatientFingerprints.of(np.array(["p7", "p3", "p7"], dtype=object), key)
        >>> more = PatientFingerprints.of(np.array(["p3", "p4"], dtype=object), key)
        >>> len(few.patients), len(few.patients & more.patients)
        (2, 1)
        """
        names = patient_id.astype(str)
        if np.array_equal(names, np.arange(1, len(names) + 1).astype(str)):
            return None
        return cls(_digest(key, "key"), frozenset(_digest(key, f"patient {n}") for n in names))

    def as_json(self) -> str:
        """Return the content of `FINGERPRINTS_FILE`; its order discloses no order of the rows."""
        return json.dumps({"key": self.key, "patients": sorted(self.patients)})


def patient_key(environment: Mapping[str, str] = os.environ) -> bytes | None:
    """Return the key of fingerprints, or None where there is none.

    `OSTEON_PATIENT_KEY` if it is set; else a key derived from `OSTEON_GATE_KEY`, from which that
    cannot be computed.

    Raises
    ------
    UsageError
        If `OSTEON_PATIENT_KEY` is shorter than 16 characters.
    """
    own = environment.get(_KEY_VARIABLE, "")
    if own:
        if len(own) < _SHORTEST_KEY:
            raise UsageError(
                f"{_KEY_VARIABLE} must hold a secret of at least {_SHORTEST_KEY} characters; it "
                f"holds {len(own)}."
            )
        return own.encode()
    gate = environment.get(_GATE_KEY_VARIABLE, "")
    if len(gate) < _SHORTEST_KEY:
        return None
    return hmac.new(gate.encode(), b"osteon patient fingerprints", hashlib.sha256).digest()


def stored_fingerprints(run_id: str) -> PatientFingerprints | None:
    """Return the fingerprints of the patients that a run learned from; None if it stored none.

    Raises
    ------
    OutsideError
        If MLflow fails, or the file is damaged.
    """
    mlflow = connect()
    with tempfile.TemporaryDirectory() as scratch, outside_errors():
        client = mlflow.MlflowClient()
        if FINGERPRINTS_FILE not in {file.path for file in client.list_artifacts(run_id)}:
            return None
        path = Path(client.download_artifacts(run_id, FINGERPRINTS_FILE, scratch))
        text = path.read_text(encoding="utf-8")
    try:
        content = json.loads(text)
        return PatientFingerprints(str(content["key"]), frozenset(map(str, content["patients"])))
    except (ValueError, KeyError, TypeError):
        raise OutsideError(
            f"{FINGERPRINTS_FILE} of run {run_id} must hold a key and patients. Train again."
        ) from None


def _digest(key: bytes, text: str) -> str:
    return hmac.new(key, text.encode(), hashlib.sha256).digest()[:_BYTES].hex()
