"""The application of one process: routes, error responses, access and models."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Iterable
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from importlib.metadata import version
from typing import TYPE_CHECKING

from fastapi import APIRouter, FastAPI

from data_schema.errors import OutsideError
from data_schema.fhir.site_codes import NO_SITE_CODES, read_site_codes
from serving.access.api_keys import KeyRing
from serving.access.certificates import MachineCallers
from serving.access.cross_origin import CrossOrigin, CrossSiteGuard
from serving.access.gatekeeper import Credentials, Gatekeeper, LoopbackGate
from serving.access.rate import Buckets
from serving.audit.opening import trail_at
from serving.audit.trail import AuditTrail
from serving.http.boundary import RequestBoundary
from serving.http.metrics import Metrics
from serving.http.public_path import PublicPath
from serving.http.security_headers import SecurityHeaders
from serving.monitoring.state import MonitoringState
from serving.openapi import PROBLEM_RESPONSES, describe, operation_id
from serving.prediction.served import Served, ServedModel
from serving.problems import details as problems
from serving.routes import (
    cds,
    fhir,
    health,
    inference_protocol,
    metrics,
    monitoring,
    outcomes,
    page,
    predict,
    variables,
)
from serving.routes import models as served_models
from serving.settings import Settings

if TYPE_CHECKING:
    from serving.access.client_tokens import ClientTokens

__all__ = ["ROUTERS", "create_app", "swap"]

_LOG = logging.getLogger(__name__)

_CDS_THREADS = 8

ROUTERS = (
    predict.router,
    outcomes.router,
    variables.router,
    served_models.router,
    fhir.router,
    inference_protocol.router,
    cds.router,
    health.router,
    metrics.router,
    monitoring.router,
    page.router,
)


def _credentials(settings: Settings, trail: AuditTrail) -> list[Credentials]:
    """Return the kinds of credential that callers may use."""
    accepted: list[Credentials] = [KeyRing(trail.database, trail.keys)]
    if settings.oidc_issuers:
        from serving.access.tokens import Tokens  # takes a while to import

        assert settings.oidc_audience is not None  # checked by the settings
        accepted.append(
            Tokens(
                settings.oidc_issuers,
                audience=settings.oidc_audience,
                roles_claim=settings.oidc_roles_claim,
                role_groups=settings.oidc_role_groups,
            )
        )
    return accepted


def _clients(settings: Settings, trail: AuditTrail) -> ClientTokens | None:
    """Return the check of CDS clients' tokens, if the settings name clients."""
    if not settings.cds_clients:
        return None
    from serving.access.client_tokens import ClientTokens  # takes a while to import

    assert settings.public_url is not None  # checked by the settings
    return ClientTokens(settings.cds_clients, public_url=settings.public_url, trail=trail)


def _browser_routers() -> tuple[APIRouter, ...]:
    """Return the routes of a page that requires sign-in."""
    from serving.routes import launch, sign_in

    return sign_in.router, launch.router


def _trail(settings: Settings) -> AuditTrail:
    """Return the audit trail; while its database is down, requests to record are refused."""
    trail = trail_at(settings)
    try:
        trail.start()
    except OutsideError as error:
        _LOG.warning("No prediction is answered until it can be recorded. %s", error)
    except BaseException:
        trail.close()
        raise
    return trail


def swap(app: FastAPI, served: Served) -> None:
    """Serve other models from the next request on; requests in progress keep their models."""
    app.state.served = served
    app.openapi_schema = None


def create_app(
    settings: Settings,
    *,
    models: Iterable[ServedModel] = (),
    shadows: Iterable[ServedModel] = (),
    buckets: Buckets | None = None,
) -> FastAPI:
    """Return the service.

    Parameters
    ----------
    models : iterable of ServedModel
        The models to serve; with none, predictions are answered with 503.
    shadows : iterable of ServedModel
        Models that score beside the one of their name, on record and never shown.
    buckets : Buckets, optional
        Counters of each caller's requests, shared with other workers (default: this process only).

    Raises
    ------
    UsageError
        If the settings of the audit trail are wrong, its database is of a newer version, or the
        site's code map cannot be read.
    GateError
        If records of the audit trail are missing or changed.
    """
    site_codes = NO_SITE_CODES if settings.code_map is None else read_site_codes(settings.code_map)
    trail = _trail(settings)

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        with ThreadPoolExecutor(_CDS_THREADS, "cds") as app.state.cds_threads:
            yield
        trail.close()

    # The framework's documentation pages load scripts from other hosts, so they are off; an extra
    # slash gives 404, not a redirect built from the Host header.
    app = FastAPI(
        title="Osteon",
        version=version("osteon"),
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
        lifespan=lifespan,
        generate_unique_id_function=operation_id,
        # The framework's spans hold addresses as they were sent, its logs texts of exceptions.
        telemetry={"tracing": False, "metrics": False, "logs": False},
    )
    app.state.served = Served(models, shadows=shadows, menu=settings.menu, demo=settings.demo)
    app.state.settings = settings
    app.state.site_codes = site_codes
    app.state.trail = trail
    app.state.metrics = Metrics()
    app.state.monitoring = MonitoringState(trail.database, days=settings.monitoring_days)
    trail.observe = app.state.metrics.time_trail
    app.state.is_draining = False
    app.state.sign_in = None
    if settings.sign_in_issuer or settings.smart_servers:
        from serving.access.sign_in import SignIn  # takes a while to import

        app.state.sign_in = SignIn(settings, trail)
    for router in (*ROUTERS, *(_browser_routers() if app.state.sign_in else ())):
        app.include_router(router, responses=PROBLEM_RESPONSES)
    problems.install(app)
    if settings.authentication == "none":
        app.add_middleware(LoopbackGate)
    else:
        app.add_middleware(
            Gatekeeper,
            credentials=_credentials(settings, trail),
            clients=_clients(settings, trail),
            trail=trail,
            requests_per_minute=settings.requests_per_minute,
            buckets=buckets or Buckets(),
            https_only=bool(settings.trusted_proxies),
            browsers=app.state.sign_in and app.state.sign_in.browsers,
            public_url=settings.public_url,
            machines=MachineCallers(settings) if settings.tls_client_roles else None,
        )
    app.add_middleware(CrossSiteGuard, origins=settings.cds_origins, public_url=settings.public_url)
    if settings.cds_origins:
        app.add_middleware(CrossOrigin, origins=settings.cds_origins)
    app.add_middleware(
        RequestBoundary,
        max_body_bytes=settings.max_body_bytes,
        metrics=app.state.metrics,
        is_draining=lambda: app.state.is_draining,
    )
    app.add_middleware(SecurityHeaders)
    if settings.public_path:
        app.add_middleware(PublicPath, prefix=settings.public_path)
    describe(app)
    return app
