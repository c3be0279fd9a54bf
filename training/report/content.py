"""The parts of a report, independent of its format: sections of sentences, tables, pictures."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

__all__ = ["Box", "Picture", "Section", "Table", "as_markdown"]


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
    return "\n\n".join([f"# {title}", *_blocks(sections, 2)]) + "\n"


def _blocks(sections: Sequence[Section], level: int) -> Iterator[str]:
    for section in sections:
        yield f"{'#' * level} {section.title}"
        yield from section.sentences
        if section.not_done:
            yield f"**Not done.** {section.not_done}"
        if section.flow:
            yield "\n".join(_items(section.flow, ""))
        for table in section.tables:
            if table.caption:
                yield f"*{table.caption}*"
            yield "\n".join(_markdown_rows(table))
            yield from table.notes
        yield from _blocks(section.parts, level + 1)


def _items(boxes: Sequence[Box], indent: str) -> Iterator[str]:
    for box in boxes:
        yield f"{indent}- **{box.title}**" + "".join(f"; {line}" for line in box.lines)
        yield from _items(box.next, indent + "    ")


def _markdown_rows(table: Table) -> Iterator[str]:
    width = len(table.header)
    heads = (f"**{row[0]}**" if len(row) == 1 else "" for row in table.rows)
    filled = (
        (head, *[""] * (width - 1)) if head else row
        for head, row in zip(heads, table.rows, strict=True)
    )
    for row in (table.header, ("---",) * width, *filled):
        yield "| " + " | ".join(cell.replace("|", "\\|") for cell in row) + " |"
