"""The public keys of somebody who signs tokens, as they publish them: fetched seldom, kept a while.

Only public keys count, so that a published one never serves as a shared secret.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any

import jwt

from data_schema.errors import OutsideError

__all__ = ["PublishedKeys", "keys_in"]

_KINDS = ("RSA", "EC", "OKP")
_LAST_SECONDS = 600
# A token with a key that nobody knows must not make the service ask for the keys each time.
_SECONDS_BETWEEN_FETCHES = 30
# Nor must one that cannot be reached keep every caller waiting for it.
_SECONDS_AFTER_FAILURE = 5


class PublishedKeys:
    """The keys of one signer, as they were last fetched.

    Parameters
    ----------
    fetch : callable
        Returns the JSON Web Key Set.
    """

    def __init__(self, fetch: Callable[[], Any]) -> None:
        self._fetch = fetch
        self._keys: dict[str, jwt.PyJWK] = {}
        self._fetched_at: float | None = None
        self._lock = threading.Lock()

    def key(self, key_id: str) -> jwt.PyJWK | None:
        """Return a key, fetching them all again where it is new or they are old.

        Raises
        ------
        OutsideError
            If the keys were never seen and cannot be fetched.
        """
        with self._lock:
            age = None if self._fetched_at is None else time.monotonic() - self._fetched_at
            if age is None or age > self._lasts(key_id):
                self._renew()
            if not self._keys:
                raise OutsideError("The signer of tokens must give keys; it did not.")
            return self._keys.get(key_id)

    def _lasts(self, key_id: str) -> float:
        """Return for how many seconds what was fetched is enough."""
        if not self._keys:
            return _SECONDS_AFTER_FAILURE
        return _LAST_SECONDS if key_id in self._keys else _SECONDS_BETWEEN_FETCHES

    def _renew(self) -> None:
        # The keys of before are still theirs; a signer that is down turns nobody away.
        with suppress(OutsideError, ValueError, KeyError, TypeError, jwt.PyJWTError):
            self._keys = keys_in(self._fetch())
        self._fetched_at = time.monotonic()


def keys_in(document: Mapping[str, Any]) -> dict[str, jwt.PyJWK]:
    """Return the public keys of a JSON Web Key Set that sign, by their id."""
    return {
        key["kid"]: jwt.PyJWK(key)
        for key in document["keys"]
        if key.get("kid") and key.get("kty") in _KINDS and key.get("use", "sig") == "sig"
    }
