"""Resume a trail whose signed head is lost or ahead of the database, and record that."""

from __future__ import annotations

from serving.audit.head import HeadFile
from serving.audit.record import AuditEvent, AuditKeys, Detail
from serving.audit.trail import AuditTrail, database_head
from serving.store.database import Database

__all__ = ["adopt"]


def adopt(database: Database, keys: AuditKeys, head_file: HeadFile, *, actor: str) -> AuditTrail:
    """Sign the newest record of the database as the head, and record who did so.

    For a database restored from a backup, and for a machine that joins a database. The new record
    holds the previous signed head; `verify` still finds flaws of the chain itself.

    Parameters
    ----------
    actor : str
        The user, as `AuditEvent.actor`.

    Raises
    ------
    GateError
        If the database has lost its own head.
    OutsideError
        If the database or the head fails.
    """
    known = head_file.read()
    with head_file.held():
        with database.reading() as connection:
            head = database_head(connection)
        head_file.write(head, to_disk=True)
    trail = AuditTrail(database, keys, head_file)
    detail: Detail = {
        "database_head": head.seq,
        "signed_head": "none" if known is None else known.seq,
    }
    trail.append(AuditEvent(action="adopted", actor=actor, status="ok", detail=detail))
    return trail
