"""Read a CSV of any delimiter, encoding and line end as text, and refuse one that has lost rows."""

from __future__ import annotations

import csv
import io
import re
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import islice

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.csv

from data_schema.table.header import checked_names, refuse, require_header_first

__all__ = ["read_csv"]

_DELIMITERS = (",", ";", "\t", "|")
_SNIFFED_ROWS = 50
# What a spreadsheet writes above the header to name the delimiter.
_SEPARATOR_LINE = re.compile(r'"?sep=(.)"?[;,\t|]*\n', re.IGNORECASE)
_BLANK_LINES = re.compile(r'(?:[ \t,;|"]*\n)+')
_UNDECODED = re.compile("[\udc80-\udcff]+")
_NAMED_ROWS = 5
# The longest cell that Arrow reads, in bytes.
_BLOCK = 1 << 26
_SAVE_AGAIN = "cohort must be readable as CSV. Save it again as CSV UTF-8."


def read_csv(content: bytes) -> pd.DataFrame:
    """Return the cells of a CSV as text, NA where empty.

    Blank lines and a line `sep=;` above the header are left out.

    Raises
    ------
    RulesBroken
        Rules `encoding`, `header_row`, `no_header`, `duplicate_columns`, `too_many_columns`,
        `stray_quote`, `ragged_rows` or `unreadable`.
    """
    # Line ends of any system, in cells as well.
    text = _decoded(content).replace("\r\n", "\n").replace("\r", "\n")
    above = 0
    stated = _SEPARATOR_LINE.match(text)
    for line in (stated, _BLANK_LINES.match(text, stated.end() if stated else 0)):
        above = line.end() if line else above
    skipped, text = text[:above].count("\n"), text[above:]
    with _long_cells(len(text)):
        try:
            delimiter = stated[1] if stated else _delimiter(text)
            rows = _first_rows(text, delimiter)
            # `"a", "b"`: Arrow takes the space, and then the quotation marks, as text.
            spaced = any(cell.startswith(' "') for row in rows for cell in row)
            rows = _first_rows(text, delimiter, skipinitialspace=spaced)
            require_header_first(rows, first=skipped + 1)
            names = checked_names(rows[0] if rows else [])
            read = _read_spaced if spaced else _read_quickly
            frame, ragged = read(text, delimiter, names)
        except (csv.Error, pa.ArrowInvalid):
            refuse("unreadable", 1, _SAVE_AGAIN)
    _refuse_swallowed_rows(frame, delimiter)
    if ragged and _is_unclosed(text, delimiter):
        message = (
            "a cell must not hold rows of the table; 1 quotation mark has no second one, so that "
            "all rows after it are one cell. Remove the mark, or double it within a quoted cell."
        )
        refuse("stray_quote", 1, message)
    if ragged:
        message = (
            f"rows must have as many cells as the header; {ragged} have more or fewer. Quote cells "
            "that hold the delimiter, and check whether the file is complete."
        )
        refuse("ragged_rows", ragged, message)
    return frame


def _first_rows(text: str, delimiter: str, *, skipinitialspace: bool = False) -> list[list[str]]:
    rows = csv.reader(io.StringIO(text), delimiter=delimiter, skipinitialspace=skipinitialspace)
    return list(islice(rows, _SNIFFED_ROWS))


def _read_quickly(text: str, delimiter: str, names: list[str]) -> tuple[pd.DataFrame, int]:
    """Return the cells below the header, and the number of rows of another width."""
    ragged = 0

    def count_ragged(_: object) -> str:
        nonlocal ragged
        ragged += 1
        return "skip"

    if len(next(csv.reader(io.StringIO(text), delimiter=delimiter))) != len(names):
        return pd.DataFrame(columns=names), 1
    table = pyarrow.csv.read_csv(
        io.BytesIO(text.encode()),
        pyarrow.csv.ReadOptions(
            column_names=names, skip_rows=0, use_threads=False, block_size=_BLOCK
        ),
        pyarrow.csv.ParseOptions(
            delimiter=delimiter, newlines_in_values=True, invalid_row_handler=count_ragged
        ),
        pyarrow.csv.ConvertOptions(
            column_types=dict.fromkeys(names, pa.string()),
            null_values=[""],
            strings_can_be_null=True,
        ),
    )
    frame: pd.DataFrame = table.to_pandas(types_mapper={pa.string(): pd.StringDtype()}.get)
    return frame.iloc[1:], ragged


def _read_spaced(text: str, delimiter: str, names: list[str]) -> tuple[pd.DataFrame, int]:
    """Do the same where a space follows each delimiter, in a slower way."""
    rows = csv.reader(io.StringIO(text), delimiter=delimiter, skipinitialspace=True)
    filled = [row for row in islice(rows, 1, None) if row]
    whole = [[cell or None for cell in row] for row in filled if len(row) == len(names)]
    return pd.DataFrame(whole, columns=names, dtype="string"), len(filled) - len(whole)


@contextmanager
def _long_cells(size: int) -> Iterator[None]:
    """Let the reader of the standard library take cells as long as the file."""
    before = csv.field_size_limit(max(size, csv.field_size_limit()))
    try:
        yield
    finally:
        csv.field_size_limit(before)


def _refuse_swallowed_rows(frame: pd.DataFrame, delimiter: str) -> None:
    """Refuse cells that hold whole rows, as between two stray quotation marks."""
    between = len(frame.columns) - 1
    swallowed: list[int] = []
    for place in range(len(frame.columns)):
        cells = frame.iloc[:, place].reset_index(drop=True).dropna()
        holds_line_end = cells.str.contains("\n", regex=False).to_numpy(dtype=bool)
        for row in map(int, np.flatnonzero(holds_line_end)):
            cell = str(cells.iloc[row])
            lines = cell.rstrip("\n").split("\n")
            joined = cell.count(delimiter) == (len(lines) - 1) * between
            # In a narrow table, a note of two lines may hold as many delimiters by chance.
            joined &= between > 2 or len(lines) > 2
            inner = any(line.count(delimiter) == between for line in lines[1:-1])
            if between and len(lines) > 1 and (joined or inner):
                swallowed.append(int(cells.index[row]))
    if swallowed:
        count = len(swallowed)
        message = (
            f"a cell must not hold rows of the table; {count} hold a line end and as many "
            f"delimiters as the header, as if a stray quotation mark had joined rows. The first "
            f"is in record {min(swallowed) + 1} below the header. Remove the mark, or double it "
            "within a quoted cell."
        )
        refuse("stray_quote", count, message)


def _is_unclosed(text: str, delimiter: str) -> bool:
    """Return whether the file ends within a quoted cell."""
    try:
        for _ in csv.reader(io.StringIO(text), delimiter=delimiter, strict=True):
            pass
    except csv.Error as error:
        return "unexpected end" in str(error)
    return False


def _decoded(content: bytes) -> str:
    """Return the text of a CSV, without its byte order mark."""
    if content.startswith((b"\xff\xfe", b"\xfe\xff")):
        encoding = "utf-16"
    elif 3 * content[1:2_000:2].count(0) > len(content[1:2_000:2]):
        encoding = "utf-16-le"
    else:
        encoding = "utf-8-sig" if _is_utf8(content) else "cp1252"
    try:
        text = content.decode(encoding)
    except UnicodeDecodeError:
        refuse("unreadable", 1, _SAVE_AGAIN)
    if "\0" in text:
        refuse("unreadable", 1, _SAVE_AGAIN)
    return text


def _is_utf8(content: bytes) -> bool:
    """Return whether a text is UTF-8; refuse one that mostly is (rule `encoding`)."""
    try:
        content.decode()
    except UnicodeDecodeError:
        text = content.decode(errors="surrogateescape")
    else:
        return True
    # Letters of Windows-1252 hardly ever form a valid sequence of UTF-8.
    wrong = list(_UNDECODED.finditer(text))
    valid = sum(character > "\x7f" for character in text) - sum(len(run[0]) for run in wrong)
    if valid < len(wrong):
        return False
    lines = sorted({text.count("\n", 0, run.start()) + 1 for run in wrong})
    named = ", ".join(map(str, lines[:_NAMED_ROWS])) + (", ..." if len(lines) > _NAMED_ROWS else "")
    message = (
        f"text must have one encoding; {len(wrong)} of {valid + len(wrong)} characters beyond "
        f"ASCII {'is' if len(wrong) == 1 else 'are'} not UTF-8 (line {named} of the file). Correct "
        "them, or save the file again as CSV UTF-8."
    )
    refuse("encoding", len(wrong), message)


def _delimiter(text: str) -> str:
    """Return the delimiter that splits the first rows most often, and all into as many cells."""
    best, best_score = ",", (False, 1, 0)
    for delimiter in _DELIMITERS:
        try:
            rows = _first_rows(text, delimiter)
        except csv.Error:
            continue
        widths = Counter(len(row) for row in rows if row)
        if not widths:
            continue
        usual = widths.most_common(1)[0][0]
        # Below a title, the rows decide.
        score = (len(widths) == 1 and usual > 1, len(rows[0]), usual)
        if usual > 1 and score > best_score:
            best, best_score = delimiter, score
    return best
