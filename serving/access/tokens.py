"""Bearer tokens of OpenID Connect issuers that the site trusts."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

from serving.access.caller import ROLES, Caller
from serving.access.published_keys import PublishedKeys
from serving.access.signed_claims import signed_claims
from serving.http.outbound import get_json

__all__ = ["Tokens", "actor_of", "claimed_roles", "verified_claims"]

_ALGORITHMS = ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "EdDSA")
_REQUIRED = ("iss", "sub", "aud", "exp")
_LONGEST_SUBJECT = 200


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
        self._issuers = {url: PublishedKeys(partial(_key_set, url)) for url in issuers}
        self._audience = audience
        self._roles_claim = roles_claim

    def caller(self, text: str) -> Caller | None:
        """Return whose token a text is, or None if it lets nobody in.

        Raises
        ------
        OutsideError
            If the issuer's keys were never seen and cannot be fetched.
        """
        claims = verified_claims(text, self._issuers.get, audience=self._audience)
        if claims is None:
            return None
        return Caller(actor_of(claims), claimed_roles(claims, self._roles_claim))


def verified_claims(
    text: str, keys_of: Callable[[str], PublishedKeys | None], *, audience: str
) -> Mapping[str, Any] | None:
    """Return what a token says, or None if it is not to be believed.

    Parameters
    ----------
    text : str
        The token, from anybody.
    keys_of : callable
        From an issuer to its keys; None for one that is not trusted.
    audience : str
        What the token must be meant for.

    Returns
    -------
    mapping or None

    Raises
    ------
    OutsideError
        If the issuer's keys were never seen and cannot be fetched.
    """
    claims = signed_claims(
        text,
        lambda issuer, _: keys_of(issuer),
        audience=audience,
        algorithms=_ALGORITHMS,
        required=_REQUIRED,
    )
    if claims is None:
        return None
    return claims if 0 < len(str(claims["sub"])) <= _LONGEST_SUBJECT else None


def actor_of(claims: Mapping[str, Any]) -> str:
    """Return whom a token is of, as `AuditEvent.actor`."""
    return f"oidc:{claims['iss']}|{claims['sub']}"


def claimed_roles(claims: Mapping[str, Any], path: str) -> frozenset[str]:
    """Return those of the roles that a claim holds, as a list or as words, which exist."""
    found: Any = claims
    for name in path.split("."):
        found = found.get(name) if isinstance(found, Mapping) else None
    words = found.split() if isinstance(found, str) else found if isinstance(found, list) else []
    return frozenset(ROLES).intersection(word for word in words if isinstance(word, str))


def _key_set(issuer: str) -> Any:
    """Return an issuer's public keys as it publishes them."""
    about = get_json(f"{issuer.rstrip('/')}/.well-known/openid-configuration")
    if about["issuer"] != issuer:
        raise ValueError("the document is of another issuer")
    return get_json(about["jwks_uri"])
