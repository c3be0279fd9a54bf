"""Whether the registry's server or database and this client's MLflow fit together."""

from __future__ import annotations

from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from urllib.parse import urlsplit

from data_schema.errors import OutsideError
from models.registry.tracking import outside_errors, tracking_uri

__all__ = ["Compatibility", "compatibility"]


@dataclass(frozen=True, slots=True)
class Compatibility:
    """What the client has and what it meets.

    Parameters
    ----------
    fits : bool
        Whether the two can be used together.
    detail : str
        Both, and what to do if they do not fit; never a secret.
    """

    fits: bool
    detail: str


def compatibility() -> Compatibility | None:
    """Compare this client's MLflow with the registry in `MLFLOW_TRACKING_URI`.

    A database states the revision of its tables; a server states its version, and hides its
    database. Nothing is changed: MLflow itself would refuse an older database without saying so.

    Returns
    -------
    Compatibility or None
        None for a database that is not made yet.

    Raises
    ------
    OutsideError
        If server or database do not respond.
    """
    uri = tracking_uri()
    scheme = urlsplit(uri).scheme.split("+")[0]
    if scheme in ("http", "https"):
        return _of_server(uri)
    if scheme in ("sqlite", "postgresql", "mysql", "mssql"):
        return _of_database(uri)
    return None


def _of_database(uri: str) -> Compatibility | None:
    """Compare the revision of a database with the one that the client needs."""
    import mlflow
    import sqlalchemy
    from alembic.runtime.migration import MigrationContext
    from alembic.script import ScriptDirectory

    with outside_errors():
        url = sqlalchemy.make_url(uri)
        if url.get_backend_name() == "sqlite" and not Path(url.database or "").is_file():
            return None
        engine = sqlalchemy.create_engine(url)
        try:
            with engine.connect() as connection:
                revision = MigrationContext.configure(connection).get_current_revision()
        finally:
            engine.dispose()
    if revision is None:
        return None
    scripts = ScriptDirectory(str(files("mlflow.store").joinpath("db_migrations")))
    needed = scripts.get_current_head()
    client = f"MLflow {mlflow.__version__} needs revision {needed}"
    if revision == needed:
        return Compatibility(True, f"the database has revision {revision}; {client}")
    known = {script.revision for script in scripts.walk_revisions()}
    advice = (
        "Back it up, then run `mlflow db upgrade` with the address of the database"
        if revision in known
        else "It was made by a newer MLflow: install that version here"
    )
    return Compatibility(
        False, f"the database has revision {revision} and differs: {client}. {advice}."
    )


def _of_server(uri: str) -> Compatibility:
    """Compare the version that a server states with the client's."""
    import mlflow
    from mlflow.utils.credentials import get_default_host_creds
    from mlflow.utils.rest_utils import http_request

    with outside_errors():
        answer = http_request(
            host_creds=get_default_host_creds(uri), endpoint="/version", method="GET", timeout=10
        )
    if answer.status_code != 200:
        raise OutsideError(
            f"The MLflow server answers {answer.status_code} where it states its version. Check "
            "MLFLOW_TRACKING_URI, MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD."
        )
    server, client = answer.text.strip(), mlflow.__version__
    both = f"server {server}, client {client}"
    if server == client:
        return Compatibility(True, f"{both}; the server hides its database")
    fits = server.split(".")[:2] == client.split(".")[:2]
    advice = "" if fits else ". Install the server's version here, or upgrade the server first."
    return Compatibility(fits, f"{both}: they differ{advice}")
