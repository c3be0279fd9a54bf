"""What the registry holds: versions, their aliases and tags, none of them verified."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from data_schema.errors import GateError
from models.registry import gate
from models.registry.tracking import connect, outside_errors

__all__ = [
    "GATE_FILE",
    "TAG_GATE",
    "TAG_SHA256",
    "TAG_UPDATED_FROM",
    "Version",
    "aliased_version",
    "find_version",
    "list_models",
    "whole_gate_record",
]

GATE_FILE = "gate.json"
"""The artifact of a run that holds the whole gate record."""

TAG_GATE = "osteon.gate"
TAG_SHA256 = "osteon.sha256"
TAG_UPDATED_FROM = "osteon.updated_from"


@dataclass(frozen=True, slots=True)
class Version:
    """One version in the registry, as its tags describe it, unverified.

    `created_at` is the RFC 3339 time at which it was registered.
    """

    name: str
    version: str
    aliases: tuple[str, ...]
    run_id: str
    sha256: str
    tags: Mapping[str, str]
    created_at: str = ""

    @property
    def model_uri(self) -> str:
        """The URI by which any MLflow client loads it."""
        return f"models:/{self.name}/{self.version}"

    @property
    def updated_from(self) -> str | None:
        """The version that it is an update of, if it is one."""
        return self.tags.get(TAG_UPDATED_FROM)

    @property
    def gate_record(self) -> gate.GateRecord | None:
        """Its gate record as its tag holds it, unverified; None if none can be read.

        That of `whole_gate_record` also has the figures.
        """
        try:
            return gate.parse(self.tags.get(TAG_GATE, ""))[0]
        except GateError:
            return None


def whole_gate_record(version: Version) -> gate.GateRecord | None:
    """Return the gate record of a version with its figures, unverified; None if it has none.

    The short form that the version's tag holds is returned where the run no longer holds the whole
    record.

    Raises
    ------
    OutsideError
        If the registry fails.
    """
    from mlflow.exceptions import MlflowException

    short = version.gate_record
    if short is None or not short.whole_sha256:
        return short
    mlflow = connect()
    with outside_errors():
        try:
            text = mlflow.artifacts.load_text(f"runs:/{version.run_id}/{GATE_FILE}")
        except (MlflowException, FileNotFoundError):
            return short
    try:
        return gate.parse(text)[0] if gate.is_whole_record_of(short, text) else short
    except GateError:
        return short


def list_models(name: str | None = None) -> tuple[Version, ...]:
    """Return the versions of a model, or of all, that Osteon registered, newest first by name."""
    client = connect().MlflowClient()
    with outside_errors():
        registered = _every_page(client.search_registered_models)
        versions = _every_page(client.search_model_versions)
    # A search for versions leaves their aliases out; each model lists the version of each alias.
    aliases = {model.name: model.aliases for model in registered}
    ours = [
        _described(version, aliases.get(version.name, {}))
        for version in versions
        if TAG_SHA256 in version.tags and name in (None, version.name)
    ]
    return tuple(sorted(ours, key=lambda version: (version.name, -int(version.version))))


def aliased_version(name: str, alias: str) -> Version | None:
    """Return the version of a model that an alias names, if any."""
    client = connect().MlflowClient()
    with outside_errors(missing=f"The registry has no model {name}."):
        number = client.get_registered_model(name).aliases.get(alias)
    return None if number is None else find_version(name, version=number)


def find_version(name: str, *, version: str) -> Version:
    """Return one version of a model by its number; `UsageError` if there is none."""
    client = connect().MlflowClient()
    with outside_errors(missing=f"The registry has no version {version} of {name}."):
        registered = client.get_model_version(name, version)
        return _described(registered, client.get_registered_model(name).aliases)


def _described(registered: Any, aliases: Mapping[str, object]) -> Version:
    """Return MLflow's ModelVersion as ours, with those of its model's aliases that name it."""
    number = str(registered.version)
    return Version(
        name=registered.name,
        version=number,
        aliases=tuple(sorted(alias for alias, named in aliases.items() if str(named) == number)),
        run_id=registered.run_id,
        sha256=registered.tags.get(TAG_SHA256, ""),
        tags=dict(registered.tags),
        created_at=_time(registered.creation_timestamp),
    )


def _time(milliseconds: int | None) -> str:
    """Return MLflow's time in RFC 3339, to the second; "" where there is none."""
    if milliseconds is None:
        return ""
    return datetime.fromtimestamp(milliseconds / 1000, UTC).isoformat(timespec="seconds")


def _every_page(search: Callable[..., Any]) -> list[Any]:
    """Return every result of one of MLflow's paged searches."""
    page = search()
    results = list(page)
    while page.token:
        page = search(page_token=page.token)
        results += page
    return results
