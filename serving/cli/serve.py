"""The command `osteon serve`.

Heavy modules are imported when it runs, so that `osteon --help` stays fast.
"""

from __future__ import annotations

import json
import logging
import os
from contextlib import closing, suppress
from typing import TYPE_CHECKING, Annotated

import typer

from data_schema.errors import OutsideError, UsageError

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable, Sequence

    from serving.processes.messages import CachedModel

__all__ = ["serve"]

# The public sandbox of CDS Hooks, and a copy of it on this machine.
_SANDBOXES = ("https://sandbox.cds-hooks.org", "http://localhost:8080")


def serve(
    host: Annotated[
        str | None, typer.Option(help="Address to listen on (default: this machine only).")
    ] = None,
    port: Annotated[int | None, typer.Option(help="Port to listen on; 0 takes a free one.")] = None,
    model: Annotated[
        str | None, typer.Option(help="Serve this model URI, promoted or not.")
    ] = None,
    demo: Annotated[
        bool,
        typer.Option(
            "--demo",
            help="Serve the newest simulated models to this machine, with a banner in each card; "
            "the public sandbox of CDS Hooks may call.",
        ),
    ] = False,
    name: Annotated[
        list[str] | None,
        typer.Option(help="Serve the champion of this model; may be repeated (default: all)."),
    ] = None,
    shadow: Annotated[
        list[str] | None,
        typer.Option(
            help="NAME@challenger or NAME/VERSION: score beside the champion, on record and never "
            "shown; may be repeated."
        ),
    ] = None,
    workers: Annotated[
        int | None, typer.Option(help="Number of worker processes (default: 1).")
    ] = None,
    as_json: Annotated[
        bool,
        typer.Option("--json", help="Print one JSON object once it accepts requests."),
    ] = False,
) -> None:
    """Serve predictions over HTTP. Options override OSTEON_* variables."""
    import asyncio

    from serving.access.exposure import check_exposure
    from serving.audit.opening import trail_at
    from serving.processes.listening import bound
    from serving.processes.log import configure_logging
    from serving.processes.supervisor import Supervisor
    from serving.processes.tls_files import check_tls
    from serving.settings import StatedSettings, read_settings

    stated: StatedSettings = {}
    if host is not None:
        stated["host"] = host
    if port is not None:
        stated["port"] = port
    if model is not None:
        stated["model"] = model
    if name:
        stated["names"] = tuple(name)
    if shadow:
        stated["shadow"] = tuple(shadow)
    if workers is not None:
        stated["workers"] = workers
    if demo:
        stated["demo"] = True
        if "OSTEON_CDS_ORIGINS" not in os.environ:
            stated["cds_origins"] = _SANDBOXES
    settings = read_settings(**stated)
    if sum((settings.model is not None, bool(settings.names), settings.demo)) > 1:
        raise UsageError("model, names and demo must not be set together. Set one of them.")
    configure_logging(settings.log_format)
    with bound(settings.host, settings.port) as listener, closing(trail_at(settings)) as trail:
        address = listener.getsockname()[0]
        check_exposure(settings, address, ())
        if settings.tls_certificate is not None:
            authorities = settings.tls_client_authorities
            check_tls(settings.tls_certificate, settings.tls_key, authorities)
        with suppress(OutsideError):  # the workers report it, and retry
            trail.start()

        def announce(models: Sequence[CachedModel]) -> None:
            tls = settings.tls_certificate is not None
            warn = logging.warning if settings.log_format == "json" else _to_stderr
            _announce(listener, models, as_json=as_json, tls=tls, warn=warn)

        supervisor = Supervisor(
            settings,
            stated,
            listener,
            trail,
            check=lambda models: check_exposure(settings, address, models),
            announce=announce,
        )
        asyncio.run(supervisor.run())


def _to_stderr(message: str) -> None:
    typer.echo(message, err=True)


def _announce(
    listener: socket.socket,
    models: Sequence[CachedModel],
    *,
    as_json: bool,
    tls: bool,
    warn: Callable[[str], None],
) -> None:
    """Print where the service listens and what it serves; warn of models without a gate record."""
    address, port = listener.getsockname()[:2]
    scheme = "https" if tls else "http"
    url = f"{scheme}://[{address}]:{port}" if ":" in address else f"{scheme}://{address}:{port}"
    for model in models:
        if not model.promoted:
            warn(
                f"NOT PROMOTED: {model.name} has no valid gate record here and is served to "
                "this machine only, with alias null."
            )
    if not models:
        warn(
            "NO MODEL: there is no promoted model; predictions are answered with 503. "
            "Check MLFLOW_TRACKING_URI."
        )
    if as_json:
        identities = [
            {"name": model.name, "version": model.version, "alias": model.alias} for model in models
        ]
        typer.echo(json.dumps({"url": url, "models": identities}))
    else:
        served = ", ".join(f"{m.name} {m.version or ''}".strip() for m in models)
        typer.echo(f"Osteon serves {served or 'no model'} at {url}")
