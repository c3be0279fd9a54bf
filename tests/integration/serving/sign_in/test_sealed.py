"""What a browser's secret opens, on each database that the service can stand on."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing

import pytest
from sqlalchemy import update

from serving.access import sealed
from serving.access.sealed import SealedStore
from serving.audit.record import AuditKeys
from serving.store.database import Database, database_at
from serving.store.tables import SEALED

KEYS = AuditKeys(b"the audit key of a test")


@pytest.fixture
def database(database_url: str) -> Iterator[Database]:
    with closing(database_at(database_url)) as opened:
        opened.make()
        yield opened


def store_of(database: Database, purpose: str = "session") -> SealedStore:
    return SealedStore(database, KEYS, purpose, idle_seconds=900, lifetime_seconds=3_600)


def test_of_several_who_come_at_a_time_one_takes_it(database: Database) -> None:
    store = store_of(database)
    secret = store.put({"state": "s"})
    with ThreadPoolExecutor(8) as threads:
        taken = list(threads.map(lambda _: store.take(secret), range(8)))
    assert [one for one in taken if one is not None] == [{"state": "s"}]
    assert store.get(secret) is None


def test_what_was_kept_for_one_purpose_is_not_found_for_another(database: Database) -> None:
    secret = store_of(database, "sign-in").put({"state": "s"})
    assert store_of(database).get(secret) is None
    for made_up in ("", "x" * 64, secret.upper(), secret + "0", "0" * 64):
        assert store_of(database, "sign-in").get(made_up) is None
    kept = store_of(database, "sign-in").get(secret)
    assert kept is not None
    assert kept.content == {"state": "s"}


def test_a_row_that_somebody_changed_opens_nothing(database: Database) -> None:
    store = store_of(database)
    secret, other = store.put({"actor": "a"}), store.put({"actor": "b"})
    with database.writing() as connection:
        rows = connection.execute(SEALED.select()).all()
        for row, sealed_text in zip(rows, (rows[1].sealed, rows[0].sealed), strict=True):
            connection.execute(
                update(SEALED).where(SEALED.c.id == row.id).values(sealed=sealed_text)
            )
    for one in (secret, other):
        kept = store.get(one)
        assert kept is not None
        assert kept.content == {}


def test_what_has_ended_goes_when_something_new_comes(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = store_of(database)
    store.put({"actor": "a"})
    real = sealed._now
    monkeypatch.setattr(sealed, "_now", lambda: real() + 901)
    store.put({"actor": "b"})
    with database.reading() as connection:
        assert len(connection.execute(SEALED.select()).all()) == 1
