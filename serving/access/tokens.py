"""Bearer tokens of OpenID Connect issuers that the site trusts."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial

from serving.access.caller import ROLES, Caller
from serving.access.published_keys import PublishedKeys
from serving.access.signed_claims import Claims, signed_claims
from serving.http.outbound import get_json
from serving.settings import RoleGroup

__all__ = ["Tokens", "actor_of", "claimed_roles", "key_set_of", "verified_claims"]

_ALGORITHMS = ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "EdDSA")
_REQUIRED = ("iss", "sub", "aud", "exp")
_LONGEST_SUBJECT = 200


class Tokens:
    """Tokens of the issuers that the site trusts, each as in its tokens' `iss`.

    Their keys are located by OpenID Connect discovery. The roles claim holds the caller's roles, as
    `roles` or `realm_access.roles`, or the groups of `role_groups`.
    """

    def __init__(
        self,
        issuers: Sequence[str],
        *,
        audience: str,
        roles_claim: str,
        role_groups: Sequence[RoleGroup] = (),
    ) -> None:
        self._issuers = {url: PublishedKeys(partial(key_set_of, url)) for url in issuers}
        self._audience = audience
        self._roles_claim = roles_claim
        self._role_groups = role_groups

    def caller(self, text: str) -> Caller | None:
        """Return the caller that a token identifies, or None if it is not valid.

        Raises
        ------
        OutsideError
            If the issuer's keys were never fetched and cannot be.
        """
        claims = verified_claims(text, self._issuers.get, audience=self._audience)
        if claims is None:
            return None
        roles = claimed_roles(claims, self._roles_claim, self._role_groups)
        return Caller(actor_of(claims), roles)


def verified_claims(
    text: str, keys_of: Callable[[str], PublishedKeys | None], *, audience: str
) -> Claims | None:
    """Return the claims of an OpenID Connect token; arguments and errors as for `signed_claims`."""
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


def actor_of(claims: Claims) -> str:
    """Return the subject of a token, as `AuditEvent.actor`."""
    return f"oidc:{claims['iss']}|{claims['sub']}"


def claimed_roles(
    claims: Claims, path: str, role_groups: Sequence[RoleGroup] = ()
) -> frozenset[str]:
    """Return the known roles in a claim, or those of the groups in it if any are stated.

    The claim is a list, one text, or words separated by spaces.

    Examples
    --------
    >>> sorted(claimed_roles({"realm": {"roles": ["predict", "cook"]}}, "realm.roles"))
    ['predict']
    >>> icu = RoleGroup("predict", "/icu/physicians")
    >>> sorted(claimed_roles({"groups": ["/icu/physicians", "admin"]}, "groups", [icu]))
    ['predict']
    """
    value = _claim(claims, path)
    texts = [value, *value.split()] if isinstance(value, str) else value
    words = {word for word in texts if isinstance(word, str)} if isinstance(texts, list) else set()
    if role_groups:
        return frozenset(one.role for one in role_groups if one.group in words)
    return frozenset(ROLES) & words


def _claim(claims: Claims, path: str) -> object:
    """Return a claim by its name, which may hold points as an address does, or by its path."""
    if path in claims:
        return claims[path]
    value: object = claims
    for name in path.split("."):
        value = value.get(name) if isinstance(value, Mapping) else None
    return value


def key_set_of(issuer: str) -> object:
    """Return an issuer's JSON Web Key Set, by OpenID Connect discovery.

    Raises
    ------
    Unreachable
        If the issuer does not answer.
    ValueError, KeyError, TypeError
        If what it publishes is not its own, or names no keys.
    """
    metadata = get_json(f"{issuer.rstrip('/')}/.well-known/openid-configuration")
    if metadata["issuer"] != issuer:
        raise ValueError("the document is of another issuer")
    return get_json(metadata["jwks_uri"])
