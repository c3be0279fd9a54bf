"""One chain of all who write, in tables that keep what was written."""

from __future__ import annotations

import multiprocessing
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import delete, func, select, text, update

from audit_records import EVENT, check, fill, numbered, settings_of
from data_schema.errors import OutsideError, UsageError
from serving.access.api_keys import list_keys
from serving.audit.opening import database_of, open_trail
from serving.audit.record import AuditKeys
from serving.audit.trail import AuditTrail, Entry
from serving.settings import Settings
from serving.store.database import database_at
from serving.store.tables import RECORDS, RISKS


@pytest.mark.parametrize(
    "statement",
    [
        update(RECORDS).values(mac="0" * 64),
        delete(RECORDS),
        delete(RECORDS).where(RECORDS.c.seq == 2),
    ],
)
def test_the_database_itself_refuses_to_change_a_record(
    trail: AuditTrail, settings: Settings, statement: Any
) -> None:
    fill(trail, 3)
    with (
        pytest.raises(OutsideError, match="database did not answer"),
        trail.database.writing() as c,
    ):
        c.execute(statement)
    assert check(settings).records == 3


def test_postgresql_refuses_to_empty_the_table_also_of_an_older_database(
    tmp_path: Path, new_postgresql_database: Any
) -> None:
    settings = settings_of(tmp_path, new_postgresql_database())
    with closing(open_trail(settings)) as trail:
        fill(trail, 3)
        with trail.database.writing() as connection:
            connection.execute(
                text("DROP TRIGGER osteon_audit_no_truncate ON osteon_audit_records")
            )
            connection.execute(text("DELETE FROM osteon_schema WHERE version >= 4"))
    with closing(open_trail(settings)) as trail:
        with pytest.raises(OutsideError), trail.database.writing() as connection:
            connection.execute(text("TRUNCATE osteon_audit_records"))
        trail.append(EVENT)
    found = check(settings)
    assert found.ok
    assert found.records == 4


def test_what_belongs_to_a_record_is_written_with_it_or_not_at_all(
    trail: AuditTrail, settings: Settings
) -> None:
    def fails(connection: Any) -> None:
        connection.execute(text("INSERT INTO there_is_no_such_table VALUES (1)"))

    with pytest.raises(OutsideError):
        trail.append_all([Entry(EVENT, beside=fails)])
    assert check(settings).records == 0
    trail.append(EVENT)
    assert check(settings).ok


def test_the_same_request_key_makes_one_record(trail: AuditTrail, settings: Settings) -> None:
    keyed = replace(numbered(1), request_key="k" * 64)
    first, same = trail.append_all([Entry(keyed), Entry(replace(keyed, prediction_id="x"))])
    again = trail.append(replace(keyed, prediction_id="y"))
    assert not first.earlier
    assert same.earlier
    assert again.earlier
    assert first.body == same.body == again.body
    assert check(settings).records == 1


def test_threads_share_one_chain(trail: AuditTrail, settings: Settings) -> None:
    with ThreadPoolExecutor(16) as pool:
        made = list(pool.map(lambda number: trail.append(numbered(number)), range(200)))
    assert sorted(record.body["seq"] for record in made) == list(range(1, 201))
    assert check(settings).ok
    assert check(settings).records == 200


def _append_many(settings: Settings, count: int) -> None:
    with closing(open_trail(settings)) as trail:
        for number in range(count):
            trail.append(numbered(number))


def test_workers_share_one_chain(settings: Settings) -> None:
    fresh = multiprocessing.get_context("spawn")
    workers = [fresh.Process(target=_append_many, args=(settings, 40)) for _ in range(3)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(60)
        assert worker.exitcode == 0
    found = check(settings)
    assert found.ok
    assert found.records == 120


def test_an_older_databases_tables_are_kept(settings: Settings, trail: AuditTrail) -> None:
    fill(trail, 2)
    assert settings.database_url is not None
    url = settings.database_url.get_secret_value()
    again = database_at(url)
    again.make()
    with closing(again), again.reading() as connection:
        assert connection.execute(select(func.count()).select_from(RECORDS)).scalar_one() == 2


def test_an_older_database_gets_the_column_of_what_was_not_done(settings: Settings) -> None:
    with closing(open_trail(settings)) as trail, trail.database.writing() as connection:
        connection.execute(text("ALTER TABLE osteon_risks DROP COLUMN absent"))
        connection.execute(text("DELETE FROM osteon_schema WHERE version >= 5"))
    with closing(open_trail(settings)) as trail, trail.database.reading() as connection:
        assert connection.execute(select(RISKS.c.absent)).all() == []


@pytest.mark.parametrize("door", [open_trail, database_of])
def test_a_newer_databases_tables_are_refused(
    settings: Settings, trail: AuditTrail, door: Callable[[Settings], object]
) -> None:
    with trail.database.writing() as connection:
        connection.execute(text("INSERT INTO osteon_schema VALUES (99)"))
    with pytest.raises(UsageError, match=r"must be of version \d+ or older; got version 99"):
        door(settings)


@pytest.mark.parametrize(
    "url",
    [
        *("mysql://secret@host/name", "secret", "sqlite://", "sqlite:///:memory:", ""),
        *("postgresql://a:secret@host:port/name", "postgresql://a:secret@/name?port=secret"),
    ],
)
def test_a_url_of_no_such_database_is_refused_without_being_shown(url: str) -> None:
    with pytest.raises(UsageError, match="OSTEON_DATABASE_URL must") as raised:
        database_at(url)
    assert "secret" not in str(raised.value)


@pytest.mark.parametrize("more", ["", "&secret=4711"])
def test_a_database_that_does_not_answer_is_a_failure_outside(tmp_path: Path, more: str) -> None:
    pytest.importorskip("psycopg")
    with pytest.raises(
        OutsideError, match=r"database did not answer.* Check OSTEON_DATABASE_URL: host"
    ) as raised:
        database_at(f"postgresql://secret@/name?host={tmp_path}{more}").make()
    assert "secret" not in str(raised.value)


def test_who_states_a_database_that_is_not_there_is_told_what_to_check(postgresql: str) -> None:
    with pytest.raises(OutsideError, match="Check OSTEON_DATABASE_URL"):
        database_at(postgresql.format(name="nowhere")).make()


def test_a_database_that_was_reached_is_not_said_to_be_stated_wrongly(
    new_postgresql_database: Any,
) -> None:
    empty = database_at(new_postgresql_database())
    with closing(empty), pytest.raises(OutsideError, match=r"\(UndefinedTable\)\.$"):
        list_keys(empty, AuditKeys(b"the audit key of a test"))


def test_only_the_owner_can_read_what_the_trail_keeps(tmp_path: Path) -> None:
    with closing(open_trail(Settings(state_dir=tmp_path / "state"))) as trail:
        trail.append(EVENT)
        modes = {file.name: file.stat().st_mode & 0o777 for file in (tmp_path / "state").iterdir()}
    assert {"audit.head", "audit.key", "osteon.db", "osteon.db-wal"} <= set(modes)
    assert set(modes.values()) == {0o600}


def test_a_short_key_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="at least 16 characters; got 5"):
        open_trail(Settings(state_dir=tmp_path, audit_key="short"))
