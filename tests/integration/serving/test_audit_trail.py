from __future__ import annotations

import json
import multiprocessing
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import delete, func, insert, select, text, update

from data_schema.errors import GateError, OutsideError, UsageError
from serving.audit.adoption import adopt
from serving.audit.head import HeadFile, read_head
from serving.audit.opening import audit_keys, database_of, head_path, open_trail
from serving.audit.record import AuditEvent
from serving.audit.retention import prune
from serving.audit.trail import AuditTrail, Entry
from serving.audit.verification import Verification, verify
from serving.database import open_database
from serving.settings import Settings
from serving.tables import CHECKPOINT, HEAD, RECORDS

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


@pytest.fixture
def settings(tmp_path: Path, database_url: str) -> Settings:
    return settings_of(tmp_path, database_url)


@pytest.fixture
def trail(settings: Settings) -> Iterator[AuditTrail]:
    with closing(open_trail(settings)) as opened:
        yield opened


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


def cut(settings: Settings, after: int) -> None:
    """Cut the newest records off as if they had never been, head and all."""
    kept = select(RECORDS.c.mac).where(RECORDS.c.seq == after).scalar_subquery()
    tamper(
        settings,
        delete(RECORDS).where(RECORDS.c.seq > after),
        update(HEAD).values(seq=after, mac=kept),
    )


def test_a_trail_that_nobody_touched_is_whole(trail: AuditTrail, settings: Settings) -> None:
    assert check(settings).ok
    fill(trail, 5)
    trail.append(EVENT)
    found = check(settings)
    assert found.ok
    assert (found.records, found.first, found.last) == (6, 1, 6)


def test_a_trail_goes_on_where_it_stopped(settings: Settings) -> None:
    for _ in range(3):
        with closing(open_trail(settings)) as trail:
            fill(trail, 2)
    assert check(settings).ok
    assert check(settings).records == 6


@pytest.mark.parametrize(
    ("column", "value"),
    [
        (RECORDS.c.body, RECORDS.c.body + " "),
        (RECORDS.c.mac, "0" * 64),
        (RECORDS.c.prediction_id, "another"),
        (RECORDS.c.request_key, "another"),
    ],
)
def test_a_changed_record_is_found(
    trail: AuditTrail, settings: Settings, column: Any, value: Any
) -> None:
    fill(trail, 5)
    tamper(settings, update(RECORDS).where(RECORDS.c.seq == 3).values({column: value}))
    found = check(settings)
    # A changed mac is also not the one that the next record was chained to.
    assert ("changed", 3) in rules(found)
    assert {rule for rule, _ in rules(found)} == {"changed"}
    assert found.flaw_count <= 2


def test_a_record_that_was_taken_out_is_found(trail: AuditTrail, settings: Settings) -> None:
    fill(trail, 5)
    tamper(settings, delete(RECORDS).where(RECORDS.c.seq.in_([2, 3])))
    assert rules(check(settings)) == [("gap", 2)]


def test_a_record_that_was_put_in_is_found(trail: AuditTrail, settings: Settings) -> None:
    fill(trail, 3)
    forged = numbered(4).body(seq=4, at="2026-11-25T00:00:00.000000+00:00")
    tamper(
        settings,
        insert(RECORDS).values(seq=4, body=forged, mac="1" * 64, prediction_id=f"{4:026d}"),
        update(HEAD).values(seq=4, mac="1" * 64),
    )
    assert rules(check(settings)) == [("changed", 4)]


def test_swapped_records_are_found(trail: AuditTrail, settings: Settings) -> None:
    fill(trail, 5)
    tamper(
        settings,
        *(
            update(RECORDS).where(RECORDS.c.seq == old).values(seq=new)
            for old, new in ((2, 99), (3, 2), (99, 3))
        ),
    )
    assert ("changed", 2) in rules(check(settings))


def test_records_cut_off_the_end_are_found_by_the_head_outside_the_database(
    trail: AuditTrail, settings: Settings
) -> None:
    fill(trail, 5)
    cut(settings, after=3)
    assert rules(check(settings)) == [("truncated", 4)]


def test_records_cut_off_without_the_databases_own_head_are_found(
    trail: AuditTrail, settings: Settings
) -> None:
    fill(trail, 5)
    tamper(settings, delete(RECORDS).where(RECORDS.c.seq > 3))
    assert ("truncated", 4) in rules(check(settings))


def test_a_lost_head_is_found(trail: AuditTrail, settings: Settings) -> None:
    fill(trail, 5)
    head_path(settings).unlink()
    assert rules(check(settings)) == [("head", 5)]


def test_a_forged_head_is_no_head(trail: AuditTrail, settings: Settings) -> None:
    fill(trail, 5)
    cut(settings, after=3)
    forged = head_path(settings).read_text().replace('"seq":5', '"seq":3')
    head_path(settings).write_text(forged)
    assert ("head", 3) in rules(check(settings))


def test_a_head_that_was_kept_elsewhere_finds_what_was_set_back_here(
    trail: AuditTrail, settings: Settings
) -> None:
    fill(trail, 3)
    old = head_path(settings).read_bytes()
    fill(trail, 2)
    keys = audit_keys(settings)
    elsewhere = read_head(head_path(settings), keys)
    cut(settings, after=3)
    head_path(settings).write_bytes(old)
    assert check(settings).ok
    with closing(database_of(settings)) as database:
        assert rules(verify(database, keys, elsewhere)) == [("truncated", 4)]


def test_another_key_finds_everything_changed(trail: AuditTrail, settings: Settings) -> None:
    fill(trail, 3)
    other = Settings.model_validate(settings.model_dump() | {"audit_key": "another long key..."})
    found = check(other)
    assert {rule for rule, _ in rules(found)} == {"changed", "head"}


def test_a_service_does_not_go_on_from_a_trail_that_was_cut(settings: Settings) -> None:
    with closing(open_trail(settings)) as trail:
        fill(trail, 5)
    cut(settings, after=3)
    with pytest.raises(GateError, match="knows records that the database does not hold"):
        open_trail(settings)


def test_a_service_that_runs_does_not_hide_that_its_trail_was_cut(
    trail: AuditTrail, settings: Settings
) -> None:
    fill(trail, 5)
    cut(settings, after=3)
    with pytest.raises(GateError, match="knows records that the database does not hold"):
        trail.append(EVENT)
    assert rules(check(settings)) == [("truncated", 4)]


def test_two_machines_with_a_head_each_share_one_database(
    trail: AuditTrail, settings: Settings, tmp_path: Path
) -> None:
    fill(trail, 2)
    assert settings.database_url is not None
    other = settings_of(tmp_path / "other", settings.database_url.get_secret_value())
    key = (settings.state_dir / "audit.key").read_text()
    other = Settings.model_validate(other.model_dump() | {"audit_key": key})
    keys = audit_keys(other)
    head_file = HeadFile(head_path(other), keys)
    with closing(adopt(database_of(other), keys, head_file, actor="command:a")) as there:
        for _ in range(2):
            there.append(EVENT)
            trail.append(EVENT)
    assert check(settings).ok
    assert check(other).ok
    assert check(other).records == 7


def test_a_service_does_not_go_on_without_the_head(settings: Settings) -> None:
    with closing(open_trail(settings)) as trail:
        fill(trail, 5)
    head_path(settings).unlink()
    with pytest.raises(GateError, match="signed head is missing"):
        open_trail(settings)


def test_a_service_does_not_go_on_with_the_head_of_another_trail(
    settings: Settings, tmp_path: Path
) -> None:
    other = settings_of(tmp_path / "other", f"sqlite:///{tmp_path / 'other.db'}")
    key = {"audit_key": "the same key for both of them"}
    here, there = (Settings.model_validate(one.model_dump() | key) for one in (settings, other))
    for one in (here, there):
        with closing(open_trail(one)) as trail:
            fill(trail, 2)
    head_path(here).write_bytes(head_path(there).read_bytes())
    with pytest.raises(GateError, match="of different trails"):
        open_trail(here)


def test_a_trail_is_adopted_after_a_backup_and_says_so(settings: Settings) -> None:
    with closing(open_trail(settings)) as trail:
        fill(trail, 5)
    cut(settings, after=3)
    keys = audit_keys(settings)
    head_file = HeadFile(head_path(settings), keys)
    with closing(adopt(database_of(settings), keys, head_file, actor="command:a")) as trail:
        trail.append(EVENT)
    found = check(settings)
    assert found.ok
    assert found.last == 5
    body = records(settings)[3]
    assert body["action"] == "adopted"
    assert body["detail"] == {"database_head": 3, "signed_head": 5}


def records(settings: Settings) -> list[dict[str, Any]]:
    with closing(database_of(settings)) as database, database.reading() as connection:
        rows = connection.execute(select(RECORDS.c.body).order_by(RECORDS.c.seq)).scalars()
        return [json.loads(body) for body in rows]


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
    with pytest.raises(OutsideError, match="database must answer"), trail.database.writing() as c:
        c.execute(statement)
    assert check(settings).records == 3


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


def aged(monkeypatch: pytest.MonkeyPatch, at: str) -> None:
    monkeypatch.setattr("serving.audit.trail.now", lambda: at)


@pytest.fixture
def half_old(trail: AuditTrail, monkeypatch: pytest.MonkeyPatch) -> AuditTrail:
    """A trail of three records from long ago and two of now."""
    with monkeypatch.context() as patch:
        aged(patch, "2001-01-01T00:00:00.000000+00:00")
        fill(trail, 3)
    fill(trail, 2)
    return trail


def test_old_records_go_and_the_rest_is_still_whole(
    half_old: AuditTrail, settings: Settings
) -> None:
    assert prune(half_old, older_than_days=30, actor="command:a") == 3
    found = check(settings)
    assert found.ok
    assert (found.first, found.last) == (4, 6)
    last = records(settings)[-1]
    assert last["action"] == "pruned"
    assert last["detail"] == {"older_than_days": 30, "records": 3, "up_to": 3}
    assert prune(half_old, older_than_days=30, actor="command:a") == 0


def test_a_trail_of_which_all_was_old_goes_on(half_old: AuditTrail, settings: Settings) -> None:
    prune(half_old, older_than_days=30, actor="command:a")
    with closing(open_trail(settings)) as again:
        fill(again, 1)
    assert check(settings).ok


def test_a_checkpoint_that_nobody_signed_is_found(half_old: AuditTrail, settings: Settings) -> None:
    tamper(
        settings,
        insert(CHECKPOINT).from_select(
            ["id", "seq", "mac", "signature"],
            select(text("1"), RECORDS.c.seq, RECORDS.c.mac, RECORDS.c.mac).where(
                RECORDS.c.seq == 2
            ),
        ),
        delete(RECORDS).where(RECORDS.c.seq <= 2),
    )
    assert rules(check(settings)) == [("checkpoint", 2)]
    # Nor is it made good by the next one.
    with pytest.raises(GateError, match="the checkpoint before them"):
        prune(half_old, older_than_days=30, actor="command:a")


def test_records_that_were_deleted_before_their_time_leave_a_gap(
    half_old: AuditTrail, settings: Settings
) -> None:
    tamper(settings, delete(RECORDS).where(RECORDS.c.seq <= 2))
    assert rules(check(settings)) == [("gap", 1)]
    with pytest.raises(GateError, match="number 1 is not"):
        prune(half_old, older_than_days=30, actor="command:a")


def test_a_record_that_would_go_is_checked_first(half_old: AuditTrail, settings: Settings) -> None:
    tamper(settings, update(RECORDS).where(RECORDS.c.seq == 2).values(body="{}"))
    with pytest.raises(GateError, match="number 2 is not"):
        prune(half_old, older_than_days=30, actor="command:a")
    assert check(settings).records == 5


def test_an_older_databases_tables_are_kept(settings: Settings, trail: AuditTrail) -> None:
    fill(trail, 2)
    assert settings.database_url is not None
    url = settings.database_url.get_secret_value()
    with closing(open_database(url)) as again, again.reading() as connection:
        assert connection.execute(select(func.count()).select_from(RECORDS)).scalar_one() == 2


def test_a_newer_databases_tables_are_refused(settings: Settings, trail: AuditTrail) -> None:
    with trail.database.writing() as connection:
        connection.execute(text("INSERT INTO osteon_schema VALUES (99)"))
    with pytest.raises(UsageError, match="must be of version 3 or older; it is of version 99"):
        open_trail(settings)


@pytest.mark.parametrize(
    "url",
    ["mysql://secret@host/name", "secret", "sqlite://", "sqlite:///:memory:", ""],
)
def test_a_url_of_no_such_database_is_refused_without_being_shown(url: str) -> None:
    with pytest.raises(UsageError, match="OSTEON_DATABASE_URL must") as raised:
        open_database(url)
    assert "secret" not in str(raised.value)


def test_a_database_that_does_not_answer_is_a_failure_outside(tmp_path: Path) -> None:
    pytest.importorskip("psycopg")
    with pytest.raises(OutsideError, match="database must answer") as raised:
        open_database(f"postgresql://secret@/name?host={tmp_path}")
    assert "secret" not in str(raised.value)


def test_only_the_owner_can_read_what_the_trail_keeps(tmp_path: Path) -> None:
    with closing(open_trail(Settings(state_dir=tmp_path / "state"))) as trail:
        trail.append(EVENT)
        modes = {file.name: file.stat().st_mode & 0o777 for file in (tmp_path / "state").iterdir()}
    assert {"audit.head", "audit.key", "osteon.db", "osteon.db-wal"} <= set(modes)
    assert set(modes.values()) == {0o600}


def test_a_short_key_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="at least 16 characters; it holds 5"):
        open_trail(Settings(state_dir=tmp_path, audit_key="short"))
