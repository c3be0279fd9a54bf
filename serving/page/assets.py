"""The page's own files: served from this package and from Plotly's, under a name that never lies.

Their address holds a hash of all of them, so that a browser may keep each for ever.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files

__all__ = ["Asset", "asset", "version"]

_TYPES: Mapping[str, str] = {
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
}

_PLOTLY = "plotly.min.js"


@dataclass(frozen=True, slots=True)
class Asset:
    """One file, as it is sent."""

    content: bytes
    media_type: str


def asset(name: str) -> Asset | None:
    """Return the file of a name, or None if the page has no such file."""
    return _assets().get(name)


@cache
def version() -> str:
    """Return the hash of all files, which is part of their address."""
    found = hashlib.sha256()
    for name, one in sorted(_assets().items()):
        found.update(name.encode() + one.content)
    return found.hexdigest()[:16]


@cache
def _assets() -> Mapping[str, Asset]:
    folder = files("serving.page").joinpath("static")
    own = {path.name: path.read_bytes() for path in folder.iterdir()}
    plotly = files("plotly").joinpath("package_data", _PLOTLY).read_bytes()
    return {
        name: Asset(content, _TYPES[name[name.rindex(".") :]])
        for name, content in (own | {_PLOTLY: plotly}).items()
    }
