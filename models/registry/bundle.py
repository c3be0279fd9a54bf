"""A risk model as a directory of files that can be checked: no pickle, no training row.

    contract.json, model.json, *.ubj   what `RiskModel.files()` gives
    without_panel.json, .ubj           a fit to the same patients without the panel of markers, only
                                       where that adds something; about as large as one fold model
    model.py                           the code that reads them, standing alone, for MLflow clients
    manifest.json                      SHA-256 of each of the above

The hash of the manifest is the identity of the model: the gate signs it, and it is
computed again from the files wherever a bundle is loaded.
"""

from __future__ import annotations

import ast
import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from graphlib import TopologicalSorter
from importlib.resources import files as package_files
from pathlib import Path

from data_schema.errors import GateError, UsageError
from models.inference.risk_model import InferenceError, RiskModel

__all__ = [
    "MODEL_CODE",
    "Bundle",
    "bundle_sha256",
    "model_source",
    "read_bundle",
    "write_bundle",
    "write_files",
]

MODEL_CODE = "model.py"
_MANIFEST = "manifest.json"

_OPENING = '"""Osteon\'s inference, standing alone: written by `registry.bundle`, do not edit."""\n'

_REGISTRATION = """

from mlflow.models import set_model

set_model(OsteonModel())
"""


@dataclass(frozen=True, slots=True)
class Bundle:
    """A bundle, all of its files checked."""

    risk_model: RiskModel
    sha256: str
    files: Mapping[str, bytes]

    @property
    def model_code(self) -> bytes:
        """The bundle's copy of the code that reads it."""
        return self.files[MODEL_CODE]


def write_bundle(risk_model: RiskModel, directory: Path | str) -> str:
    """Write a risk model as a bundle of this version's format and return the bundle's hash."""
    return write_files({**risk_model.files(), MODEL_CODE: model_source().encode()}, directory)


def write_files(files: Mapping[str, bytes], directory: Path | str) -> str:
    """Write the files of a bundle with their manifest and return the bundle's hash.

    Parameters
    ----------
    files : mapping of str to bytes
        All but the manifest.
    directory : path
        Created if it does not exist; must be empty (`UsageError`).
    """
    folder = Path(directory)
    folder.mkdir(parents=True, exist_ok=True)
    if any(folder.iterdir()):
        raise UsageError(f"{folder} must be empty. Choose another directory.")
    for name, content in files.items():
        (folder / name).write_bytes(content)
    # Last, so that a bundle cut short has no manifest and is refused.
    manifest = _manifest(files)
    (folder / _MANIFEST).write_text(json.dumps(manifest, indent=2, sort_keys=True) + "\n")
    return _sha256_of_manifest(manifest)


def read_bundle(directory: Path | str) -> Bundle:
    """Read a bundle, checking every file against the manifest before any is used.

    Raises
    ------
    UsageError
        If the directory is not a bundle.
    GateError
        If a file was changed, is missing or is not listed, or the format is unknown.
    """
    contents = _checked_contents(Path(directory))
    sha256 = _sha256_of_manifest(_manifest(contents))
    try:
        risk_model = RiskModel.from_files(contents)
    except (InferenceError, KeyError) as error:
        raise GateError(f"The bundle must hold a model of this format; {error}") from error
    return Bundle(risk_model, sha256, contents)


def bundle_sha256(directory: Path | str) -> str:
    """Return the hash of a bundle, computed from its files; raises what `read_bundle` does."""
    return _sha256_of_manifest(_manifest(_checked_contents(Path(directory))))


def model_source() -> str:
    """Return the source of a bundle's `model.py`, which imports nothing of Osteon's.

    Every module of `models.inference`, each after those that it imports, without their imports of
    each other, their lists of public names and their docstrings, then the line by which MLflow
    loads the model.
    """
    sources = {
        file.name.removesuffix(".py"): _Source.of(file.read_text(encoding="utf-8"))
        for file in sorted(package_files("models.inference").iterdir(), key=lambda file: file.name)
        if file.name.endswith(".py") and file.name != "__init__.py"
    }
    imports = {name: _imported_modules(source) for name, source in sources.items()}
    ordered = TopologicalSorter(imports).static_order()
    return f"{_OPENING}{''.join(_standing_alone(sources[name]) for name in ordered)}{_REGISTRATION}"


@dataclass(frozen=True, slots=True)
class _Source:
    """A module's text and its syntax tree, parsed once."""

    text: str
    tree: ast.Module

    @classmethod
    def of(cls, text: str) -> _Source:
        return cls(text, ast.parse(text))


def _imported_modules(source: _Source) -> list[str]:
    """Return the modules of `models.inference` that a module imports from, in a fixed order."""
    package = "models.inference."
    imported = (
        statement.module or ""
        for statement in source.tree.body
        if isinstance(statement, ast.ImportFrom)
    )
    return sorted({name.removeprefix(package) for name in imported if name.startswith(package)})


def _standing_alone(source: _Source) -> str:
    """Return a module's source without what only makes sense inside the package."""
    lines = source.text.splitlines(keepends=True)
    for statement in source.tree.body:
        if _is_docstring(statement) or _is_of_the_package(statement):
            first, last = statement.lineno - 1, statement.end_lineno or statement.lineno
            lines[first:last] = [""] * (last - first)
    return f"\n\n{''.join(lines).strip()}\n"


def _is_of_the_package(statement: ast.stmt) -> bool:
    """Return whether a statement imports from `models` or `__future__`, or lists public names."""
    if isinstance(statement, ast.ImportFrom):
        return (statement.module or "").split(".")[0] in {"__future__", "models"}
    return isinstance(statement, ast.Assign) and ast.unparse(statement.targets[0]) == "__all__"


def _is_docstring(statement: ast.stmt) -> bool:
    """Return whether a top-level statement is a bare string."""
    return isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Constant)


def _checked_contents(folder: Path) -> dict[str, bytes]:
    """Return the content of every file but the manifest, each read once and checked."""
    manifest_file = folder / _MANIFEST
    if not manifest_file.is_file():
        raise UsageError(f"{folder} must be a bundle: a directory with {_MANIFEST}.")
    try:
        manifest = json.loads(manifest_file.read_bytes())
    except ValueError:
        manifest = None
    present = {path.name for path in folder.iterdir()} - {_MANIFEST}
    if not isinstance(manifest, dict) or present != set(manifest):
        raise GateError(
            f"A bundle must hold exactly the files that {_MANIFEST} lists. Fetch the model again."
        )
    contents = {name: (folder / name).read_bytes() for name in sorted(manifest)}
    if _manifest(contents) != manifest:
        changed = sum(manifest[name] != sha for name, sha in _manifest(contents).items())
        raise GateError(
            f"A bundle's files must have the hashes of {_MANIFEST}; {changed} of {len(manifest)} "
            "do not. Fetch the model again."
        )
    return contents


def _manifest(contents: Mapping[str, bytes]) -> dict[str, str]:
    """Return the SHA-256 of each file."""
    return {name: hashlib.sha256(content).hexdigest() for name, content in contents.items()}


def _sha256_of_manifest(manifest: Mapping[str, str]) -> str:
    """Return the hash over the sorted manifest, whatever its layout on disk."""
    text = json.dumps(manifest, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()
