"""The parts of a report, independent of its format: sections of sentences, tables, pictures."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from models.markdown import escaped

__all__ = ["REPORT", "Box", "Picture", "Section", "Table", "anchor_of", "as_markdown"]

REPORT = "report.html"
"""The file with the report on one page, beside which a model card lies."""


@dataclass(frozen=True, slots=True)
class Table:
    """One table: the first cell of a row names it; a row of a single cell is a heading.

    `notes` are printed below it; with `numbers`, the cells after the first are aligned as numbers.
    `links` holds, for each row, titles of sections of the report that its last cell refers to; it
    is empty where no row refers to any.
    """

    caption: str
    header: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    notes: tuple[str, ...] = ()
    numbers: bool = False
    links: tuple[tuple[str, ...], ...] = ()


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

    `topics` are paragraphs, each after a heading in bold; `points` is a list under `points_title`.
    `commands` are lines to type, or lines of a file where `commands_are` names its language. With
    `beside`, the pictures stand beside the last table and the points. `not_done` states which
    analysis was not done and how to run it; empty where it was done.
    """

    title: str
    sentences: tuple[str, ...] = ()
    tables: tuple[Table, ...] = ()
    pictures: tuple[Picture, ...] = ()
    flow: tuple[Box, ...] = ()
    parts: tuple[Section, ...] = ()
    not_done: str = ""
    topics: tuple[tuple[str, str], ...] = ()
    points: tuple[str, ...] = ()
    points_title: str = ""
    beside: bool = False
    commands: tuple[str, ...] = ()
    commands_are: str = "sh"

    @property
    def anchor(self) -> str:
        """The target of a link to the section."""
        return anchor_of(self.title)


def anchor_of(title: str) -> str:
    """Return the target of a link to the section of that title.

    >>> anchor_of("TRIPOD+AI checklist")
    'tripod-ai-checklist'
    """
    return re.sub(r"[^a-z0-9]+", "-", title.lower()).strip("-")


def as_markdown(title: str, sections: Sequence[Section]) -> str:
    """Return sections as Markdown, without pictures."""
    return "\n\n".join([f"# {escaped(title)}", *_blocks(sections, 2)]) + "\n"


def _blocks(sections: Sequence[Section], level: int) -> Iterator[str]:
    for section in sections:
        yield f"{'#' * level} {escaped(section.title)}"
        yield from map(escaped, section.sentences)
        yield from (f"**{escaped(name)}.** {escaped(text)}" for name, text in section.topics)
        if section.not_done:
            yield f"**Not done.** {escaped(section.not_done)}"
        if section.flow:
            yield "\n".join(_items(section.flow, ""))
        if section.commands:
            yield "\n".join([f"```{section.commands_are}", *section.commands, "```"])
        for table in section.tables:
            if table.caption:
                yield f"*{escaped(table.caption)}*"
            yield "\n".join(_markdown_rows(table))
            yield from map(escaped, table.notes)
        if section.points:
            items = "\n".join(f"- {escaped(point)}" for point in section.points)
            yield f"**{escaped(section.points_title)}**\n\n{items}"
        yield from _blocks(section.parts, level + 1)


def _items(boxes: Sequence[Box], indent: str) -> Iterator[str]:
    for box in boxes:
        lines = "".join(f"; {escaped(line)}" for line in box.lines)
        yield f"{indent}- **{escaped(box.title)}**{lines}"
        yield from _items(box.next, indent + "    ")


def _markdown_rows(table: Table) -> Iterator[str]:
    width = len(table.header)
    links = table.links or ((),) * len(table.rows)
    rows = (
        (f"**{escaped(row[0])}**", *[""] * (width - 1))
        if len(row) == 1
        else (*map(escaped, row[:-1]), " ".join([escaped(row[-1]), *map(_link, titles)]).strip())
        for row, titles in zip(table.rows, links, strict=True)
    )
    for row in (tuple(map(escaped, table.header)), ("---",) * width, *rows):
        yield "| " + " | ".join(row) + " |"


def _link(title: str) -> str:
    """Return a link to a section of the report that lies beside the text."""
    return f"[{escaped(title)}]({REPORT}#{anchor_of(title)})"
