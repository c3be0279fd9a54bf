"""How clinicians come in: at the site's OpenID Connect provider, or out of the EHR."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

from pydantic import SecretStr

from serving.access.browser import Browsers, Session
from serving.access.caller import Caller
from serving.access.code_flow import Client, SignInRefused, begin, identity, redeem
from serving.access.provider import Provider
from serving.access.tokens import actor_of, claimed_roles
from serving.audit.trail import AuditTrail
from serving.http.outbound import Unreachable, is_allowed
from serving.settings import Settings

__all__ = ["SignIn", "SignedIn"]

# An EHR launch for one patient; nothing is asked that the form is not filled from.
_SMART_SCOPE = (
    "launch launch/patient openid fhirUser patient/Patient.rs patient/Observation.rs "
    "patient/Encounter.rs patient/Condition.rs patient/MedicationRequest.rs"
)
_FHIR_ID = re.compile(r"[A-Za-z0-9.\-]{1,64}")
_LONGEST_NAME = 100


@dataclass(frozen=True, slots=True)
class SignedIn:
    """Who has come in, and what is kept of it."""

    caller: Caller
    content: Mapping[str, Any]


class SignIn:
    """The ways in that the settings open.

    Parameters
    ----------
    settings : Settings
    trail : AuditTrail
    """

    def __init__(self, settings: Settings, trail: AuditTrail) -> None:
        public = settings.public_url or ""
        self.browsers = Browsers(
            trail,
            secure=public.startswith("https:"),
            idle_minutes=settings.session_idle_minutes,
            hours=settings.session_hours,
        )
        self.has_provider = settings.sign_in_issuer is not None
        self._signed_out = f"{public}/signed-out"
        self._scope = settings.sign_in_scope
        self._roles_claim = settings.oidc_roles_claim
        self._provider = Provider(settings.sign_in_issuer or "")
        self._client = Client(
            settings.sign_in_client_id or "",
            _plain(settings.sign_in_client_secret),
            f"{public}/sign-in/callback",
        )
        self._ehrs = {url: Provider(url, is_ehr=True) for url in settings.smart_servers}
        self._ehr_client = Client(
            settings.smart_client_id or "",
            _plain(settings.smart_client_secret),
            f"{public}/launch/callback",
        )

    def begin(self, to: str) -> tuple[str, dict[str, str]]:
        """Return where to send a browser to sign in, and what to remember until it comes back.

        Raises
        ------
        OutsideError
            If the provider does not answer.
        """
        url, pending = begin(self._provider, self._client, scope=self._scope)
        return url, {**pending, "to": to}

    def finish(self, pending: Mapping[str, str], answered: Mapping[str, str]) -> SignedIn:
        """Return who has signed in.

        Raises
        ------
        SignInRefused
            If nobody has, or somebody without a role.
        OutsideError
            If the provider does not answer.
        """
        if "ehr" in pending:
            raise SignInRefused("state")
        tokens = redeem(self._provider, self._client, pending, answered)
        claims = identity(self._provider, self._client, pending, tokens)
        roles = claimed_roles(claims, self._roles_claim)
        if not roles:
            raise SignInRefused("role")
        content = {"name": _name(claims), "id_token": tokens["id_token"]}
        return SignedIn(Caller(actor_of(claims), roles), content)

    def begin_launch(self, server: str, launch: str) -> tuple[str, dict[str, str]]:
        """Return where an EHR's launch goes on, and what to remember until it comes back.

        Raises
        ------
        SignInRefused
            If the site does not know the EHR.
        OutsideError
            If the EHR does not answer.
        """
        known = [url for url in self._ehrs if url.rstrip("/") == server.rstrip("/")]
        if not known or not launch:
            raise SignInRefused("ehr")
        url, pending = begin(
            self._ehrs[known[0]],
            self._ehr_client,
            scope=_SMART_SCOPE,
            launch=launch,
            aud=known[0],
        )
        return url, {**pending, "ehr": known[0]}

    def finish_launch(self, pending: Mapping[str, str], answered: Mapping[str, str]) -> SignedIn:
        """Return who came out of the EHR, and whose record may be read.

        Raises
        ------
        SignInRefused
            If nobody did, or for no patient.
        OutsideError
            If the EHR does not answer.
        """
        if "ehr" not in pending:
            raise SignInRefused("state")
        ehr = self._ehrs[pending["ehr"]]
        tokens = redeem(ehr, self._ehr_client, pending, answered)
        claims = identity(ehr, self._ehr_client, pending, tokens)
        token, patient = tokens.get("access_token"), tokens.get("patient")
        if str(tokens.get("token_type", "")).lower() != "bearer" or not isinstance(token, str):
            raise SignInRefused("access")
        if not isinstance(patient, str) or not _FHIR_ID.fullmatch(patient):
            raise SignInRefused("patient")
        encounter = tokens.get("encounter")
        if not isinstance(encounter, str) or not _FHIR_ID.fullmatch(encounter):
            encounter = ""
        record = {"server": ehr.url, "token": token, "patient": patient, "encounter": encounter}
        content = {"name": _name(claims), "record": record}
        return SignedIn(Caller(actor_of(claims), frozenset({"predict"})), content)

    def way_out(self, session: Session) -> str:
        """Return where a browser goes after signing out: to the provider, if it ends sessions."""
        id_token = session.content.get("id_token")
        if not id_token:  # out of an EHR, which has a session of its own
            return self._signed_out
        try:
            ends_at = str(self._provider.about().get("end_session_endpoint", ""))
        except Unreachable:
            return self._signed_out
        if not is_allowed(ends_at):
            return self._signed_out
        asked = {
            "id_token_hint": str(id_token),
            "client_id": self._client.id,
            "post_logout_redirect_uri": self._signed_out,
        }
        return f"{ends_at}{'&' if '?' in ends_at else '?'}{urlencode(asked)}"


def _plain(secret: SecretStr | None) -> str | None:
    return secret.get_secret_value() if secret else None


def _name(claims: Mapping[str, Any]) -> str:
    """Return what to call a clinician on the page; empty if the provider does not say."""
    for claim in ("name", "preferred_username", "email"):
        found = claims.get(claim)
        if isinstance(found, str) and found.strip():
            return found.strip()[:_LONGEST_NAME]
    return ""
