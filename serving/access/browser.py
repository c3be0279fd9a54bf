"""Clinicians' browsers: sessions in a cookie that no script reads, begun and ended on record."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from starlette.requests import cookie_parser
from starlette.responses import Response
from starlette.types import Scope

from serving.access.caller import Caller
from serving.access.sealed import SealedStore
from serving.audit.record import Action, AuditEvent, Detail
from serving.audit.trail import AuditTrail, Beside, Entry

__all__ = ["CSRF_HEADER", "Browsers", "Session", "address_of"]

CSRF_HEADER = "x-csrf-token"
"""Header of every request of the page that is no mere reading."""

_PENDING_SECONDS = 600


@dataclass(frozen=True, slots=True)
class Session:
    """One signed-in browser.

    Parameters
    ----------
    secret : str
        What its cookie holds.
    caller : Caller
    content : mapping
        Name of the clinician, what signing out needs and, after a launch, the EHR's access token.
    ends_in : float
        Seconds until it ends whatever happens.
    """

    secret: str
    caller: Caller
    content: Mapping[str, Any]
    ends_in: float

    @property
    def csrf(self) -> str:
        """What the page must send with every request that is no mere reading."""
        return hmac.digest(self.secret.encode(), b"osteon csrf", hashlib.sha256).hex()

    def is_sent_by_page(self, scope: Scope) -> bool:
        """Return whether a request has the token, which no other site can read."""
        sent = dict(scope["headers"]).get(CSRF_HEADER.encode(), b"")
        return hmac.compare_digest(sent, self.csrf.encode())


class Browsers:
    """The sessions of all browsers; every worker sees the same.

    Parameters
    ----------
    trail : AuditTrail
        Sign-ins and sign-outs go into it, sessions into its database.
    secure : bool
        Whether browsers come over https, so that the cookies are bound to this host (`__Host-`).
    idle_minutes : int
        After so long without a request a session ends.
    hours : int
        After so long it ends in any case.
    """

    def __init__(self, trail: AuditTrail, *, secure: bool, idle_minutes: int, hours: int) -> None:
        self.idle_seconds = 60 * idle_minutes
        self._trail = trail
        self._secure = secure
        self._prefix = "__Host-osteon" if secure else "osteon"
        self._sessions = SealedStore(
            trail.database,
            "session",
            idle_seconds=self.idle_seconds,
            lifetime_seconds=3_600 * hours,
        )
        self._pending = SealedStore(
            trail.database,
            "sign-in",
            idle_seconds=_PENDING_SECONDS,
            lifetime_seconds=_PENDING_SECONDS,
        )

    def session(self, scope: Scope) -> Session | None:
        """Return the session of a request, or None; one that is over ends here, on record.

        Raises
        ------
        OutsideError
            If the database fails.
        """
        secret = _cookies(scope).get(self._session_cookie, "")
        kept = self._sessions.get(secret)
        if kept is None or "actor" not in kept.content:
            return None
        caller = Caller(str(kept.content["actor"]), frozenset(kept.content["roles"]))
        if kept.over is not None:
            self._record("sign_out", caller.actor, kept.over, scope)
            return None
        return Session(secret, caller, kept.content, kept.ends_in)

    def begin(
        self, response: Response, scope: Scope, caller: Caller, content: Mapping[str, Any]
    ) -> None:
        """Begin a session in a browser, always a new one; the one before ends."""
        before = self.session(scope)
        if before is not None:
            self.end(response, scope, before, "replaced")
        roles: Sequence[str] = sorted(caller.roles)
        kept = {"actor": caller.actor, "roles": roles, **content}
        secret, write = self._sessions.new(kept)
        self._record("sign_in", caller.actor, "ok", scope, {"roles": roles}, write)
        self._set(response, self._session_cookie, secret, None)

    def end(self, response: Response, scope: Scope, session: Session, why: str = "ok") -> None:
        """End a session, on record."""
        self._sessions.end(session.secret)
        self._record("sign_out", session.caller.actor, why, scope)
        self._set(response, self._session_cookie, "", 0)

    def refused(self, scope: Scope, reason: str) -> None:
        """Record a sign-in that let nobody in."""
        self._record("sign_in", "unknown", "refused", scope, {"reason": reason})

    def remember(self, response: Response, pending: Mapping[str, str]) -> None:
        """Keep a sign-in that has begun until the same browser comes back."""
        secret = self._pending.put(pending)
        self._set(response, self._pending_cookie(pending["state"]), secret, _PENDING_SECONDS)

    def recall(self, scope: Scope, state: str) -> dict[str, str] | None:
        """Return a sign-in that this browser began, once; None if it did not, or long ago."""
        found = self._pending.take(_cookies(scope).get(self._pending_cookie(state), ""))
        return dict(found) if found and "state" in found else None

    def forget(self, response: Response, state: str) -> None:
        """Take the cookie of a sign-in that has ended out of the browser."""
        self._set(response, self._pending_cookie(state), "", 0)

    @property
    def _session_cookie(self) -> str:
        return f"{self._prefix}-session"

    def _pending_cookie(self, state: str) -> str:
        # One for each, so that two tabs that sign in at a time do not stand in each other's way.
        return f"{self._prefix}-sign-in-{hashlib.sha256(state.encode()).hexdigest()[:12]}"

    def _set(self, response: Response, name: str, value: str, seconds: int | None) -> None:
        response.set_cookie(
            name,
            value,
            max_age=seconds,
            path="/",
            secure=self._secure,
            httponly=True,
            samesite="lax",
        )

    def _record(
        self,
        action: Action,
        actor: str,
        status: str,
        scope: Scope,
        detail: Detail | None = None,
        beside: Beside | None = None,
    ) -> None:
        address: Detail = {"address": address_of(scope)}
        event = AuditEvent(
            action=action, actor=actor, status=status, detail={**address, **(detail or {})}
        )
        self._trail.append_all([Entry(event, beside=beside)])


def address_of(scope: Scope) -> str:
    """Return where a request came from, as the audit trail holds it."""
    return str(scope["client"][0]) if scope.get("client") else "local"


def _cookies(scope: Scope) -> dict[str, str]:
    sent = [str(value, "latin-1") for name, value in scope["headers"] if name == b"cookie"]
    return cookie_parser("; ".join(sent))
