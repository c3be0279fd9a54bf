"""How uvicorn serves the application: HTTP/1.1, TLS and its files, time limits."""

from __future__ import annotations

import ssl
from typing import TYPE_CHECKING

import uvicorn

from serving.processes.timed_heads import TimedHeads
from serving.processes.tls_files import TlsFiles
from serving.settings import Settings

if TYPE_CHECKING:
    from fastapi import FastAPI

__all__ = ["server_of"]

_SECONDS_BETWEEN_RENEWALS = 1


def server_of(app: FastAPI, settings: Settings) -> uvicorn.Server:
    """Return the server of one process, which takes up renewed files of TLS."""
    has_tls = settings.tls_certificate is not None
    authorities = settings.tls_client_authorities if has_tls else None
    config = uvicorn.Config(
        app,
        http=TimedHeads,
        # Our own access log replaces uvicorn's, which prints the address as it was sent.
        log_config=None,
        access_log=False,
        server_header=False,
        ssl_certfile=settings.tls_certificate,
        ssl_keyfile=settings.tls_key,
        ssl_ca_certs=None if authorities is None else str(authorities),
        # A caller without a certificate may still have a key, a token or a session.
        ssl_cert_reqs=ssl.CERT_NONE if authorities is None else ssl.CERT_OPTIONAL,
        timeout_keep_alive=settings.keep_alive_seconds,
        proxy_headers=bool(settings.trusted_proxies),
        forwarded_allow_ips=list(settings.trusted_proxies),
        timeout_graceful_shutdown=settings.shutdown_seconds,
    )
    config.load()
    if config.ssl is not None:
        assert settings.tls_certificate is not None
        assert settings.tls_key is not None
        files = TlsFiles(config.ssl, settings.tls_certificate, settings.tls_key, authorities)
        config.callback_notify, config.timeout_notify = files.renew, _SECONDS_BETWEEN_RENEWALS
    return uvicorn.Server(config)
