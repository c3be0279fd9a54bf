"""`osteon doctor`: whether everything that Osteon depends on is available."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal
from urllib.parse import urlsplit

from data_schema.errors import GateError, OutsideError, UsageError
from models.registry.gate import gate_key
from models.registry.lifecycle import CHAMPION, load_champion
from models.registry.tracking import connect, experiment_id, outside_errors
from models.registry.versions import list_models
from training.provenance import git_revision, versions

__all__ = ["Check", "examine"]


@dataclass(frozen=True, slots=True)
class Check:
    """One check and its result.

    Parameters
    ----------
    check : str
        Name of the check.
    detail : str
        The result in words; never a secret.
    trouble : {"", "gate", "outside"}
        Kind of error if it is not ok, which decides on the exit code.
    """

    check: str
    ok: bool
    detail: str
    trouble: Literal["", "gate", "outside"] = ""

    def as_json(self) -> dict[str, object]:
        """Return the check as the command line prints it."""
        return asdict(self)


def examine() -> tuple[Check, ...]:
    """Check versions, registry, write access, gate key and every champion's record.

    Checks that depend on one that failed are left out.
    """
    checks = [
        Check("versions", True, ", ".join(f"{name} {text}" for name, text in versions().items())),
        Check("revision", True, git_revision() or "not run from a checkout"),
        _gate_key(),
    ]
    try:
        checks += [*_registry()]
    except OutsideError as error:
        checks.append(Check("registry", False, str(error), "outside"))
    return tuple(checks)


def _gate_key() -> Check:
    """Check the gate key; without a key only champions are unusable, so its absence is ok."""
    try:
        gate_key()
    except UsageError as error:
        return Check("gate key", True, f"unusable, so no model can be promoted or served: {error}")
    return Check("gate key", True, "set")


def _registry() -> Iterator[Check]:
    mlflow = connect()
    names = sorted({version.name for version in list_models()})
    uri = _without_secrets(mlflow.get_tracking_uri())
    yield Check("registry", True, f"{uri}; {len(names)} models")
    with outside_errors():
        now = datetime.now(UTC).isoformat(timespec="seconds")
        mlflow.MlflowClient().set_experiment_tag(experiment_id(), "osteon.doctor", now)
    yield Check("write access", True, "the registry is writable")
    yield _files(mlflow)
    champions = {
        version.name: version.version for version in list_models() if CHAMPION in version.aliases
    }
    for name in names:
        if name in champions:
            yield _champion(name, champions[name])
        else:
            yield Check(f"champion of {name}", True, "none, so the model is not served")


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


def _champion(name: str, version: str) -> Check:
    """Check that a champion may be served: its gate record, its files and the key."""
    try:
        load_champion(name, gate_key())
    except (GateError, UsageError) as error:
        return Check(f"champion of {name}", False, f"version {version}: {error}", "gate")
    return Check(f"champion of {name}", True, f"version {version} has a valid gate record")


def _without_secrets(uri: str) -> str:
    """Return a URI without user and password."""
    parts = urlsplit(uri)
    return uri if "@" not in parts.netloc else parts._replace(netloc=parts.hostname or "").geturl()
