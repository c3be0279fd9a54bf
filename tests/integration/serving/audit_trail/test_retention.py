"""Old records go, and the rest is still whole."""

from __future__ import annotations

from contextlib import closing
from dataclasses import replace

import pytest
from sqlalchemy import delete, insert, select, text, update

from audit_records import EVENT, check, fill, numbered, records, rules, tamper
from data_schema.errors import GateError, UsageError
from serving.audit.opening import open_trail
from serving.audit.record import AuditEvent
from serving.audit.retention import prune
from serving.audit.trail import AuditTrail
from serving.audit.withdrawals import withdrawals
from serving.settings import Settings
from serving.store.tables import CHECKPOINT, RECORDS


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


def test_a_request_key_is_known_although_the_record_before_its_own_is_gone(
    trail: AuditTrail, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        aged(patch, "2001-01-01T00:00:00.000000+00:00")
        fill(trail, 3)
    keyed = replace(numbered(4), request_key="k" * 64)
    first = trail.append(keyed)
    assert prune(trail, older_than_days=30, actor="command:a") == 3
    again = trail.append(keyed)
    assert (again.earlier, again.body) == (True, first.body)
    tamper(settings, update(CHECKPOINT).values(mac="0" * 64))
    assert trail.append(keyed).body == {}


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
    with pytest.raises(GateError, match="record 1 was changed"):
        prune(half_old, older_than_days=30, actor="command:a")


def test_a_record_that_would_go_is_checked_first(half_old: AuditTrail, settings: Settings) -> None:
    tamper(settings, update(RECORDS).where(RECORDS.c.seq == 2).values(body="{}"))
    with pytest.raises(GateError, match="record 2 was changed"):
        prune(half_old, older_than_days=30, actor="command:a")
    assert check(settings).records == 5


def test_a_clock_ahead_of_the_newest_records_prunes_nothing(
    trail: AuditTrail, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        aged(patch, "2001-01-01T00:00:00.000000+00:00")
        fill(trail, 3)
    # What a command or a start writes has the clock in question.
    trail.append(replace(EVENT, action="start"))
    with pytest.raises(UsageError, match=r"days ahead of them.*--clock-is-checked"):
        prune(trail, older_than_days=30, actor="command:a")
    assert check(settings).records == 4
    assert prune(trail, older_than_days=30, actor="command:a", clock_is_checked=True) == 3
    assert check(settings).ok


def test_a_withdrawal_outlives_its_record(
    trail: AuditTrail, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    bundle = "ab" * 32
    withdrawn = AuditEvent(
        action="withdrawn",
        actor="command:a",
        status="ok",
        models=[{"name": "osteon-mortality", "version": "1", "sha256": bundle}],
        request_key=trail.keys.withdrawal(bundle),
        detail={"why": "A unit was wrong."},
    )
    with monkeypatch.context() as patch:
        aged(patch, "2001-01-01T00:00:00.000000+00:00")
        trail.append(withdrawn)
    fill(trail, 1)
    assert prune(trail, older_than_days=30, actor="command:a") == 1
    assert withdrawals(trail, [bundle, "cd" * 32]) == {bundle: "A unit was wrong."}
    assert records(settings)[-1]["detail"]["at"].startswith("2001")
    assert check(settings).ok
