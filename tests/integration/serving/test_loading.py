from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from data_schema.errors import UsageError
from models.registry.gate import GateRecord
from models.registry.lifecycle import Version, promote, register
from models.registry.tracking import connect
from serving.prediction.answer import ModelName
from serving.processes.loading import load_models
from serving.settings import Settings

if TYPE_CHECKING:
    from serving.prediction.served import ServedModel

# MLflow 3.17 warns about its own code under SQLAlchemy 2.1 and pandas 3; it answers right.
pytestmark = pytest.mark.filterwarnings("ignore:::mlflow")

NAME = "osteon-mortality-simulated"
KEY = "a key of more than sixteen characters"


@pytest.fixture(scope="module")
def registered(
    mortality: ServedModel, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Version]:
    """The model in a registry of its own, not promoted, with what its run kept."""
    patch = pytest.MonkeyPatch()
    directory = tmp_path_factory.mktemp("registry")
    patch.chdir(directory)
    patch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{directory / 'mlflow.db'}")
    client = connect().MlflowClient()
    run_id = client.create_run(client.create_experiment("test")).info.run_id
    client.log_text(run_id, "# A model of a test", "model_card.md")
    yield register(mortality.loaded.risk_model, run_id=run_id)
    patch.undo()


def test_from_registration_to_a_champion_in_service(
    registered: Version, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Registered only: nothing is served by itself, and the model by its URI has no alias.
    assert load_models(Settings()).models == ()
    (unpromoted,) = load_models(Settings(model=registered.model_uri)).models
    assert not unpromoted.promoted
    assert unpromoted.identity.alias is None
    assert unpromoted.model_card == "# A model of a test"

    # Promoted: without a key its record cannot be checked.
    record = GateRecord(
        model_sha256=registered.sha256,
        cohort_fingerprint="0" * 64,
        metrics=[],
        decision="promote",
        by="a test",
        at="2026-11-01T08:00:00+01:00",
    )
    promote(NAME, registered.version, record, key=KEY.encode())
    with pytest.raises(UsageError, match="OSTEON_GATE_KEY"):
        load_models(Settings())

    monkeypatch.setenv("OSTEON_GATE_KEY", KEY)
    for settings in (Settings(), Settings(names=(NAME,))):
        (champion,) = load_models(settings).models
        assert champion.promoted
        assert champion.identity == ModelName(NAME, registered.version, "champion")
        assert champion.model_card == "# A model of a test"

    # By its URI even a champion is served without its alias: nobody asked the gate.
    (by_uri,) = load_models(Settings(model=f"models:/{NAME}@champion")).models
    assert by_uri.identity.alias is None


def test_the_demo_loads_the_newest_simulated_version_unapproved(
    registered: Version, mortality: ServedModel
) -> None:
    client = connect().MlflowClient()
    run_id = client.create_run(client.create_experiment("newer")).info.run_id
    newer = register(mortality.loaded.risk_model, run_id=run_id)
    (model,) = load_models(Settings(demo=True)).models
    assert model.contract.simulated
    assert not model.promoted
    assert model.identity == ModelName(NAME, newer.version, None)


def test_a_demo_without_simulated_models_is_wrong_usage(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{tmp_path / 'mlflow.db'}")
    with pytest.raises(UsageError, match="make demo"):
        load_models(Settings(demo=True))


def test_a_champion_with_a_wrong_record_is_refused_with_the_reason(
    registered: Version, monkeypatch: pytest.MonkeyPatch
) -> None:
    connect().MlflowClient().set_registered_model_alias(NAME, "champion", registered.version)
    monkeypatch.setenv("OSTEON_GATE_KEY", "another key of more than sixteen")
    for settings in (Settings(), Settings(names=(NAME,))):
        found = load_models(settings)
        assert found.models == ()
        (refused,) = found.refused
        assert (refused.name, refused.version) == (NAME, registered.version)
        assert "gate record" in refused.message


def test_a_model_that_is_not_registered_is_wrong_usage(
    registered: Version, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OSTEON_GATE_KEY", KEY)
    with pytest.raises(UsageError, match="The registry has no model osteon-nothing"):
        load_models(Settings(names=("osteon-nothing",)))
