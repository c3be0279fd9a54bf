"""Tokens of CDS clients: one for each call, signed by a client that the site knows.

CDS Hooks 2.0.1, "Trusting CDS Clients": `none` and every HMAC are refused, the address of the keys
is the site's own entry and never the token's, and no token is taken twice.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from functools import partial
from typing import Any

import jwt
from sqlalchemy import delete
from sqlalchemy.dialects import postgresql, sqlite

from serving.access.caller import Caller
from serving.access.published_keys import PublishedKeys
from serving.audit.trail import AuditTrail
from serving.outbound import get_json
from serving.tables import USED_TOKENS

__all__ = ["ClientTokens"]

_ALGORITHMS = ("ES384", "RS384")
_REQUIRED = ["iss", "aud", "exp", "iat", "jti"]
_LEEWAY_SECONDS = 30
# What may live for ever must be remembered for ever.
_LONGEST_LIFE_SECONDS = 3_600
_LONGEST_ID = 512


class ClientTokens:
    """Tokens of the CDS clients that the site knows.

    Parameters
    ----------
    clients : mapping of str to str
        `iss` -> the address of its keys.
    public_url : str
        What `aud` begins with; the path that is called follows.
    trail : AuditTrail
        Its database remembers which tokens were used.
    """

    def __init__(self, clients: Mapping[str, str], *, public_url: str, trail: AuditTrail) -> None:
        self._clients = dict(clients)
        self._keys = {issuer: PublishedKeys(partial(get_json, u)) for issuer, u in clients.items()}
        self._public_url = public_url
        self._trail = trail

    def caller(self, text: str, path: str) -> Caller | None:
        """Return whose token a text is, or None if it does not open the address at `path`.

        Raises
        ------
        OutsideError
            If the client's keys were never seen and cannot be fetched, or the database fails.
        """
        claims = self._claims(text, self._public_url + path)
        if claims is None or not self._is_new(claims):
            return None
        return Caller(f"cds:{claims['iss']}", frozenset({"predict"}))

    def _claims(self, text: str, audience: str) -> Mapping[str, Any] | None:
        """Return what a token says, if everything about it holds."""
        try:
            header = jwt.get_unverified_header(text)
            issuer = str(jwt.decode(text, options={"verify_signature": False}).get("iss", ""))
            keys = self._keys.get(issuer)
            if keys is None or header.get("alg") not in _ALGORITHMS:
                return None
            if header.get("jku", self._clients[issuer]) != self._clients[issuer]:
                return None
            if header.get("typ", "JWT") != "JWT":
                return None
            key = keys.key(str(header.get("kid", "")))
            if key is None:
                return None
            claims: Mapping[str, Any] = jwt.decode(
                text,
                key.key,
                algorithms=[header["alg"]],
                audience=audience,
                issuer=issuer,
                leeway=_LEEWAY_SECONDS,
                options={"require": _REQUIRED},
            )
        except (jwt.PyJWTError, ValueError, TypeError, RecursionError):
            return None
        lasts = float(claims["exp"]) - time.time()
        is_short = lasts <= _LONGEST_LIFE_SECONDS + _LEEWAY_SECONDS
        token_id = claims["jti"]
        has_id = isinstance(token_id, str) and 0 < len(token_id) <= _LONGEST_ID
        return claims if is_short and has_id else None

    def _is_new(self, claims: Mapping[str, Any]) -> bool:
        """Note that a token is used, and return whether it never was before."""
        database, now = self._trail.database, int(time.time())
        token = self._trail.keys.token(claims["iss"], claims["jti"])
        expires = int(claims["exp"]) + _LEEWAY_SECONDS
        kind = sqlite if database.is_sqlite else postgresql
        use = kind.insert(USED_TOKENS).values(token=token, expires=expires)
        use = use.on_conflict_do_nothing().returning(USED_TOKENS.c.token)
        with database.writing() as connection:
            # An hour of grace, so that no clock that is slow makes a token new again.
            connection.execute(delete(USED_TOKENS).where(USED_TOKENS.c.expires < now - 3_600))
            return connection.execute(use).first() is not None
