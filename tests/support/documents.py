"""The code blocks of the documents: of the repository's root and of the site."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from places import ROOT

_FENCE = re.compile(
    r"^(?:<!-- not run here: (?P<reason>[^>]+) -->\n)?(?P<fence>`{3,})(?P<language>[^\n`]*)\n"
    r"(?P<text>.*?)^(?P=fence)\s*$",
    flags=re.MULTILINE | re.DOTALL,
)


@dataclass(frozen=True)
class Block:
    """One block: its language, its text, and why it is not run, if a comment says so."""

    document: str
    line: int
    language: str
    text: str
    reason: str


def pages() -> list[Path]:
    """Return the pages of the site that are written by hand."""
    found = (ROOT / "docs").rglob("*.md")
    return sorted(path for path in found if not {"generated", "_build"} & {*path.parts})


def documents() -> list[Path]:
    """Return the documents of the root that users read, and the pages of the site."""
    return [ROOT / "README.md", ROOT / "CONTRIBUTING.md", ROOT / "SECURITY.md", *pages()]


def blocks(path: Path) -> Iterator[Block]:
    """Yield the code blocks of a document; directives of MyST are none."""
    text = path.read_text(encoding="utf-8")
    for found in _FENCE.finditer(text):
        language = found["language"].strip()
        if not language.startswith("{"):
            line = text.count("\n", 0, found.start()) + 1
            name = str(path.relative_to(ROOT))
            yield Block(name, line, language, found["text"], found["reason"] or "")


def commands_in(text: str) -> list[str]:
    """Return the lines of a block of shell that call `osteon`, continuations joined."""
    joined = re.sub(r"\\\n\s*", " ", text)
    found = []
    for line in joined.splitlines():
        bare = re.sub(r"\s{2,}#.*$|^#.*$", "", line).strip()
        match = re.search(r"(?:^|[\s/])osteon\s+(?P<rest>[a-z].*)$", bare)
        if match and not bare.startswith(("server ", "pip ", "podman ", "docker ")):
            found.append(match["rest"])
    return found
