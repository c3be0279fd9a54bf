"""What was changed, taken out, put in, swapped or cut off is found."""

from __future__ import annotations

import json
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import delete, insert, update

from audit_records import (
    EVENT,
    check,
    cut,
    elsewhere,
    fill,
    numbered,
    records,
    rules,
    settings_of,
    tamper,
)
from data_schema.errors import GateError
from serving.audit.head import read_head
from serving.audit.opening import audit_keys, database_of, head_path, open_trail, trail_at
from serving.audit.trail import AuditTrail
from serving.audit.verification import verify
from serving.settings import Settings
from serving.store.tables import HEAD, RECORDS


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
    assert rules(check(settings)) == [("head", 4), ("changed", 4)]
    with pytest.raises(GateError, match="database's head was changed"):
        trail.append(EVENT)


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
    assert rules(check(settings)) == [("head", 3), ("truncated", 4)]


def test_records_cut_off_without_the_databases_own_head_are_found(
    trail: AuditTrail, settings: Settings
) -> None:
    fill(trail, 5)
    tamper(settings, delete(RECORDS).where(RECORDS.c.seq > 3))
    assert ("truncated", 4) in rules(check(settings))


def test_a_lost_head_is_found_where_only_one_machine_has_one(
    trail: AuditTrail, settings: Settings
) -> None:
    fill(trail, 5)
    head_path(settings).unlink()
    # Of the machines that share PostgreSQL, one without a head of its own goes by the signed head
    # of the database.
    flaws = [("head", 5)] if trail.database.is_sqlite else []
    assert rules(check(settings)) == flaws


def test_a_lost_head_is_found_where_that_of_the_database_is_not_signed(
    trail: AuditTrail, settings: Settings
) -> None:
    fill(trail, 5)
    head_path(settings).unlink()
    tamper(settings, update(HEAD).values(signature=None))
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
    copy = read_head(head_path(settings), keys)
    cut(settings, after=3, signature=json.loads(old)["signature"])
    head_path(settings).write_bytes(old)
    assert check(settings).ok
    with closing(database_of(settings)) as database:
        assert rules(verify(database, keys, copy)) == [("truncated", 4)]


def test_a_databases_own_head_that_is_lost_is_found_and_nothing_goes_on(
    trail: AuditTrail, settings: Settings
) -> None:
    fill(trail, 3)
    tamper(settings, delete(HEAD))
    found = check(settings)
    assert {rule for rule, _ in rules(found)} == {"head"}
    assert found.records == 3
    with pytest.raises(GateError, match="must hold its own head"):
        trail.append(EVENT)


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
    assert rules(check(settings)) == [("head", 3), ("truncated", 4)]


def test_two_machines_with_a_head_each_share_one_database(
    trail: AuditTrail, settings: Settings, tmp_path: Path
) -> None:
    fill(trail, 2)
    other = elsewhere(settings, tmp_path / "other")
    with closing(trail_at(other)) as there:
        there.adopt(actor="command:a")
        for _ in range(2):
            there.append(EVENT)
            trail.append(EVENT)
    assert check(settings).ok
    assert check(other).ok
    assert check(other).records == 7


def test_a_service_does_not_go_on_without_the_head_in_sqlite(
    settings: Settings, database_url: str
) -> None:
    if not database_url.startswith("sqlite"):
        pytest.skip("machines that share PostgreSQL join it")
    with closing(open_trail(settings)) as trail:
        fill(trail, 5)
    head_path(settings).unlink()
    with pytest.raises(GateError, match="signed head is missing"):
        open_trail(settings)


def test_a_replica_joins_the_trail_of_a_database_and_says_so(
    trail: AuditTrail, settings: Settings, database_url: str, tmp_path: Path
) -> None:
    if database_url.startswith("sqlite"):
        pytest.skip("a file of SQLite has one machine")
    fill(trail, 2)
    other = elsewhere(settings, tmp_path / "other")
    for _ in range(2):  # the second time it has a head of its own
        with closing(open_trail(other)) as there:
            there.append(EVENT)
            trail.append(EVENT)
    assert check(settings).ok
    assert check(other).ok
    joined = [(one["seq"], one["detail"]) for one in records(other) if one["action"] == "joined"]
    assert joined == [(3, {"database_head": 2})]


@pytest.mark.parametrize("signature", [None, "0" * 64])
def test_a_replica_does_not_join_a_trail_whose_head_is_not_signed(
    trail: AuditTrail,
    settings: Settings,
    database_url: str,
    tmp_path: Path,
    signature: str | None,
) -> None:
    if database_url.startswith("sqlite"):
        pytest.skip("a file of SQLite has one machine")
    fill(trail, 5)
    cut(settings, after=3, signature=signature)
    with pytest.raises(GateError, match="signed head is missing or of another key"):
        open_trail(elsewhere(settings, tmp_path / "other"))


def test_a_database_of_an_older_version_is_signed_at_the_start(settings: Settings) -> None:
    with closing(open_trail(settings)) as trail:
        fill(trail, 2)
    tamper(settings, update(HEAD).values(signature=None))
    with closing(open_trail(settings)):
        pass
    assert check(settings).has_signed_head


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
    with closing(trail_at(settings)) as trail:
        trail.adopt(actor="command:a")
        trail.append(EVENT)
    found = check(settings)
    assert found.ok
    assert found.last == 5
    body = records(settings)[3]
    assert body["action"] == "adopted"
    assert body["detail"] == {"database_head": 3, "signed_head": 5}
