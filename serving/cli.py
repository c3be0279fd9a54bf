"""The command `osteon serve`.

What is heavy is imported when it runs, so that `osteon --help` stays quick.
"""

from __future__ import annotations

import json
import logging
import socket
from typing import TYPE_CHECKING, Annotated

import typer

from data_schema.errors import OutsideError, UsageError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from serving.served import ServedModel

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
    as_json: Annotated[
        bool, typer.Option("--json", help="Print one JSON object once it can be reached.")
    ] = False,
) -> None:
    """Serve predictions over HTTP. Options come before OSTEON_* variables."""
    import uvicorn

    from serving.access.exposure import check_exposure
    from serving.app import create_app
    from serving.loading import load_models
    from serving.page.rendering import front_page
    from serving.settings import read_settings

    stated = {"host": host, "port": port, "model": model, "names": tuple(name or ()) or None}
    settings = read_settings(**{key: value for key, value in stated.items() if value is not None})
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s")
    with _bound(settings.host, settings.port) as listener:
        address = listener.getsockname()[0]
        check_exposure(settings, address, ())
        models = load_models(settings)
        check_exposure(settings, address, models)
        app = create_app(settings, models=models)
        front_page(app.state.served)  # drawn once, so that the first clinician does not wait
        listener.listen()  # so that whoever reads the next line can connect at once
        _announce(listener, models, as_json=as_json, tls=settings.tls_certificate is not None)
        # Our own access log replaces uvicorn's, which prints the address as it was sent.
        config = uvicorn.Config(
            app,
            log_config=None,
            access_log=False,
            server_header=False,
            ssl_certfile=settings.tls_certificate,
            ssl_keyfile=settings.tls_key,
            proxy_headers=bool(settings.trusted_proxies),
            forwarded_allow_ips=list(settings.trusted_proxies),
        )
        uvicorn.Server(config).run(sockets=[listener])


def _bound(host: str, port: int) -> socket.socket:
    """Return a socket bound to an address, which nobody can reach yet, or raise."""
    try:
        family, kind, proto, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
    except OSError:
        raise UsageError(f"host must be an address of this machine; got {host!r}.") from None
    listener = socket.socket(family, kind, proto)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind(address)
    except OSError as error:
        listener.close()
        raise OutsideError(
            f"port must be free; {port} could not be taken ({error.strerror}). Choose another."
        ) from None
    return listener


def _announce(
    listener: socket.socket, models: Sequence[ServedModel], *, as_json: bool, tls: bool
) -> None:
    """Print where the service listens and what it serves; warn of what nobody promoted."""
    address, port = listener.getsockname()[:2]
    scheme = "https" if tls else "http"
    url = f"{scheme}://[{address}]:{port}" if ":" in address else f"{scheme}://{address}:{port}"
    for model in models:
        if not model.promoted:
            typer.echo(
                f"NOT PROMOTED: {model.loaded.name} has no valid gate record here and is served to "
                "this machine only, with alias null.",
                err=True,
            )
    if not models:
        typer.echo("NO MODEL: no promoted model was found; predictions answer 503.", err=True)
    if as_json:
        identities = [model.identity.model_dump() for model in models]
        typer.echo(json.dumps({"url": url, "models": identities}))
    else:
        served = ", ".join(f"{m.loaded.name} {m.loaded.version or ''}".strip() for m in models)
        typer.echo(f"Osteon serves {served or 'no model'} at {url}")
