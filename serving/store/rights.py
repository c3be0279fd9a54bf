"""The rights that the service's role needs in PostgreSQL, and which of them it lacks."""

from __future__ import annotations

from collections.abc import Mapping

from sqlalchemy import Connection, func, select

from serving.store.tables import API_KEYS, HEAD, SEALED, TABLES, USED_TOKENS, are_made

__all__ = ["RIGHTS", "lacking_rights"]

_MORE = {
    HEAD.name: ("UPDATE",),
    API_KEYS.name: ("UPDATE",),
    SEALED.name: ("UPDATE", "DELETE"),
    USED_TOKENS.name: ("UPDATE", "DELETE"),
}

RIGHTS: Mapping[str, tuple[str, ...]] = {
    "osteon_schema": ("SELECT",),
    **{table.name: ("SELECT", "INSERT", *_MORE.get(table.name, ())) for table in TABLES},
}
"""Table -> rights that serving needs. Pruning and upgrades need the owner of the tables."""


def lacking_rights(connection: Connection) -> list[str]:
    """Return the rights that the role of a connection lacks, as `INSERT on osteon_risks`.

    Before the tables are made, it needs the right to create them. None are lacking in SQLite.
    """
    if connection.dialect.name != "postgresql":
        return []
    if not are_made(connection):
        may_create = func.has_schema_privilege(func.current_schema(), "CREATE")
        return [] if connection.execute(select(may_create)).scalar_one() else ["CREATE in schema"]
    lacking = [
        f"{right} on {table}"
        for table, rights in RIGHTS.items()
        for right in rights
        if not connection.execute(select(func.has_table_privilege(table, right))).scalar_one()
    ]
    for table in TABLES:
        for column in table.primary_key:
            sequence = connection.execute(
                select(func.pg_get_serial_sequence(table.name, column.name))
            ).scalar_one()
            usable = func.has_sequence_privilege(sequence, "USAGE")
            if sequence is not None and not connection.execute(select(usable)).scalar_one():
                lacking.append(f"USAGE on {sequence}")
    return lacking
