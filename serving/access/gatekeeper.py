"""The gate: no request reaches a route before its caller is authenticated and authorized.

The check comes before the body is read. A path that is not named here requires the role `predict`,
so that a new route is closed by default.
"""

from __future__ import annotations

import ipaddress
import logging
import re
from collections.abc import Sequence
from functools import lru_cache
from typing import TYPE_CHECKING, Literal, Protocol, TypeAlias
from urllib.parse import quote

from starlette.concurrency import run_in_threadpool
from starlette.responses import RedirectResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from data_schema.errors import OsteonError
from serving.access.caller import ANONYMOUS, LOCAL, Caller, address_of
from serving.access.rate import Buckets, RateLimit
from serving.audit.record import AuditEvent
from serving.audit.trail import AuditTrail
from serving.problems.details import respond

if TYPE_CHECKING:
    from serving.access.browser import Browsers
    from serving.access.certificates import MachineCallers
    from serving.access.client_tokens import ClientTokens

__all__ = ["Credentials", "Gatekeeper", "LoopbackGate", "credential_for", "page_or_front"]

_LOG = logging.getLogger(__name__)

_Refusal: TypeAlias = tuple[int, dict[str, str]]
"""Status and headers."""

_PUBLIC = frozenset({"/health/live", "/health/ready", "/v2/health/live", "/v2/health/ready"})
_DISCOVERY = "/cds-services"
_READING = frozenset({"GET", "HEAD"})
_ROLE_OF = {"/v1/outcomes": "outcomes", "/sign-out": None}
_METRICS = "/metrics"
# What a browser needs before its user is signed in.
_SIGNING_IN = frozenset(
    {"/sign-in", "/sign-in/callback", "/signed-out", "/launch", "/launch/callback"}
)
_FILES = "/static/"
_PAGES = re.compile(r"/((facts|monitoring|timeline)/[A-Za-z0-9._-]{1,200})?")
_SIGN_INS_PER_MINUTE = 120
_FAILURES_PER_MINUTE = 30
_RETRY = {"Retry-After": "60"}
_BEARER = {"WWW-Authenticate": "Bearer"}


class Credentials(Protocol):
    """One kind of credential: API keys, or tokens of an issuer."""

    def caller(self, text: str) -> Caller | None:
        """Return the caller that a credential identifies, or None if it is not valid."""


def page_or_front(path: str) -> str:
    """Return the path if it is a page of this service, otherwise that of the front page."""
    return path if _PAGES.fullmatch(path) else "/"


class LoopbackGate:
    """ASGI middleware of a service without authentication: only this machine may connect.

    The Host header must name this machine too: a page of another site, shown by a browser on this
    machine, sends that site's name.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] == "http":
            address = scope["client"][0] if scope.get("client") else "127.0.0.1"
            if not (_is_loopback(address) and _is_loopback(_host(scope))):
                await respond(scope["path"], 403)(scope, receive, send)
                return
            scope.setdefault("state", {})["caller"] = LOCAL
        await self._app(scope, receive, send)


class Gatekeeper:
    """ASGI middleware of a service with authentication.

    Parameters
    ----------
    credentials : sequence of Credentials
        Tried in this order.
    clients : ClientTokens or None
        The only credential for the CDS services, which are closed if it is None. Their discovery is
        public: a client reads it before it knows the audience of its tokens.
    trail : AuditTrail
        Records denied requests.
    requests_per_minute : int
        Limit for one caller.
    https_only : bool
        Whether to refuse requests that a proxy did not receive over TLS.
    browsers : Browsers or None
        Sessions of the page; None without sign-in.
    public_url : str or None
        Base of the address of the sign-in, to which a page redirects.
    machines : MachineCallers or None
        Machines that call with a certificate, for requests without another credential.
    """

    def __init__(
        self,
        app: ASGIApp,
        *,
        credentials: Sequence[Credentials],
        clients: ClientTokens | None,
        trail: AuditTrail,
        requests_per_minute: int,
        buckets: Buckets,
        https_only: bool,
        browsers: Browsers | None = None,
        public_url: str | None = None,
        machines: MachineCallers | None = None,
    ) -> None:
        self._app = app
        self._credentials = tuple(credentials)
        self._clients = clients
        self._trail = trail
        self._requests = RateLimit("requests", requests_per_minute, buckets)
        self._failures = RateLimit("failures", _FAILURES_PER_MINUTE, buckets)
        self._https_only = https_only
        self._browsers = browsers
        self._public_url = public_url
        self._machines = machines
        self._sign_ins = RateLimit("sign-ins", _SIGN_INS_PER_MINUTE, buckets)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] == "http":
            try:
                refusal = await self._refusal(scope)
            except OsteonError as error:
                _LOG.warning("A request is answered with 503. %s", error)
                refusal = (503, {})
            if refusal is not None:
                status, headers = refusal
                answer = (
                    RedirectResponse(headers["Location"], status)
                    if status == 303
                    else respond(scope["path"], status, headers=headers)
                )
                await answer(scope, receive, send)
                return
        await self._app(scope, receive, send)

    async def _refusal(self, scope: Scope) -> _Refusal | None:
        """Return why a request is refused, or None with the caller in the scope."""
        state = scope.setdefault("state", {})
        is_reading = scope["method"] in _READING
        needed = credential_for(scope["path"], scope["method"])
        if needed == "none":
            state["caller"] = ANONYMOUS
            return None
        if self._https_only and scope["scheme"] != "https":
            return 403, {}
        if self._browsers is not None and (
            scope["path"] in _SIGNING_IN or scope["path"].startswith(_FILES)
        ):
            return self._before_sign_in(scope)
        text = _bearer(scope)
        path = scope["path"]
        if text is None and needed == "caller" and self._machines is not None:
            machine = self._machines.caller(scope)
            if machine is not None:
                return await self._allowed(scope, machine)
        if text is None and self._browsers is not None and needed == "caller":
            session = await run_in_threadpool(self._browsers.session, scope)
            if session is None and _is_page(scope):
                to = quote(scope["path"], safe="")
                return 303, {"Location": f"{self._public_url}/sign-in?to={to}"}
            if session is not None:
                if not is_reading and not session.is_sent_by_page(scope):
                    return await self._denied(scope, session.caller.actor, "csrf", 403)
                state["session"] = session
                return await self._allowed(scope, session.caller)
        caller = None if text is None else await run_in_threadpool(self._caller, text, path)
        if caller is None:
            reason = "no_credential" if text is None else "invalid_credential"
            return await self._denied(scope, "unknown", reason, 401)
        return await self._allowed(scope, caller)

    def _before_sign_in(self, scope: Scope) -> _Refusal | None:
        """Allow sign-in attempts up to a rate: each writes a row and calls the provider."""
        if not scope["path"].startswith(_FILES) and not self._sign_ins.allows(address_of(scope)):
            return 429, _RETRY
        scope["state"]["caller"] = ANONYMOUS
        return None

    async def _allowed(self, scope: Scope, caller: Caller) -> _Refusal | None:
        """Return why a known caller may not do this, or None."""
        if not self._requests.allows(caller.actor):
            return 429, _RETRY
        role = _role_for(scope)
        is_scraper = caller.roles == {"metrics"}
        if (role is None and is_scraper) or (role is not None and not caller.may(role)):
            reason = f"not_{role}" if role else "only_metrics"
            return await self._denied(scope, caller.actor, reason, 403)
        scope["state"]["caller"] = caller
        return None

    def _caller(self, text: str, path: str) -> Caller | None:
        if credential_for(path, "POST") == "client":
            return self._clients.caller(text, path) if self._clients else None
        for kind in self._credentials:
            caller = kind.caller(text)
            if caller is not None:
                return caller
        return None

    async def _denied(self, scope: Scope, actor: str, reason: str, status: int) -> _Refusal:
        address = address_of(scope)
        # Many guesses must not become as many records.
        if not self._failures.allows(address):
            return 429, _RETRY
        event = AuditEvent(action="denied", actor=actor, status=reason, detail={"address": address})
        await run_in_threadpool(self._trail.append, event)
        return status, _BEARER if status == 401 else {}


def _role_for(scope: Scope) -> str | None:
    """Return the role that a request needs, or None if any caller but a scraper may make it."""
    if scope["path"] == _METRICS:
        return "metrics"
    return None if scope["method"] in _READING else _ROLE_OF.get(scope["path"], "predict")


def credential_for(path: str, method: str) -> Literal["none", "client", "caller"]:
    """Return which credential a request needs: that of a CDS client, or of any other caller."""
    if path in _PUBLIC or (path == _DISCOVERY and method in _READING):
        return "none"
    return "client" if path.startswith(f"{_DISCOVERY}/") else "caller"


def _is_page(scope: Scope) -> bool:
    """Return whether a browser, not a program, requests one of the pages."""
    wanted = b",".join(value for name, value in scope["headers"] if name == b"accept")
    return (
        scope["method"] in _READING
        and b"text/html" in wanted
        and _PAGES.fullmatch(scope["path"]) is not None
    )


def _bearer(scope: Scope) -> str | None:
    """Return the credential of a request, or None if there is none or more than one."""
    stated = [value for name, value in scope["headers"] if name == b"authorization"]
    if len(stated) != 1:
        return None
    scheme, _, text = stated[0].decode("latin-1").partition(" ")
    return text.strip() if scheme.lower() == "bearer" else None


def _host(scope: Scope) -> str:
    """Return the host name in a request, without its port."""
    stated = str(dict(scope["headers"]).get(b"host", b""), "latin-1")
    name = stated.rpartition(":")[0] if stated.rpartition(":")[2].isdigit() else stated
    return name.strip("[]")


@lru_cache(maxsize=64)
def _is_loopback(name: str) -> bool:
    if name.lower() in ("localhost", ""):
        return True
    try:
        return ipaddress.ip_address(name).is_loopback
    except ValueError:
        return False
