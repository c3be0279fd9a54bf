"""Which models the settings name, loaded: champions through the gate, or one model past it."""

from __future__ import annotations

import logging

from data_schema.errors import GateError, UsageError
from models.gate import gate_key
from models.registry import CHAMPION, LoadedModel, load, load_champion
from models.tracking import connect, outside_errors
from models.versions import aliased_version, list_models
from serving.served import ServedModel
from serving.settings import Settings

__all__ = ["load_models"]

_MODEL_CARD = "model_card.md"

_LOG = logging.getLogger(__name__)


def load_models(settings: Settings) -> tuple[ServedModel, ...]:
    """Return the models that the settings name.

    Parameters
    ----------
    settings : Settings
        With `model`, that one, whatever the gate says; with `names`, those champions; with neither,
        every champion that has a valid gate record, which may be none.

    Returns
    -------
    tuple of ServedModel

    Raises
    ------
    UsageError
        If a named model does not exist, or there is a champion and no key to check its record with.
    GateError
        If a named champion has no valid gate record.
    OutsideError
        If the registry fails.
    """
    if settings.model is not None and settings.names:
        raise UsageError("model and names must not both be set; they are. Set one of them.")
    if settings.model is not None:
        return (_past_the_gate(settings.model),)
    if settings.names:
        key = gate_key()
        return tuple(_champion(name, key) for name in settings.names)
    return _every_champion()


def _past_the_gate(uri: str) -> ServedModel:
    loaded = load(uri)
    return ServedModel(loaded, promoted=False, model_card=_model_card(loaded))


def _every_champion() -> tuple[ServedModel, ...]:
    names = sorted({version.name for version in list_models()})
    with_champion = [name for name in names if aliased_version(name, CHAMPION) is not None]
    if not with_champion:
        return ()
    key = gate_key()
    models = []
    for name in with_champion:
        try:
            models.append(_champion(name, key))
        except GateError as error:
            # The others are still good; this one is served as little as if it were not there.
            _LOG.warning("%s is not served. %s", name, error)
    return tuple(models)


def _champion(name: str, key: bytes) -> ServedModel:
    loaded = load_champion(name, key)
    return ServedModel(loaded, promoted=True, model_card=_model_card(loaded))


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
