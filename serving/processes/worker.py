"""One process that answers requests; the supervisor sends on stdin which models to serve.

The first line is a `WorkerStart`, every other line a `ServingPlan`. The models of a plan are loaded
beside those in service and swapped in together; a `WorkerReport` on stdout gives the result.
When stdin ends, the worker finishes the requests in progress and ends.
"""

from __future__ import annotations

import gc
import logging
import signal
import socket
import sys
import threading
from typing import TYPE_CHECKING

from data_schema.errors import OsteonError
from serving.access.rate import Buckets
from serving.app import create_app, swap
from serving.page.rendering import front_page
from serving.prediction.served import Served, ServedModel
from serving.processes.champion_cache import read_cached
from serving.processes.log import configure_logging
from serving.processes.messages import (
    Failure,
    RefusedVersion,
    ServingPlan,
    WorkerReport,
    WorkerStart,
    open_output,
    parse_line,
)
from serving.processes.server import server_of
from serving.processes.telemetry import configure_telemetry
from serving.settings import Settings, read_settings

if TYPE_CHECKING:
    from fastapi import FastAPI

__all__ = ["main"]

_LOG = logging.getLogger(__name__)


def main() -> None:
    """Serve until stdin ends."""
    configure_logging("text")  # until the settings are known
    report = open_output()
    first, plan = sys.stdin.readline(), sys.stdin.readline()
    if not plan:  # the supervisor could not start, and has reported why
        return
    start = parse_line(WorkerStart, first)
    try:
        settings = read_settings(**start.settings)
        configure_logging(settings.log_format)
        configure_telemetry(settings)
        app = create_app(settings, buckets=Buckets(start.buckets))
        report(_apply_plan(app, settings, plan))
    except OsteonError as error:
        report(WorkerReport(failure=Failure.of(error)))
        sys.exit(1)
    # The supervisor reloads what can be; a signal to the whole group must end no worker.
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    server = server_of(app, settings)

    def follow() -> None:
        for line in sys.stdin:
            report(_apply_plan(app, settings, line))
        server.should_exit = True

    threading.Thread(target=follow, daemon=True).start()
    server.run(sockets=[socket.socket(fileno=start.listener)])


def _apply_plan(app: FastAPI, settings: Settings, line: str) -> WorkerReport:
    """Serve the models of a plan; where one is unreadable, keep the model in service."""
    plan = parse_line(ServingPlan, line)
    in_service = {model.loaded.name: model for model in app.state.served.models}
    models: list[ServedModel] = []
    refused = []
    for cached in plan.models:
        current = in_service.get(cached.name)
        if current is not None and (
            (current.loaded.version, current.loaded.sha256, current.promoted)
            == (cached.version, cached.sha256, cached.promoted)
        ):
            models.append(current)
            continue
        try:
            model = read_cached(settings.model_dir, cached)
        except OsteonError as error:
            refused.append(RefusedVersion(cached.name, cached.version, str(error)))
            if current is not None:
                models.append(current)
        else:
            # Now, so that the first patient does not wait for it.
            model.loaded.risk_model.prepare()
            models.append(model)
    served = Served(
        models,
        shadows=_shadows(app, settings, plan),
        degraded=plan.degraded,
        menu=settings.menu,
        demo=settings.demo,
        timelines=plan.timelines,
    )
    # Rendered now, so that the first clinician does not wait.
    front_page(served, base=settings.public_path)
    swap(app, served)
    app.state.is_draining = plan.is_draining
    _exempt_from_collection()
    return WorkerReport(tuple(refused))


def _shadows(app: FastAPI, settings: Settings, plan: ServingPlan) -> list[ServedModel]:
    """Return the plan's models of the shadow; one that cannot be read is left out."""
    current = {model.loaded.sha256: model for model in app.state.served.shadows.values()}
    models = []
    for cached in plan.shadows:
        if cached.sha256 in current and current[cached.sha256].loaded.version == cached.version:
            models.append(current[cached.sha256])
            continue
        try:
            model = read_cached(settings.model_dir, cached)
        except OsteonError as error:
            _LOG.warning("nothing scores in the shadow of %s. %s", cached.name, error)
        else:
            model.loaded.risk_model.prepare()
            models.append(model)
    return models


def _exempt_from_collection() -> None:
    """Exempt loaded models from later garbage collections, which would delay an answer by 60 ms.

    Models that an earlier plan exempted and that are no longer served are collected first.
    """
    gc.unfreeze()
    gc.collect()
    gc.freeze()


if __name__ == "__main__":
    main()
