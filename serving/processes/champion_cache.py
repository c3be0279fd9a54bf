"""Models on the disk of this machine, served when the registry is down if their signature is valid.

<sha256>/     a bundle, named by the hash of its files; locked by each service that serves it
<name>.json   the champion of that name: its bundle, the previous bundle, its gate record, and a
              signature of all three

Storing a champion deletes every bundle that is neither a champion, nor a previous one, nor served.
Several services may share the folder.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import os
import re
import secrets
import shutil
from contextlib import suppress
from datetime import datetime
from pathlib import Path

from pydantic import ValidationError

from data_schema.errors import GateError, OutsideError
from models.registry import gate
from models.registry.bundle import bundle_sha256, read_bundle, write_files
from models.registry.lifecycle import CHAMPION, LoadedModel
from serving.prediction.served import ServedModel
from serving.processes.folder_locks import locked
from serving.processes.messages import CachedModel, parse_line, to_line

__all__ = ["ChampionCache", "read_cached"]

_PURPOSE = b"osteon champion cache"
_BUNDLE = re.compile(r"[0-9a-f]{64}")
_UNFINISHED = re.compile(r"[0-9a-f]{64}\..+")


class ChampionCache:
    """The folder of one service's models."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def store(self, model: ServedModel, key: bytes | None) -> CachedModel:
        """Store a model, whole or not at all; if it is a champion, delete unused bundles.

        A promoted model needs the gate's key.

        Raises
        ------
        GateError
            If the bundle cannot be written as it was read.
        OutsideError
            If the disk fails.
        """
        loaded = model.loaded
        record = gate.parse(loaded.gate_text)[0] if loaded.gate_text else None
        cached = CachedModel(
            name=loaded.name,
            version=loaded.version,
            alias=model.identity.alias,
            run_id=loaded.run_id,
            sha256=loaded.sha256,
            promoted=model.promoted,
            model_card=model.model_card,
            promoted_by=record.by if record else None,
            promoted_at=record.at if record else None,
        )
        try:
            self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            # One at a time of the services that share the folder stores and deletes models.
            with locked(self._folder):
                self._write_bundle(loaded)
                if key is not None and loaded.gate_text is not None:
                    self._write_entry(cached, loaded.gate_text, key)
                    self._prune()
        except OSError as error:
            raise OutsideError(
                f"The folder of OSTEON_STATE_DIR must be writable ({error.strerror})."
            ) from None
        return cached

    def champions(self) -> tuple[str, ...]:
        """Return the names that have a stored champion."""
        return tuple(sorted(path.stem for path in self._folder.glob("*.json")))

    def champion(self, name: str, key: bytes) -> CachedModel:
        """Return the stored champion of a name, if its signature with the gate's key is valid.

        Raises
        ------
        GateError
            If there is none, or any part of it was changed.
        """
        entry = self._entry(name, key)
        cached = parse_line(CachedModel, entry["kept"])
        gate.verify(entry["gate"], key, model_sha256=cached.sha256)
        read_cached(self._folder, cached)
        return cached

    def _entry(self, name: str, key: bytes) -> dict[str, str]:
        """Return the entry of a name without its signature; GateError if it is not genuine."""
        path = self._folder / f"{name}.json"
        try:
            entry: dict[str, str] = json.loads(path.read_bytes())
            signature = entry.pop("hmac_sha256")
            is_of_name = parse_line(CachedModel, entry["kept"]).name == name and "gate" in entry
            genuine = hmac.compare_digest(signature, _signature(entry, key)) and is_of_name
        except (OSError, ValueError, KeyError, TypeError, AttributeError, ValidationError):
            genuine = False
        if not genuine:
            raise GateError(
                f"The cached champion of {name} must exist and be signed with this key "
                "(it is missing or changed)."
            )
        return entry

    def has_newer_record(self, model: ServedModel, key: bytes) -> bool:
        """Return whether the stored champion of its name was approved later than a model."""
        text = model.loaded.gate_text
        try:
            stored = gate.parse(self._entry(model.loaded.name, key)["gate"])[0]
        except GateError:
            return False
        offered = gate.parse(text)[0] if text is not None else None
        return offered is not None and datetime.fromisoformat(offered.at) < datetime.fromisoformat(
            stored.at
        )

    def forget(self, name: str) -> None:
        """Delete the champion of a name, which was withdrawn."""
        (self._folder / f"{name}.json").unlink(missing_ok=True)

    def _write_bundle(self, loaded: LoadedModel) -> None:
        folder = self._folder / loaded.sha256
        if folder.is_dir() and _has_hash(folder, loaded.sha256):
            return
        written = self._folder / f"{loaded.sha256}.{secrets.token_hex(4)}"
        try:
            sha256 = write_files(loaded.files, written)
            if sha256 != loaded.sha256:
                raise GateError(f"The bundle of {loaded.name} changed while it was cached.")
            if folder.exists():
                shutil.rmtree(folder)
            written.rename(folder)
        finally:
            shutil.rmtree(written, ignore_errors=True)

    def _write_entry(self, cached: CachedModel, text: str, key: bytes) -> None:
        path = self._folder / f"{cached.name}.json"
        sha256, before = _bundles_of(path)
        entry = {"kept": to_line(cached), "gate": text}
        entry["before"] = (before if sha256 == cached.sha256 else sha256) or ""
        written = path.with_suffix(f".{os.getpid()}.new")
        written.write_text(json.dumps(entry | {"hmac_sha256": _signature(entry, key)}))
        written.replace(path)

    def _prune(self) -> None:
        needed = {sha256 for path in self._folder.glob("*.json") for sha256 in _bundles_of(path)}
        for path in [*self._folder.iterdir()]:
            if _UNFINISHED.fullmatch(path.name):
                shutil.rmtree(path, ignore_errors=True)  # left by a process that was killed
            elif _BUNDLE.fullmatch(path.name) and path.name not in needed:
                with suppress(BlockingIOError), locked(path, wait=False):
                    # Renamed first, so that a bundle is never incomplete under its own name.
                    renamed = path.rename(path.with_name(f"{path.name}.{secrets.token_hex(4)}"))
                    shutil.rmtree(renamed, ignore_errors=True)


def read_cached(folder: Path, cached: CachedModel) -> ServedModel:
    """Return a model stored in the cache's folder, after checking every file of it.

    Raises
    ------
    GateError
        If the bundle is missing or changed.
    """
    path = folder / cached.sha256
    if not path.is_dir():
        raise GateError(f"The cached bundle of {cached.name} is missing.")
    bundle = read_bundle(path)
    if bundle.sha256 != cached.sha256:
        raise GateError(f"The cached bundle of {cached.name} was changed.")
    loaded = LoadedModel(
        bundle.risk_model,
        bundle.sha256,
        cached.name,
        version=cached.version,
        alias=CHAMPION if cached.promoted else cached.alias,
        run_id=cached.run_id,
    )
    return ServedModel(loaded, promoted=cached.promoted, model_card=cached.model_card)


def _has_hash(folder: Path, sha256: str) -> bool:
    try:
        return bundle_sha256(folder) == sha256
    except (GateError, OSError):
        return False


def _bundles_of(path: Path) -> tuple[str | None, str | None]:
    """Return the bundles of a champion and of the previous one, as its entry states them."""
    try:
        entry = json.loads(path.read_bytes())
        return parse_line(CachedModel, entry["kept"]).sha256, entry.get("before") or None
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None, None


def _signature(entry: dict[str, str], key: bytes) -> str:
    text = json.dumps(entry, sort_keys=True).encode()
    return hmac.digest(hmac.digest(key, _PURPOSE, hashlib.sha256), text, hashlib.sha256).hex()
