"""Read a CSV of any delimiter, encoding and line end as text, and refuse one that has lost rows."""

from __future__ import annotations

import codecs
import csv
import io
import re
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from itertools import islice
from typing import Any, BinaryIO

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.csv

from data_schema.table.header import checked_names, refuse, require_header_first

__all__ = ["csv_tables"]

_DELIMITERS = (",", ";", "\t", "|")
_SNIFFED_ROWS = 50
# What a spreadsheet writes above the header to name the delimiter.
_SEPARATOR_LINE = re.compile(r'"?sep=(.)"?[;,\t|]*\n', re.IGNORECASE)
_BLANK_LINE = re.compile(r'[ \t,;|"]*\n')
_UNDECODED = re.compile("[\udc80-\udcff]+")
_NAMED_ROWS = 5
_LINES_AT_A_TIME = 10_000
# The longest cell that Arrow reads, in bytes.
_BLOCK = 1 << 26
_SAVE_AGAIN = "cohort must be readable as CSV. Save it again as CSV UTF-8."


def csv_tables(open_file: Callable[[], BinaryIO], size: int) -> Iterator[pd.DataFrame]:
    """Yield the cells of a CSV as text, NA where empty, some rows at a time.

    Blank lines and a line `sep=;` above the header are left out.

    Parameters
    ----------
    open_file : callable
        Opens the file at its start; called several times.
    size : int
        Bytes of the file.

    Yields
    ------
    DataFrame
        At least one, with the columns of the header. Rows that are left out because their width
        differs are refused after the last table.

    Raises
    ------
    RulesBroken
        Rules `encoding`, `header_row`, `no_header`, `duplicate_columns`, `too_many_columns`,
        `stray_quote`, `ragged_rows` or `unreadable`.
    """
    with _long_cells(size):
        try:
            yield from _tables(_CsvFile.of(open_file))
        except (csv.Error, pa.ArrowInvalid, UnicodeDecodeError):
            refuse("unreadable", 1, _SAVE_AGAIN)


@dataclass(frozen=True, slots=True)
class _CsvFile:
    """A CSV with its encoding, the lines above its header, and a stated delimiter."""

    open_file: Callable[[], BinaryIO]
    encoding: str
    skipped: int
    stated_delimiter: str | None

    @classmethod
    def of(cls, open_file: Callable[[], BinaryIO]) -> _CsvFile:
        whole = cls(open_file, _encoding(open_file), 0, None)
        skipped, stated = 0, None
        for line in whole.lines():
            separator = _SEPARATOR_LINE.fullmatch(line) if skipped == 0 else None
            if separator:
                stated = separator[1]
            elif not _BLANK_LINE.fullmatch(line):
                break
            skipped += 1
        return replace(whole, skipped=skipped, stated_delimiter=stated)

    def lines(self) -> Iterator[str]:
        """Yield the lines from the header on, each with one line feed as its end.

        Line ends of any system become one, in cells as well.
        """
        with io.TextIOWrapper(self.open_file(), encoding=self.encoding, newline=None) as text:
            for line in islice(text, self.skipped, None):
                if "\0" in line:
                    refuse("unreadable", 1, _SAVE_AGAIN)
                yield line

    def rows(self, delimiter: str, *, spaced: bool = False) -> Iterator[list[str]]:
        """Yield the rows as the reader of the standard library takes them apart."""
        return csv.reader(self.lines(), delimiter=delimiter, skipinitialspace=spaced)

    def first_rows(self, delimiter: str, *, spaced: bool = False) -> list[list[str]]:
        """Return as many rows as tell what the file is like."""
        return list(islice(self.rows(delimiter, spaced=spaced), _SNIFFED_ROWS))


class _Utf8(io.RawIOBase):
    """Lines of text as a file in UTF-8, which Arrow reads."""

    def __init__(self, lines: Iterator[str]) -> None:
        self._lines, self._rest = lines, b""

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        while len(self._rest) < len(buffer):
            lines = "".join(islice(self._lines, _LINES_AT_A_TIME))
            if not lines:
                break
            self._rest += lines.encode()
        count = min(len(buffer), len(self._rest))
        buffer[:count] = self._rest[:count]
        self._rest = self._rest[count:]
        return count


def _tables(file: _CsvFile) -> Iterator[pd.DataFrame]:
    """Yield the cells below the header, and refuse a file that has lost rows."""
    delimiter = file.stated_delimiter or _delimiter(file)
    rows = file.first_rows(delimiter)
    # `"a", "b"`: Arrow takes the space, and then the quotation marks, as text.
    spaced = any(cell.startswith(' "') for row in rows for cell in row)
    rows = file.first_rows(delimiter, spaced=spaced)
    require_header_first(rows, first=file.skipped + 1)
    names = checked_names(rows[0] if rows else [])
    ragged, record = _Count(), 0
    read = _read_spaced if spaced else _read_quickly
    for table in read(file, delimiter, names, ragged):
        _refuse_swallowed_rows(table, delimiter, first=record)
        record += len(table)
        yield table
    if ragged.rows and _is_unclosed(file, delimiter):
        message = (
            "a cell must not hold rows of the table; 1 quotation mark has no second one, so that "
            "all rows after it are one cell. Remove the mark, or double it within a quoted cell."
        )
        refuse("stray_quote", 1, message)
    if ragged.rows:
        message = (
            f"rows must have as many cells as the header; {ragged.rows} have more or fewer. Quote "
            "cells that hold the delimiter, and check whether the file is complete."
        )
        refuse("ragged_rows", ragged.rows, message)


@dataclass(slots=True)
class _Count:
    """Rows of another width than the header."""

    rows: int = 0


def _read_quickly(
    file: _CsvFile, delimiter: str, names: list[str], ragged: _Count
) -> Iterator[pd.DataFrame]:
    """Yield the cells below the header, and count the rows of another width."""

    def count_ragged(_: object) -> str:
        ragged.rows += 1
        return "skip"

    if len(next(file.rows(delimiter))) != len(names):
        ragged.rows += 1
        yield pd.DataFrame(columns=names)
        return
    batches = pyarrow.csv.open_csv(
        io.BufferedReader(_Utf8(file.lines()), buffer_size=1 << 20),
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
    for place, batch in enumerate(batches):
        table = pa.Table.from_batches([batch])
        frame: pd.DataFrame = table.to_pandas(types_mapper={pa.string(): pd.StringDtype()}.get)
        yield frame.iloc[1:] if place == 0 else frame


def _read_spaced(
    file: _CsvFile, delimiter: str, names: list[str], ragged: _Count
) -> Iterator[pd.DataFrame]:
    """Do the same where a space follows each delimiter, in a slower way."""
    rows = islice(file.rows(delimiter, spaced=True), 1, None)
    first = True
    while taken := [*islice(rows, _LINES_AT_A_TIME)] or first:
        filled = [row for row in taken if row] if isinstance(taken, list) else []
        whole = [[cell or None for cell in row] for row in filled if len(row) == len(names)]
        ragged.rows += len(filled) - len(whole)
        yield pd.DataFrame(whole, columns=names, dtype="string")
        first = False


@contextmanager
def _long_cells(size: int) -> Iterator[None]:
    """Let the reader of the standard library take cells as long as the file."""
    before = csv.field_size_limit(max(size, csv.field_size_limit()))
    try:
        yield
    finally:
        csv.field_size_limit(before)


def _refuse_swallowed_rows(frame: pd.DataFrame, delimiter: str, *, first: int) -> None:
    """Refuse cells that hold whole rows, as between two stray quotation marks.

    `first` is the number of records above those of the table.
    """
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
            f"is in record {first + min(swallowed) + 1} below the header. Remove the mark, or "
            "double it within a quoted cell."
        )
        refuse("stray_quote", count, message)


def _is_unclosed(file: _CsvFile, delimiter: str) -> bool:
    """Return whether the file ends within a quoted cell."""
    try:
        for _ in csv.reader(file.lines(), delimiter=delimiter, strict=True):
            pass
    except csv.Error as error:
        return "unexpected end" in str(error)
    return False


def _encoding(open_file: Callable[[], BinaryIO]) -> str:
    """Return the encoding of a text, by its first bytes and by whether all of it is UTF-8."""
    with open_file() as file:
        content = file.read(2_000)
    if content.startswith((b"\xff\xfe", b"\xfe\xff")):
        return "utf-16"
    if 3 * content[1::2].count(0) > len(content[1::2]):
        return "utf-16-le"
    return "utf-8-sig" if _is_utf8(open_file) else "cp1252"


def _is_utf8(open_file: Callable[[], BinaryIO]) -> bool:
    """Return whether a text is UTF-8; refuse one that mostly is (rule `encoding`)."""
    decoder = codecs.getincrementaldecoder("utf-8")()
    try:
        with open_file() as file:
            while piece := file.read(1 << 20):
                decoder.decode(piece)
            decoder.decode(b"", final=True)
    except UnicodeDecodeError:
        pass
    else:
        return True
    # Letters of Windows-1252 hardly ever form a valid sequence of UTF-8.
    valid, wrong, lines = 0, 0, list[int]()
    with io.TextIOWrapper(
        open_file(), encoding="utf-8", errors="surrogateescape", newline="\n"
    ) as text:
        for number, line in enumerate(text, start=1):
            runs = _UNDECODED.findall(line)
            valid += sum(character > "\x7f" for character in line) - sum(map(len, runs))
            wrong += len(runs)
            if runs and len(lines) <= _NAMED_ROWS:
                lines.append(number)
    if valid < wrong:
        return False
    named = ", ".join(map(str, lines[:_NAMED_ROWS])) + (", ..." if len(lines) > _NAMED_ROWS else "")
    message = (
        f"text must have one encoding; {wrong} of {valid + wrong} characters beyond ASCII "
        f"{'is' if wrong == 1 else 'are'} not UTF-8 (line {named} of the file). Correct them, or "
        "save the file again as CSV UTF-8."
    )
    refuse("encoding", wrong, message)


def _delimiter(file: _CsvFile) -> str:
    """Return the delimiter that splits the first rows most often, and all into as many cells."""
    best, best_score = ",", (False, 1, 0)
    for delimiter in _DELIMITERS:
        try:
            rows = file.first_rows(delimiter)
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
