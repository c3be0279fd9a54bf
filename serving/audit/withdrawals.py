"""Bundles that were withdrawn on record: no service that writes this trail serves them again."""

from __future__ import annotations

from collections.abc import Collection

from sqlalchemy import select

from serving.audit.stored_rows import parsed
from serving.audit.trail import AuditTrail
from serving.store.tables import RECORDS

__all__ = ["withdrawals"]


def withdrawals(trail: AuditTrail, bundles: Collection[str]) -> dict[str, str]:
    """Return the reason for each of these bundles (SHA-256) that was withdrawn.

    Raises
    ------
    OutsideError
        If the database fails.
    """
    by_key = {trail.keys.withdrawal(sha256): sha256 for sha256 in bundles}
    if not by_key:
        return {}
    with trail.database.reading() as connection:
        rows = connection.execute(
            select(RECORDS.c.request_key, RECORDS.c.body).where(RECORDS.c.request_key.in_(by_key))
        ).all()
    return {by_key[row.request_key]: _reason(row.body) for row in rows}


def _reason(body: str) -> str:
    record = parsed(body)
    why = "" if record is None else str(record.get("detail", {}).get("why", ""))
    return why or "the reason cannot be read"
