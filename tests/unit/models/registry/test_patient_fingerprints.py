"""Fingerprints of patients: comparable under one key, and silent without it."""

from __future__ import annotations

import hashlib
import hmac
import json

import numpy as np
import pytest

from data_schema.errors import UsageError
from models.registry.patient_fingerprints import PatientFingerprints, patient_key

KEY = b"a key of this test, long enough"


def made(names: list[str], key: bytes = KEY) -> PatientFingerprints:
    fingerprints = PatientFingerprints.of(np.array(names, dtype=object), key)
    assert fingerprints is not None
    return fingerprints


def test_a_fingerprint_is_the_start_of_an_hmac_of_the_identifier() -> None:
    expected = hmac.new(KEY, b"patient p7", hashlib.sha256).hexdigest()[:16]
    assert made(["p7"]).patients == {expected}


def test_the_same_patients_are_recognised_whatever_their_order_and_their_stays() -> None:
    assert made(["p1", "p2", "p2"]) == made(["p2", "p1"])
    assert made(["p1", "p2"]).as_json() == made(["p2", "p1", "p1"]).as_json()


def test_other_keys_give_other_fingerprints_and_say_so() -> None:
    other = made(["p1"], b"another key of this test")
    assert not made(["p1"]).patients & other.patients
    assert made(["p1"]).key != other.key


def test_what_is_stored_holds_no_identifier_and_no_plain_hash() -> None:
    text = made(["patient-7-1"]).as_json()
    assert "patient-7-1" not in text
    assert hashlib.sha256(b"patient-7-1").hexdigest()[:16] not in text
    assert set(json.loads(text)) == {"key", "patients"}


def test_numbered_rows_are_no_identifiers() -> None:
    assert PatientFingerprints.of(np.array(["1", "2", "3"], dtype=object), KEY) is None


def test_the_key_is_the_sites_own_or_derived_from_the_gates() -> None:
    gate = {"OSTEON_GATE_KEY": "a gate key, long enough"}
    derived = patient_key(gate)
    assert derived is not None
    assert gate["OSTEON_GATE_KEY"].encode() not in derived
    assert patient_key(gate | {"OSTEON_PATIENT_KEY": KEY.decode()}) == KEY
    assert patient_key({}) is None
    with pytest.raises(UsageError, match="at least 16 characters; it holds 5"):
        patient_key({"OSTEON_PATIENT_KEY": "short"})
