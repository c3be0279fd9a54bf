"""Bearer tokens of OpenID Connect issuers that the site trusts.

Only signatures with a public key count: `none` and every HMAC are refused, so that a published key
never serves as a shared secret.
"""

from __future__ import annotations

import json
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

import jwt

from data_schema.errors import OutsideError
from serving.access.caller import ROLES, Caller

__all__ = ["Tokens"]

_ALGORITHMS = ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "EdDSA")
_PUBLIC_KEYS = ("RSA", "EC", "OKP")
_REQUIRED = ["iss", "sub", "aud", "exp"]
_LEEWAY_SECONDS = 30
_KEYS_LAST_SECONDS = 600
# A token with a key that nobody knows must not make the service ask its issuer each time.
_SECONDS_BETWEEN_FETCHES = 30
_SECONDS_TO_WAIT = 5
_LONGEST_DOCUMENT = 1_000_000
_LONGEST_SUBJECT = 200


@dataclass(slots=True)
class _Issuer:
    """The keys of one issuer, as they were last fetched."""

    url: str
    keys: dict[str, jwt.PyJWK] = field(default_factory=dict)
    fetched_at: float | None = None
    lock: threading.Lock = field(default_factory=threading.Lock)

    def key(self, key_id: str) -> jwt.PyJWK | None:
        """Return a key, fetching them all again where it is new or they are old."""
        with self.lock:
            age = None if self.fetched_at is None else time.monotonic() - self.fetched_at
            wanted = age is None or age > (
                _KEYS_LAST_SECONDS if key_id in self.keys else _SECONDS_BETWEEN_FETCHES
            )
            if wanted:
                self._fetch()
            return self.keys.get(key_id)

    def _fetch(self) -> None:
        try:
            self.keys = _keys_of(self.url)
        except (OSError, ValueError, KeyError, TypeError, jwt.PyJWTError):
            if not self.keys:
                raise OutsideError("The issuer of tokens must give its keys; it did not.") from None
            # The keys of before are still theirs; an issuer that is down turns nobody away.
        self.fetched_at = time.monotonic()


class Tokens:
    """Tokens of the issuers that the site trusts.

    Parameters
    ----------
    issuers : sequence of str
        Each as its tokens' `iss`; its keys are found by OpenID Connect discovery.
    audience : str
        What a token must be meant for.
    roles_claim : str
        Claim that holds the caller's roles, as `roles` or `realm_access.roles`.
    """

    def __init__(self, issuers: Sequence[str], *, audience: str, roles_claim: str) -> None:
        self._issuers = {url: _Issuer(url) for url in issuers}
        self._audience = audience
        self._roles_claim = roles_claim

    def caller(self, text: str) -> Caller | None:
        """Return whose token a text is, or None if it lets nobody in.

        Raises
        ------
        OutsideError
            If the issuer's keys were never seen and cannot be fetched.
        """
        try:
            header = jwt.get_unverified_header(text)
            said = jwt.decode(text, options={"verify_signature": False})
            issuer = self._issuers.get(said.get("iss", ""))
            if issuer is None or header.get("alg") not in _ALGORITHMS:
                return None
            key = issuer.key(str(header.get("kid", "")))
            if key is None:
                return None
            claims = jwt.decode(
                text,
                key.key,
                algorithms=[header["alg"]],
                audience=self._audience,
                issuer=issuer.url,
                leeway=_LEEWAY_SECONDS,
                options={"require": _REQUIRED},
            )
        except (jwt.PyJWTError, ValueError, TypeError, RecursionError):
            return None
        subject = str(claims["sub"])
        if not subject or len(subject) > _LONGEST_SUBJECT:
            return None
        return Caller(f"oidc:{issuer.url}|{subject}", _roles(claims, self._roles_claim))


def _roles(claims: Mapping[str, Any], path: str) -> frozenset[str]:
    """Return those of the roles that a claim holds, as a list or as words, which exist."""
    found: Any = claims
    for name in path.split("."):
        found = found.get(name) if isinstance(found, Mapping) else None
    words = found.split() if isinstance(found, str) else found if isinstance(found, list) else []
    return frozenset(ROLES).intersection(word for word in words if isinstance(word, str))


def _keys_of(issuer: str) -> dict[str, jwt.PyJWK]:
    """Return an issuer's public keys by their id."""
    about = _document(f"{issuer.rstrip('/')}/.well-known/openid-configuration")
    if about["issuer"] != issuer:
        raise ValueError("the document is of another issuer")
    keys = _document(about["jwks_uri"])["keys"]
    return {
        key["kid"]: jwt.PyJWK(key)
        for key in keys
        if key.get("kid") and key.get("kty") in _PUBLIC_KEYS and key.get("use", "sig") == "sig"
    }


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    """Follows nobody to another address."""

    def redirect_request(self, *_: Any) -> None:
        return None


def _document(url: str) -> Any:
    place = urlsplit(url)
    if place.scheme != "https" and place.hostname not in ("127.0.0.1", "localhost", "::1"):
        raise ValueError("keys must come over https")
    opener = urllib.request.build_opener(_NoRedirect)
    with opener.open(url, timeout=_SECONDS_TO_WAIT) as answer:
        return json.loads(answer.read(_LONGEST_DOCUMENT))
