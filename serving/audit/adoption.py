"""Going on with a trail whose signed head is lost, or ahead of the database; on record."""

from __future__ import annotations

from sqlalchemy import select

from serving.audit.head import Head, HeadFile
from serving.audit.record import AuditEvent, AuditKeys
from serving.audit.trail import AuditTrail
from serving.database import Database
from serving.tables import HEAD

__all__ = ["adopt"]


def adopt(database: Database, keys: AuditKeys, head_file: HeadFile, *, actor: str) -> AuditTrail:
    """Sign the newest record of the database as the head, and record who did so.

    For a database that was set back to a backup, and for a machine that joins one. What the signed
    head knew before goes into that record; flaws of the chain itself stay for `verify` to find.

    Parameters
    ----------
    database : Database
    keys : AuditKeys
    head_file : HeadFile
    actor : str
        Who decides, as `AuditEvent.actor`.

    Returns
    -------
    AuditTrail

    Raises
    ------
    OutsideError
        If the database or the head fails.
    """
    known = head_file.read()
    with head_file.held():
        with database.reading() as connection:
            seq, mac = connection.execute(select(HEAD.c.seq, HEAD.c.mac)).one()
        head_file.write(Head(seq, mac), to_disk=True)
    trail = AuditTrail(database, keys, head_file)
    detail = {"database_head": seq, "signed_head": "none" if known is None else known.seq}
    trail.append(AuditEvent(action="adopted", actor=actor, status="ok", detail=detail))
    return trail
