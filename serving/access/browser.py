"""Sessions of clinicians' browsers, in a cookie that no script can read; recorded in the trail."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypedDict

from starlette.requests import cookie_parser
from starlette.responses import Response
from starlette.types import Scope

from serving.access.caller import Caller, address_of
from serving.access.code_flow import PendingSignIn
from serving.access.sealed import SealedStore
from serving.audit.record import Action, AuditEvent, Detail
from serving.audit.trail import AuditTrail, Beside, Entry

__all__ = ["Browsers", "LaunchRecord", "Session", "SessionContent"]

_CSRF_HEADER = b"x-csrf-token"
_PENDING_SECONDS = 600


class LaunchRecord(TypedDict):
    """The record that an EHR's launch opens: server, access token, and ids of the resources."""

    server: str
    token: str
    patient: str
    encounter: str


class SessionContent(TypedDict, total=False):
    """What a session stores: caller and name, and what sign-out or the record needs."""

    actor: str
    roles: Sequence[str]
    name: str
    id_token: str
    record: LaunchRecord


@dataclass(frozen=True, slots=True)
class Session:
    """One signed-in browser.

    Parameters
    ----------
    secret : str
        The value of its cookie.
    ends_in : float
        Seconds until it ends in any case.
    """

    secret: str
    caller: Caller
    content: SessionContent
    ends_in: float

    @property
    def csrf(self) -> str:
        """The token that the page sends with every request that changes something."""
        return hmac.digest(self.secret.encode(), b"osteon csrf", hashlib.sha256).hex()

    def is_sent_by_page(self, scope: Scope) -> bool:
        """Return whether a request has the token, which other sites cannot read."""
        sent = dict(scope["headers"]).get(_CSRF_HEADER, b"")
        return hmac.compare_digest(sent, self.csrf.encode())


class Browsers:
    """The sessions of all browsers, the same in every worker.

    Parameters
    ----------
    trail : AuditTrail
        Records sign-ins and sign-outs; its database holds the sessions.
    secure : bool
        Whether browsers use https, so that the cookies are bound to it, and to this host
        (`__Host-`).
    path : str
        The path under which a proxy offers the service; empty for none. With one, cookies go to
        that path only (`__Secure-`), since other services share the host.
    idle_minutes, hours : int
        Time without a request after which a session ends, and time after which any session ends.
    """

    def __init__(
        self,
        trail: AuditTrail,
        *,
        secure: bool,
        path: str = "",
        idle_minutes: int,
        hours: int,
    ) -> None:
        self.idle_seconds = 60 * idle_minutes
        self._trail = trail
        self._secure = secure
        self._path = path or "/"
        bound = "__Secure-" if path else "__Host-"
        self._prefix = f"{bound if secure else ''}osteon"
        self._session_cookie = f"{self._prefix}-session"
        self._sessions: SealedStore[SessionContent] = SealedStore(
            trail.database,
            trail.keys,
            "session",
            idle_seconds=self.idle_seconds,
            lifetime_seconds=3_600 * hours,
        )
        self._pending: SealedStore[PendingSignIn] = SealedStore(
            trail.database,
            trail.keys,
            "sign-in",
            idle_seconds=_PENDING_SECONDS,
            lifetime_seconds=_PENDING_SECONDS,
        )

    def session(self, scope: Scope) -> Session | None:
        """Return the session of a request, or None; the end of an expired session is recorded."""
        secret = _cookies(scope).get(self._session_cookie, "")
        row = self._sessions.get(secret)
        if row is None or "actor" not in row.content:
            return None
        caller = Caller(row.content["actor"], frozenset(row.content["roles"]))
        if row.over is not None:
            self._record("sign_out", caller.actor, row.over, scope)
            return None
        return Session(secret, caller, row.content, row.ends_in)

    def begin(
        self, response: Response, scope: Scope, caller: Caller, content: SessionContent
    ) -> None:
        """Start a new session in a browser; a previous one ends."""
        before = self.session(scope)
        if before is not None:
            self.end(response, scope, before, "replaced")
        roles = sorted(caller.roles)
        secret, write = self._sessions.new({"actor": caller.actor, "roles": roles, **content})
        self._record("sign_in", caller.actor, "ok", scope, {"roles": roles}, write)
        self._set(response, self._session_cookie, secret, None)

    def end(self, response: Response, scope: Scope, session: Session, why: str = "ok") -> None:
        """End a session, and record it."""
        self._sessions.end(session.secret)
        self._record("sign_out", session.caller.actor, why, scope)
        self._set(response, self._session_cookie, "", 0)

    def refused(self, scope: Scope, reason: str) -> None:
        """Record a sign-in that failed."""
        self._record("sign_in", "unknown", "refused", scope, {"reason": reason})

    def remember(self, response: Response, pending: PendingSignIn) -> None:
        """Store a sign-in in progress until the same browser returns."""
        secret = self._pending.put(pending)
        self._set(response, self._pending_cookie(pending["state"]), secret, _PENDING_SECONDS)

    def recall(self, scope: Scope, state: str) -> PendingSignIn | None:
        """Return, once, a sign-in that this browser started; None if unknown or too old."""
        pending = self._pending.take(_cookies(scope).get(self._pending_cookie(state), ""))
        return pending if pending and "state" in pending else None

    def forget(self, response: Response, state: str) -> None:
        """Delete the cookie of a completed sign-in from the browser."""
        self._set(response, self._pending_cookie(state), "", 0)

    def _pending_cookie(self, state: str) -> str:
        # One cookie each, so that two tabs can sign in at the same time.
        return f"{self._prefix}-sign-in-{hashlib.sha256(state.encode()).hexdigest()[:12]}"

    def _set(self, response: Response, name: str, value: str, seconds: int | None) -> None:
        response.set_cookie(
            name,
            value,
            max_age=seconds,
            path=self._path,
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


def _cookies(scope: Scope) -> dict[str, str]:
    sent = [str(value, "latin-1") for name, value in scope["headers"] if name == b"cookie"]
    return cookie_parser("; ".join(sent))
