"""What a backup holds, sealed with the key of the audit trail, and whether all of it is there."""

from __future__ import annotations

import hashlib
import hmac
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

from data_schema.errors import GateError, UsageError
from serving.audit.record import AuditKeys, canonical

__all__ = ["MANIFEST", "Manifest", "RegistryPart", "TrailPart", "digests", "read", "write"]

MANIFEST = "backup.json"
"""Name of the file that describes a backup."""

_FORMAT = 1


@dataclass(frozen=True, slots=True)
class TrailPart:
    """The audit trail in a backup: its records, and how many predictions they state.

    `flaws` is what `osteon audit verify` would count in it; 0 for a trail that is complete.
    """

    records: int
    first: int
    last: int
    predictions: int
    flaws: int


@dataclass(frozen=True, slots=True)
class RegistryPart:
    """The registry in a backup.

    Parameters
    ----------
    mlflow : str
        Version of MLflow that wrote it.
    schema : str
        Version of its tables, as MLflow names it.
    models, versions : int
        Registered models and their versions.
    artifacts : int
        Number of files of runs and models.
    left_out : int
        Number of runs and models whose files lie in another store, such as a bucket.
    """

    mlflow: str
    schema: str
    models: int
    versions: int
    artifacts: int
    left_out: int


@dataclass(frozen=True, slots=True)
class Manifest:
    """The description of one backup; `files` maps each file to its SHA-256."""

    osteon: str
    made_at: str
    trail: TrailPart
    registry: RegistryPart | None
    files: Mapping[str, str]


def digests(folder: Path) -> dict[str, str]:
    """Return the SHA-256 of every file of a backup but the manifest, by its path."""
    found = {}
    for path in sorted(folder.rglob("*")):
        name = path.relative_to(folder).as_posix()
        if path.is_file() and name != MANIFEST:
            with path.open("rb") as file:
                found[name] = hashlib.file_digest(file, "sha256").hexdigest()
    return found


def write(folder: Path, manifest: Manifest, keys: AuditKeys) -> None:
    """Write the manifest of a backup; a backup without it is not complete."""
    text = canonical({"format": _FORMAT} | asdict(manifest))
    sealed = {"manifest": json.loads(text), "seal": keys.backup(text)}
    (folder / MANIFEST).write_text(json.dumps(sealed, indent=1), encoding="utf-8")


def read(folder: Path, keys: AuditKeys) -> Manifest:
    """Return the manifest of a backup, after comparing every file with it.

    Raises
    ------
    UsageError
        If the folder holds no backup, or that of a newer version of Osteon.
    GateError
        If the backup was made with another key, or a file was changed, added or removed.
    """
    try:
        sealed = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
        fields, seal = sealed["manifest"], str(sealed["seal"])
        form = fields.pop("format")
    except (OSError, ValueError, TypeError, KeyError, AttributeError):
        raise UsageError(
            f"The folder must hold a complete backup (its {MANIFEST} is missing or cannot be "
            "read). Use a folder that `osteon backup` wrote to its end."
        ) from None
    if form != _FORMAT:
        raise UsageError(
            f"The backup must be of format {_FORMAT} (this one is not). Restore it with the "
            "version of Osteon that made it, or a newer one."
        )
    expected = keys.backup(canonical({"format": form} | fields))
    if not hmac.compare_digest(seal.encode(), expected.encode()):
        raise GateError(
            f"The seal of {MANIFEST} must match OSTEON_AUDIT_KEY (it does not): the backup was "
            "made with another key, or its description was changed."
        )
    registry = fields["registry"]
    manifest = Manifest(
        osteon=fields["osteon"],
        made_at=fields["made_at"],
        trail=TrailPart(**fields["trail"]),
        registry=None if registry is None else RegistryPart(**registry),
        files=fields["files"],
    )
    there = digests(folder)
    differing = {
        name for name in {*there, *manifest.files} if there.get(name) != manifest.files.get(name)
    }
    if differing:
        raise GateError(
            f"Every file must be as the backup was made ({len(differing)} of "
            f"{len(manifest.files)} are changed, added or missing). Use another copy of the backup."
        )
    return manifest
