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
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote_plus, urlencode

from data_schema.errors import OutsideError
from serving.access.provider import Provider
from serving.http.outbound import Unreachable, post_form

__all__ = ["Client", "SignInRefused", "begin", "identity", "redeem"]


class SignInRefused(OutsideError):
    """Nobody was signed in; `reason` is one word of ours, for the audit trail and the page."""

    def __init__(self, reason: str) -> None:
        self.reason = reason
        super().__init__(f"sign-in must be whole; it is not ({reason}).")


@dataclass(frozen=True, slots=True)
class Client:
    """What a provider knows this service as.

    Parameters
    ----------
    id : str
    secret : str or None
        None for a public client, which PKCE alone protects.
    redirect_uri : str
    """

    id: str
    secret: str | None
    redirect_uri: str


def begin(
    provider: Provider, client: Client, *, scope: str, **extra: str
) -> tuple[str, dict[str, str]]:
    """Return where to send the browser, and what must be remembered until it comes back.

    Raises
    ------
    Unreachable
        If the provider's document cannot be had.
    """
    pending = {name: secrets.token_urlsafe(32) for name in ("state", "nonce", "verifier")}
    digest = hashlib.sha256(pending["verifier"].encode()).digest()
    asked = {
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
    address = str(provider.about()["authorization_endpoint"])
    return f"{address}{'&' if '?' in address else '?'}{urlencode(asked)}", pending


def redeem(
    provider: Provider, client: Client, pending: Mapping[str, str], answered: Mapping[str, str]
) -> Mapping[str, Any]:
    """Return the token answer to what the browser brought back.

    Parameters
    ----------
    provider : Provider
    client : Client
    pending : mapping
        As `begin` gave it, once.
    answered : mapping
        Query of the address that the browser came back to.

    Returns
    -------
    mapping

    Raises
    ------
    SignInRefused
        If the answer is of another sign-in or provider, or the provider refuses it.
    """
    if not hmac.compare_digest(pending["state"].encode(), answered.get("state", "").encode()):
        raise SignInRefused("state")
    about = provider.about()
    stated = answered.get("iss")
    must_state = about.get("authorization_response_iss_parameter_supported") is True
    if (stated is None and must_state) or (stated is not None and stated != about["issuer"]):
        raise SignInRefused("issuer")
    if "error" in answered:
        raise SignInRefused("denied")
    if not answered.get("code"):
        raise SignInRefused("code")
    fields = {
        "grant_type": "authorization_code",
        "code": answered["code"],
        "redirect_uri": client.redirect_uri,
        "code_verifier": pending["verifier"],
        "client_id": client.id,
    }
    headers: dict[str, str] = {}
    if client.secret is not None:
        methods = about.get("token_endpoint_auth_methods_supported") or ["client_secret_basic"]
        if "client_secret_basic" in methods:
            # RFC 6749 section 2.3.1: both are form-encoded before they are joined.
            pair = f"{quote_plus(client.id)}:{quote_plus(client.secret)}".encode()
            headers["Authorization"] = f"Basic {base64.b64encode(pair).decode()}"
        else:
            fields["client_secret"] = client.secret
    try:
        tokens = post_form(str(about["token_endpoint"]), fields, headers)
    except Unreachable:
        raise SignInRefused("code") from None
    if not isinstance(tokens, Mapping):
        raise SignInRefused("code")
    return tokens


def identity(
    provider: Provider, client: Client, pending: Mapping[str, str], tokens: Mapping[str, Any]
) -> Mapping[str, Any]:
    """Return the claims of who was signed in.

    Raises
    ------
    SignInRefused
        If the identity token is missing, not to be believed, or of another sign-in.
    """
    id_token = tokens.get("id_token")
    if not isinstance(id_token, str):
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
