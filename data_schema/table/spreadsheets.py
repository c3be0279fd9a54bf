"""Read an `.xlsx`: the visible sheet, and what its cells do not tell a reader.

A formula without a stored value, a merged range and a row hidden by a filter all look like empty
or ordinary cells to a reader of values. They are counted in the sheet's own XML.
"""

from __future__ import annotations

import io
import struct
import warnings
import zipfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import islice
from pathlib import PurePosixPath
from typing import Any
from xml.etree import ElementTree

import openpyxl
import pandas as pd
from openpyxl.utils import coordinate_to_tuple, range_boundaries

from data_schema.errors import Finding
from data_schema.table.header import checked_names, refuse, require_header_first

__all__ = ["read_spreadsheet"]

_FIRST_ROWS = 50
_NAMED = 10
# Errors by which a damaged workbook shows; XML errors are syntax errors.
_DAMAGED = (
    *(zipfile.BadZipFile, zlib.error, struct.error, SyntaxError, EOFError),
    *(KeyError, ValueError, IndexError, TypeError, AttributeError, OSError, NotImplementedError),
)


@dataclass(slots=True)
class _Layout:
    """What a sheet's XML says beside values; rows and columns are counted from 1."""

    formulas: list[tuple[int, int]] = field(default_factory=list)
    merged: list[str] = field(default_factory=list)
    hidden_rows: list[int] = field(default_factory=list)
    hidden_columns: list[int] = field(default_factory=list)


def read_spreadsheet(content: bytes) -> tuple[pd.DataFrame, list[Finding]]:
    """Return the first visible sheet that holds a table, and what was left out or is hidden.

    Returns
    -------
    tuple of (DataFrame, list of Finding)
        Warnings: rules `sheets_not_read` and `hidden_cells`.

    Raises
    ------
    RulesBroken
        Rules `header_row`, `no_header`, `duplicate_columns`, `too_many_columns`, `ragged_rows`,
        `formula_without_value`, `merged_cells` or `unreadable`.
    """
    try:
        with warnings.catch_warnings():
            # openpyxl warns of styles and extensions it does not keep; cells are unaffected.
            warnings.simplefilter("ignore", UserWarning)
            book = openpyxl.load_workbook(io.BytesIO(content), read_only=True, data_only=True)
            sheet, others = _chosen(book.worksheets)
            # The stored dimension may be older than the cells.
            sheet.reset_dimensions()
            rows = [_stripped(row) for row in sheet.iter_rows(values_only=True)]
            layout = _layout(content, sheet.title)
    except _DAMAGED:
        message = (
            "cohort must be readable as spreadsheet; the file is damaged, encrypted or no .xlsx. "
            "Open it in a spreadsheet program and save it again as .xlsx."
        )
        refuse("unreadable", 1, message)
    start = next((place for place, row in enumerate(rows) if row), 0)
    first = [
        ["" if cell is None else str(cell) for cell in row] for row in rows[start:][:_FIRST_ROWS]
    ]
    require_header_first(first, first=start + 1)
    names = checked_names(first[0] if first else [])
    width, cells = len(names), rows[start + 1 :]
    ragged = sum(len(row) > width for row in cells)
    if ragged:
        message = (
            f"rows must have as many cells as the header; {ragged} have more. Name every column."
        )
        refuse("ragged_rows", ragged, message)
    _refuse_unread(layout, header=start + 1, names=names)
    frame = pd.DataFrame([(*row, *[None] * (width - len(row))) for row in cells], columns=names)
    return frame, [*_not_read(sheet, others), *_hidden(layout, header=start + 1, names=names)]


def _chosen(sheets: list[Any]) -> tuple[Any, list[Any]]:
    """Return the first visible sheet with rows of several cells, and others that hold cells."""
    visible = [sheet for sheet in sheets if sheet.sheet_state == "visible"] or sheets
    widths = {sheet.title: _width(sheet) for sheet in sheets}
    filled = [sheet for sheet in visible if widths[sheet.title]] or visible
    chosen = next((sheet for sheet in filled if widths[sheet.title] > 1), filled[0])
    return chosen, [s for s in sheets if s is not chosen and widths[s.title]]


def _width(sheet: Any) -> int:
    """Return the most filled cells in one of the first rows of a sheet."""
    sheet.reset_dimensions()
    rows = islice(sheet.iter_rows(values_only=True), _FIRST_ROWS)
    return max((sum(cell is not None for cell in row) for row in rows), default=0)


def _stripped(row: tuple[Any, ...]) -> tuple[Any, ...]:
    """Return a row without the empty cells at its end; blank text is an empty cell."""
    cells = [None if isinstance(cell, str) and not cell.strip() else cell for cell in row]
    while cells and cells[-1] is None:
        cells.pop()
    return tuple(cells)


def _refuse_unread(layout: _Layout, *, header: int, names: list[str]) -> None:
    """Refuse formulas without a value, and merged ranges, below the header."""
    formulas = [c for r, c in layout.formulas if r > header and c <= len(names)]
    if formulas:
        columns = ", ".join(names[c - 1] for c in sorted(set(formulas))[:_NAMED])
        message = (
            f"cells must hold values; {len(formulas)} formulas without a value are in {columns}. "
            "Open the file in a spreadsheet program, let it calculate, and save it; or paste the "
            "values."
        )
        refuse("formula_without_value", len(formulas), message)
    merged = [area for area in layout.merged if _covers_data(area, header, len(names))]
    if merged:
        named = ", ".join(merged[:_NAMED]) + (", ..." if len(merged) > _NAMED else "")
        message = (
            f"cells must not be merged; {len(merged)} merged ranges cover rows of the table "
            f"({named}), and only the first cell of each holds its value. Unmerge them and fill in "
            "every row."
        )
        refuse("merged_cells", len(merged), message)


def _covers_data(area: str, header: int, width: int) -> bool:
    left, _, _, bottom = range_boundaries(area)
    return (bottom or header + 1) > header and (left or 1) <= width


def _not_read(sheet: Any, others: list[Any]) -> Iterator[Finding]:
    if others:
        named = ", ".join(
            f'"{s.title}"' + ("" if s.sheet_state == "visible" else " (hidden)")
            for s in others[:_NAMED]
        )
        message = (
            f'cohort should be one sheet; "{sheet.title}" is read, and {len(others)} with cells '
            f"{'is' if len(others) == 1 else 'are'} not: {named}. Move the cohort to the front, or "
            "join the sheets."
        )
        yield Finding("sheets_not_read", "", len(others), message)


def _hidden(layout: _Layout, *, header: int, names: list[str]) -> Iterator[Finding]:
    rows = sum(row > header for row in layout.hidden_rows)
    columns = [names[c - 1] for c in layout.hidden_columns if c <= len(names)]
    hidden = [f"{rows} rows"] if rows else []
    hidden += [f"{len(columns)} columns ({', '.join(columns[:_NAMED])})"] if columns else []
    if hidden:
        message = (
            f"cells should be visible; {' and '.join(hidden)} are hidden, as by a filter, and are "
            "read as well. Remove them if they are no part of the cohort."
        )
        yield Finding("hidden_cells", "", rows + len(columns), message)


def _layout(content: bytes, title: str) -> _Layout:
    """Return what the XML of one sheet says of formulas, merged ranges and hidden cells."""
    layout = _Layout()
    with (
        zipfile.ZipFile(io.BytesIO(content)) as archive,
        archive.open(_part(archive, title)) as source,
    ):
        row = column = 0
        for event, element in ElementTree.iterparse(source, events=("start", "end")):
            tag = element.tag.rpartition("}")[2]
            if event == "start":
                if tag == "row":
                    row, column = int(element.get("r", row + 1)), 0
                    if _is_set(element, "hidden"):
                        layout.hidden_rows.append(row)
                continue
            if tag == "c":
                place = element.get("r")
                column = coordinate_to_tuple(place)[1] if place else column + 1
                if _lacks_value(element):
                    layout.formulas.append((row, column))
            elif tag == "mergeCell":
                layout.merged.append(element.get("ref", ""))
            elif tag == "col" and _is_set(element, "hidden"):
                last = min(int(element.get("max", 0)), int(element.get("min", 0)) + 5_000)
                layout.hidden_columns += range(int(element.get("min", 0)), last + 1)
            if tag in ("row", "mergeCell", "col"):
                element.clear()
    return layout


def _is_set(element: ElementTree.Element, name: str) -> bool:
    return element.get(name, "0") in ("1", "true")


def _lacks_value(cell: ElementTree.Element) -> bool:
    """Return whether a cell holds a formula without a value; empty text is a value."""
    parts = {part.tag.rpartition("}")[2]: part for part in cell}
    value = parts.get("v")
    has_value = value is not None and (bool(value.text) or cell.get("t") == "str")
    return "f" in parts and not has_value


def _part(archive: zipfile.ZipFile, title: str) -> str:
    """Return the name of the file of a sheet within a workbook."""
    book = next(
        target
        for kind, target in _relations(archive, "_rels/.rels", "").values()
        if kind.endswith("/officeDocument")
    )
    folder, _, name = book.rpartition("/")
    targets = _relations(archive, f"{folder}/_rels/{name}.rels", folder)
    for element in ElementTree.fromstring(archive.read(book)).iter():
        if element.tag.rpartition("}")[2] == "sheet" and element.get("name") == title:
            keys = [key for key in element.attrib if key.endswith("}id")]
            return targets[element.get(keys[0], "")][1]
    raise KeyError


def _relations(archive: zipfile.ZipFile, name: str, folder: str) -> dict[str, tuple[str, str]]:
    """Return kind and target of each relation, by its identifier."""
    return {
        element.get("Id", ""): (
            element.get("Type", ""),
            _absolute(element.get("Target", ""), folder),
        )
        for element in ElementTree.fromstring(archive.read(name))
    }


def _absolute(target: str, folder: str) -> str:
    if target.startswith("/"):
        return target.lstrip("/")
    parts: list[str] = []
    for part in PurePosixPath(folder, target).parts:
        parts = parts[:-1] if part == ".." else [*parts, part]
    return "/".join(parts)
