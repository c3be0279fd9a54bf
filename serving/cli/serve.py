"""The command `osteon serve`.

What is heavy is imported when it runs, so that `osteon --help` stays quick.
"""

from __future__ import annotations

import json
import logging
from contextlib import closing, suppress
from typing import TYPE_CHECKING, Annotated

import typer

from data_schema.errors import OutsideError, UsageError

if TYPE_CHECKING:
    import socket
    from collections.abc import Sequence

    from serving.processes.plan import Kept
    from serving.settings import Settings

__all__ = ["serve"]


def serve(
    host: Annotated[
        str | None, typer.Option(help="Address to listen on; by default only this machine.")
    ] = None,
    port: Annotated[int | None, typer.Option(help="Port to listen on; 0 takes a free one.")] = None,
    model: Annotated[
        str | None, typer.Option(help="Serve this model URI, promoted or not.")
    ] = None,
    name: Annotated[
        list[str] | None,
        typer.Option(help="Serve the champion of this model; may be repeated. Default: all."),
    ] = None,
    workers: Annotated[
        int | None, typer.Option(help="Processes that answer; by default 1.")
    ] = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print one JSON object once it can be reached.")
    ] = False,
) -> None:
    """Serve predictions over HTTP. Options come before OSTEON_* variables."""
    import asyncio

    from serving.access.exposure import check_exposure
    from serving.audit.opening import trail_at
    from serving.processes.listening import bound
    from serving.processes.supervisor import Supervisor
    from serving.settings import read_settings

    options = {
        "host": host,
        "port": port,
        "model": model,
        "names": list(name or ()) or None,
        "workers": workers,
    }
    stated = {key: value for key, value in options.items() if value is not None}
    settings = read_settings(**stated)
    if settings.model is not None and settings.names:
        raise UsageError("model and names must not both be set; they are. Set one of them.")
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s")
    with bound(settings.host, settings.port) as listener, closing(trail_at(settings)) as trail:
        address = listener.getsockname()[0]
        check_exposure(settings, address, ())
        _check_tls(settings)
        with suppress(OutsideError):  # said by the workers, and tried again until it can be written
            trail.start()

        def announce(models: Sequence[Kept]) -> None:
            tls = settings.tls_certificate is not None
            _announce(listener, models, as_json=as_json, tls=tls)

        supervisor = Supervisor(
            settings,
            stated,
            listener,
            trail,
            check=lambda models: check_exposure(settings, address, models),
            announce=announce,
        )
        asyncio.run(supervisor.run())


def _check_tls(settings: Settings) -> None:
    """Raise unless the stated certificate and key, if any, are what a worker can serve with."""
    if settings.tls_certificate is None:
        return
    import ssl

    def none() -> str:  # without it OpenSSL would ask for a passphrase on the terminal
        raise ValueError

    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(
            settings.tls_certificate, settings.tls_key, password=none
        )
    except (OSError, ValueError):
        raise UsageError(
            "OSTEON_TLS_CERTIFICATE and OSTEON_TLS_KEY must be readable PEM files of one pair, the "
            "key without a passphrase, and strong enough for OpenSSL here; they are not."
        ) from None


def _announce(listener: socket.socket, models: Sequence[Kept], *, as_json: bool, tls: bool) -> None:
    """Print where the service listens and what it serves; warn of what nobody promoted."""
    address, port = listener.getsockname()[:2]
    scheme = "https" if tls else "http"
    url = f"{scheme}://[{address}]:{port}" if ":" in address else f"{scheme}://{address}:{port}"
    for model in models:
        if not model.promoted:
            typer.echo(
                f"NOT PROMOTED: {model.name} has no valid gate record here and is served to "
                "this machine only, with alias null.",
                err=True,
            )
    if not models:
        typer.echo(
            "NO MODEL: no promoted model was found; predictions answer 503. "
            "Check MLFLOW_TRACKING_URI.",
            err=True,
        )
    if as_json:
        identities = [
            {"name": model.name, "version": model.version, "alias": model.alias} for model in models
        ]
        typer.echo(json.dumps({"url": url, "models": identities}))
    else:
        served = ", ".join(f"{m.name} {m.version or ''}".strip() for m in models)
        typer.echo(f"Osteon serves {served or 'no model'} at {url}")
