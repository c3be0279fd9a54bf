"""Load the models that the settings name: champions through the gate, or one model URI."""

from __future__ import annotations

import logging
import re
from dataclasses import dataclass

from data_schema.errors import GateError, UsageError
from models.registry.gate import gate_key
from models.registry.life_events import ModelTimeline
from models.registry.lifecycle import CHAMPION, LoadedModel, load, load_approved
from models.registry.timeline import timeline
from models.registry.tracking import connect, outside_errors
from models.registry.versions import Version, aliased_version, find_version, list_models
from models.registry.withdrawal import VersionWithdrawn, check_standing
from serving.prediction.served import ServedModel
from serving.processes.messages import RefusedVersion
from serving.settings import Settings

__all__ = [
    "LoadedModels",
    "champions",
    "load_models",
    "load_shadows",
    "shadows",
    "timelines",
]

_LOG = logging.getLogger(__name__)

_SHADOW = re.compile(r"(?P<name>[\w.-]+)(?:@(?P<alias>[\w-]+)|/(?P<version>\d+))")
_MODEL_CARD = "model_card.md"


@dataclass(frozen=True)
class LoadedModels:
    """The models of the registry, and champions without a valid record or of an unknown format."""

    models: tuple[ServedModel, ...]
    refused: tuple[RefusedVersion, ...] = ()


def champions(settings: Settings) -> tuple[Version, ...]:
    """Return, without a check, the champions of the stated names, or of every `osteon-*`.

    Raises
    ------
    UsageError
        If a named model does not exist.
    OutsideError
        If the registry fails.
    """
    names = settings.names or sorted({version.name for version in list_models()})
    versions = (aliased_version(name, CHAMPION) for name in names)
    return tuple(version for version in versions if version is not None)


def shadows(settings: Settings) -> tuple[Version, ...]:
    """Return, without a check, the versions that score in the shadow; an unset alias names none.

    Raises
    ------
    UsageError
        If an entry is neither NAME@ALIAS nor NAME/VERSION, or names no model or version.
    OutsideError
        If the registry fails.
    """
    versions: list[Version] = []
    for entry in settings.shadow:
        match = _SHADOW.fullmatch(entry)
        if match is None:
            raise UsageError(f"shadow must be NAME@ALIAS or NAME/VERSION; got {entry!r}.")
        name, alias, number = match.groups()
        if number is not None:
            versions.append(find_version(name, version=number))
        elif (version := aliased_version(name, alias)) is not None:
            versions.append(version)
    return tuple(versions)


def timelines(settings: Settings) -> tuple[ModelTimeline, ...]:
    """Return the timeline of each model in the registry that the settings may serve, unverified.

    Raises
    ------
    OutsideError
        If the registry fails.
    """
    if settings.model is not None and not settings.model.startswith("models:/"):
        return ()
    versions = list_models()
    names = settings.names or sorted({version.name for version in versions})
    return tuple(
        ModelTimeline(name, timeline([version for version in versions if version.name == name]))
        for name in names
    )


def load_shadows(settings: Settings) -> tuple[ServedModel, ...]:
    """Return the models that score in the shadow.

    They need no gate record, since no answer shows them. One that was withdrawn or changed is left
    out with a warning: the champion does not depend on it.
    """
    models = []
    for version in shadows(settings):
        try:
            loaded = _load_standing(version.model_uri)
            models.append(ServedModel(loaded, promoted=False))
        except (GateError, UsageError) as error:
            _LOG.warning("nothing scores in the shadow of %s. %s", version.name, error)
    return tuple(models)


def load_models(settings: Settings) -> LoadedModels:
    """Return the stated or the simulated models whatever the gate says, or else the `champions`.

    Champions are verified.

    Raises
    ------
    UsageError
        If a named model does not exist, or there is no key to check the record of a champion.
    GateError
        If the stated model was withdrawn.
    OutsideError
        If the registry fails.
    """
    if sum((settings.model is not None, bool(settings.names), settings.demo)) > 1:
        raise UsageError("model, names and demo must not be set together. Set one of them.")
    if not settings.follows_registry:
        uris = [settings.model] if settings.model is not None else _of_the_demo()
        loaded_models = map(_load_standing, uris)
        return LoadedModels(
            tuple(
                ServedModel(loaded, promoted=False, model_card=_model_card(loaded))
                for loaded in loaded_models
            )
        )
    models, refused = [], []
    for version in champions(settings):
        key = gate_key()
        try:
            # This version, even if the alias has moved to another one in the meantime.
            loaded = load_approved(version, key, alias=CHAMPION)
            model = ServedModel(loaded, promoted=True, model_card=_model_card(loaded))
        except (GateError, UsageError) as error:
            # The other champions are still valid; only this one is not served.
            withdrawn = error.sha256 if isinstance(error, VersionWithdrawn) else None
            refused.append(RefusedVersion(version.name, version.version, str(error), withdrawn))
        else:
            models.append(model)
    return LoadedModels(tuple(models), tuple(refused))


def _load_standing(uri: str) -> LoadedModel:
    """Load a model; raise VersionWithdrawn if its version was withdrawn."""
    loaded = load(uri)
    if loaded.version is not None:
        stated = find_version(loaded.name, version=loaded.version)
        check_standing(stated, list_models(loaded.name))
    return loaded


def _of_the_demo() -> list[str]:
    """Return the newest simulated version of each registered model, or raise UsageError."""
    newest: dict[str, Version] = {}
    for version in list_models():
        number = int(version.version)
        is_newer = version.name not in newest or number > int(newest[version.name].version)
        if version.tags.get("osteon.simulated") == "true" and is_newer:
            newest[version.name] = version
    if not newest:
        raise UsageError(
            "the demo must have a model of simulated patients in the registry; it has none. Run "
            "make demo, and set MLFLOW_TRACKING_URI as it prints."
        )
    return [version.model_uri for version in newest.values()]


def _model_card(loaded: LoadedModel) -> str | None:
    """Return the model card of the training run, or None if there is no run or no card."""
    if loaded.run_id is None:
        return None
    mlflow = connect()
    with outside_errors():
        files = [file.path for file in mlflow.MlflowClient().list_artifacts(loaded.run_id)]
        if _MODEL_CARD not in files:
            return None
        card: str = mlflow.artifacts.load_text(f"runs:/{loaded.run_id}/{_MODEL_CARD}")
        return card
