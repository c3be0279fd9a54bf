"""The code blocks of the documents: of the repository's root and of the site.

    python tests/support/documents.py

prints, for each document, how many blocks of shell and Python a test runs, and how many a comment
`<!-- not run here: REASON -->` sets apart. The notebooks are run as a whole.
"""

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


REASONS = (
    "it needs a hospital's own",
    "it needs a container engine",
    "it needs a package index",
    "it takes",
)
"""How the reason begins for which a block is set apart."""


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
    others = {"generated", "_build", "notebooks"}
    return sorted(path for path in found if not others & {*path.parts})


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


def runs(block: Block) -> bool:
    """Return whether a test executes a block: shell or Python that no comment sets apart."""
    return block.language in ("sh", "python") and not block.reason


def followed() -> list[Path]:
    """Return the documents with commands that a test executes."""
    return [path for path in documents() if any(map(runs, blocks(path)))]


def main() -> None:
    """Print the counts by document."""
    print("run  set apart  document")
    total = [0, 0]
    for path in documents():
        code = [block for block in blocks(path) if block.language in ("sh", "python")]
        if code:
            counts = (sum(map(runs, code)), sum(bool(block.reason) for block in code))
            total = [total[0] + counts[0], total[1] + counts[1]]
            print(f"{counts[0]:3}  {counts[1]:9}  {path.relative_to(ROOT)}")
    print(f"{total[0]:3}  {total[1]:9}  in all")


if __name__ == "__main__":
    main()
