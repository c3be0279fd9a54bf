"""The process that polls the registry, so that neither the supervisor nor a worker waits for it.

It reads the settings as one line from stdin and writes one `RegistryScan` a line to stdout: the
models that the registry allows, or those stored on this disk where the registry fails or allows
none. Another line on stdin asks for a complete scan at once. It ends when the registry fails or
stdin ends; its successor opens its own connections.
"""

from __future__ import annotations

import json
import os
import select
import signal
import sys
from dataclasses import replace
from pathlib import Path
from time import monotonic

from data_schema.errors import GateError, OsteonError, OutsideError
from models.registry.gate import gate_key
from models.registry.versions import Version
from serving.http.metrics import Metrics
from serving.processes.champion_cache import ChampionCache
from serving.processes.loading import (
    champions,
    load_models,
    load_shadows,
    shadows,
    timelines,
)
from serving.processes.log import configure_logging
from serving.processes.messages import (
    CachedModel,
    Failure,
    RefusedVersion,
    RegistryScan,
    open_output,
)
from serving.processes.telemetry import configure_telemetry
from serving.settings import Settings, read_settings

__all__ = ["main"]

_OLDER_RECORD = (
    "Its gate record is older than that of the version served before (the alias was moved by hand, "
    "or the registry set back). Run `osteon rollback {name}` or `osteon promote {name} VERSION`."
)


def main() -> None:
    """Scan the registry at once, then as often as the settings say."""
    line = sys.stdin.readline()
    if not line:
        return
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    settings = read_settings(**json.loads(line))
    configure_logging(settings.log_format)
    configure_telemetry(settings)
    report, metrics = open_output(), Metrics()
    cache = ChampionCache(settings.model_dir)
    registry: tuple[int, int] | None = None
    known: tuple[Version, ...] | None = None
    while True:
        began = monotonic()
        try:
            _check_in_place(registry, cache)
            current = (
                (*champions(settings), *shadows(settings)) if settings.follows_registry else None
            )
            changed = current is None or current != known
            scan = _scan(settings, cache) if changed else RegistryScan()
            scan = replace(scan, timelines=timelines(settings))
            # A refused version can be repaired without a trace in the registry: scan it again.
            known, registry = None if scan.refused else current, _registry_file()
        except OsteonError as error:
            scan = RegistryScan(*_stored(settings, cache), Failure.of(error))
        metrics.time_registry(monotonic() - began, failed=scan.failure is not None)
        report(scan)
        if scan.failure is not None or not settings.follows_registry:
            return
        if select.select([sys.stdin], [], [], settings.registry_poll_seconds)[0]:
            if not sys.stdin.readline():
                return
            known = None


def _scan(settings: Settings, cache: ChampionCache) -> RegistryScan:
    loaded = load_models(settings)
    key = gate_key() if any(model.promoted for model in loaded.models) or loaded.refused else None
    models, all_refused = [], list(loaded.refused)
    for model in loaded.models:
        if key is not None and cache.has_newer_record(model, key):
            name, version = model.loaded.name, model.loaded.version
            all_refused.append(RefusedVersion(name, version, _OLDER_RECORD.format(name=name)))
        else:
            models.append(cache.store(model, key))
    for refused in all_refused:
        try:
            assert key is not None
            cached = cache.champion(refused.name, key)
        except GateError:
            continue  # the refusal already says why no model of that name is served
        if cached.sha256 == refused.withdrawn:
            cache.forget(refused.name)
        else:
            models.append(cached)
    if settings.follows_registry:
        named = {model.name for model in models} | {refused.name for refused in all_refused}
        for name in set(cache.champions()) - named:
            if not settings.names or name in settings.names:
                cache.forget(name)
    beside = tuple(cache.store(model, None) for model in load_shadows(settings))
    return RegistryScan(tuple(models), tuple(all_refused), shadows=beside)


def _stored(
    settings: Settings, cache: ChampionCache
) -> tuple[tuple[CachedModel, ...], tuple[RefusedVersion, ...]]:
    """Return the champions stored on this disk: valid and refused."""
    if not settings.follows_registry:
        return (), ()
    models, refused = [], []
    for name in settings.names or cache.champions():
        try:
            models.append(cache.champion(name, gate_key()))
        except OsteonError as error:
            refused.append(RefusedVersion(name, None, str(error)))
    return tuple(models), tuple(refused)


def _check_in_place(registry: tuple[int, int] | None, cache: ChampionCache) -> None:
    """Raise if the registry is a file and was moved or replaced.

    MLflow would go on with a file that was moved, and make an empty one in its place.
    """
    current = _registry_file()
    if current is not None and (
        current != registry if registry is not None else not any(current) and cache.champions()
    ):
        raise OutsideError("The MLflow registry must stay where it is; its file is gone or new.")


def _registry_file() -> tuple[int, int] | None:
    """Return device and inode of the registry's file, zeros if it is missing, None if no file."""
    uri = os.environ.get("MLFLOW_TRACKING_URI") or "sqlite:///mlflow.db"
    if not uri.startswith("sqlite:///"):
        return None
    try:
        status = Path(uri.removeprefix("sqlite:///").split("?")[0]).stat()
    except OSError:
        return (0, 0)
    return status.st_dev, status.st_ino


if __name__ == "__main__":
    main()
