"""`osteon backup` and `osteon restore` as they are called, on a trail that a service left."""

from __future__ import annotations

import json
import os
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select, text

from audit_records import cut, fill, numbered, records
from places import ROOT
from serving.audit.opening import database_of, open_trail
from serving.audit.record import AuditKeys
from serving.audit.trail import Entry
from serving.backup import manifest as manifests
from serving.settings import Settings
from serving.store.tables import API_KEYS, TABLES

KEY = "a key of more than sixteen characters"
SCRIPT = ROOT / "tests" / "benchmark" / "backup_restore.py"
COUNT = 20


@pytest.fixture
def settings(workplace: Any) -> Settings:
    """A machine with twenty predictions on record."""
    settings = Settings(state_dir=workplace.folder / "state", audit_key=KEY)
    with closing(open_trail(settings)) as trail:
        fill(trail, COUNT)
    return settings


@pytest.fixture
def osteon(workplace: Any) -> Callable[..., Any]:
    """Run a command for the machine of a state folder, by default the first one."""

    def run(*arguments: str, state: str = "state", key: str = KEY) -> Any:
        environment = {
            "OSTEON_STATE_DIR": str(workplace.folder / state),
            "OSTEON_AUDIT_KEY": key,
        }
        return workplace.run(*arguments, **environment)

    return run


def test_a_restored_trail_verifies_and_lacks_no_acknowledged_prediction(
    settings: Settings, workplace: Any, osteon: Callable[..., Any]
) -> None:
    assert osteon("keys", "create", "a ward", "--role", "predict").code == 0
    saved = osteon("backup", "copy", "--trail-only")
    assert saved.code == 0, saved.err
    assert f"{COUNT + 1} records (1 to {COUNT + 1}) of {COUNT} predictions" in saved.out

    restored = osteon("restore", "copy", "--trail-only", "--json", state="other")
    assert restored.code == 0, restored.err
    assert restored.json["trail"]["predictions"] == COUNT
    ids = workplace.folder / "ids"
    ids.write_text("\n".join(str(numbered(n).prediction_id) for n in range(1, COUNT + 1)))
    verified = osteon("audit", "verify", "--acknowledged", str(ids), state="other")
    assert verified.code == 0, verified.out
    assert f"0 of {COUNT} acknowledged predictions are missing." in verified.out

    there = Settings(state_dir=workplace.folder / "other", audit_key=KEY)
    with closing(database_of(there)) as database, database.reading() as connection:
        assert len(connection.execute(select(API_KEYS)).all()) == 1
    assert records(there)[-1]["action"] == "adopted"
    with closing(open_trail(there)) as trail:  # it goes on
        trail.append_all([Entry(numbered(COUNT + 1))])


def test_a_prediction_without_a_record_is_counted(
    settings: Settings, workplace: Any, osteon: Callable[..., Any]
) -> None:
    ids = workplace.folder / "ids"
    ids.write_text(f"{numbered(1).prediction_id}\n\n{numbered(COUNT + 5).prediction_id}\n")
    answer = osteon("audit", "verify", "--acknowledged", str(ids))
    assert answer.code == 1
    assert "1 of 2 acknowledged predictions are missing." in answer.out


def test_what_was_written_after_the_backup_is_on_record_as_lost(
    settings: Settings, workplace: Any, osteon: Callable[..., Any]
) -> None:
    assert osteon("backup", "copy", "--trail-only").code == 0
    with closing(open_trail(settings)) as trail:
        trail.append_all([Entry(numbered(COUNT + n)) for n in (1, 2)])
    for path in settings.state_dir.glob("osteon.db*"):
        path.unlink()
    assert osteon("restore", "copy", "--trail-only").code == 0
    newest = records(settings)[-1]
    assert newest["action"] == "adopted"
    assert newest["detail"] == {"database_head": COUNT, "signed_head": COUNT + 2}


def test_a_trail_that_was_cut_is_not_called_complete(
    settings: Settings, osteon: Callable[..., Any]
) -> None:
    cut(settings, COUNT - 3)
    answer = osteon("backup", "copy", "--trail-only")
    assert answer.code == 1
    assert "The audit trail is NOT complete" in answer.out


@pytest.mark.parametrize("changed", ["osteon.db", "audit.head", "backup.json", "another"])
def test_a_changed_backup_is_refused(
    settings: Settings, workplace: Any, osteon: Callable[..., Any], changed: str
) -> None:
    assert osteon("backup", "copy", "--trail-only").code == 0
    file = workplace.folder / "copy" / changed
    if changed == "backup.json":
        sealed = json.loads(file.read_text())
        sealed["manifest"]["trail"]["predictions"] += 1
        file.write_text(json.dumps(sealed))
    else:
        with file.open("ab") as opened:
            opened.write(b" ")
    answer = osteon("restore", "copy", "--trail-only", state="other")
    assert answer.code == 1
    assert "must" in answer.err
    assert not (workplace.folder / "other" / "osteon.db").exists()


def sealed_again(folder: Path, *statements: str) -> None:
    """Change the tables of a backup as another version of Osteon would have written them."""
    keys = AuditKeys(KEY.encode())
    manifest = manifests.read(folder, keys)
    with closing(sqlite3.connect(folder / "osteon.db")) as database:
        for statement in statements:
            database.execute(statement)
        database.commit()
    manifests.write(folder, replace(manifest, files=manifests.digests(folder)), keys)


def test_a_backup_of_a_newer_version_is_refused_before_anything_is_written(
    settings: Settings, workplace: Any, osteon: Callable[..., Any]
) -> None:
    assert osteon("backup", "copy", "--trail-only").code == 0
    sealed_again(workplace.folder / "copy", "INSERT INTO osteon_schema VALUES (999)")
    answer = osteon("restore", "copy", "--trail-only", state="other")
    assert answer.code == 2
    assert "The backup is of a newer version of Osteon" in answer.err
    assert "got version 999" in answer.err
    assert not (workplace.folder / "other" / "osteon.db").exists()


def test_a_backup_of_an_older_version_is_migrated_and_stays_as_it_was(
    settings: Settings, workplace: Any, osteon: Callable[..., Any]
) -> None:
    assert osteon("backup", "copy", "--trail-only").code == 0
    folder = workplace.folder / "copy"
    sealed_again(
        folder,
        "DELETE FROM osteon_schema WHERE version > 4",
        "ALTER TABLE osteon_risks DROP COLUMN absent",
        "ALTER TABLE osteon_audit_head DROP COLUMN signature",
    )
    before = (folder / "osteon.db").read_bytes()
    answer = osteon("restore", "copy", "--trail-only", "--json", state="other")
    assert answer.code == 0, answer.err
    assert answer.json["trail"]["predictions"] == COUNT
    assert osteon("audit", "verify", state="other").code == 0
    assert (folder / "osteon.db").read_bytes() == before


def test_another_key_opens_no_backup(settings: Settings, osteon: Callable[..., Any]) -> None:
    assert osteon("backup", "copy", "--trail-only").code == 0
    answer = osteon("restore", "copy", "--trail-only", state="other", key="another key" * 3)
    assert answer.code == 1
    assert "OSTEON_AUDIT_KEY" in answer.err


def test_nothing_is_overwritten(
    settings: Settings, workplace: Any, osteon: Callable[..., Any]
) -> None:
    assert osteon("backup", "copy", "--trail-only").code == 0
    again = osteon("backup", "copy", "--trail-only")
    assert again.code == 2
    assert "must be new or empty" in again.err
    over = osteon("restore", "copy", "--trail-only")
    assert over.code == 2
    assert "The database must be empty" in over.err
    (workplace.folder / "copy" / "backup.json").unlink()
    unfinished = osteon("restore", "copy", "--trail-only", state="other")
    assert unfinished.code == 2
    assert "complete backup" in unfinished.err


def test_only_the_owner_reads_a_backup(
    settings: Settings, workplace: Any, osteon: Callable[..., Any]
) -> None:
    assert osteon("backup", "copy", "--trail-only").code == 0
    folder = workplace.folder / "copy"
    assert {path.stat().st_mode & 0o077 for path in [folder, *folder.rglob("*")]} == {0}


def test_a_backup_holds_every_table(
    settings: Settings, workplace: Any, osteon: Callable[..., Any]
) -> None:
    assert osteon("backup", "copy", "--trail-only").code == 0
    copy = Settings(state_dir=workplace.folder / "copy", audit_key=KEY)
    with (
        closing(database_of(settings)) as ours,
        closing(database_of(copy)) as theirs,
        ours.reading() as here,
        theirs.reading() as there,
    ):
        names = here.execute(text("SELECT name FROM sqlite_master WHERE type = 'table'"))
        assert {*names.scalars()} == {*(table.name for table in TABLES), "osteon_schema"}
        for table in TABLES:
            assert there.execute(select(table)).all() == here.execute(select(table)).all()


def test_a_server_is_no_database_of_the_registry(
    settings: Settings, workplace: Any, osteon: Callable[..., Any]
) -> None:
    answer = workplace.run(
        "backup",
        "copy",
        OSTEON_STATE_DIR=str(settings.state_dir),
        OSTEON_AUDIT_KEY=KEY,
        MLFLOW_TRACKING_URI="http://127.0.0.1:9",
    )
    assert answer.code == 2
    assert "MLFLOW_TRACKING_URI must name the registry's database" in answer.err
    assert not (workplace.folder / "copy" / "backup.json").exists()


@pytest.mark.slow
@pytest.mark.parametrize("pair", ["sqlite:postgresql", "postgresql:sqlite"])
def test_a_service_under_load_is_restored_whole(trained: Any, pair: str) -> None:
    if shutil.which("psql") is None:
        pytest.skip("PostgreSQL is not installed (Debian: postgresql)")
    place, _ = trained
    done = subprocess.run(
        [sys.executable, str(SCRIPT), "--predictions", "200", "--clients", "2", "--pairs", pair],
        env=os.environ | place.environment,
        capture_output=True,
        text=True,
        check=False,
        cwd=Path(place.folder),
    )
    assert done.returncode == 0, done.stdout + done.stderr
    found = json.loads(done.stdout)
    assert found["acknowledged_before_the_backup"] == 200
    assert found["missing"] == 0
    assert found["same_risks"]
