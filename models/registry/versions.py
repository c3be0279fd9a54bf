"""What the registry holds: versions, their aliases and tags, as anyone may have set them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from data_schema.errors import GateError
from models.registry import gate
from models.registry.tracking import connect, outside_errors

__all__ = [
    "TAG_GATE",
    "TAG_SHA256",
    "Version",
    "aliased_version",
    "find_version",
    "list_models",
]

TAG_GATE = "osteon.gate"
TAG_SHA256 = "osteon.sha256"


@dataclass(frozen=True, slots=True)
class Version:
    """One version in the registry, as its tags describe it; nothing of it is verified."""

    name: str
    version: str
    aliases: tuple[str, ...]
    run_id: str
    sha256: str
    tags: Mapping[str, str]

    @property
    def model_uri(self) -> str:
        """The URI by which any MLflow client loads it."""
        return f"models:/{self.name}/{self.version}"

    @property
    def gate_record(self) -> gate.GateRecord | None:
        """The gate record it carries, unverified; None if it carries none that can be read."""
        try:
            return gate.parse(self.tags.get(TAG_GATE, ""))[0]
        except GateError:
            return None


def list_models(name: str | None = None) -> tuple[Version, ...]:
    """Return the versions that Osteon registered, newest first within each name.

    Parameters
    ----------
    name : str, optional
        Only those of this model.

    Returns
    -------
    tuple of Version

    Raises
    ------
    OutsideError
        If the registry fails.
    """
    client = connect().MlflowClient()
    with outside_errors():
        registered = _every_page(client.search_registered_models)
        found = _every_page(client.search_model_versions)
    # A search for versions leaves their aliases out; each model knows which version they name.
    aliases = {model.name: model.aliases for model in registered}
    ours = [
        _described(version, aliases.get(version.name, {}))
        for version in found
        if TAG_SHA256 in version.tags and name in (None, version.name)
    ]
    return tuple(sorted(ours, key=lambda version: (version.name, -int(version.version))))


def aliased_version(name: str, alias: str) -> Version | None:
    """Return the version that an alias names, if it names one.

    Parameters
    ----------
    name, alias : str

    Returns
    -------
    Version or None

    Raises
    ------
    UsageError
        If there is no such model.
    OutsideError
        If the registry fails.
    """
    client = connect().MlflowClient()
    with outside_errors(missing=f"{name} must be a registered model; it is not."):
        number = client.get_registered_model(name).aliases.get(alias)
    return None if number is None else find_version(name, version=number)


def find_version(name: str, *, version: str) -> Version:
    """Return one version by its number.

    Parameters
    ----------
    name, version : str

    Returns
    -------
    Version

    Raises
    ------
    UsageError
        If there is no such version.
    OutsideError
        If the registry fails.
    """
    client = connect().MlflowClient()
    with outside_errors(missing=f"{name} version {version} must be in the registry; it is not."):
        found = client.get_model_version(name, version)
        return _described(found, client.get_registered_model(name).aliases)


def _described(found: Any, aliases: Mapping[str, object]) -> Version:
    """Return MLflow's ModelVersion as ours, with those of its model's aliases that name it."""
    return Version(
        name=found.name,
        version=str(found.version),
        aliases=tuple(
            sorted(a for a, named in aliases.items() if str(named) == str(found.version))
        ),
        run_id=found.run_id,
        sha256=found.tags.get(TAG_SHA256, ""),
        tags=dict(found.tags),
    )


def _every_page(search: Callable[..., Any]) -> list[Any]:
    """Return everything that one of MLflow's searches finds."""
    page = search()
    found = list(page)
    while page.token:
        page = search(page_token=page.token)
        found += page
    return found
