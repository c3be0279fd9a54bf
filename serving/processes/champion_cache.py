"""Models on the disk of this machine, to serve when the registry is down; believed only if signed.

<sha256>/     a bundle, named by the hash of its files; locked by whoever serves it
<name>.json   the champion of that name: which bundle, which before it, its gate record, and a
              signature of all

What is neither a champion nor the one before it nor served by anybody is deleted when a champion is
kept. Several services may share the folder.
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
from pathlib import Path

from pydantic import ValidationError

from data_schema.errors import GateError, OutsideError
from models.registry import gate
from models.registry.bundle import bundle_sha256, read_bundle, write_files
from models.registry.lifecycle import CHAMPION, LoadedModel
from serving.prediction.served import ServedModel
from serving.processes.folder_locks import locked
from serving.processes.plan import Kept

__all__ = ["ChampionCache", "read_kept"]

_PURPOSE = b"osteon champion cache"
_BUNDLE = re.compile(r"[0-9a-f]{64}")
_UNFINISHED = re.compile(r"[0-9a-f]{64}\..+")


class ChampionCache:
    """The folder of one service's models.

    Parameters
    ----------
    folder : Path
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def keep(self, model: ServedModel, key: bytes | None) -> Kept:
        """Keep a model, whole or not at all; if it is a champion, delete what nobody needs now.

        Parameters
        ----------
        model : ServedModel
        key : bytes or None
            From `models.registry.gate.gate_key`, where it was promoted.

        Returns
        -------
        Kept

        Raises
        ------
        GateError
            If its bundle cannot be written as it was read.
        OutsideError
            If the disk fails.
        """
        loaded = model.loaded
        record = gate.parse(loaded.gate_text)[0] if loaded.gate_text else None
        kept = Kept(
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
            # Of services that share the folder one at a time keeps models and deletes them.
            with locked(self._folder):
                self._write_bundle(loaded)
                if key is not None and loaded.gate_text is not None:
                    self._write_entry(kept, loaded.gate_text, key)
                    self._prune()
        except OSError as error:
            raise OutsideError(
                f"The folder of OSTEON_STATE_DIR must be writable; it is not ({error.strerror})."
            ) from None
        return kept

    def champions(self) -> tuple[str, ...]:
        """Return the names of which a champion was kept."""
        return tuple(sorted(path.stem for path in self._folder.glob("*.json")))

    def champion(self, name: str, key: bytes) -> Kept:
        """Return the champion that was kept of a name, if all of it is as it was.

        Parameters
        ----------
        name : str
        key : bytes
            From `models.registry.gate.gate_key`.

        Returns
        -------
        Kept

        Raises
        ------
        GateError
            If there is none, or anything of it was changed.
        """
        path = self._folder / f"{name}.json"
        try:
            entry = json.loads(path.read_bytes())
            signature, text = entry.pop("hmac_sha256"), entry["gate"]
            kept = Kept.model_validate_json(entry["kept"])
            genuine = hmac.compare_digest(signature, _signature(entry, key)) and kept.name == name
        except (OSError, ValueError, KeyError, TypeError, AttributeError, ValidationError):
            genuine = False
        if not genuine:
            raise GateError(
                f"The cached champion of {name} must be there, signed with this key; it is not."
            )
        gate.verify(text, key, model_sha256=kept.sha256)
        read_kept(self._folder, kept)
        return kept

    def forget(self, name: str) -> None:
        """Keep no champion of a name: it was withdrawn."""
        (self._folder / f"{name}.json").unlink(missing_ok=True)

    def _write_bundle(self, loaded: LoadedModel) -> None:
        folder = self._folder / loaded.sha256
        if folder.is_dir() and _is(folder, loaded.sha256):
            return
        written = self._folder / f"{loaded.sha256}.{secrets.token_hex(4)}"
        try:
            sha256 = write_files(loaded.files, written)
            if sha256 != loaded.sha256:
                raise GateError(f"The bundle of {loaded.name} must be kept as it is; it differs.")
            if folder.exists():
                shutil.rmtree(folder)
            written.rename(folder)
        finally:
            shutil.rmtree(written, ignore_errors=True)

    def _write_entry(self, kept: Kept, text: str, key: bytes) -> None:
        path = self._folder / f"{kept.name}.json"
        sha256, before = _bundles_of(path)
        entry = {"kept": kept.model_dump_json(), "gate": text}
        entry["before"] = (before if sha256 == kept.sha256 else sha256) or ""
        written = path.with_suffix(f".{os.getpid()}.new")
        written.write_text(json.dumps(entry | {"hmac_sha256": _signature(entry, key)}))
        written.replace(path)

    def _prune(self) -> None:
        needed = {sha256 for path in self._folder.glob("*.json") for sha256 in _bundles_of(path)}
        for path in [*self._folder.iterdir()]:
            if _UNFINISHED.fullmatch(path.name):
                shutil.rmtree(path, ignore_errors=True)  # who wrote or deleted it was killed
            elif _BUNDLE.fullmatch(path.name) and path.name not in needed:
                with suppress(BlockingIOError), locked(path, wait=False):
                    # So that a bundle is never half there under its own name.
                    gone = path.rename(path.with_name(f"{path.name}.{secrets.token_hex(4)}"))
                    shutil.rmtree(gone, ignore_errors=True)


def read_kept(folder: Path, kept: Kept) -> ServedModel:
    """Return a model that was kept, after checking every file of it.

    Parameters
    ----------
    folder : Path
        Of the cache.
    kept : Kept

    Returns
    -------
    ServedModel

    Raises
    ------
    GateError
        If the bundle is not the one that was kept.
    """
    path = folder / kept.sha256
    if not path.is_dir():
        raise GateError(f"The cached bundle of {kept.name} must be there; it is gone.")
    bundle = read_bundle(path)
    if bundle.sha256 != kept.sha256:
        raise GateError(f"The cached bundle of {kept.name} must be the one that was kept.")
    loaded = LoadedModel(
        bundle.risk_model,
        bundle.sha256,
        kept.name,
        version=kept.version,
        alias=CHAMPION if kept.promoted else kept.alias,
        run_id=kept.run_id,
    )
    return ServedModel(loaded, promoted=kept.promoted, model_card=kept.model_card)


def _is(folder: Path, sha256: str) -> bool:
    try:
        return bundle_sha256(folder) == sha256
    except (GateError, OSError):
        return False


def _bundles_of(path: Path) -> tuple[str | None, str | None]:
    """Return the bundles of a champion and of the one before it, as its entry states them."""
    try:
        entry = json.loads(path.read_bytes())
        return Kept.model_validate_json(entry["kept"]).sha256, entry.get("before") or None
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None, None


def _signature(entry: dict[str, str], key: bytes) -> str:
    text = json.dumps(entry, sort_keys=True).encode()
    return hmac.digest(hmac.digest(key, _PURPOSE, hashlib.sha256), text, hashlib.sha256).hex()
