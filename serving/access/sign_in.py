"""Sign-in of clinicians: at the site's OpenID Connect provider, or from the EHR."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import urlencode

from pydantic import SecretStr

from serving.access.browser import Browsers, LaunchRecord, Session, SessionContent
from serving.access.caller import Caller
from serving.access.code_flow import Client, PendingSignIn, SignInRefused, begin, redeem
from serving.access.provider import Provider
from serving.access.signed_claims import Claims
from serving.access.tokens import actor_of, claimed_roles
from serving.audit.trail import AuditTrail
from serving.http.outbound import Unreachable
from serving.settings import Settings

__all__ = ["SignIn", "SignedIn"]

# An EHR launch for one patient, limited to what fills the form.
_SMART_SCOPE = (
    "launch launch/patient openid fhirUser patient/Patient.rs patient/Observation.rs "
    "patient/Encounter.rs patient/Condition.rs patient/MedicationRequest.rs"
)
_FHIR_ID = re.compile(r"[A-Za-z0-9.\-]{1,64}")
_LONGEST_NAME = 100


@dataclass(frozen=True, slots=True)
class SignedIn:
    """A completed sign-in: the caller, and the content of the new session."""

    caller: Caller
    content: SessionContent


class SignIn:
    """The ways to sign in that the settings allow.

    Its methods raise SignInRefused if the sign-in failed or the settings do not allow it, and
    OutsideError if the provider or the EHR does not answer.
    """

    def __init__(self, settings: Settings, trail: AuditTrail) -> None:
        public = settings.public_url or ""
        self.browsers = Browsers(
            trail,
            secure=public.startswith("https:"),
            path=settings.public_path,
            idle_minutes=settings.session_idle_minutes,
            hours=settings.session_hours,
        )
        self.has_provider = settings.sign_in_issuer is not None
        self._signed_out = f"{public}/signed-out"
        self._scope = settings.sign_in_scope
        self._roles_claim = settings.oidc_roles_claim
        self._role_groups = settings.oidc_role_groups
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

    def begin(self, to: str) -> tuple[str, PendingSignIn]:
        """Return where to send a browser to sign in, and what to remember until it returns."""
        url, pending = begin(self._provider, self._client, scope=self._scope)
        return url, {**pending, "to": to}

    def finish(self, pending: PendingSignIn, answered: Mapping[str, str]) -> SignedIn:
        """Complete a sign-in at the provider; a user without a role is refused."""
        if "ehr" in pending:
            raise SignInRefused("state")
        tokens, claims = redeem(self._provider, self._client, pending, answered)
        roles = claimed_roles(claims, self._roles_claim, self._role_groups)
        if not roles:
            raise SignInRefused("role")
        content: SessionContent = {"name": _name(claims), "id_token": tokens.id_token}
        return SignedIn(Caller(actor_of(claims), roles), content)

    def begin_launch(self, server: str, launch: str) -> tuple[str, PendingSignIn]:
        """Return where an EHR's launch continues, and what to remember until it returns."""
        ehr = next(
            (e for url, e in self._ehrs.items() if url.rstrip("/") == server.rstrip("/")), None
        )
        if ehr is None or not launch:
            raise SignInRefused("ehr")
        url, pending = begin(ehr, self._ehr_client, scope=_SMART_SCOPE, launch=launch, aud=ehr.url)
        return url, {**pending, "ehr": ehr.url}

    def finish_launch(self, pending: PendingSignIn, answered: Mapping[str, str]) -> SignedIn:
        """Complete a launch from an EHR for one patient, whose record may then be read."""
        if "ehr" not in pending:
            raise SignInRefused("state")
        ehr = self._ehrs[pending["ehr"]]
        tokens, claims = redeem(ehr, self._ehr_client, pending, answered)
        if tokens.token_type.lower() != "bearer" or not tokens.access_token:
            raise SignInRefused("access")
        if not _FHIR_ID.fullmatch(tokens.patient):
            raise SignInRefused("patient")
        record = LaunchRecord(
            server=ehr.url,
            token=tokens.access_token,
            patient=tokens.patient,
            encounter=tokens.encounter if _FHIR_ID.fullmatch(tokens.encounter) else "",
        )
        content: SessionContent = {"name": _name(claims), "record": record}
        return SignedIn(Caller(actor_of(claims), frozenset({"predict"})), content)

    def way_out(self, session: Session) -> str:
        """Return where a browser goes after sign-out: to the provider, if that ends sessions."""
        id_token = session.content.get("id_token")
        if not id_token:  # from an EHR, which has its own session
            return self._signed_out
        try:
            ends_at = self._provider.metadata().end_session_endpoint
        except Unreachable:
            return self._signed_out
        if not ends_at:
            return self._signed_out
        query = {
            "id_token_hint": id_token,
            "client_id": self._client.id,
            "post_logout_redirect_uri": self._signed_out,
        }
        return f"{ends_at}{'&' if '?' in ends_at else '?'}{urlencode(query)}"


def _plain(secret: SecretStr | None) -> str | None:
    return secret.get_secret_value() if secret else None


def _name(claims: Claims) -> str:
    """Return the clinician's name for the page; empty if the provider does not state one."""
    for claim in ("name", "preferred_username", "email"):
        name = claims.get(claim)
        if isinstance(name, str) and name.strip():
            return name.strip()[:_LONGEST_NAME]
    return ""
