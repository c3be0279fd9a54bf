"""Verify signed tokens and return their claims.

Only signatures with a public key count: `none` and every HMAC are refused, so that a published key
never serves as a shared secret.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TypeAlias

import jwt

from serving.access.published_keys import PublishedKeys

__all__ = ["LEEWAY_SECONDS", "Claims", "signed_claims"]

Claims: TypeAlias = Mapping[str, object]
"""Claims of a token or fields of its header, of any JSON type."""

LEEWAY_SECONDS = 30
"""Largest accepted difference between the signer's clock and that of this machine."""


def signed_claims(
    text: str,
    keys_of: Callable[[str, Claims], PublishedKeys | None],
    *,
    audience: str,
    algorithms: Sequence[str],
    required: Sequence[str],
) -> Claims | None:
    """Return the claims of a token, or None if it is not valid.

    Parameters
    ----------
    text : str
        The token, from any source.
    keys_of : callable
        From the stated issuer and the token's header to the issuer's keys; None for an issuer that
        is not trusted, or a header that the issuer does not write.
    audience : str
        The required audience.
    algorithms : sequence of str
        The accepted algorithms, all with a public key.
    required : sequence of str
        The required claims.

    Raises
    ------
    OutsideError
        If the issuer's keys were never fetched and cannot be.
    """
    try:
        header = jwt.get_unverified_header(text)
        issuer = jwt.decode(text, options={"verify_signature": False}).get("iss")
        if not isinstance(issuer, str) or header.get("alg") not in algorithms:
            return None
        keys = keys_of(issuer, header)
        key = None if keys is None else keys.key(str(header.get("kid", "")))
        if key is None:
            return None
        claims: Claims = jwt.decode(
            text,
            key.key,
            algorithms=[header["alg"]],
            audience=audience,
            issuer=issuer,
            leeway=LEEWAY_SECONDS,
            options={"require": list(required)},
        )
    except (jwt.PyJWTError, ValueError, TypeError, RecursionError):
        return None
    return claims
