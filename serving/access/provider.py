"""Who signs clinicians in: an OpenID Connect provider, or the authorization server of an EHR.

It is known by the document that it publishes, which is read when it is first needed and then kept.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping
from typing import Any

from serving.access.published_keys import PublishedKeys
from serving.access.tokens import verified_claims
from serving.http.outbound import Unreachable, get_json, is_allowed

__all__ = ["Provider"]

# Whoever waits for a provider that hangs must not keep others from predictions.
_SECONDS_BETWEEN_TRIES = 5.0
_ENDPOINTS = ("authorization_endpoint", "token_endpoint", "jwks_uri")


class Provider:
    """One provider.

    Parameters
    ----------
    url : str
        Its issuer, or the FHIR server of an EHR.
    is_ehr : bool
        Whether it is an EHR, whose document (SMART App Launch 2.2, section 8.1) says which issuer
        its identity tokens have; any other must have the issuer that `url` is.
    """

    def __init__(self, url: str, *, is_ehr: bool = False) -> None:
        self.url = url
        self._is_ehr = is_ehr
        self._about: Mapping[str, Any] | None = None
        self._failed_at: float | None = None
        self._lock = threading.Lock()
        self._keys = PublishedKeys(lambda: get_json(self.about()["jwks_uri"]))

    def about(self) -> Mapping[str, Any]:
        """Return the document: addresses and what it can do.

        Raises
        ------
        Unreachable
            If it cannot be had, is of another issuer, or lacks what a sign-in needs.
        """
        with self._lock:
            if self._about is None:
                self._about = self._first_read()
            return self._about

    @property
    def issuer(self) -> str:
        """Issuer of its identity tokens."""
        return str(self.about()["issuer"])

    def claims(self, id_token: str, *, audience: str) -> Mapping[str, Any] | None:
        """Return what an identity token of this provider says, or None if it is not to be believed.

        Raises
        ------
        OutsideError
            If the provider's keys were never seen and cannot be fetched.
        """
        issuer = self.issuer
        claims = verified_claims(
            id_token, lambda stated: self._keys if stated == issuer else None, audience=audience
        )
        # OpenID Connect Core 3.1.3.7: of several audiences, one was authorized.
        if claims is None or claims.get("azp", audience) != audience:
            return None
        return claims

    def _first_read(self) -> Mapping[str, Any]:
        now = time.monotonic()
        if self._failed_at is not None and now - self._failed_at < _SECONDS_BETWEEN_TRIES:
            raise Unreachable("provider must publish its addresses; it just did not.")
        try:
            return self._read()
        except Unreachable:
            self._failed_at = time.monotonic()
            raise

    def _read(self) -> Mapping[str, Any]:
        name = "smart-configuration" if self._is_ehr else "openid-configuration"
        about = get_json(f"{self.url.rstrip('/')}/.well-known/{name}")
        if not isinstance(about, Mapping):
            raise Unreachable("provider must publish its addresses; it does not.")
        wanting = [one for one in _ENDPOINTS if not is_allowed(str(about.get(one, "")))]
        methods = about.get("code_challenge_methods_supported")
        if self._is_ehr and (not isinstance(methods, list) or "S256" not in methods):
            wanting.append("code_challenge_methods_supported")
        stated = about.get("issuer")
        if not isinstance(stated, str) or not (self._is_ehr or stated == self.url):
            wanting.append("issuer")
        if wanting:
            raise Unreachable(f"provider must publish a right {', '.join(wanting)}; it does not.")
        return about
