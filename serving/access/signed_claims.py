"""What a signed token says, once everything about its signature holds.

Only signatures with a public key count: `none` and every HMAC are refused, so that a published key
never serves as a shared secret.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import jwt

from serving.access.published_keys import PublishedKeys

__all__ = ["LEEWAY_SECONDS", "signed_claims"]

LEEWAY_SECONDS = 30
"""By how much the signer's clock may differ from ours."""


def signed_claims(
    text: str,
    keys_of: Callable[[str, Mapping[str, Any]], PublishedKeys | None],
    *,
    audience: str,
    algorithms: Sequence[str],
    required: Sequence[str],
) -> Mapping[str, Any] | None:
    """Return what a token says, or None if it is not to be believed.

    Parameters
    ----------
    text : str
        The token, from anybody.
    keys_of : callable
        From the stated issuer and the token's header to the issuer's keys; None for an issuer that
        is not trusted, or a header that it would not write.
    audience : str
        What the token must be meant for.
    algorithms : sequence of str
        Those that it may be signed by, all with a public key.
    required : sequence of str
        Claims that it must have.

    Returns
    -------
    mapping or None

    Raises
    ------
    OutsideError
        If the issuer's keys were never seen and cannot be fetched.
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
        claims: Mapping[str, Any] = jwt.decode(
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
