"""What a report is made of, whatever it is written as: sections of sentences, tables, pictures."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

__all__ = ["Box", "Picture", "Section", "Table", "as_markdown"]


@dataclass(frozen=True, slots=True)
class Table:
    """One table; a row of a single cell is a heading of the rows below it.

    Parameters
    ----------
    caption : str
        What it shows, of whom.
    header : tuple of str
    rows : tuple of tuple of str
        The first cell names the row.
    notes : tuple of str
        How it is to be read.
    numbers : bool
        Whether the cells after the first hold numbers, to be set under each other.
    """

    caption: str
    header: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    notes: tuple[str, ...] = ()
    numbers: bool = False


@dataclass(frozen=True, slots=True)
class Picture:
    """A figure: how it is read, what is said to those who do not see it, and how wide it is."""

    caption: str
    alternative: str
    width_inches: float
    svg: bytes


@dataclass(frozen=True, slots=True)
class Box:
    """One box of a flow: a heading, lines, and the boxes that follow from it."""

    title: str
    lines: tuple[str, ...] = ()
    next: tuple[Box, ...] = ()


@dataclass(frozen=True, slots=True)
class Section:
    """One part of a report.

    Parameters
    ----------
    title : str
    sentences : tuple of str
    tables : tuple of Table
    pictures : tuple of Picture
    flow : tuple of Box
    parts : tuple of Section
    not_done : str
        What was not done and how it is; empty where the section has something to tell.
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
        """What a link to the section is called."""
        return re.sub(r"[^a-z0-9]+", "-", self.title.lower()).strip("-")


def as_markdown(title: str, sections: Sequence[Section]) -> str:
    """Return sections as Markdown, without pictures.

    Parameters
    ----------
    title : str
    sections : sequence of Section

    Returns
    -------
    str
    """
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
