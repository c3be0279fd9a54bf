"""The commands `osteon backup` and `osteon restore`.

Heavy modules are imported when they run, so that `osteon --help` stays fast.
"""

from __future__ import annotations

import json
import os
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from data_schema.errors import OutsideError, UsageError
from serving.cli.audit import JsonOption, acting_user

if TYPE_CHECKING:
    from serving.backup.manifest import Manifest

__all__ = ["backup", "restore"]

_REGISTRY = "registry"

FolderArgument = Annotated[Path, typer.Argument(help="Folder of the backup.")]
TrailOnlyOption = Annotated[
    bool, typer.Option("--trail-only", help="Leave out the registry of models.")
]


def backup(
    folder: FolderArgument,
    trail_only: TrailOnlyOption = False,
    proxied: Annotated[
        Path | None,
        typer.Option(help="Folder in which an MLflow server stores files (mlflow-artifacts:)."),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Copy audit trail and registry to a folder, and verify it.

    The signed head goes with the trail. The service may run meanwhile. Keys are not in it: keep
    OSTEON_AUDIT_KEY and OSTEON_GATE_KEY elsewhere. Exits with 1 if the trail is not complete.
    """
    from importlib.metadata import version

    from serving.audit.opening import audit_keys
    from serving.audit.record import now
    from serving.backup import manifest as manifests
    from serving.backup.trail import back_up_trail
    from serving.settings import read_settings

    settings = read_settings()
    keys = audit_keys(settings)
    if folder.exists() and not (folder.is_dir() and not any(folder.iterdir())):
        raise UsageError("The folder of a backup must be new or empty (this one is not).")
    if not trail_only:
        from serving.backup.registry import registry_database

        registry_database()
    # Only the owner reads the tables: they hold hashes of keys, and comments on cards.
    before = os.umask(0o077)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        made_at = now()
        trail = back_up_trail(settings, folder)
        registry = None
        if not trail_only:
            from serving.backup.registry import back_up_registry

            (folder / _REGISTRY).mkdir()
            registry = back_up_registry(folder / _REGISTRY, proxied=proxied)
        files = manifests.digests(folder)
        manifest = manifests.Manifest(version("osteon"), made_at, trail, registry, files)
        manifests.write(folder, manifest, keys)
    except OSError as error:
        raise OutsideError(f"The folder must be writable ({error.strerror}).") from None
    finally:
        os.umask(before)
    _show(manifest, folder, "backed up to", as_json=as_json)
    raise typer.Exit(0 if trail.flaws == 0 else 1)


def restore(
    folder: FolderArgument,
    trail_only: TrailOnlyOption = False,
    artifacts: Annotated[
        Path | None,
        typer.Option(
            help="Empty folder for the files of runs and models (default: mlruns beside an SQLite "
            "registry)."
        ),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Restore a backup into an empty database and registry.

    It is on record, and both are verified. Checks first that no file was changed. Exits with 1 if
    the restored trail is not complete.
    """
    from serving.audit.opening import audit_keys
    from serving.backup import manifest as manifests
    from serving.backup.trail import require_empty, require_readable, restore_trail
    from serving.settings import read_settings

    settings = read_settings()
    manifest = manifests.read(folder, audit_keys(settings))
    require_empty(settings)
    require_readable(folder)
    if manifest.registry is not None and not trail_only:
        _restore_registry(folder / _REGISTRY, artifacts)
    trail = restore_trail(settings, folder, actor=acting_user())
    restored = manifests.Manifest(
        manifest.osteon,
        manifest.made_at,
        trail,
        None if trail_only else manifest.registry,
        manifest.files,
    )
    _show(restored, folder, "restored from", as_json=as_json)
    raise typer.Exit(0 if trail.flaws == 0 else 1)


def _restore_registry(folder: Path, artifacts: Path | None) -> None:
    from serving.backup.registry import artifacts_beside, restore_registry

    place = artifacts or artifacts_beside()
    if place is None:
        raise UsageError(
            "--artifacts must be given where the registry is no SQLite file. Name an empty folder "
            "that the service and the MLflow server can read."
        )
    restore_registry(folder, place)


def _show(manifest: Manifest, folder: Path, done: str, *, as_json: bool) -> None:
    trail, registry = manifest.trail, manifest.registry
    if as_json:
        described = asdict(manifest)
        del described["files"]
        typer.echo(json.dumps({"folder": str(folder), "ok": trail.flaws == 0} | described))
        return
    typer.echo(
        f"{trail.records} records ({trail.first} to {trail.last}) of {trail.predictions} "
        f"predictions are {done} {folder}."
    )
    typer.echo(
        "The copy of the audit trail verifies: its chain is complete."
        if trail.flaws == 0
        else f"The audit trail is NOT complete: {trail.flaws} flaws. Run `osteon audit verify`."
    )
    if registry is not None:
        typer.echo(
            f"The registry: {registry.models} models, {registry.versions} versions, "
            f"{registry.artifacts} files."
        )
        if registry.left_out:
            typer.echo(
                f"Files of {registry.left_out} runs or models lie in another store and are not in "
                "the backup: back that store up itself, or use --proxied."
            )
