"""The provider that signs clinicians in: OpenID Connect, or the authorization server of an EHR.

Its published metadata are read when they are first needed, and then cached.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass

from serving.access.published_keys import PublishedKeys
from serving.access.signed_claims import Claims
from serving.access.tokens import verified_claims
from serving.http.outbound import Unreachable, get_json, is_allowed

__all__ = ["Provider", "ProviderMetadata"]

# Requests that wait for a provider that hangs must not delay predictions.
_SECONDS_BETWEEN_TRIES = 5.0
_ENDPOINTS = ("authorization_endpoint", "token_endpoint", "jwks_uri")


@dataclass(frozen=True, slots=True)
class ProviderMetadata:
    """The metadata of a provider that a sign-in needs.

    Parameters
    ----------
    issuer : str
        Issuer of its identity tokens.
    end_session_endpoint : str
        Empty if there is none at an address that `is_allowed`.
    takes_basic_authentication : bool
        Whether the token endpoint takes the client's secret in a header.
    states_issuer : bool
        Whether it names itself in every authorization response (RFC 9207).
    """

    issuer: str
    authorization_endpoint: str
    token_endpoint: str
    jwks_uri: str
    end_session_endpoint: str
    takes_basic_authentication: bool
    states_issuer: bool


class Provider:
    """One provider.

    Parameters
    ----------
    url : str
        Its issuer, or the FHIR server of an EHR.
    is_ehr : bool
        Whether it is an EHR, whose metadata (SMART App Launch 2.2, section 8.1) state the issuer of
        its identity tokens; for any other provider the issuer must be `url`.
    """

    def __init__(self, url: str, *, is_ehr: bool = False) -> None:
        self.url = url
        self._is_ehr = is_ehr
        self._metadata: ProviderMetadata | None = None
        self._failed_at: float | None = None
        self._lock = threading.Lock()
        self._keys = PublishedKeys(lambda: get_json(self.metadata().jwks_uri))

    def metadata(self) -> ProviderMetadata:
        """Return the provider's metadata.

        Raises
        ------
        Unreachable
            If they cannot be read, belong to another issuer, or lack what a sign-in needs.
        """
        with self._lock:
            if self._metadata is None:
                self._metadata = self._first_read()
            return self._metadata

    def claims(self, id_token: str, *, audience: str) -> Claims | None:
        """Return the claims of an identity token of this provider, or None if it is not valid.

        Raises
        ------
        OutsideError
            If the provider's keys were never fetched and cannot be.
        """
        issuer = self.metadata().issuer
        claims = verified_claims(
            id_token, lambda stated: self._keys if stated == issuer else None, audience=audience
        )
        # OpenID Connect Core 3.1.3.7: of several audiences, one was authorized.
        if claims is None or claims.get("azp", audience) != audience:
            return None
        return claims

    def _first_read(self) -> ProviderMetadata:
        now = time.monotonic()
        if self._failed_at is not None and now - self._failed_at < _SECONDS_BETWEEN_TRIES:
            raise Unreachable("The provider did not publish its addresses a moment ago.")
        try:
            return self._read()
        except Unreachable:
            self._failed_at = time.monotonic()
            raise

    def _read(self) -> ProviderMetadata:
        name = "smart-configuration" if self._is_ehr else "openid-configuration"
        document = get_json(f"{self.url.rstrip('/')}/.well-known/{name}")
        if not isinstance(document, Mapping):
            raise Unreachable("The provider must publish its metadata as a JSON object.")
        missing = [name for name in _ENDPOINTS if not is_allowed(str(document.get(name, "")))]
        challenges = document.get("code_challenge_methods_supported")
        if self._is_ehr and (not isinstance(challenges, list) or "S256" not in challenges):
            missing.append("code_challenge_methods_supported")
        issuer = document.get("issuer")
        if not isinstance(issuer, str) or not (self._is_ehr or issuer == self.url):
            missing.append("issuer")
        if missing:
            raise Unreachable(f"The provider must publish a valid {', '.join(missing)}.")
        end_session = str(document.get("end_session_endpoint", ""))
        methods = document.get("token_endpoint_auth_methods_supported")
        return ProviderMetadata(
            issuer=str(issuer),
            authorization_endpoint=str(document["authorization_endpoint"]),
            token_endpoint=str(document["token_endpoint"]),
            jwks_uri=str(document["jwks_uri"]),
            end_session_endpoint=end_session if is_allowed(end_session) else "",
            takes_basic_authentication=(
                not isinstance(methods, list) or not methods or "client_secret_basic" in methods
            ),
            states_issuer=document.get("authorization_response_iss_parameter_supported") is True,
        )
