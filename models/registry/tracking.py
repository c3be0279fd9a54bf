"""The connection to MLflow, and its failures as Osteon's errors.

MLflow is imported inside the functions, because that takes more than a second.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path
from types import ModuleType

from data_schema.errors import OutsideError, UsageError

__all__ = ["connect", "experiment_id", "outside_errors", "tracking_uri"]

_DEFAULT_URI = "sqlite:///mlflow.db"
_EXPERIMENT = "osteon"
_EXPERIMENT_TAGS = {
    # The kind of experiment whose page is of runs, not of traces. MLflow 3.17 shows it so where its
    # menu is set to model training, as by `?workflowType=machine_learning`.
    "mlflow.experimentKind": "custom_model_development",
    "mlflow.note.content": (
        "Training runs of Osteon. Each holds its report (report.html), its model card, its metrics "
        "with intervals (metrics.csv) and its figures."
    ),
}

_SETTINGS = {
    # Both would access the internet, which a hospital may not allow.
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "MLFLOW_SKIP_PIP_REQUIREMENTS_CHECK": "true",
    "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
    # MLflow's own seven retries take four minutes to report that a server is down.
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "3",
}

_NOT_THERE = {"RESOURCE_DOES_NOT_EXIST", "NOT_FOUND"}


def tracking_uri() -> str:
    """Return the address of the registry: `MLFLOW_TRACKING_URI`, or `mlflow.db` here."""
    return os.environ.get("MLFLOW_TRACKING_URI") or _DEFAULT_URI


def connect() -> ModuleType:
    """Return the `mlflow` module, set to `MLFLOW_TRACKING_URI` (default: `mlflow.db` here).

    Other settings of MLflow that the user made are respected. `OutsideError` if the database or
    the server does not respond.
    """
    for name, value in _SETTINGS.items():
        os.environ.setdefault(name, value)
    import mlflow

    uri = tracking_uri()
    with outside_errors():
        _require_database(uri)
        mlflow.set_tracking_uri(uri)
        mlflow.MlflowClient()  # opens the store, so that a caller's client cannot fail to
    module: ModuleType = mlflow
    return module


def experiment_id() -> str:
    """Return the id of the experiment of every run, and create it if needed.

    Its tags mark the whole registry. With SQLite, artifacts are stored beside the database.
    """
    mlflow = connect()
    client = mlflow.MlflowClient()
    experiment = client.get_experiment_by_name(_EXPERIMENT)
    if experiment is not None:
        missing = {k: v for k, v in _EXPERIMENT_TAGS.items() if k not in experiment.tags}
        for key, value in missing.items():
            client.set_experiment_tag(experiment.experiment_id, key, value)
        return str(experiment.experiment_id)
    uri = mlflow.get_tracking_uri()
    location = None
    if uri.startswith("sqlite:///"):
        location = (Path(uri.removeprefix("sqlite:///")).resolve().parent / "mlruns").as_uri()
    try:
        return str(
            client.create_experiment(
                _EXPERIMENT, artifact_location=location, tags=dict(_EXPERIMENT_TAGS)
            )
        )
    except mlflow.exceptions.MlflowException:
        # Another command may have created it in the meantime.
        created = client.get_experiment_by_name(_EXPERIMENT)
        if created is None:
            raise
        return str(created.experiment_id)


@contextmanager
def outside_errors(*, missing: str = "") -> Iterator[None]:
    """Raise the failures of MLflow, its database and its files as ours.

    Parameters
    ----------
    missing : str
        Message of the `UsageError` raised where the registry lacks the requested object (default:
        such a failure is an `OutsideError`, too).

    Raises
    ------
    OutsideError
        If anything else failed. MLflow's own text may hold a password or a path: it is left out.
    """
    from mlflow.exceptions import MlflowException
    from sqlalchemy.exc import SQLAlchemyError

    try:
        yield
    except (MlflowException, SQLAlchemyError, OSError, ImportError) as error:
        reason = getattr(error, "error_code", type(error).__name__)
        if missing and reason in _NOT_THERE:
            raise UsageError(missing) from error
        advice = (
            f"Let its administrator give the account of MLFLOW_TRACKING_USERNAME the permission "
            f"EDIT for the experiment {_EXPERIMENT} and the model."
            if reason == "PERMISSION_DENIED"
            else "Check MLFLOW_TRACKING_URI and run `osteon doctor`."
        )
        raise OutsideError(f"The MLflow registry failed with {reason}. {advice}") from error


@lru_cache
def _require_database(uri: str) -> None:
    """Fail at once if a database does not respond; MLflow tries for a minute and a half."""
    import sqlalchemy
    from mlflow.store.db.db_types import DATABASE_ENGINES

    if uri.split(":")[0].split("+")[0] not in DATABASE_ENGINES:
        return
    try:
        url = sqlalchemy.make_url(uri)
    except (ValueError, sqlalchemy.exc.ArgumentError):
        raise UsageError(
            "MLFLOW_TRACKING_URI must be a URL such as postgresql://user:password@host:5432/name; "
            "its host or port cannot be read. Percent-encode :, / and @ in user and password (%3A, "
            "%2F, %40), and give the port as a number."
        ) from None
    if url.get_backend_name() == "sqlite" and not Path(url.database or "").is_file():
        folder = Path(url.database or "").absolute().parent
        if not os.access(folder, os.W_OK):
            raise OutsideError(
                "MLFLOW_TRACKING_URI must name the registry of your models (a new one cannot be "
                "made here: the folder is missing or not writable)."
            )
        return  # MLflow will create it.
    engine = sqlalchemy.create_engine(url)
    try:
        sqlalchemy.inspect(engine).get_table_names()
    finally:
        engine.dispose()
