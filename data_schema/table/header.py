"""The row that names the columns, and how a file that holds no table is refused."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import NoReturn

from data_schema.errors import Finding, RulesBroken

__all__ = ["MAX_COLUMNS", "checked_names", "refuse", "require_header_first"]

MAX_COLUMNS = 5_000
"""More than this is another kind of file: a transposed table, or one column per measurement."""

# A row of which fewer cells are filled in is a title, or names groups of columns.
_SHARE_NAMED = 0.8


def require_header_first(rows: Sequence[Sequence[str]], *, first: int = 1) -> None:
    """Refuse rows above the header (rule `header_row`), and name the row that looks like it.

    Parameters
    ----------
    rows : sequence of sequence of str
        The first rows of a file, from the first that is not blank on; a blank cell is "".
    first : int
        The number of the first of them in the file, counted from 1.
    """
    filled = [sum(bool(cell.strip()) for cell in row) for row in rows]
    width = max(filled, default=0)

    def names_columns(place: int) -> bool:
        few = filled[place] < _SHARE_NAMED * width and width - filled[place] > 1
        return not few and not _mostly_numbers([cell for cell in rows[place] if cell.strip()])

    if not filled or width < 2 or (filled[0] > 1 and names_columns(0)):
        return
    place = next((place for place in range(len(rows)) if names_columns(place)), 0)
    if place > 0:
        message = (
            f"the first row must name the columns; row {first + place}, with {filled[place]} "
            "names, looks like the header. Remove what stands above it."
        )
        refuse("header_row", first + place - 1, message)


def checked_names(header: Sequence[str]) -> list[str]:
    """Return the stripped names of the columns; a blank name becomes the column's position."""
    if len(header) > MAX_COLUMNS:
        message = (
            f"cohort must have at most {MAX_COLUMNS} columns; it has {len(header)}. One row is one "
            "stay: turn a long table into a cohort first, or leave columns out."
        )
        refuse("too_many_columns", len(header), message)
    names = [name.strip() or f"column {place}" for place, name in enumerate(header, start=1)]
    if _mostly_numbers(names):
        numeric = sum(map(_is_number, names))
        message = (
            f"the first row must name the columns; {numeric} of its {len(names)} cells are numbers."
        )
        refuse("no_header", numeric, message)
    repeated = [name for name, count in Counter(names).items() if count > 1]
    if repeated:
        message = (
            f"columns must have different names; {len(repeated)} names occur more than once: "
            f"{', '.join(repeated[:10])}. Rename or remove them."
        )
        refuse("duplicate_columns", len(repeated), message)
    return names


def _mostly_numbers(cells: Sequence[str]) -> bool:
    return 2 * sum(map(_is_number, cells)) > len(cells)


def _is_number(name: str) -> bool:
    try:
        float(name.replace(",", "."))
    except ValueError:
        return False
    return True


def refuse(rule: str, count: int, message: str) -> NoReturn:
    """Raise `RulesBroken` with one finding; errors of parsers quote cells, so none is chained."""
    raise RulesBroken([Finding(rule, "", count, message)]) from None
