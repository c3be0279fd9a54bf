"""A laboratory's long table: one file of observations, with stays and persons beside it.

A folder with `observations`, `stays` and `persons`, each as `.parquet` or `.csv`, with the columns
of `observations.py`. Without `persons`, nothing is known of a person but the stays.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import duckdb

from data_schema.errors import UsageError

__all__ = ["Long", "view_of_files"]


class Long:
    """A folder with the three tables."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def relations(self, db: duckdb.DuckDBPyConnection) -> Mapping[str, int]:
        """Create the three relations from the files."""
        for name in ("observations", "stays"):
            if not view_of_files(db, self._path, name):
                raise UsageError(
                    f"source must hold {name}.parquet or {name}.csv; {self._path} holds neither."
                )
        if not view_of_files(db, self._path, "persons"):
            db.execute("CREATE VIEW persons AS SELECT DISTINCT subject_id FROM stays")
        return {}


def view_of_files(db: duckdb.DuckDBPyConnection, folder: Path, name: str) -> bool:
    """Create a view of a table that a folder holds as Parquet or CSV; return whether it does."""
    for suffix, reader in ((".parquet", "read_parquet"), (".csv", "read_csv")):
        file = folder / f"{name}{suffix}"
        if file.is_file():
            quoted = str(file).replace("'", "''")
            text = ", all_varchar = true, header = true" if suffix == ".csv" else ""
            db.execute(f"CREATE VIEW {name} AS SELECT * FROM {reader}('{quoted}'{text})")
            return True
    return False
