"""Read a Parquet file one row group at a time, by the rules of `read_table`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

import pandas as pd
import pyarrow as pa
import pyarrow.parquet

from data_schema.errors import UsageError
from data_schema.table.files import mark_of
from data_schema.table.header import checked_names, refuse
from data_schema.table.simulated_marks import FILE_MARK

__all__ = ["RowGroups"]


@dataclass(frozen=True, slots=True)
class RowGroups:
    """A Parquet file, as far as its footer tells.

    Parameters
    ----------
    names : tuple of str
        Columns, without an index that pandas wrote.
    rows_of : tuple of int
        Rows of each row group.
    attributes : dict
        `attrs` of the table: the mark of simulated patients.
    """

    path: Path
    names: tuple[str, ...]
    rows_of: tuple[int, ...]
    attributes: dict[str, str]

    @classmethod
    def of(cls, path: Path) -> RowGroups:
        """Return what the footer of a file tells.

        Raises
        ------
        UsageError
            If there is no such file.
        RulesBroken
            Rules `unreadable`, and those of a header.
        """
        if not path.is_file():
            raise UsageError(f"cohort must be a file; no file exists at {path}.")
        try:
            with pyarrow.parquet.ParquetFile(path) as file:
                schema, footer = file.schema_arrow, file.metadata
                rows = tuple(footer.row_group(k).num_rows for k in range(footer.num_row_groups))
        except (pa.ArrowInvalid, pa.ArrowNotImplementedError, OSError):
            _unreadable()
        mark = mark_of(schema.metadata or {})
        names = tuple(n for n in checked_names(schema.names) if not _is_index(n))
        return cls(path.resolve(), names, rows, {FILE_MARK: mark} if mark else {})

    @property
    def rows(self) -> int:
        """Rows of the file."""
        return sum(self.rows_of)

    def first_row(self, group: int) -> int:
        """Return the number of the first row of a row group, from 0."""
        return sum(self.rows_of[:group])

    def parts(self, rows: int) -> list[range]:
        """Return runs of row groups of at most so many rows, or of one group that has more."""
        parts: list[range] = []
        first = 0
        for group in range(len(self.rows_of)):
            if group > first and sum(self.rows_of[first : group + 1]) > rows:
                parts.append(range(first, group))
                first = group
        return [*parts, range(first, len(self.rows_of))] if self.rows_of else parts

    def table(self, part: range) -> pd.DataFrame:
        """Return the rows of a run of row groups as `read_table` returns those of a file."""
        groups = [self.read(group) for group in part]
        table = pd.concat(groups) if len(groups) > 1 else groups[0]
        return table.dropna(how="all").reset_index(drop=True)

    def read(self, group: int, columns: Sequence[str] | None = None) -> pd.DataFrame:
        """Return the rows of a row group, or some columns of them."""
        try:
            with pyarrow.parquet.ParquetFile(self.path, pre_buffer=False) as file:
                written = file.schema_arrow.names
                checked = dict(zip(checked_names(written), written, strict=True))
                names = list(self.names if columns is None else columns)
                table = file.read_row_group(group, columns=[checked[name] for name in names])
                frame: pd.DataFrame = table.rename_columns(names).to_pandas(ignore_metadata=True)
        except (pa.ArrowInvalid, pa.ArrowNotImplementedError, OSError):
            _unreadable()
        frame.attrs.update(self.attributes)
        return frame


def _is_index(name: str) -> bool:
    return name.startswith("__index_level_")


def _unreadable() -> NoReturn:
    refuse("unreadable", 1, "cohort must be readable as Parquet. Save it again.")
