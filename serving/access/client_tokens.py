"""Tokens of CDS clients: one for each call, signed by a client that the site has registered.

CDS Hooks 2.0.1, "Trusting CDS Clients": the address of the keys comes from the site's settings and
never from the token, and no token is accepted twice.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from functools import partial

from sqlalchemy import delete
from sqlalchemy.dialects import postgresql, sqlite

from serving.access.caller import Caller
from serving.access.published_keys import PublishedKeys
from serving.access.signed_claims import LEEWAY_SECONDS, Claims, signed_claims
from serving.audit.signed_rows import row_mac
from serving.audit.trail import AuditTrail
from serving.http.outbound import get_json
from serving.store.tables import USED_TOKENS

__all__ = ["ClientTokens"]

_ALGORITHMS = ("ES384", "RS384")
_REQUIRED = ("iss", "aud", "exp", "iat", "jti")
# Used tokens are remembered until they expire, so their life is limited.
_LONGEST_LIFE_SECONDS = 3_600
_LONGEST_ID = 512


class ClientTokens:
    """Tokens of the registered CDS clients.

    Parameters
    ----------
    clients : mapping of str to str
        `iss` -> the address of its keys.
    public_url : str
        The start of `aud`; the called path follows.
    trail : AuditTrail
        Its database remembers used tokens.
    """

    def __init__(self, clients: Mapping[str, str], *, public_url: str, trail: AuditTrail) -> None:
        self._clients = dict(clients)
        self._keys = {issuer: PublishedKeys(partial(get_json, u)) for issuer, u in clients.items()}
        self._public_url = public_url
        self._trail = trail

    def caller(self, text: str, path: str) -> Caller | None:
        """Return the client that a token identifies, or None if it is not valid at `path`.

        Raises
        ------
        OutsideError
            If the client's keys were never fetched and cannot be, or the database fails.
        """
        claims = signed_claims(
            text,
            self._keys_of,
            audience=self._public_url + path,
            algorithms=_ALGORITHMS,
            required=_REQUIRED,
        )
        if claims is None:
            return None
        is_short = _expiry(claims) - time.time() <= _LONGEST_LIFE_SECONDS + LEEWAY_SECONDS
        token_id = claims["jti"]
        has_id = isinstance(token_id, str) and 0 < len(token_id) <= _LONGEST_ID
        if not (is_short and has_id):
            return None
        token = self._trail.keys.token(str(claims["iss"]), str(token_id))
        if not self._is_new(token, claims):
            return None
        return Caller(f"cds:{claims['iss']}", frozenset({"predict"}), token)

    def _keys_of(self, issuer: str, header: Claims) -> PublishedKeys | None:
        """Return the keys of a registered client, if the header is one that it writes."""
        address = self._clients.get(issuer)
        is_known = (
            header.get("jku", address) == address and str(header.get("typ", "JWT")).upper() == "JWT"
        )
        return self._keys.get(issuer) if is_known else None

    def _is_new(self, token: str, claims: Claims) -> bool:
        """Record the use of a token, and return whether this is the first."""
        database, now = self._trail.database, int(time.time())
        row: dict[str, object] = {
            "token": token,
            "expires": int(_expiry(claims)) + LEEWAY_SECONDS,
        }
        row["mac"] = row_mac(self._trail.keys, USED_TOKENS, row)
        kind = sqlite if database.is_sqlite else postgresql
        use = kind.insert(USED_TOKENS).values(row)
        use = use.on_conflict_do_nothing().returning(USED_TOKENS.c.token)
        with database.writing() as connection:
            # An hour more, so that a slow clock does not make a used token new again.
            connection.execute(delete(USED_TOKENS).where(USED_TOKENS.c.expires < now - 3_600))
            return connection.execute(use).first() is not None


def _expiry(claims: Claims) -> float:
    """Return `exp`, a number in every verified token."""
    return float(str(claims["exp"]))
