"""The public keys of a token signer, as its JSON Web Key Set publishes them, cached for a while.

Only public keys count, so that a published key never serves as a shared secret.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import jwt

from data_schema.errors import OutsideError

__all__ = ["PublishedKeys", "keys_in"]

_KINDS = ("RSA", "EC", "OKP")
_SECONDS_VALID = 600
# Tokens with unknown key ids must not cause a fetch each.
_SECONDS_BETWEEN_FETCHES = 30
# Callers must not all wait for a signer that cannot be reached.
_SECONDS_AFTER_FAILURE = 5


class PublishedKeys:
    """The keys of one signer, as they were last fetched.

    PyJWT's `PyJWKClient` does less: it retries a signer that is down on every call, and turns
    callers away when its cache expires while the signer is down.
    """

    def __init__(self, fetch: Callable[[], Any]) -> None:
        self._fetch = fetch
        self._keys: dict[str, jwt.PyJWK] = {}
        self._fetched_at: float | None = None
        self._lock = threading.Lock()

    def key(self, key_id: str) -> jwt.PyJWK | None:
        """Return a key, fetching the set again if the key is new or the set is old.

        Raises
        ------
        OutsideError
            If the set was never fetched and cannot be.
        """
        with self._lock:
            age = None if self._fetched_at is None else time.monotonic() - self._fetched_at
            if age is None or age > self._seconds_valid(key_id):
                self._renew()
            if not self._keys:
                raise OutsideError("The signer of tokens did not give its keys.")
            return self._keys.get(key_id)

    def _seconds_valid(self, key_id: str) -> float:
        """Return how long the fetched set is valid for this key."""
        if not self._keys:
            return _SECONDS_AFTER_FAILURE
        return _SECONDS_VALID if key_id in self._keys else _SECONDS_BETWEEN_FETCHES

    def _renew(self) -> None:
        # If the signer is down its previous keys stay valid.
        with suppress(OutsideError, ValueError, KeyError, TypeError, AttributeError):
            self._keys = keys_in(self._fetch())
        self._fetched_at = time.monotonic()


def keys_in(document: Any) -> dict[str, jwt.PyJWK]:
    """Return the public signing keys of a JSON Web Key Set by their id, without unreadable ones."""
    keys = {}
    for key in document["keys"]:
        if key.get("kid") and key.get("kty") in _KINDS and key.get("use", "sig") == "sig":
            with suppress(jwt.PyJWTError):  # as of a curve that this version does not know
                keys[key["kid"]] = jwt.PyJWK(key)
    return keys
