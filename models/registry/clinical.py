"""A registry marked clinical: it never takes a model that learned from simulated patients.

The mark is a tag of Osteon's experiment, so that it holds for every name and every client of this
registry. It is set once and no command of Osteon removes it.
"""

from __future__ import annotations

from data_schema.errors import GateError
from models.registry.tracking import connect, experiment_id, outside_errors

__all__ = ["is_clinical", "mark_clinical", "require_real_patients"]

_TAG = "osteon.clinical"


def mark_clinical() -> None:
    """Mark the registry in `MLFLOW_TRACKING_URI` as clinical.

    Raises
    ------
    OutsideError
        If the registry fails.
    """
    client = connect().MlflowClient()
    with outside_errors():
        client.set_experiment_tag(experiment_id(), _TAG, "true")


def is_clinical() -> bool:
    """Return whether the registry is marked clinical; any value of the mark counts."""
    client = connect().MlflowClient()
    with outside_errors():
        return _TAG in client.get_experiment(experiment_id()).tags


def require_real_patients(name: str, *, simulated: bool) -> None:
    """Raise unless a model learned from real patients, or the registry is not marked clinical.

    Raises
    ------
    GateError
        If the registry is clinical and the model simulated.
    """
    if simulated and is_clinical():
        raise GateError(
            f"{name} learned from simulated patients, and this registry is marked clinical: it "
            "takes models of real patients only. Use another registry (MLFLOW_TRACKING_URI)."
        )
