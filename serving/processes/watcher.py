"""A process that looks at the registry, so that neither the supervisor nor a worker waits for it.

It gets the settings as one line on stdin, and says in lines on stdout what is to be served: what
the registry allows, and what was kept on this disk where the registry fails or allows nothing. It
ends when the registry fails, and when stdin does: the next one begins with connections of its own.
"""

from __future__ import annotations

import json
import os
import select
import sys
from pathlib import Path

from data_schema.errors import GateError, OsteonError, OutsideError
from models.registry.gate import gate_key
from models.registry.versions import Version
from serving.processes.champion_cache import ChampionCache
from serving.processes.loading import champions, load_models
from serving.processes.plan import Failure, Kept, Refused, Sighting
from serving.settings import Settings, read_settings

__all__ = ["main"]


def main() -> None:
    """Look at once, and then as often as the settings say."""
    line = sys.stdin.readline()
    if not line:
        return
    settings = read_settings(**json.loads(line))
    said = sys.stdout
    sys.stdout = sys.stderr  # what a library prints is no line of ours
    cache = ChampionCache(settings.model_dir)
    registry: tuple[int, int] | None = None
    known: tuple[Version, ...] | None = None
    while True:
        try:
            _check_in_place(registry, cache)
            seen = None if settings.model else champions(settings)
            changed = seen is None or seen != known
            sighting = _sighting(settings, cache) if changed else Sighting()
            # What was refused may be put right without a trace in the registry.
            known, registry = None if sighting.refused else seen, _registry_file()
        except OsteonError as error:
            failure = Failure.of(error)
            kept, refused = _cached(settings, cache)
            sighting = Sighting(models=kept, refused=refused, failure=failure)
        print(sighting.model_dump_json(), file=said, flush=True)
        if sighting.failure is not None or settings.model is not None:
            return
        if select.select([sys.stdin], [], [], settings.registry_poll_seconds)[0]:
            return


def _sighting(settings: Settings, cache: ChampionCache) -> Sighting:
    loaded = load_models(settings)
    key = gate_key() if any(model.promoted for model in loaded.models) or loaded.refused else None
    kept = [cache.keep(model, key) for model in loaded.models]
    refused = list(loaded.refused)
    for one in loaded.refused:
        try:
            assert key is not None
            kept.append(cache.champion(one.name, key))
        except GateError:
            continue  # nothing of that name is served; why is said already
    if settings.model is None:
        named = {one.name for one in kept} | {one.name for one in refused}
        for name in set(cache.champions()) - named:
            if not settings.names or name in settings.names:
                cache.forget(name)
    return Sighting(models=tuple(kept), refused=tuple(refused))


def _cached(
    settings: Settings, cache: ChampionCache
) -> tuple[tuple[Kept, ...], tuple[Refused, ...]]:
    """Return what was kept on this disk and is whole, and what is not."""
    if settings.model is not None:
        return (), ()
    kept, refused = [], []
    for name in settings.names or cache.champions():
        try:
            kept.append(cache.champion(name, gate_key()))
        except OsteonError as error:
            refused.append(Refused(name=name, version=None, message=str(error)))
    return tuple(kept), tuple(refused)


def _check_in_place(registry: tuple[int, int] | None, cache: ChampionCache) -> None:
    """Raise if the registry is a file and not the one that it was.

    MLflow would go on with a file that was moved, and make an empty one in its place.
    """
    found = _registry_file()
    if found is not None and (
        found != registry if registry is not None else not any(found) and cache.champions()
    ):
        raise OutsideError("The MLflow registry must stay where it is; its file is gone or new.")


def _registry_file() -> tuple[int, int] | None:
    """Return which file the registry is, zeros if that is not there, None if it is none."""
    uri = os.environ.get("MLFLOW_TRACKING_URI") or "sqlite:///mlflow.db"
    if not uri.startswith("sqlite:///"):
        return None
    try:
        found = Path(uri.removeprefix("sqlite:///").split("?")[0]).stat()
    except OSError:
        return (0, 0)
    return found.st_dev, found.st_ino


if __name__ == "__main__":
    main()
