"""The parts of a report, independent of its format: sections of sentences, tables, pictures."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

__all__ = ["Box", "Picture", "Section", "Table", "as_markdown"]

# What Markdown would take for a tag, an entity, a link, code, emphasis or the edge of a cell.
_MARKUP = re.compile(
    r"[\\`*\[\]|]|<(?=[A-Za-z/!?])|&(?=#?\w+;)|(?<![A-Za-z0-9])_|_(?![A-Za-z0-9])|~(?=~)"
)
_AT_START = re.compile(r"^(\d*)([#>+.)-])(?=\s)")


@dataclass(frozen=True, slots=True)
class Table:
    """One table: the first cell of a row names it; a row of a single cell is a heading.

    `notes` are printed below it; with `numbers`, the cells after the first are aligned as numbers.
    """

    caption: str
    header: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    notes: tuple[str, ...] = ()
    numbers: bool = False


@dataclass(frozen=True, slots=True)
class Picture:
    """A figure with its caption, the alternative text for screen readers, and its width."""

    caption: str
    alternative: str
    width_inches: float
    svg: bytes


@dataclass(frozen=True, slots=True)
class Box:
    """One box of a flow chart: a title, lines, and the boxes below it."""

    title: str
    lines: tuple[str, ...] = ()
    next: tuple[Box, ...] = ()


@dataclass(frozen=True, slots=True)
class Section:
    """One section of a report.

    `not_done` states which analysis was not done and how to run it; empty where it was done.
    """

    title: str
    sentences: tuple[str, ...] = ()
    tables: tuple[Table, ...] = ()
    pictures: tuple[Picture, ...] = ()
    flow: tuple[Box, ...] = ()
    parts: tuple[Section, ...] = ()
    not_done: str = ""

    @property
    def anchor(self) -> str:
        """The target of a link to the section."""
        return re.sub(r"[^a-z0-9]+", "-", self.title.lower()).strip("-")


def as_markdown(title: str, sections: Sequence[Section]) -> str:
    """Return sections as Markdown, without pictures."""
    return "\n\n".join([f"# {_escaped(title)}", *_blocks(sections, 2)]) + "\n"


def _blocks(sections: Sequence[Section], level: int) -> Iterator[str]:
    for section in sections:
        yield f"{'#' * level} {_escaped(section.title)}"
        yield from map(_escaped, section.sentences)
        if section.not_done:
            yield f"**Not done.** {_escaped(section.not_done)}"
        if section.flow:
            yield "\n".join(_items(section.flow, ""))
        for table in section.tables:
            if table.caption:
                yield f"*{_escaped(table.caption)}*"
            yield "\n".join(_markdown_rows(table))
            yield from map(_escaped, table.notes)
        yield from _blocks(section.parts, level + 1)


def _items(boxes: Sequence[Box], indent: str) -> Iterator[str]:
    for box in boxes:
        lines = "".join(f"; {_escaped(line)}" for line in box.lines)
        yield f"{indent}- **{_escaped(box.title)}**{lines}"
        yield from _items(box.next, indent + "    ")


def _markdown_rows(table: Table) -> Iterator[str]:
    width = len(table.header)
    rows = (
        (f"**{_escaped(row[0])}**", *[""] * (width - 1))
        if len(row) == 1
        else tuple(map(_escaped, row))
        for row in table.rows
    )
    for row in (tuple(map(_escaped, table.header)), ("---",) * width, *rows):
        yield "| " + " | ".join(row) + " |"


def _escaped(text: str) -> str:
    """Return a text that Markdown shows as it is: labels come from tables and mapping files."""
    line = " ".join(text.split())
    return _AT_START.sub(r"\1\\\2", _MARKUP.sub(r"\\\g<0>", line))
