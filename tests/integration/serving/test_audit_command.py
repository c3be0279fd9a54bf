"""`osteon audit` as it is called, on a trail that a service left."""

from __future__ import annotations

import json
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from fhir.resources.R4B.auditevent import AuditEvent as Resource
from sqlalchemy import text

from serving.app import create_app
from serving.audit.opening import database_of, head_path
from serving.audit.record import AuditEvent
from serving.settings import Settings

if TYPE_CHECKING:
    from serving.prediction.served import ServedModel

VALID: dict[str, Any] = {
    "patient_id": "PatientSentinel",
    "time_zero": "2026-11-01T08:00:00+01:00",
    "asked_at": "2026-11-01T08:00:00+01:00",
    "birth_date": "1958-03-02",
    "outcomes": ["mortality"],
    "measurements": [
        {"variable": "lactate", "value": 2.8271, "unit": "mmol/L"},
        {"variable": "albumin", "value": 2.7391, "unit": "g/dL"},
    ],
}


@pytest.fixture
def settings(workplace: Any, serve: Any, mortality: ServedModel) -> Settings:
    """The settings of a service that answered twice, refused once, and received an outcome."""
    settings = Settings(state_dir=workplace.folder / "state")
    client = serve(create_app(settings, models=[mortality]))
    for body in (VALID, VALID, VALID | {"birth_date": "2020-01-01"}):
        answer = client.post("/v1/predict", json=body)
        assert answer.status_code == 200
    said = {"prediction_id": answer.json()["prediction_id"], "outcome": "mortality"}
    assert client.post("/v1/outcomes", json=said | {"event": 1, "days": 2}).status_code == 201
    return settings


@pytest.fixture
def audit(workplace: Any, settings: Settings) -> Callable[..., Any]:
    """Run `osteon audit` with the arguments on that trail."""

    def run(*arguments: str, **environment: str) -> Any:
        environment |= {"OSTEON_STATE_DIR": str(settings.state_dir)}
        return workplace.run("audit", *arguments, **environment)

    return run


def tamper(settings: Settings, *statements: str) -> None:
    with closing(database_of(settings)) as database, database.writing() as connection:
        for statement in statements:
            connection.execute(text(statement))


def test_a_whole_trail_verifies(audit: Callable[..., Any]) -> None:
    answer = audit("verify")
    assert answer.code == 0
    assert answer.out == "The audit trail is complete: 4 records, 1 to 4.\n"
    found = audit("verify", "--json").json
    assert found["ok"] is True
    assert found["head"]["seq"] == 4


def test_a_changed_record_exits_with_1_and_is_named(
    audit: Callable[..., Any], settings: Settings
) -> None:
    tamper(
        settings,
        "DROP TRIGGER osteon_audit_no_change",
        "UPDATE osteon_audit_records SET body = replace(body, 'local', 'loyal') WHERE seq = 2",
    )
    answer = audit("verify")
    assert answer.code == 1
    assert "[changed] record 2" in answer.out
    found = audit("verify", "--json")
    assert found.code == 1
    assert found.json["flaws"][0]["rule"] == "changed"


def test_a_head_that_was_kept_elsewhere_can_be_given(
    audit: Callable[..., Any], settings: Settings, tmp_path: Path
) -> None:
    copy = tmp_path / "copy.head"
    copy.write_bytes(head_path(settings).read_bytes())
    head_path(settings).unlink()
    assert audit("verify").code == 1
    assert audit("verify", "--head", str(copy)).code == 0
    assert audit("verify", "--head", str(tmp_path / "nothing")).code == 2


def test_without_a_trail_there_is_nothing_to_verify(workplace: Any) -> None:
    answer = workplace.run("audit", "verify", OSTEON_STATE_DIR=str(workplace.folder / "none"))
    assert answer.code == 2
    assert "OSTEON_AUDIT_KEY" in answer.err


@pytest.mark.parametrize("command", ["verify", "export", "prune", "adopt"])
def test_a_database_that_is_not_there_is_not_made(workplace: Any, command: str) -> None:
    folder = workplace.folder / "wrong"
    answer = workplace.run(
        *("audit", command, *(("--out", "events.ndjson") if command == "export" else ())),
        OSTEON_STATE_DIR=str(folder),
        OSTEON_AUDIT_KEY="a key of the tests, long enough",
    )
    assert answer.code == 3
    assert "The database file does not exist. Check OSTEON_STATE_DIR" in answer.err
    assert not workplace.files()


@pytest.mark.parametrize("command", ["verify", "export", "prune", "adopt"])
def test_an_empty_database_is_no_trail_and_takes_none_over(
    audit: Callable[..., Any],
    settings: Settings,
    database_url: str,
    tmp_path: Path,
    command: str,
) -> None:
    signed = head_path(settings).read_bytes()
    (tmp_path / "osteon.db").touch()
    for _ in range(2):
        answer = audit(
            *(command, *(("--out", str(tmp_path / "events")) if command == "export" else ())),
            OSTEON_DATABASE_URL=database_url,
        )
        assert answer.code == 3
        assert "The database holds no audit trail. Check OSTEON_STATE_DIR" in answer.err
    assert head_path(settings).read_bytes() == signed
    assert not (tmp_path / "events").exists()
    assert audit("verify").code == 0


def test_the_export_is_fhir_and_holds_no_value(audit: Callable[..., Any], tmp_path: Path) -> None:
    out = tmp_path / "events.ndjson"
    assert audit("export", "--out", str(out), "--json").json == {"records": 4, "out": str(out)}
    lines = out.read_text().splitlines()
    events = [json.loads(line) for line in lines]
    for event in events:
        Resource.model_validate(event)
        assert event["source"]["observer"]["display"] == "Osteon"
    assert [event["subtype"][0]["code"] for event in events] == ["predict"] * 3 + ["outcome"]
    assert [event["outcomeDesc"] for event in events] == ["ok", "ok", "refused", "ok"]
    assert "Sentinel" not in out.read_text()
    assert "2.8271" not in out.read_text()


def test_every_action_has_its_event() -> None:
    from typing import get_args

    from serving.audit.export import audit_event
    from serving.audit.record import Action

    for action in get_args(Action):
        body = AuditEvent(action=action, actor="local", status="ok", detail={"number": 1}).body(
            seq=1, at="2026-11-25T10:00:00.000000+00:00"
        )
        Resource.model_validate(audit_event(json.loads(body), "0" * 64))


def test_an_export_that_cannot_be_written_is_a_failure_outside(
    audit: Callable[..., Any], tmp_path: Path
) -> None:
    assert audit("export", "--out", str(tmp_path / "no" / "events.ndjson")).code == 3


def test_pruning_keeps_what_is_young(audit: Callable[..., Any]) -> None:
    assert audit("prune", "--json").json == {"deleted": 0, "older_than_days": 3653}
    assert audit("prune", "--json", OSTEON_AUDIT_RETENTION_DAYS="0").code == 2


def test_a_database_that_has_lost_its_head_is_not_whole(
    audit: Callable[..., Any], settings: Settings
) -> None:
    tamper(settings, "DELETE FROM osteon_audit_head")
    answer = audit("verify")
    assert answer.code == 1
    assert "[head] record 0: The database has lost its own head" in answer.out
    assert "[changed]" not in answer.out
    for command in ("adopt", "prune"):
        answer = audit(command)
        assert answer.code == 1
        assert "must hold its own head" in answer.err


@pytest.mark.parametrize("body", ["PatientSentinel", "[]", '{"action": "PatientSentinel"}'])
def test_a_record_that_is_none_is_named_and_not_exported(
    audit: Callable[..., Any], settings: Settings, tmp_path: Path, body: str
) -> None:
    earlier = tmp_path / "exported" / "events.ndjson"
    earlier.parent.mkdir()
    assert audit("export", "--out", str(earlier)).code == 0
    exported = earlier.read_text()
    earlier.chmod(0o600)
    assert audit("export", "--out", str(earlier)).code == 0
    assert earlier.stat().st_mode & 0o777 == 0o600
    changed = f"UPDATE osteon_audit_records SET body = '{body}' WHERE seq = 2"
    tamper(settings, "DROP TRIGGER osteon_audit_no_change", changed.replace(":", r"\:"))
    answer = audit("export", "--out", str(earlier))
    assert answer.code == 1
    assert "Record 2 was changed after it was written. Run `osteon audit" in answer.err
    assert "Sentinel" not in answer.err
    assert [path.name for path in earlier.parent.iterdir()] == ["events.ndjson"]
    assert earlier.read_text() == exported
    answer = audit("verify")
    assert answer.code == 1
    assert "[changed] record 2" in answer.out


@pytest.mark.parametrize("body", ["nothing", "[]"])
def test_a_first_record_that_is_none_is_found_without_a_head(
    audit: Callable[..., Any], settings: Settings, body: str
) -> None:
    tamper(
        settings,
        "DROP TRIGGER osteon_audit_no_change",
        f"UPDATE osteon_audit_records SET body = '{body}' WHERE seq = 1",
        "DELETE FROM osteon_audit_head",
    )
    answer = audit("verify")
    assert answer.code == 1
    assert "[changed] record 1" in answer.out


def test_a_key_that_is_set_later_must_be_the_trails_own(
    audit: Callable[..., Any], settings: Settings
) -> None:
    refused = audit("prune", OSTEON_AUDIT_KEY="another key, long enough")
    assert refused.code == 1
    assert "OSTEON_AUDIT_KEY must be the text of audit.key in OSTEON_STATE_DIR" in refused.err
    assert "another key, long" not in refused.err
    own = (settings.state_dir / "audit.key").read_text()
    assert own not in refused.err
    assert audit("prune", OSTEON_AUDIT_KEY=own).code == 0


def test_a_service_that_cannot_go_on_says_so_until_the_trail_is_adopted(
    audit: Callable[..., Any], settings: Settings
) -> None:
    tamper(
        settings,
        "DROP TRIGGER osteon_audit_no_deletion",
        "DELETE FROM osteon_audit_records WHERE seq > 2",
        "UPDATE osteon_audit_head SET seq = 2, "
        "mac = (SELECT mac FROM osteon_audit_records WHERE seq = 2)",
    )
    assert audit("verify").code == 1
    assert audit("prune").code == 1
    assert audit("adopt", "--json").json == {"adopted": True}
    # What was stored with the lost records is of no record: a backup would not hold it either.
    flaws = audit("verify", "--json").json["flaws"]
    assert [flaw["rule"] for flaw in flaws] == ["risks", "outcome"]
    tamper(
        settings,
        "DELETE FROM osteon_outcomes",
        "DELETE FROM osteon_risks WHERE prediction_id NOT IN "
        "(SELECT prediction_id FROM osteon_audit_records WHERE prediction_id IS NOT NULL)",
    )
    assert audit("verify").code == 0
