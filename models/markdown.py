"""Text as Markdown shows it: labels come from tables and mapping files."""

from __future__ import annotations

import re

__all__ = ["escaped"]

# What Markdown would take for a tag, an entity, a link, code, emphasis or the edge of a cell.
_MARKUP = re.compile(
    r"[\\`*\[\]|]|<(?=[A-Za-z/!?])|&(?=#?\w+;)|(?<![A-Za-z0-9])_|_(?![A-Za-z0-9])|~(?=~)"
)
_AT_START = re.compile(r"^(\d*)([#>+.)-])(?=\s)")


def escaped(text: str) -> str:
    """Return a text that Markdown shows as it is, on one line.

    >>> escaped("a | b")
    'a \\\\| b'
    """
    line = " ".join(text.split())
    return _AT_START.sub(r"\1\\\2", _MARKUP.sub(r"\\\g<0>", line))
