"""An audit trail: how it is filled, tampered with, verified and read."""

from __future__ import annotations

import json
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

from sqlalchemy import delete, select, text, update

from serving.audit.head import read_head
from serving.audit.opening import audit_keys, database_of, head_path
from serving.audit.record import AuditEvent
from serving.audit.trail import AuditTrail, Entry
from serving.audit.verification import Verification, verify
from serving.settings import Settings
from serving.store.tables import HEAD, RECORDS

EVENT = AuditEvent(
    action="predict",
    actor="local",
    status="ok",
    route="/v1/predict",
    patient="a" * 64,
    outcomes=["mortality"],
)


def settings_of(folder: Path, url: str) -> Settings:
    return Settings(state_dir=folder / "state", database_url=url)


def elsewhere(settings: Settings, folder: Path) -> Settings:
    """Return the settings of another machine with the same database and key."""
    assert settings.database_url is not None
    other = settings_of(folder, settings.database_url.get_secret_value())
    key = (settings.state_dir / "audit.key").read_text()
    return Settings.model_validate(other.model_dump() | {"audit_key": key})


def numbered(number: int) -> AuditEvent:
    return replace(EVENT, prediction_id=f"{number:026d}")


def fill(trail: AuditTrail, count: int) -> None:
    trail.append_all([Entry(numbered(number)) for number in range(1, count + 1)])


def check(settings: Settings) -> Verification:
    keys = audit_keys(settings)
    with closing(database_of(settings)) as database:
        return verify(database, keys, read_head(head_path(settings), keys))


def rules(found: Verification) -> list[tuple[str, int]]:
    return [(flaw.rule, flaw.seq) for flaw in found.flaws]


def tamper(settings: Settings, *statements: Any) -> None:
    """Do what whoever owns the database can do: take the guard off first."""
    with closing(database_of(settings)) as database, database.writing() as connection:
        if database.is_sqlite:
            connection.execute(text("DROP TRIGGER osteon_audit_no_change"))
            connection.execute(text("DROP TRIGGER osteon_audit_no_deletion"))
        else:
            connection.execute(
                text("ALTER TABLE osteon_audit_records DISABLE TRIGGER osteon_audit_append_only")
            )
        for statement in statements:
            connection.execute(statement)


def cut(settings: Settings, after: int, *, signature: str | None = "0" * 64) -> None:
    """Cut the newest records off as if they had never been, head and all.

    The signature of the head is forged unless a genuine one is stated.
    """
    kept = select(RECORDS.c.mac).where(RECORDS.c.seq == after).scalar_subquery()
    tamper(
        settings,
        delete(RECORDS).where(RECORDS.c.seq > after),
        update(HEAD).values(seq=after, mac=kept, signature=signature),
    )


def records(settings: Settings) -> list[dict[str, Any]]:
    with closing(database_of(settings)) as database, database.reading() as connection:
        rows = connection.execute(select(RECORDS.c.body).order_by(RECORDS.c.seq)).scalars()
        return [json.loads(body) for body in rows]
