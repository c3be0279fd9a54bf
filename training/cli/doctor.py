"""`osteon doctor`: whether everything that Osteon depends on is available."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from data_schema.errors import GateError, OutsideError, UsageError
from models.registry.checks import Check
from models.registry.compatibility import compatibility
from models.registry.gate import GATE_KEY, gate_key
from models.registry.lifecycle import CHAMPION, LoadedModel, load_champion
from models.registry.tracking import connect, experiment_id, outside_errors
from models.registry.versions import Version, list_models
from models.registry.withdrawal import reason_of
from training.provenance import git_revision, versions

__all__ = ["Examination", "examine"]


@dataclass(frozen=True, slots=True)
class Examination:
    """The checks of the registry, and the champions that could be loaded."""

    checks: tuple[Check, ...]
    champions: tuple[LoadedModel, ...]


def examine() -> Examination:
    """Check versions, registry, write access, gate key and every champion's record.

    Checks that depend on one that failed are left out. A model without a champion is no fault; the
    check says why it has none.
    """
    champions: list[LoadedModel] = []
    checks = [
        Check("versions", True, ", ".join(f"{name} {text}" for name, text in versions().items())),
        Check("revision", True, git_revision() or "not run from a checkout"),
        _gate_key(),
    ]
    try:
        checks += _fit_of_registry()
        checks += [*_registry(champions)]
    except OutsideError as error:
        checks.append(Check("registry", False, str(error), "outside"))
    return Examination(tuple(checks), tuple(champions))


def _fit_of_registry() -> list[Check]:
    """Check that client and registry fit, by the revision of the database or the server's version.

    A database that is not made yet, or is not MLflow's, has none.
    """
    found = compatibility()
    if found is None:
        return []
    return [Check("mlflow", found.fits, found.detail, "" if found.fits else "outside")]


def _gate_key() -> Check:
    """Check the gate key; its absence is no fault, since only promoting and serving need it."""
    if not os.environ.get(GATE_KEY):
        what = "needed to promote or to serve a champion"
        return Check("gate key", True, f"not set; {GATE_KEY} is {what}")
    try:
        gate_key()
    except UsageError as error:
        return Check("gate key", False, str(error), "usage")
    return Check("gate key", True, "set")


def _registry(champions: list[LoadedModel]) -> Iterator[Check]:
    mlflow = connect()
    listed = list_models()
    names = sorted({version.name for version in listed})
    uri = _without_secrets(mlflow.get_tracking_uri())
    advice = (
        "" if names else ". Run `osteon train`, or set MLFLOW_TRACKING_URI to the registry of a run"
    )
    yield Check("registry", True, f"{uri}; {len(names)} models{advice}")
    with outside_errors():
        now = datetime.now(UTC).isoformat(timespec="seconds")
        mlflow.MlflowClient().set_experiment_tag(experiment_id(), "osteon.doctor", now)
    yield Check("write access", True, "the registry is writable")
    yield _files(mlflow)
    for name in names:
        versions = [version for version in listed if version.name == name]
        champion = next((one for one in versions if CHAMPION in one.aliases), None)
        if champion is None:
            yield Check(f"champion of {name}", True, f"none: {_why_none(versions)}")
        else:
            yield _champion(name, champion.version, champions)


def _why_none(versions: Sequence[Version]) -> str:
    """Return why a model has no champion, by its newest version, and what to do."""
    newest = versions[0]
    withdrawn, record = reason_of(newest), newest.gate_record
    if withdrawn is not None:
        why = f"version {newest.version} was withdrawn: {withdrawn}"
        return f"{why} Run `osteon rollback {newest.name}`, or promote another"
    if record is not None and record.decision != "promote":
        return f"the gate refused version {newest.version}. Train another, or see its report"
    if record is not None:
        why = f"version {newest.version} was approved, and its alias was removed in MLflow"
        return f"{why}. Run `osteon promote {newest.name} {newest.version}`"
    if newest.tags.get("osteon.simulated") == "true":
        serve = "its patients are simulated: `osteon serve --demo` serves it to this machine"
        return f"{serve}, and `osteon promote {newest.name} {newest.version}` judges it"
    return (
        f"version {newest.version} was never judged. Run `osteon promote {newest.name} "
        f"{newest.version}`"
    )


def _files(mlflow: Any) -> Check:
    """Check that artifacts can be written; a remote store is not checked."""
    with outside_errors():
        uri = mlflow.MlflowClient().get_experiment(experiment_id()).artifact_location
    place = urlsplit(uri)
    if place.scheme not in ("", "file"):
        return Check("files", True, f"stored by {place.scheme}")
    path = Path(place.path)
    folder = next(above for above in (path, *path.parents) if above.is_dir())
    if os.access(folder, os.W_OK):
        return Check("files", True, f"stored in {path}")
    return Check("files", False, f"{folder} is not writable. Check its permissions.", "outside")


def _champion(name: str, version: str, champions: list[LoadedModel]) -> Check:
    """Check that a champion may be served: its gate record, its files and the key."""
    try:
        champions.append(load_champion(name, gate_key()))
    except (GateError, UsageError) as error:
        return Check(f"champion of {name}", False, f"version {version}: {error}", "gate")
    return Check(f"champion of {name}", True, f"version {version} has a valid gate record")


def _without_secrets(uri: str) -> str:
    """Return a URI without user and password."""
    parts = urlsplit(uri)
    return uri if "@" not in parts.netloc else parts._replace(netloc=parts.hostname or "").geturl()
