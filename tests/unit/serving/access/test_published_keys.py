from __future__ import annotations

import json

import pytest
from cryptography.hazmat.primitives.asymmetric.rsa import generate_private_key
from jwt.algorithms import RSAAlgorithm

from data_schema.errors import OutsideError
from serving.access import published_keys
from serving.access.published_keys import PublishedKeys, keys_in


def test_a_signer_that_cannot_be_reached_is_not_asked_by_every_caller(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    asked = 0

    def fetch() -> object:
        nonlocal asked
        asked += 1
        raise OutsideError("The signer does not answer.")

    keys = PublishedKeys(fetch)
    for _ in range(3):
        with pytest.raises(OutsideError, match="did not give its keys"):
            keys.key("any")
    assert asked == 1
    monkeypatch.setattr(published_keys, "_SECONDS_AFTER_FAILURE", 0)
    with pytest.raises(OutsideError, match="did not give its keys"):
        keys.key("any")
    assert asked == 2


def test_a_key_of_an_unknown_curve_does_not_hide_the_others() -> None:
    good = json.loads(RSAAlgorithm.to_jwk(generate_private_key(65_537, 2_048).public_key()))
    unknown = {"kid": "new", "kty": "EC", "crv": "P-9999", "x": "AA", "y": "AA"}
    keys = keys_in({"keys": [unknown, good | {"kid": "known"}]})
    assert set(keys) == {"known"}
