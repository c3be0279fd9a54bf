"""The registry of models, MLflow's tables and files, as one folder and back.

MLflow is imported inside the functions, because that takes more than a second.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeAlias
from urllib.parse import urlsplit
from urllib.request import url2pathname

from sqlalchemy import (
    Connection,
    Engine,
    MetaData,
    Table,
    create_engine,
    func,
    make_url,
    select,
    update,
)

from data_schema.errors import OutsideError, UsageError
from models.registry.tracking import connect, outside_errors, tracking_uri
from serving.backup.manifest import RegistryPart
from serving.backup.rows import copy_rows, empty, restart_numbering

__all__ = ["artifacts_beside", "back_up_registry", "registry_database", "restore_registry"]

_Renaming: TypeAlias = Callable[[str], str | None]

_TABLES, _ARTIFACTS = "mlflow.db", "artifacts"
_SCHEMA = "alembic_version"
# Stands in a copy for the folder of the files, wherever they are restored to.
_HERE = "osteon-backup:/"
_DATABASES = ("postgresql", "mysql", "sqlite", "mssql")
_PROXIED = "mlflow-artifacts"
_LOCATIONS = (
    ("experiments", "experiment_id", "artifact_location"),
    ("runs", "run_uuid", "artifact_uri"),
    ("logged_models", "model_id", "artifact_location"),
)


@dataclass(slots=True)
class _Files:
    """What the files of runs and models are called in a copy, by where they lay."""

    places: dict[str, str] = field(default_factory=dict)
    copied: int = 0
    left_out: int = 0

    def renamed(self, uri: str) -> str | None:
        """Return the new name of a place in one of the copied folders, or None for another."""
        for old, new in self.places.items():
            if uri == old or uri.startswith(f"{old}/"):
                return new + uri.removeprefix(old)
        return None


def registry_database() -> str:
    """Return the URL of the database that `MLFLOW_TRACKING_URI` names.

    Raises
    ------
    UsageError
        If it names a server or a folder, behind which the database cannot be seen.
    """
    uri = tracking_uri()
    if uri.split(":")[0].split("+")[0] not in _DATABASES:
        raise UsageError(
            "MLFLOW_TRACKING_URI must name the registry's database for a backup, e.g. "
            "postgresql+psycopg://USER:PASSWORD@HOST/mlflow (it names a server or a folder). Set "
            "it to the address that the MLflow server itself has, or use --trail-only."
        )
    return uri


def artifacts_beside() -> Path | None:
    """Return the folder `mlruns` beside the registry's SQLite file; None for another database."""
    url = make_url(registry_database())
    if url.get_backend_name() != "sqlite" or not url.database:
        return None
    return Path(url.database).absolute().parent / "mlruns"


def back_up_registry(folder: Path, *, proxied: Path | None = None) -> RegistryPart:
    """Copy MLflow's tables and the files of its runs and models.

    Take it after the trail: then every version that a copied record names is in the registry.

    Parameters
    ----------
    folder : Path
        Empty folder of the copy.
    proxied : Path, optional
        Folder in which an MLflow server stores files that it passes on (`--artifacts-destination`).

    Raises
    ------
    UsageError
        If `MLFLOW_TRACKING_URI` names no database.
    OutsideError
        If the registry or a file cannot be read.
    """
    uri, mlflow = registry_database(), connect()
    files = _Files()
    with _engine(uri) as engine, _engine(_made(folder / _TABLES)) as copy:
        ours, theirs = _reflected(engine), _reflected(copy)
        pairs = [(ours.tables[table.name], table) for table in theirs.sorted_tables]
        with engine.connect() as source, copy.begin() as target:
            if source.dialect.name != "sqlite":
                source = source.execution_options(isolation_level="REPEATABLE READ")
            schema = _schema_version(source, ours)
            if schema != _schema_version(target, theirs):
                raise UsageError(_other_schema("The registry"))
            empty(target, theirs.sorted_tables)
            copy_rows(source, target, pairs)
            models = _count(target, theirs.tables["registered_models"])
            versions = _count(target, theirs.tables["model_versions"])
            _copy_files(target, theirs, folder / _ARTIFACTS, files, proxied)
    return RegistryPart(
        mlflow=mlflow.__version__,
        schema=schema,
        models=models,
        versions=versions,
        artifacts=files.copied,
        left_out=files.left_out,
    )


def restore_registry(folder: Path, artifacts: Path) -> None:
    """Fill the empty registry of `MLFLOW_TRACKING_URI` from a copy.

    Parameters
    ----------
    artifacts : Path
        Folder for the files of runs and models, which must be empty or not exist.

    Raises
    ------
    UsageError
        If the registry or the folder is not empty, or another version of MLflow made the copy.
    OutsideError
        If the registry or the folder cannot be written.
    """
    uri, mlflow = registry_database(), connect()
    if artifacts.is_dir() and any(artifacts.iterdir()):
        raise UsageError("--artifacts must name an empty folder (this one is not).")
    with outside_errors():
        mlflow.MlflowClient().search_experiments()  # creates the tables of an empty database
    with _engine(uri) as engine, _engine(f"sqlite:///{(folder / _TABLES).absolute()}") as copy:
        ours, theirs = _reflected(copy), _reflected(engine)
        tables = [theirs.tables[table.name] for table in ours.sorted_tables]
        with copy.connect() as source, engine.begin() as target:
            if _schema_version(source, ours) != _schema_version(target, theirs):
                raise UsageError(_other_schema("The backup"))
            if any(_count(target, theirs.tables[name]) for name in ("runs", "registered_models")):
                raise UsageError(
                    "The registry must be empty (this one holds runs or models). Set "
                    "MLFLOW_TRACKING_URI to a new database."
                )
            empty(target, tables)
            copy_rows(source, target, list(zip(ours.sorted_tables, tables, strict=True)))
            restart_numbering(target, tables)
            _relocate(target, theirs, artifacts)
    copied = folder / _ARTIFACTS
    if copied.is_dir():
        try:
            shutil.copytree(copied, artifacts, dirs_exist_ok=True)
        except OSError as error:
            raise OutsideError(f"--artifacts must be writable ({error.strerror}).") from None


def _made(path: Path) -> str:
    """Create MLflow's own tables in a new SQLite file and return its URL."""
    import mlflow

    uri = f"sqlite:///{path.absolute()}"
    with outside_errors():
        mlflow.MlflowClient(tracking_uri=uri, registry_uri=uri).search_experiments()
    return uri


@contextmanager
def _engine(uri: str) -> Iterator[Engine]:
    engine = create_engine(uri)
    try:
        with outside_errors():
            yield engine
    finally:
        engine.dispose()


def _reflected(engine: Engine) -> MetaData:
    found = MetaData()
    found.reflect(engine)
    return found


def _schema_version(connection: Connection, tables: MetaData) -> str:
    return str(connection.execute(select(tables.tables[_SCHEMA].c.version_num)).scalar_one())


def _other_schema(what: str) -> str:
    return (
        f"{what} must be of the installed version of MLflow (its tables are of another). Install "
        "the version that wrote it, or run `mlflow db upgrade`."
    )


def _count(connection: Connection, table: Table) -> int:
    return int(connection.execute(select(func.count()).select_from(table)).scalar_one())


def _copy_files(
    target: Connection, tables: MetaData, folder: Path, files: _Files, proxied: Path | None
) -> None:
    """Copy the files of every run and model, and let the copied rows name their new place."""
    for name, key, column in _LOCATIONS:
        table = tables.tables[name]
        for row in target.execute(select(table.c[key], table.c[column])).all():
            identifier, uri = str(row[0]), str(row[1] or "")
            new = _new_place(name, identifier, uri)
            if new is not None:
                files.places[uri] = new
                target.execute(update(table).where(table.c[key] == row[0]).values({column: new}))
            if name == "experiments":
                continue
            place = _folder_of(uri, proxied)
            if place is None:
                files.left_out += 1
            elif place.is_dir():
                files.copied += _copied(place, folder / _relative(new or uri))
    _rename(target, tables, files.renamed)


def _new_place(table: str, identifier: str, uri: str) -> str | None:
    """Return what a folder of this machine is called in the copy, or None for another store."""
    if urlsplit(uri).scheme not in ("", "file"):
        return None
    if table == "runs":
        return f"{_HERE}{identifier}/artifacts"
    if table == "logged_models":
        return f"{_HERE}models/{identifier}/artifacts"
    own = uri.rstrip("/").rsplit("/", 1)[-1] == identifier
    return f"{_HERE}{identifier}" if own else _HERE.rstrip("/")


def _folder_of(uri: str, proxied: Path | None) -> Path | None:
    """Return the folder that a location names, or None if it cannot be read from here."""
    parts = urlsplit(uri)
    if parts.scheme in ("", "file"):
        return Path(url2pathname(parts.path))
    if parts.scheme == _PROXIED and proxied is not None:
        return proxied / _relative(uri)
    return None


def _relative(uri: str) -> str:
    """Return the path of a location within the folder of all files."""
    relative = urlsplit(uri).path.strip("/")
    if ".." in Path(relative).parts:
        raise OutsideError("The registry must name no place above its folder of files.")
    return relative


def _copied(place: Path, into: Path) -> int:
    try:
        shutil.copytree(place, into)
    except OSError as error:
        reason = error.strerror or "a file vanished"
        raise OutsideError(f"The files of the registry must be readable ({reason}).") from None
    return sum(len(names) for _, _, names in os.walk(into))


def _relocate(target: Connection, tables: MetaData, artifacts: Path) -> None:
    """Let the rows of a restored registry name the folder that its files lie in."""
    here = artifacts.absolute().as_uri()
    old = _HERE.rstrip("/")

    def place(uri: str) -> str | None:
        return here + uri.removeprefix(old) if uri.startswith(old) else None

    for name, key, column in _LOCATIONS:
        table = tables.tables[name]
        for row in target.execute(select(table.c[key], table.c[column])).all():
            new = place(str(row[1] or ""))
            if new is not None:
                target.execute(update(table).where(table.c[key] == row[0]).values({column: new}))
    _rename(target, tables, place)


def _rename(target: Connection, tables: MetaData, renamed: _Renaming) -> None:
    """Give the places of model versions their new names."""
    versions = tables.tables["model_versions"]
    keys = list(versions.primary_key.columns)
    places = (versions.c.source, versions.c.storage_location)
    for row in target.execute(select(*keys, *places)).all():
        stated = row._mapping
        new: Mapping[str, str] = {
            place.name: name
            for place in places
            if (name := renamed(str(stated[place] or ""))) is not None
        }
        if new:
            same = [key == stated[key] for key in keys]
            target.execute(update(versions).where(*same).values(new))
