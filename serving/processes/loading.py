"""Which models the settings name, loaded: champions through the gate, or one model past it."""

from __future__ import annotations

from dataclasses import dataclass

from data_schema.errors import GateError, UsageError
from models.registry.gate import gate_key
from models.registry.lifecycle import CHAMPION, LoadedModel, load, load_champion
from models.registry.tracking import connect, outside_errors
from models.registry.versions import Version, aliased_version, list_models
from serving.prediction.served import ServedModel
from serving.processes.plan import Refused
from serving.settings import Settings

__all__ = ["Loaded", "champions", "load_models"]

_MODEL_CARD = "model_card.md"


@dataclass(frozen=True)
class Loaded:
    """What the registry had to serve.

    Parameters
    ----------
    models : tuple of ServedModel
    refused : tuple of Refused
        Champions in name only: without a valid record, changed, or of an unknown format.
    """

    models: tuple[ServedModel, ...]
    refused: tuple[Refused, ...] = ()


def champions(settings: Settings) -> tuple[Version, ...]:
    """Return the versions that the registry calls champion, of the names that the settings state.

    Parameters
    ----------
    settings : Settings
        With `names`, of those; without, every `osteon-*`.

    Returns
    -------
    tuple of Version
        Nothing of them is verified.

    Raises
    ------
    UsageError
        If a named model does not exist.
    OutsideError
        If the registry fails.
    """
    names = settings.names or sorted({version.name for version in list_models()})
    found = []
    for name in names:
        version = aliased_version(name, CHAMPION)
        if version is not None:
            found.append(version)
    return tuple(found)


def load_models(settings: Settings) -> Loaded:
    """Return the models that the settings name.

    Parameters
    ----------
    settings : Settings
        With `model`, that one, whatever the gate says; else as `champions`.

    Returns
    -------
    Loaded

    Raises
    ------
    UsageError
        If a named model does not exist, or there is a champion and no key to check its record with.
    OutsideError
        If the registry fails.
    """
    if settings.model is not None and settings.names:
        raise UsageError("model and names must not both be set; they are. Set one of them.")
    if settings.model is not None:
        loaded = load(settings.model)
        return Loaded((ServedModel(loaded, promoted=False, model_card=_model_card(loaded)),))
    models, refused = [], []
    for version in champions(settings):
        key = gate_key()
        try:
            loaded = load_champion(version.name, key)
            model = ServedModel(loaded, promoted=True, model_card=_model_card(loaded))
        except (GateError, UsageError) as error:
            # The others are still good; this one is served as little as if it were not there.
            refused.append(Refused(name=version.name, version=version.version, message=str(error)))
        else:
            models.append(model)
    return Loaded(tuple(models), tuple(refused))


def _model_card(loaded: LoadedModel) -> str | None:
    """Return the card that the training run kept, or None if there is no run or no card."""
    if loaded.run_id is None:
        return None
    mlflow = connect()
    with outside_errors():
        kept = [file.path for file in mlflow.MlflowClient().list_artifacts(loaded.run_id)]
        if _MODEL_CARD not in kept:
            return None
        card: str = mlflow.artifacts.load_text(f"runs:/{loaded.run_id}/{_MODEL_CARD}")
        return card
