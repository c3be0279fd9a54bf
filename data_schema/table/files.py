"""Read a cohort file into a table: CSV of any delimiter, spreadsheet or Parquet.

Cells of a CSV stay text, since only the mapping file says what a comma means. A file that is not
one table is refused here, before any cell is read.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from functools import partial
from itertools import chain
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.parquet

from data_schema.errors import OutsideError, UsageError
from data_schema.table.csv_files import csv_tables
from data_schema.table.header import checked_names, refuse
from data_schema.table.simulated_marks import FILE_MARK

__all__ = ["READING", "mark_of", "read_parts", "read_table"]

READING = "osteon.reading"
"""Key of `DataFrame.attrs` for the findings about a file, which each check of a table repeats."""

# The first bytes of a file that is not what its name says -> what to do.
_OTHER_CONTENT = {
    b"\x1f\x8b": "it is compressed (gzip). Decompress it",
    b"PK\x03\x04": "it is a spreadsheet or a ZIP archive. Give it its own suffix, or unpack it",
    b"\xd0\xcf\x11\xe0": "it is an old spreadsheet (.xls) or encrypted. Save it as .xlsx",
    b"PAR1": "it is a Parquet file. Name it .parquet",
}
_FIRST_BYTES = 1 << 20
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
        `.csv`, `.tsv` or `.txt` with commas, semicolons, tabs or bars; the first visible sheet of
        an `.xlsx` that holds a table; or `.parquet`.

    Returns
    -------
    DataFrame
        RangeIndex; names of columns as stripped text. From a CSV every column is text with NA where
        a cell is empty; elsewhere cells keep the type the file gives them. Empty rows are left out.
        `attrs[READING]` holds what was noticed in the file, if anything.

    Raises
    ------
    UsageError
        If there is no such file, or its kind is not one of the above.
    RulesBroken
        Rules `empty_file` and `no_rows`; those of `csv_tables` and `read_spreadsheet`.
    OutsideError
        If the operating system refuses to read the file.
    """
    tables = [*_tables(Path(path), rows=None)]
    return _numbered(pd.concat(tables) if len(tables) > 1 else tables[0])


def read_parts(path: str | Path, rows: int) -> Iterator[pd.DataFrame]:
    """Yield the table in a file in parts, so that memory does not grow with the file.

    Parameters
    ----------
    path : str or Path
        As for `read_table`; only a spreadsheet is read as a whole.
    rows : int
        Rows of every part but the last, which has between half as many and one and a half times as
        many; a shorter file is one part.

    Yields
    ------
    DataFrame
        As `read_table` returns it. What is wrong with the end of a file is refused there.

    Raises
    ------
    RulesBroken, UsageError, OutsideError
        As for `read_table`.
    """
    waiting: list[pd.DataFrame] = []
    is_first = True
    for table in _tables(Path(path), rows=rows):
        waiting.append(table)
        while sum(map(len, waiting)) >= rows + (rows + 1) // 2:
            whole = pd.concat(waiting) if len(waiting) > 1 else waiting[0]
            yield _numbered(whole.iloc[:rows])
            is_first, waiting = False, [whole.iloc[rows:]]
    rest = pd.concat(waiting) if len(waiting) > 1 else waiting[0]
    if is_first or len(rest):
        yield _numbered(rest)


def _numbered(table: pd.DataFrame) -> pd.DataFrame:
    """Return a table with its rows counted from 0; refuse one without rows."""
    if table.empty:
        refuse("no_rows", 0, "cohort must have at least one row; it has a header only.")
    return table.reset_index(drop=True)


def _tables(path: Path, *, rows: int | None) -> Iterator[pd.DataFrame]:
    """Yield the rows of a file that are not empty, at least one table; all at once by default."""
    if not path.is_file():
        raise UsageError(f"cohort must be a file; no file exists at {path}.")
    kind = _SUFFIXES.get(path.suffix.lower())
    if kind is None:
        raise UsageError(
            f"cohort must be one of {', '.join(_SUFFIXES)}; got {path.suffix or 'no suffix'}. "
            + ("Decompress it." if path.suffix in (".gz", ".zip") else "Save it as CSV or .xlsx.")
        )
    try:
        yield from _of_kind(path, kind, rows)
    except OSError as error:
        raise OutsideError(f"cohort could not be read from disk: {error.strerror}.") from None


def _of_kind(path: Path, kind: str, rows: int | None) -> Iterator[pd.DataFrame]:
    """Yield the rows of a file by its kind."""
    with path.open("rb") as file:
        start = file.read(_FIRST_BYTES)
        pieces = chain([start], iter(partial(file.read, _FIRST_BYTES), b""))
        if not any(piece.strip() for piece in pieces):
            refuse("empty_file", 0, "cohort must hold a table; the file is empty.")
    for mark, what in _OTHER_CONTENT.items():
        if kind == "csv" and start.startswith(mark):
            refuse("unreadable", 1, f"cohort must be readable as CSV; {what}.")
    if kind == "csv":
        for table in csv_tables(lambda: path.open("rb"), path.stat().st_size):
            yield table.dropna(how="all")
    elif kind == "xlsx":
        # Here, since its library takes long to import, and most files are others.
        from data_schema.table.spreadsheets import read_spreadsheet

        table, findings = read_spreadsheet(path.read_bytes())
        table = table.dropna(how="all")
        if findings:
            table.attrs[READING] = tuple(findings)
        yield table
    else:
        yield from _parquet_tables(path, rows)


def _parquet_tables(path: Path, rows: int | None) -> Iterator[pd.DataFrame]:
    """Yield the rows of a Parquet file, whole or so many at a time."""
    try:
        # A buffer, and nothing read ahead: a group of rows may be as large as the file.
        with pyarrow.parquet.ParquetFile(path, buffer_size=1 << 20, pre_buffer=False) as file:
            names = checked_names(file.schema_arrow.names)
            mark = mark_of(file.schema_arrow.metadata or {})
            if rows is None or file.metadata.num_rows == 0:
                tables: Iterable[pa.Table] = [file.read()]
            else:
                tables = (pa.Table.from_batches([b]) for b in file.iter_batches(batch_size=rows))
            for table in tables:
                frame: pd.DataFrame = table.rename_columns(names).to_pandas(ignore_metadata=True)
                index = [name for name in names if name.startswith("__index_level_")]
                frame = frame.drop(columns=index).dropna(how="all")
                if mark:
                    frame.attrs[FILE_MARK] = mark
                yield frame
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError, OSError):
        refuse("unreadable", 1, "cohort must be readable as Parquet. Save it again.")


def mark_of(metadata: Mapping[bytes, bytes]) -> str:
    """Return what the metadata that pandas wrote say of simulated patients; empty for none."""
    try:
        attributes = json.loads(metadata.get(b"PANDAS_ATTRS", b"{}"))
    except ValueError:
        return ""
    mark = attributes.get(FILE_MARK, "") if isinstance(attributes, dict) else ""
    return str(mark)
