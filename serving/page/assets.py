"""The page's files, and the styles of monitoring's charts.

Their addresses hold a hash of all files, so that browsers may cache each file for ever.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files

__all__ = ["asset", "version"]

_TYPES: Mapping[str, str] = {
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
}

_CHARTS = "charts.css"


@dataclass(frozen=True, slots=True)
class _Asset:
    """One file, as sent."""

    content: bytes
    media_type: str


def asset(name: str) -> _Asset | None:
    """Return the file with a name, or None."""
    return _assets().get(name)


@cache
def version() -> str:
    """Return the hash of all files, part of their addresses."""
    digest = hashlib.sha256()
    for name, one in sorted(_assets().items()):
        digest.update(name.encode() + one.content)
    return digest.hexdigest()[:16]


@cache
def _assets() -> Mapping[str, _Asset]:
    folder = files("serving.page").joinpath("static")
    own = {path.name: path.read_bytes() for path in folder.iterdir()}
    charts = files("models.monitoring").joinpath("templates", _CHARTS).read_bytes()
    return {
        name: _Asset(content, _TYPES[name[name.rindex(".") :]])
        for name, content in (own | {_CHARTS: charts}).items()
    }
