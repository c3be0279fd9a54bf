"""Write files whole or not at all: under a temporary name first, then renamed."""

from __future__ import annotations

import json
import re
import secrets
import shutil
import warnings
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from data_schema.errors import OutsideError, UsageError

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa
    import pyarrow.parquet as pq

__all__ = [
    "ROWS_OF_A_GROUP",
    "plain_cell",
    "require_folder",
    "require_new_folder",
    "require_table_path",
    "table_in_parts",
    "whole_file",
    "whole_folder",
    "write_table",
]

ROWS_OF_A_GROUP = 25_000
"""Rows of a Parquet row group, of which a Dask worker reads one at a time."""

_FORMULA = re.compile(r"[=+\-@]")
_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?")


@contextmanager
def whole_file(path: str | Path, *, drafts: Path | None = None) -> Iterator[Path]:
    """Yield a path to write to; it replaces `path` if the block succeeds, and is removed if not.

    It has the same suffix, so that writers choose the same format, and lies in the same folder or
    in `drafts`, a folder of the same file system, where a process that is killed may leave it. Its
    name is drawn: numbers of processes recur, in containers at every start, and rows would be
    appended to what a killed process left.
    """
    target = Path(path)
    require_folder(target)
    folder = target.parent if drafts is None else drafts
    draft = folder / f".{target.stem}.{secrets.token_hex(4)}{target.suffix}"
    try:
        yield draft
        draft.replace(target)
    except OSError as error:
        raise _not_written(target, error) from None
    finally:
        draft.unlink(missing_ok=True)


@contextmanager
def whole_folder(path: str | Path) -> Iterator[Path]:
    """Yield a folder to write to, as `whole_file` does; `path` must not exist."""
    target = Path(path)
    require_new_folder(target)
    draft = target.with_name(f".{target.name}.{secrets.token_hex(4)}")
    try:
        draft.mkdir()
        yield draft
        draft.replace(target)
    except OSError as error:
        raise _not_written(target, error) from None
    finally:
        shutil.rmtree(draft, ignore_errors=True)


def write_table(frame: pd.DataFrame, path: str | Path) -> None:
    """Write a table as Parquet or CSV, whole or not at all."""
    require_table_path(path)
    with whole_file(path) as draft:
        if draft.suffix == ".csv":
            _without_formulas(frame).to_csv(draft, index=False)
        else:
            frame.to_parquet(draft, index=False, row_group_size=ROWS_OF_A_GROUP)


@contextmanager
def table_in_parts(
    path: str | Path, *, drafts: Path | None = None
) -> Iterator[Callable[[pd.DataFrame | pa.Table], None]]:
    """Yield a function that appends rows to a table, Parquet or CSV, written whole or not at all.

    Each part becomes a row group of its own, so that only one is in memory. Columns have the types
    of the first part; one without any value there is text. An Arrow table is written to Parquet as
    it is. `drafts` is that of `whole_file`.
    """
    require_table_path(path)
    with whole_file(path, drafts=drafts) as draft, ExitStack() as closing:
        writer: pq.ParquetWriter | None = None

        def append(part: pd.DataFrame | pa.Table) -> None:
            nonlocal writer
            import pyarrow as pa

            if draft.suffix == ".csv":
                new = not draft.exists()
                frame = part.to_pandas() if isinstance(part, pa.Table) else part
                _without_formulas(frame).to_csv(draft, mode="a", header=new, index=False)
                return
            import pyarrow.parquet as pq

            table = part if isinstance(part, pa.Table) else _as_arrow(part)
            if writer is None:
                known = [
                    field.with_type(pa.string()) if pa.types.is_null(field.type) else field
                    for field in table.schema
                ]
                schema = pa.schema(known, metadata=table.schema.metadata)
                writer = closing.enter_context(pq.ParquetWriter(draft, schema))
            writer.write_table(table.cast(writer.schema), row_group_size=max(1, len(table)))

        yield append


def _as_arrow(frame: pd.DataFrame) -> pa.Table:
    """Return a table in Arrow, with its attributes where pandas itself writes and reads them."""
    import pyarrow as pa

    with warnings.catch_warnings():
        # pyarrow 25 reads times with a zone in a way that pandas 3.1 deprecates.
        warnings.filterwarnings("ignore", "Series.values returning")
        table = pa.Table.from_pandas(frame, preserve_index=False)
    if not frame.attrs:
        return table
    attributes = {b"PANDAS_ATTRS": json.dumps(frame.attrs).encode()}
    return table.replace_schema_metadata((table.schema.metadata or {}) | attributes)


def plain_cell(text: str) -> str:
    """Return the text of a cell that no spreadsheet takes for a formula.

    A text that starts with `=`, `+`, `-` or `@` and is no number gets an apostrophe, which Osteon
    leaves out when it reads the table.

    Examples
    --------
    >>> plain_cell("=1+1"), plain_cell("-1.5"), plain_cell("a=b")
    ("'=1+1", '-1.5', 'a=b')
    """
    return f"'{text}" if _FORMULA.match(text) and not _NUMBER.fullmatch(text) else text


def _without_formulas(frame: pd.DataFrame) -> pd.DataFrame:
    """Return a table of which neither a header nor a text is a formula."""
    import pandas as pd

    def plain(cell: object) -> object:
        return plain_cell(cell) if isinstance(cell, str) else cell

    columns = [
        column
        if column.dtype.kind in "biufcmM"
        else column.astype(object).map(plain, na_action="ignore")
        for _, column in frame.items()
    ]
    table = pd.concat(columns, axis=1) if columns else frame.copy()
    table.columns = pd.Index([plain(name) for name in frame.columns])
    return table


def require_table_path(path: str | Path) -> None:
    """Refuse a path that no table can be written to, before anything is computed for it."""
    if Path(path).suffix not in (".parquet", ".csv"):
        raise UsageError(f"out must end in .parquet or .csv; got {Path(path).name}.")
    require_folder(path)


def require_new_folder(path: str | Path) -> None:
    """Refuse a folder that exists, so that old and new results are never mixed."""
    if Path(path).exists():
        raise UsageError(f"out must be a folder that does not exist yet; {path} exists.")
    require_folder(path)


def require_folder(path: str | Path) -> None:
    """Refuse a path whose folder does not exist, before anything is computed for it."""
    folder = Path(path).resolve().parent
    if not folder.is_dir():
        raise UsageError(f"out must lie in an existing folder; {folder} does not exist.")


def _not_written(target: Path, error: OSError) -> OutsideError:
    return OutsideError(f"{target} could not be written: {error.strerror or 'unknown cause'}.")
