"""Read a cohort file into a table: CSV of any delimiter, spreadsheet or Parquet.

Cells of a CSV stay text, since only the mapping file says what a comma means. A file that is not
one table is refused here, before any cell is read.
"""

from __future__ import annotations

import csv
import io
import warnings
import zipfile
from collections import Counter
from collections.abc import Sequence
from itertools import islice
from pathlib import Path
from typing import Any, NoReturn

import openpyxl
import pandas as pd
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet

from data_schema.errors import Finding, OutsideError, RulesBroken, UsageError

__all__ = ["MAX_COLUMNS", "read_table"]

MAX_COLUMNS = 5_000
"""More than this is another kind of file: a transposed table, or one column per measurement."""

_DELIMITERS = (",", ";", "\t", "|")
_SNIFFED_ROWS = 50
_SUFFIXES = {
    ".csv": "csv",
    ".tsv": "csv",
    ".txt": "csv",
    ".xlsx": "xlsx",
    ".parquet": "parquet",
}


def read_table(path: str | Path) -> pd.DataFrame:
    """Return the table in a file, one row per stay, as it is written there.

    Parameters
    ----------
    path : str or Path
        `.csv`, `.tsv` or `.txt` with commas, semicolons, tabs or bars; the first sheet of an
        `.xlsx`; or `.parquet`.

    Returns
    -------
    DataFrame
        RangeIndex; names of columns as stripped text. From a CSV every column is text with NA where
        a cell is empty; elsewhere cells keep the type the file gives them. Empty rows are left out.

    Raises
    ------
    UsageError
        If there is no such file, or its kind is not one of the above.
    RulesBroken
        Rules `empty_file`, `no_rows`, `no_header`, `duplicate_columns`, `too_many_columns`,
        `ragged_rows` or `unreadable`.
    OutsideError
        If the operating system refuses to read the file.
    """
    path = Path(path)
    if not path.is_file():
        raise UsageError(f"cohort must be a file; no file exists at {path}.")
    kind = _SUFFIXES.get(path.suffix.lower())
    if kind is None:
        raise UsageError(
            f"cohort must be one of {', '.join(_SUFFIXES)}; got {path.suffix or 'no suffix'}. "
            "Save it as CSV or .xlsx."
        )
    try:
        content = path.read_bytes()
    except OSError as error:
        raise OutsideError(f"cohort could not be read from disk: {error.strerror}.") from None
    if not content.strip():
        _refuse("empty_file", 0, "cohort must hold a table; the file is empty.")
    readers = {"csv": _read_csv, "xlsx": _read_spreadsheet, "parquet": _read_parquet}
    table = readers[kind](content).dropna(how="all").reset_index(drop=True)
    if table.empty:
        _refuse("no_rows", 0, "cohort must have at least one row; it has a header only.")
    return table


def _read_csv(content: bytes) -> pd.DataFrame:
    text = _decoded(content)
    delimiter = _delimiter(text)
    try:
        header = next(csv.reader(io.StringIO(text), delimiter=delimiter))
    except csv.Error:
        _unreadable("CSV")
    names = _checked_names(header)
    ragged = 0

    def count_ragged(_: object) -> str:
        nonlocal ragged
        ragged += 1
        return "skip"

    try:
        table = pyarrow.csv.read_csv(
            io.BytesIO(text.encode()),
            pyarrow.csv.ReadOptions(column_names=names, skip_rows=0, use_threads=False),
            pyarrow.csv.ParseOptions(
                delimiter=delimiter,
                newlines_in_values=True,
                invalid_row_handler=count_ragged,
            ),
            pyarrow.csv.ConvertOptions(
                column_types=dict.fromkeys(names, pa.string()),
                null_values=[""],
                strings_can_be_null=True,
            ),
        )
    except pa.ArrowInvalid:
        _unreadable("CSV")
    if ragged:
        message = (
            f"rows must have as many cells as the header; {ragged} have more or fewer. Quote cells "
            "that hold the delimiter, and check whether the file is complete."
        )
        _refuse("ragged_rows", ragged, message)
    frame: pd.DataFrame = table.to_pandas(types_mapper={pa.string(): pd.StringDtype()}.get)
    return frame.iloc[1:]


def _decoded(content: bytes) -> str:
    """Return the text of a CSV, without its byte order mark."""
    # Every byte is a character in latin-1, the last resort for files of old spreadsheets.
    is_utf16 = content.startswith((b"\xff\xfe", b"\xfe\xff"))
    encodings = ["utf-16"] if is_utf16 else ["utf-8-sig", "latin-1"]
    for encoding in encodings:
        try:
            text = content.decode(encoding)
        except UnicodeDecodeError:
            continue
        if "\0" not in text:
            return text.lstrip("\r\n")
    _unreadable("CSV")


def _delimiter(text: str) -> str:
    """Return the delimiter that splits the first rows most often, and all into as many cells."""
    best, best_score = ",", (False, 1)
    for delimiter in _DELIMITERS:
        try:
            rows = list(islice(csv.reader(io.StringIO(text), delimiter=delimiter), _SNIFFED_ROWS))
        except csv.Error:
            continue
        widths = {len(row) for row in rows if row}
        score = (len(widths) == 1, len(rows[0]))
        if len(rows[0]) > 1 and score > best_score:
            best, best_score = delimiter, score
    return best


def _read_spreadsheet(content: bytes) -> pd.DataFrame:
    try:
        with warnings.catch_warnings():
            # openpyxl warns of styles and extensions it does not keep; cells are unaffected.
            warnings.simplefilter("ignore", UserWarning)
            book = openpyxl.load_workbook(io.BytesIO(content), read_only=True, data_only=True)
            rows = book.worksheets[0].iter_rows(values_only=True)
            header = next(rows, ())
            width = max((i + 1 for i, name in enumerate(header) if name is not None), default=0)
            names = _checked_names(["" if name is None else str(name) for name in header[:width]])
            cells = [_stripped(row) for row in rows]
    except (zipfile.BadZipFile, KeyError, ValueError, IndexError, OSError):
        _unreadable("spreadsheet")
    ragged = sum(len(row) > width for row in cells)
    if ragged:
        message = (
            f"rows must have as many cells as the header; {ragged} have more. Name every column."
        )
        _refuse("ragged_rows", ragged, message)
    return pd.DataFrame([(*row, *[None] * (width - len(row))) for row in cells], columns=names)


def _stripped(row: tuple[Any, ...]) -> tuple[Any, ...]:
    """Return a row without the empty cells at its end; blank text is an empty cell."""
    cells = [None if isinstance(cell, str) and not cell.strip() else cell for cell in row]
    while cells and cells[-1] is None:
        cells.pop()
    return tuple(cells)


def _read_parquet(content: bytes) -> pd.DataFrame:
    try:
        file = pyarrow.parquet.ParquetFile(io.BytesIO(content))
        names = _checked_names(file.schema_arrow.names)
        table = file.read().rename_columns(names)
        frame: pd.DataFrame = table.to_pandas(ignore_metadata=True)
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError, OSError):
        _unreadable("Parquet")
    return frame.drop(columns=[name for name in names if name.startswith("__index_level_")])


def _checked_names(header: Sequence[str]) -> list[str]:
    """Return the stripped names of the columns; a blank name becomes the column's position."""
    if len(header) > MAX_COLUMNS:
        message = (
            f"cohort must have at most {MAX_COLUMNS} columns; it has {len(header)}. One row is one "
            "stay: turn a long table into a cohort first, or leave columns out."
        )
        _refuse("too_many_columns", len(header), message)
    names = [name.strip() or f"column {place}" for place, name in enumerate(header, start=1)]
    numeric = sum(_is_number(name) for name in names)
    if 2 * numeric > len(names):
        message = (
            f"the first row must name the columns; {numeric} of its {len(names)} cells are numbers."
        )
        _refuse("no_header", numeric, message)
    repeated = [name for name, count in Counter(names).items() if count > 1]
    if repeated:
        message = (
            f"columns must have different names; {len(repeated)} names occur more than once: "
            f"{', '.join(repeated[:10])}. Rename or remove them."
        )
        _refuse("duplicate_columns", len(repeated), message)
    return names


def _is_number(name: str) -> bool:
    try:
        float(name.replace(",", "."))
    except ValueError:
        return False
    return True


def _unreadable(kind: str) -> NoReturn:
    _refuse("unreadable", 1, f"cohort must be readable as {kind}. Save it again.")


def _refuse(rule: str, count: int, message: str) -> NoReturn:
    # The errors of the parsers quote cells, so their text is dropped.
    raise RulesBroken([Finding(rule, "", count, message)]) from None
