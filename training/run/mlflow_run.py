"""One training run in MLflow: opened before the fit, closed as finished or failed."""

from __future__ import annotations

import getpass
import json
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import urlparse
from urllib.request import url2pathname

from models.registry.tracking import connect, experiment_id, outside_errors

__all__ = ["LoggedPatients", "TrackedRun", "tracked_run", "user_name"]


@dataclass(frozen=True, slots=True)
class LoggedPatients:
    """The patients of a run as MLflow lists a data set: no value of a patient.

    Parameters
    ----------
    name, fingerprint : str
        The model's name, and the SHA-256 of the patients.
    context : str
        What they were used for.
    columns : mapping of str to str
        Column -> "double" or "string".
    profile : mapping of str to int
        Counts.
    source : str
        Where the data come from, in words.
    """

    name: str
    fingerprint: str
    context: str
    columns: Mapping[str, str]
    profile: Mapping[str, int]
    source: str


@dataclass(frozen=True, slots=True)
class TrackedRun:
    """An open run."""

    run_id: str
    experiment_id: str
    artifact_uri: str

    def log(
        self,
        *,
        params: Mapping[str, object],
        metrics: Mapping[str, float],
        tags: Mapping[str, str],
        files: Mapping[str, str | bytes],
    ) -> None:
        """Log parameters, metrics, tags and files (artifact path -> content) of a run."""
        mlflow = connect()
        client = mlflow.MlflowClient()
        entities = mlflow.entities
        with tempfile.TemporaryDirectory() as scratch, outside_errors():
            for name, content in files.items():
                path = Path(scratch, name)
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(content.encode() if isinstance(content, str) else content)
            client.log_artifacts(self.run_id, scratch)
            client.log_batch(
                self.run_id,
                metrics=[entities.Metric(name, value, 0, 0) for name, value in metrics.items()],
                params=[entities.Param(name, str(value)) for name, value in params.items()],
                tags=[entities.RunTag(name, value) for name, value in tags.items()],
            )

    def log_child(
        self,
        name: str,
        *,
        params: Mapping[str, object],
        metrics: Mapping[str, float],
        pruned: bool,
    ) -> None:
        """Log a run of its own below this one, which has ended or was given up early."""
        mlflow = connect()
        client, entities = mlflow.MlflowClient(), mlflow.entities
        tags = {"mlflow.parentRunId": self.run_id, "mlflow.user": user_name()}
        with outside_errors():
            child = client.create_run(experiment_id(), run_name=name, tags=tags).info.run_id
            client.log_batch(
                child,
                metrics=[entities.Metric(key, value, 0, 0) for key, value in metrics.items()],
                params=[entities.Param(key, str(value)) for key, value in params.items()],
            )
            client.set_terminated(child, "KILLED" if pruned else "FINISHED")

    def log_dataset(self, patients: LoggedPatients) -> None:
        """Log fingerprint, columns and counts of the patients of a run; no patient data."""
        mlflow = connect()
        entities = mlflow.entities
        schema = [
            {"type": kind, "name": name, "required": False}
            for name, kind in patients.columns.items()
        ]
        # MLflow's digests have at most 36 characters; the whole one is in the contract.
        dataset = entities.Dataset(
            patients.name,
            patients.fingerprint[:36],
            source_type="osteon",
            source=json.dumps({"description": patients.source}),
            schema=json.dumps({"mlflow_colspec": schema}),
            profile=json.dumps(dict(patients.profile)),
        )
        tag = entities.InputTag("mlflow.data.context", patients.context)
        with outside_errors():
            mlflow.MlflowClient().log_inputs(self.run_id, [entities.DatasetInput(dataset, [tag])])

    def location(self, file: str) -> str:
        """Return the place of an artifact: a path if it is a local file, else a URI."""
        uri = f"{self.artifact_uri}/{file}"
        parsed = urlparse(uri)
        return url2pathname(parsed.path) if parsed.scheme == "file" else uri


@contextmanager
def tracked_run(name: str, *, command: str = "osteon train") -> Iterator[TrackedRun]:
    """Open a run of Osteon's experiment; it is marked as failed if the block raises.

    Its name is that of the model with the time of the run in UTC; `command` is its source.
    """
    client = connect().MlflowClient()
    tags = {
        "mlflow.user": user_name(),
        "mlflow.source.name": command,
        "mlflow.source.type": "LOCAL",
    }
    started = f"{datetime.now(UTC):%Y-%m-%d %H:%M}"
    with outside_errors():
        info = client.create_run(experiment_id(), run_name=f"{name} {started}", tags=tags).info
    status = "FAILED"
    try:
        yield TrackedRun(info.run_id, info.experiment_id, info.artifact_uri)
        status = "FINISHED"
    finally:
        with outside_errors():
            client.set_terminated(info.run_id, status)


def user_name() -> str:
    """Return the name of the user, or `unknown` if the system has none."""
    try:
        return getpass.getuser()
    except (KeyError, OSError, ImportError):
        return "unknown"
