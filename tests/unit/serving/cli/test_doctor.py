"""`osteon doctor` of the service: each answer names its cause, and nothing is written."""

from __future__ import annotations

from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from audit_records import cut, fill
from contracts import restated
from models.registry.checks import Check
from serving.access import api_keys
from serving.audit.opening import open_trail
from serving.cli.doctor import examine_service
from serving.settings import Settings

if TYPE_CHECKING:
    from models.registry.lifecycle import LoadedModel
    from serving.prediction.served import ServedModel

KEY = "a key of more than sixteen characters"


@pytest.fixture
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The state folder of a machine that no service has run on."""
    monkeypatch.setenv("OSTEON_STATE_DIR", str(tmp_path / "state"))
    monkeypatch.setenv("OSTEON_AUDIT_KEY", KEY)
    return tmp_path / "state"


def checks(*champions: LoadedModel) -> dict[str, Check]:
    return {check.check: check for check in examine_service(champions)}


def test_nothing_is_written(state: Path) -> None:
    assert all(check.ok for check in checks().values())
    assert not state.exists()


def test_a_misspelt_setting_is_named_and_ends_the_examination(
    state: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OSTEON_PROT", "8000")
    (check,) = examine_service(())
    assert (check.check, check.ok, check.trouble) == ("settings", False, "usage")
    assert "OSTEON_PROT" in check.detail


def test_an_address_that_would_be_refused_says_what_is_missing(
    state: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OSTEON_HOST", "0.0.0.0")
    check = checks()["address"]
    assert not check.ok
    assert "OSTEON_AUTHENTICATION=required" in check.detail


def test_the_trail_is_counted_and_another_key_or_a_cut_is_named(
    state: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = Settings(state_dir=state, audit_key=KEY)
    with closing(open_trail(settings)) as trail:
        fill(trail, 5)
    assert checks()["audit trail"].detail == "5 records in SQLite"
    monkeypatch.setenv("OSTEON_AUDIT_KEY", "another key of more characters")
    other = checks()["audit trail"]
    assert other.trouble == "gate"
    assert "OSTEON_AUDIT_KEY" in other.detail
    monkeypatch.setenv("OSTEON_AUDIT_KEY", KEY)
    cut(settings, 3, signature=None)
    assert "2 records that this machine knew are missing" in checks()["audit trail"].detail


def test_callers_are_counted_by_what_lets_them_in(
    state: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OSTEON_AUTHENTICATION", "required")
    with closing(open_trail(Settings(state_dir=state, audit_key=KEY))) as trail:
        api_keys.create(trail, "a ward", ["predict"], days=None, actor="command:test")
        key, _ = api_keys.create(trail, "gone", ["audit"], days=None, actor="command:test")
        api_keys.revoke(trail, key.id, actor="command:test")
    found = checks()
    assert found["callers"].detail == (
        "1 API keys (predict); 1 keys are expired, revoked or changed"
    )
    assert "OSTEON_SIGN_IN_ISSUER" in found["sign-in"].detail


def test_a_provider_that_does_not_answer_is_named(
    state: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OSTEON_AUTHENTICATION", "required")
    monkeypatch.setenv("OSTEON_PUBLIC_URL", "https://osteon.example")
    monkeypatch.setenv("OSTEON_SIGN_IN_ISSUER", "http://127.0.0.1:9/realm")
    monkeypatch.setenv("OSTEON_SIGN_IN_CLIENT_ID", "osteon")
    check = checks()["sign-in"]
    assert (check.ok, check.trouble) == (False, "outside")
    assert check.detail.startswith("http://127.0.0.1:9/realm: ")


def test_why_there_is_no_card(
    state: Path, mortality: ServedModel, real_mortality: ServedModel, fracture: ServedModel
) -> None:
    assert "no champion of mortality is served" in checks()["cards of patient-view"].detail
    simulated = checks(mortality.loaded)["cards of patient-view"].detail
    assert "simulated patients" in simulated
    assert "where a bone marker was measured" in (
        checks(real_mortality.loaded)["cards of patient-view"].detail
    )
    late = replace(
        real_mortality.loaded,
        risk_model=restated(real_mortality.loaded.risk_model, time_zero="study day 3"),
    )
    detail = checks(late)["cards of patient-view"].detail
    assert detail.startswith("none: time zero of osteon-mortality is study day 3, not 24 h after")


def test_a_champion_that_a_setting_leaves_out_is_named(
    state: Path, monkeypatch: pytest.MonkeyPatch, real_mortality: ServedModel
) -> None:
    monkeypatch.setenv("OSTEON_NAMES", "osteon-fracture")
    assert checks(real_mortality.loaded)["served"].detail == (
        "no model; OSTEON_NAMES leaves out osteon-mortality"
    )
