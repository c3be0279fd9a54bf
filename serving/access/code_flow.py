"""The authorization code flow with PKCE, as OpenID Connect and SMART App Launch both use it.

References
----------
RFC 6749 section 4.1, RFC 7636 (PKCE, S256), RFC 9207 (`iss` in the answer), OpenID Connect Core 1.0
section 3.1, SMART App Launch 2.2 section 2.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import NotRequired, TypedDict
from urllib.parse import quote_plus, urlencode

from data_schema.errors import OutsideError
from serving.access.provider import Provider
from serving.access.signed_claims import Claims
from serving.http.outbound import Unreachable, post_form

__all__ = ["Client", "PendingSignIn", "SignInRefused", "TokenResponse", "begin", "redeem"]


class SignInRefused(OutsideError):
    """A sign-in failed; `reason` is one word of ours, for the audit trail and the page."""

    def __init__(self, reason: str) -> None:
        self.reason = reason
        super().__init__(f"Sign-in failed ({reason}).")


class PendingSignIn(TypedDict):
    """A sign-in in progress, remembered until the browser returns."""

    state: str
    nonce: str
    verifier: str
    to: NotRequired[str]
    ehr: NotRequired[str]


@dataclass(frozen=True, slots=True)
class TokenResponse:
    """The answer of a token endpoint; a field that is missing or not text is empty.

    `patient` and `encounter` are the context of a SMART launch.
    """

    id_token: str
    access_token: str
    token_type: str
    patient: str
    encounter: str


@dataclass(frozen=True, slots=True)
class Client:
    """The registration of this service; without a secret, PKCE alone protects a public client."""

    id: str
    secret: str | None
    redirect_uri: str


def begin(
    provider: Provider, client: Client, *, scope: str, **extra: str
) -> tuple[str, PendingSignIn]:
    """Return where to send the browser, and what to remember until it returns.

    Raises
    ------
    Unreachable
        If the provider's metadata cannot be read.
    """
    pending = PendingSignIn(
        state=secrets.token_urlsafe(32),
        nonce=secrets.token_urlsafe(32),
        verifier=secrets.token_urlsafe(32),
    )
    digest = hashlib.sha256(pending["verifier"].encode()).digest()
    query = {
        "response_type": "code",
        "client_id": client.id,
        "redirect_uri": client.redirect_uri,
        "scope": scope,
        "state": pending["state"],
        "nonce": pending["nonce"],
        "code_challenge": base64.urlsafe_b64encode(digest).rstrip(b"=").decode(),
        "code_challenge_method": "S256",
        **extra,
    }
    address = provider.metadata().authorization_endpoint
    return f"{address}{'&' if '?' in address else '?'}{urlencode(query)}", pending


def redeem(
    provider: Provider, client: Client, pending: PendingSignIn, answered: Mapping[str, str]
) -> tuple[TokenResponse, Claims]:
    """Exchange the code that the browser brought back for tokens, and verify the identity token.

    Parameters
    ----------
    pending : PendingSignIn
        From `begin`; used once.
    answered : mapping of str to str
        Query of the address that the browser returned to.

    Raises
    ------
    SignInRefused
        If the answer or the identity token is not valid or belongs to another sign-in or provider,
        or the provider refuses the code.
    """
    if not hmac.compare_digest(pending["state"].encode(), answered.get("state", "").encode()):
        raise SignInRefused("state")
    metadata = provider.metadata()
    stated = answered.get("iss")
    if (stated is None and metadata.states_issuer) or (
        stated is not None and stated != metadata.issuer
    ):
        raise SignInRefused("issuer")
    if "error" in answered:
        raise SignInRefused("denied")
    if not answered.get("code"):
        raise SignInRefused("code")
    form = {
        "grant_type": "authorization_code",
        "code": answered["code"],
        "redirect_uri": client.redirect_uri,
        "code_verifier": pending["verifier"],
        "client_id": client.id,
    }
    headers: dict[str, str] = {}
    if client.secret is not None:
        if metadata.takes_basic_authentication:
            # RFC 6749 section 2.3.1: both are form-encoded before they are joined.
            pair = f"{quote_plus(client.id)}:{quote_plus(client.secret)}".encode()
            headers["Authorization"] = f"Basic {base64.b64encode(pair).decode()}"
        else:
            form["client_secret"] = client.secret
    try:
        tokens = post_form(metadata.token_endpoint, form, headers)
    except Unreachable:
        raise SignInRefused("code") from None
    if not isinstance(tokens, Mapping):
        raise SignInRefused("code")
    response = TokenResponse(*(_text(tokens, field.name) for field in fields(TokenResponse)))
    return response, _identity(provider, client, pending, response.id_token)


def _identity(provider: Provider, client: Client, pending: PendingSignIn, id_token: str) -> Claims:
    if not id_token:
        raise SignInRefused("no_identity")
    claims = provider.claims(id_token, audience=client.id)
    if claims is None:
        raise SignInRefused("identity")
    nonce = claims.get("nonce")
    if not isinstance(nonce, str) or not hmac.compare_digest(
        nonce.encode(), pending["nonce"].encode()
    ):
        raise SignInRefused("nonce")
    return claims


def _text(tokens: Mapping[str, object], name: str) -> str:
    value = tokens.get(name)
    return value if isinstance(value, str) else ""
