"""Read a cohort file into a table: CSV of any delimiter, spreadsheet or Parquet.

Cells of a CSV stay text, since only the mapping file says what a comma means. A file that is not
one table is refused here, before any cell is read.
"""

from __future__ import annotations

import io
import json
from collections.abc import Mapping
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.parquet

from data_schema.errors import Finding, OutsideError, UsageError
from data_schema.table.csv_files import read_csv
from data_schema.table.header import checked_names, refuse
from data_schema.table.simulated_marks import FILE_MARK
from data_schema.table.spreadsheets import read_spreadsheet

__all__ = ["READING", "mark_of", "read_table"]

READING = "osteon.reading"
"""Key of `DataFrame.attrs` for the findings about a file, which each check of a table repeats."""

# The first bytes of a file that is not what its name says -> what to do.
_OTHER_CONTENT = {
    b"\x1f\x8b": "it is compressed (gzip). Decompress it",
    b"PK\x03\x04": "it is a spreadsheet or a ZIP archive. Give it its own suffix, or unpack it",
    b"\xd0\xcf\x11\xe0": "it is an old spreadsheet (.xls) or encrypted. Save it as .xlsx",
    b"PAR1": "it is a Parquet file. Name it .parquet",
}
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
        Rules `empty_file` and `no_rows`; those of `read_csv` and `read_spreadsheet`.
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
            + ("Decompress it." if path.suffix in (".gz", ".zip") else "Save it as CSV or .xlsx.")
        )
    try:
        content = path.read_bytes()
    except OSError as error:
        raise OutsideError(f"cohort could not be read from disk: {error.strerror}.") from None
    if not content.strip():
        refuse("empty_file", 0, "cohort must hold a table; the file is empty.")
    for start, what in _OTHER_CONTENT.items():
        if kind == "csv" and content.startswith(start):
            refuse("unreadable", 1, f"cohort must be readable as CSV; {what}.")
    findings: list[Finding] = []
    if kind == "csv":
        table = read_csv(content)
    elif kind == "xlsx":
        table, findings = read_spreadsheet(content)
    else:
        table = _read_parquet(content)
    table = table.dropna(how="all").reset_index(drop=True)
    if table.empty:
        refuse("no_rows", 0, "cohort must have at least one row; it has a header only.")
    if findings:
        table.attrs[READING] = tuple(findings)
    return table


def _read_parquet(content: bytes) -> pd.DataFrame:
    try:
        file = pyarrow.parquet.ParquetFile(io.BytesIO(content))
        names = checked_names(file.schema_arrow.names)
        table = file.read().rename_columns(names)
        frame: pd.DataFrame = table.to_pandas(ignore_metadata=True)
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError, OSError):
        refuse("unreadable", 1, "cohort must be readable as Parquet. Save it again.")
    frame = frame.drop(columns=[name for name in names if name.startswith("__index_level_")])
    mark = mark_of(file.schema_arrow.metadata or {})
    if mark:
        frame.attrs[FILE_MARK] = mark
    return frame


def mark_of(metadata: Mapping[bytes, bytes]) -> str:
    """Return what the metadata that pandas wrote say of simulated patients; empty for none."""
    try:
        attributes = json.loads(metadata.get(b"PANDAS_ATTRS", b"{}"))
    except ValueError:
        return ""
    mark = attributes.get(FILE_MARK, "") if isinstance(attributes, dict) else ""
    return str(mark)
