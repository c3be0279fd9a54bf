"""One process that answers requests; the supervisor tells it on stdin what to serve.

The first line are the settings, the listening socket and where all workers count the requests of
each caller; every other line is a plan. A plan is
loaded beside what is served and swapped in whole, and stdout says how that ended. When stdin ends,
so does the process, after it has answered what it had begun to.
"""

from __future__ import annotations

import gc
import json
import logging
import socket
import sys
import threading
from typing import TYPE_CHECKING, TextIO

import uvicorn

from data_schema.errors import OsteonError
from serving.access.rate import Buckets
from serving.app import create_app, swap
from serving.page.rendering import front_page
from serving.prediction.served import Served, ServedModel
from serving.processes.champion_cache import read_kept
from serving.processes.plan import Failure, Plan, Refused, Told
from serving.processes.timed_heads import TimedHeads
from serving.settings import Settings, read_settings

if TYPE_CHECKING:
    from fastapi import FastAPI

__all__ = ["main"]


def main() -> None:
    """Serve until stdin ends."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s")
    said, sys.stdout = sys.stdout, sys.stderr  # what a library prints is no line of ours
    line, plan = sys.stdin.readline(), sys.stdin.readline()
    if not plan:  # the supervisor could not begin, and has said why
        return
    first = json.loads(line)
    try:
        settings = read_settings(**first["settings"])
        app = create_app(settings, buckets=Buckets(first["buckets"]))
        _follow(app, settings, plan, said)
    except OsteonError as error:
        _say(said, Told(failure=Failure.of(error)))
        sys.exit(1)
    # Our own access log replaces uvicorn's, which prints the address as it was sent.
    config = uvicorn.Config(
        app,
        http=TimedHeads,
        log_config=None,
        access_log=False,
        server_header=False,
        ssl_certfile=settings.tls_certificate,
        ssl_keyfile=settings.tls_key,
        proxy_headers=bool(settings.trusted_proxies),
        forwarded_allow_ips=list(settings.trusted_proxies),
        timeout_graceful_shutdown=settings.shutdown_seconds,
    )
    server = uvicorn.Server(config)
    threading.Thread(target=_obey, args=(app, settings, server, said), daemon=True).start()
    server.run(sockets=[socket.socket(fileno=first["listener"])])


def _obey(app: FastAPI, settings: Settings, server: uvicorn.Server, said: TextIO) -> None:
    for line in sys.stdin:
        _follow(app, settings, line, said)
    server.should_exit = True


def _follow(app: FastAPI, settings: Settings, line: str, said: TextIO) -> None:
    """Serve what a plan says; of a model that cannot be read, what was served of its name."""
    plan = Plan.model_validate_json(line)
    serving: Served = app.state.served
    models: list[ServedModel] = []
    refused = []
    for kept in plan.models:
        same = [m for m in serving.models if m.loaded.name == kept.name]
        if same and _tells(same[0]) == (kept.version, kept.sha256, kept.promoted):
            models += same
            continue
        try:
            models.append(read_kept(settings.model_dir, kept))
        except OsteonError as error:
            refused.append(Refused(name=kept.name, version=kept.version, message=str(error)))
            models += same
    served = Served(models, degraded=plan.degraded, menu=settings.menu)
    front_page(served)  # drawn now, so that the first clinician does not wait
    swap(app, served)
    _set_aside()
    _say(said, Told(refused=tuple(refused)))


def _set_aside() -> None:
    """Keep what was loaded out of later garbage collections, which would halt an answer for 60 ms.

    What an earlier plan had set aside and nobody serves any more is collected first.
    """
    gc.unfreeze()
    gc.collect()
    gc.freeze()


def _tells(model: ServedModel) -> tuple[str | None, str, bool]:
    return model.loaded.version, model.loaded.sha256, model.promoted


def _say(said: TextIO, told: Told) -> None:
    print(told.model_dump_json(), file=said, flush=True)


if __name__ == "__main__":
    main()
