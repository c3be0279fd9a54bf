"""Tables of an OMOP database as DuckDB views: of a DuckDB file, a folder, or PostgreSQL."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from pathlib import Path

import duckdb

from data_schema.errors import OutsideError, UsageError

__all__ = ["TABLES", "open_tables"]

TABLES = (
    *("person", "visit_occurrence", "visit_detail", "measurement", "observation"),
    *("condition_occurrence", "procedure_occurrence", "drug_exposure", "device_exposure", "death"),
    *("observation_period", "concept", "concept_ancestor"),
)
"""The tables that are read; all but the first two may be absent."""

_POSTGRESQL = ("postgresql://", "postgres://")

# Of the ancestors, which a vocabulary has by the ten million, only those of drugs that were given.
_NEEDED = {
    "concept_ancestor": "descendant_concept_id IN (SELECT drug_concept_id FROM drug_exposure) AND "
    "ancestor_concept_id IN (SELECT concept_id FROM concept WHERE vocabulary_id = 'ATC' "
    "OR (vocabulary_id = 'RxNorm' AND concept_class_id = 'Ingredient'))"
}


def open_tables(source: str, db: duckdb.DuckDBPyConnection) -> Mapping[str, frozenset[str]]:
    """Create a view or table `omop_<name>` for each table; return the columns of each.

    Parameters
    ----------
    source : str
        A DuckDB file, a folder of `<name>.parquet` or `<name>.csv` (or a folder `<name>` of such
        files), in any case and also as `.gz`, or an address `postgresql://...`.
    db : DuckDBPyConnection

    Returns
    -------
    mapping of str to frozenset of str
        Table -> its columns in lower case.

    Raises
    ------
    UsageError
        If the source is none of these.
    OutsideError
        If the database cannot be reached.
    """
    if source.startswith(_POSTGRESQL):
        names = _from_postgresql(source, db)
    elif Path(source).is_dir():
        names = _from_folder(Path(source), db)
    elif Path(source).is_file():
        names = _from_duckdb(Path(source), db)
    else:
        raise UsageError(
            "source must be a DuckDB file, a folder of CSV or Parquet files, or postgresql://...; "
            "it is none of these."
        )
    return {
        name: frozenset(row[0].casefold() for row in db.execute(f"DESCRIBE omop_{name}").fetchall())
        for name in names
    }


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


def _from_duckdb(path: Path, db: duckdb.DuckDBPyConnection) -> list[str]:
    """Attach a DuckDB file for reading; its tables may lie in any one schema."""
    try:
        db.execute(f"ATTACH {_quoted(str(path))} AS omop_file (READ_ONLY)")
    except duckdb.Error:
        raise UsageError(f"source must be a DuckDB file; {path.name} is not.") from None
    held = db.execute(
        "SELECT lower(table_name), table_schema, table_name FROM information_schema.tables "
        "WHERE table_catalog = 'omop_file'"
    ).fetchall()
    schemas = {schema for name, schema, _ in held if name == "person"}
    if len(schemas) != 1:
        raise UsageError(
            f"source must hold one OMOP table person; {path.name} holds {len(schemas)}."
        )
    names = []
    for name, schema, spelled in held:
        if name in TABLES and schema in schemas:
            db.execute(f'CREATE VIEW omop_{name} AS SELECT * FROM omop_file."{schema}"."{spelled}"')
            names.append(name)
    return names


def _from_folder(folder: Path, db: duckdb.DuckDBPyConnection) -> list[str]:
    """Read each table from its file, or from the files of the folder that bears its name."""
    names = []
    for name in TABLES:
        for ending, reader in _READERS.items():
            found = [
                path
                for entry in sorted(folder.iterdir())
                for path in (sorted(entry.iterdir()) if entry.is_dir() else [entry])
                if name in (entry.name.casefold().split(".")[0],)
                and path.name.casefold().endswith(ending)
            ]
            if found:
                files = ", ".join(_quoted(str(path)) for path in found)
                db.execute(f"CREATE VIEW omop_{name} AS SELECT * FROM {reader.format(files)}")
                names.append(name)
                break
    return names


# Of a CSV file every cell is text, so that no guess turns a source value into a number.
_CSV = "read_csv([{}], all_varchar = true, union_by_name = true)"
_READERS: Mapping[str, str] = {
    ".parquet": "read_parquet([{}], union_by_name = true)",
    ".csv": _CSV,
    ".csv.gz": _CSV,
}


def _from_postgresql(address: str, db: duckdb.DuckDBPyConnection) -> list[str]:
    """Copy each table from PostgreSQL, in chunks by way of a file, and load it into DuckDB."""
    try:
        import psycopg
        from psycopg import sql
    except ImportError:
        raise UsageError(
            "PostgreSQL needs psycopg, which is not installed. Install osteon[postgres]."
        ) from None
    names: list[str] = []
    try:
        with psycopg.connect(address) as connection, tempfile.TemporaryDirectory() as work:
            # One snapshot for all tables, so that none holds records of persons another lacks.
            connection.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY")
            for name in TABLES:
                known = connection.execute("SELECT to_regclass(%s)", (name,)).fetchone()
                if known is None or known[0] is None:
                    continue
                if name == "concept_ancestor" and not {"drug_exposure", "concept"} <= {*names}:
                    continue
                path = Path(work) / f"{name}.csv"
                statement = sql.SQL(
                    "COPY (SELECT * FROM {} WHERE " + _NEEDED.get(name, "true") + ") "
                    "TO STDOUT (FORMAT csv, HEADER)"
                )
                with (
                    connection.cursor().copy(statement.format(sql.Identifier(name))) as copy,
                    path.open("wb") as stream,
                ):
                    for chunk in copy:
                        stream.write(chunk)
                file = _quoted(str(path))
                db.execute(
                    f"CREATE TABLE omop_{name} AS SELECT * FROM "
                    f"read_csv({file}, all_varchar = true, header = true, delim = ',')"
                )
                path.unlink()
                names.append(name)
    except psycopg.Error as error:
        # The text of the error may hold the password.
        raise OutsideError(
            f"PostgreSQL could not be read ({type(error).__name__}). Check address, user and "
            "schema."
        ) from None
    return names
