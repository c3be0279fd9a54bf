"""Rows of whole tables, copied from one database to another whatever either runs on."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import Connection, Table, delete, func, insert, select

__all__ = ["copy_rows", "empty", "restart_numbering"]

_AT_ONCE = 1_000


def copy_rows(source: Connection, target: Connection, pairs: Sequence[tuple[Table, Table]]) -> int:
    """Copy every row of each first table into the second one, and return their number.

    Parameters
    ----------
    pairs : sequence of (Table, Table)
        Table of the source and its namesake in the target, with the same columns, in an order in
        which no row refers to a later one.
    """
    copied = 0
    for stored, copy in pairs:
        rows = source.execution_options(yield_per=_AT_ONCE).execute(select(stored))
        for batch in rows.mappings().partitions(_AT_ONCE):
            target.execute(insert(copy), [dict(row) for row in batch])
            copied += len(batch)
    return copied


def empty(target: Connection, tables: Sequence[Table]) -> None:
    """Delete every row of tables that are given in the order of `copy_rows`."""
    for table in reversed(tables):
        target.execute(delete(table))


def restart_numbering(target: Connection, tables: Sequence[Table]) -> None:
    """Let PostgreSQL number new rows after the copied ones; SQLite does so by itself."""
    if target.dialect.name != "postgresql":
        return
    for table in tables:
        keys = list(table.primary_key.columns)
        if len(keys) != 1:
            continue
        sequence = func.pg_get_serial_sequence(table.name, keys[0].name)
        if target.execute(select(sequence)).scalar_one() is None:
            continue
        newest = select(func.max(keys[0])).scalar_subquery()
        target.execute(select(func.setval(sequence, func.coalesce(newest, 1), newest.is_not(None))))
