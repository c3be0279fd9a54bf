"""Why there is no champion: each cause is made for real, and `osteon doctor` names it."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from typing import Any

import pytest

# MLflow 3.17 warns about its own code under SQLAlchemy 2.1 and pandas 3; it answers right.
pytestmark = pytest.mark.filterwarnings("ignore:::mlflow")

MODEL = "osteon-mortality-simulated"


@pytest.fixture
def copy(trained: Any, workplace: Any) -> Iterator[Any]:
    """A copy of the registry of a promoted model, and a state folder of its own."""
    place, _ = trained
    with (
        closing(sqlite3.connect(place.folder / "mlflow.db")) as before,
        closing(sqlite3.connect(workplace.folder / "mlflow.db")) as after,
        pytest.MonkeyPatch.context() as patch,
    ):
        before.backup(after)
        patch.setenv("OSTEON_STATE_DIR", str(workplace.folder / "state"))
        yield workplace


def checks(place: Any, **environment: str) -> dict[str, Any]:
    answer = place.run("doctor", "--json", **environment)
    return {check["check"]: check for check in answer.json["checks"]}


def why_none(place: Any) -> str:
    check = checks(place)[f"champion of {MODEL}"]
    assert check["ok"]
    text: str = check["detail"]
    return text


def without_alias(place: Any) -> Any:
    with place.entered():
        from models.registry.tracking import connect

        client = connect().MlflowClient()
        client.delete_registered_model_alias(MODEL, "champion")
        return client


def test_an_alias_that_was_removed_by_hand(copy: Any) -> None:
    without_alias(copy)
    assert why_none(copy) == (
        f"none: version 1 was approved, and its alias was removed in MLflow. "
        f"Run `osteon promote {MODEL} 1`"
    )


def test_a_champion_that_was_withdrawn(copy: Any) -> None:
    assert copy.run("withdraw", MODEL, "1", "--why", "A unit was wrong.").code == 0
    assert why_none(copy) == (
        f"none: version 1 was withdrawn: A unit was wrong. Run `osteon rollback {MODEL}`, "
        "or promote another"
    )


def test_a_version_that_was_never_judged_and_one_that_the_gate_refused(copy: Any) -> None:
    client = without_alias(copy)
    with copy.entered():
        from models.registry.gate import gate_key, seal
        from models.registry.versions import TAG_GATE, find_version

        record = find_version(MODEL, version="1").gate_record
        assert record is not None
        refused = seal(replace(record, decision="refuse"), gate_key())
        client.set_model_version_tag(MODEL, "1", TAG_GATE, refused)
    assert "none: the gate refused version 1. Train another" in why_none(copy)
    with copy.entered():
        client.delete_model_version_tag(MODEL, "1", TAG_GATE)
    assert "`osteon promote osteon-mortality-simulated 1` judges it" in why_none(copy)
    with copy.entered():
        client.delete_model_version_tag(MODEL, "1", "osteon.simulated")
    assert why_none(copy) == (f"none: version 1 was never judged. Run `osteon promote {MODEL} 1`")


def test_a_gate_key_of_another_machine(copy: Any) -> None:
    check = checks(copy, OSTEON_GATE_KEY="another key, and long enough")[f"champion of {MODEL}"]
    assert (check["ok"], check["trouble"]) == (False, "gate")
    assert "another OSTEON_GATE_KEY. Promote the version again." in check["detail"]
