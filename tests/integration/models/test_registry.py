"""The registry: what is loaded is what was registered, and no champion without a signed record."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import mlflow
import numpy as np
import pandas as pd
import pytest

from contracts import restated
from data_schema.errors import GateError, OutsideError, UsageError
from models.inference.risk_model import RiskModel
from models.metrics.metric import Metric
from models.registry import gate
from models.registry import lifecycle as registry
from models.registry.bundle import write_bundle
from models.registry.gate import GateRecord
from models.registry.mlflow_model import log_model
from models.registry.tracking import connect
from models.registry.versions import whole_gate_record
from models.registry.withdrawal import VersionWithdrawn, withdraw

# MLflow 3.17 warns about its own code under SQLAlchemy 2.1 and pandas 3; it answers right.
pytestmark = pytest.mark.filterwarnings("ignore:::mlflow")

KEY = b"a key of sixteen characters or more"
Named = Callable[..., RiskModel]


def record_of(version: registry.Version) -> GateRecord:
    return GateRecord(
        model_sha256=version.sha256,
        cohort_fingerprint="cd" * 32,
        metrics=(Metric("auroc", 28, 0.8, 0.7, 0.9),),
        decision="promote",
        by="reviewer",
        at="2026-11-22T10:00:00+00:00",
    )


def promote(version: registry.Version) -> None:
    registry.promote(version.name, version.version, record_of(version), key=KEY)


def artifacts_of(version: registry.Version) -> Path:
    uri = connect().MlflowClient().get_model_version_download_uri(version.name, version.version)
    return Path(uri.removeprefix("file://"))


def move_champion_by_hand(version: registry.Version) -> None:
    mlflow.MlflowClient().set_registered_model_alias(version.name, "champion", version.version)


@pytest.fixture(scope="module")
def waiting(named: Named, new_run: Callable[[], str]) -> registry.Version:
    """A version that was not promoted; no test changes it."""
    return registry.register(named("waiting"), run_id=new_run(), dataset="waiting")


@pytest.fixture(scope="module")
def approved(named: Named, new_run: Callable[[], str]) -> registry.Version:
    """A version that was promoted; no test changes it."""
    version = registry.register(named("approved"), run_id=new_run(), dataset="approved")
    promote(version)
    return version


# --- registering and loading ----------------------------------------------------------------------


def test_a_registered_version_is_the_challenger_and_no_champion(waiting: registry.Version):
    assert waiting.name == "osteon-mortality-waiting"
    assert waiting.model_uri == "models:/osteon-mortality-waiting/1"
    assert waiting.aliases == ("challenger",)
    assert waiting.gate_record is None
    assert waiting.tags["osteon.simulated"] == "false"


def test_every_way_to_name_a_model_loads_the_same_bundle(
    waiting: registry.Version, named: Named, patients: pd.DataFrame, tmp_path: Path
):
    risk_model = named("waiting")
    write_bundle(risk_model, tmp_path / "bundle")
    expected = risk_model.predict(patients).risk
    for uri in (
        waiting.model_uri,
        f"models:/{waiting.name}@challenger",
        f"runs:/{waiting.run_id}/model",
        str(tmp_path / "bundle"),
    ):
        loaded = registry.load(uri)
        assert (loaded.name, loaded.sha256) == (waiting.name, waiting.sha256)
        np.testing.assert_array_equal(loaded.risk_model.predict(patients).risk, expected)


def test_what_a_model_is_known_by_comes_with_it(waiting: registry.Version):
    loaded = registry.load(f"models:/{waiting.name}@challenger")
    assert (loaded.version, loaded.alias, loaded.run_id) == ("1", "challenger", waiting.run_id)
    assert registry.load(waiting.model_uri).alias is None


def test_the_logged_model_has_its_run_and_the_metrics_of_it(
    named: Named, new_run: Callable[[], str]
):
    client, run_id = connect().MlflowClient(), new_run()
    client.log_metric(run_id, "oof/auroc", 0.81)
    client.log_param(run_id, "seed", "7")

    model_id, sha256 = log_model(named("logged"), run_id=run_id)

    logged, run = client.get_logged_model(model_id), client.get_run(run_id)
    assert (logged.status, logged.source_run_id) == ("READY", run_id)
    assert {metric.key: metric.value for metric in logged.metrics} == {"oof/auroc": 0.81}
    assert logged.params == {"seed": "7"}
    assert [output.model_id for output in run.outputs.model_outputs] == [model_id]
    described = mlflow.models.Model.load(f"models:/{model_id}")
    assert (described.run_id, described.model_id) == (run_id, model_id)
    assert described.metadata["bundle_sha256"] == sha256


def test_a_model_that_cannot_answer_its_own_example_is_not_logged(
    named: Named, new_run: Callable[[], str]
):
    risk_model, run_id = named("unanswered"), new_run()
    example = {**risk_model.contract.example}
    example.pop("lactate")
    broken = risk_model.with_contract(replace(risk_model.contract, example=example))

    with pytest.raises(Exception, match="missing: lactate"):
        log_model(broken, run_id=run_id)

    client = connect().MlflowClient()
    experiment = client.get_run(run_id).info.experiment_id
    (logged,) = (
        model
        for model in client.search_logged_models([experiment])
        if model.source_run_id == run_id
    )
    assert logged.status == "FAILED"


def test_our_loader_works_where_mlflow_may_run_no_model_code(
    waiting: registry.Version, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("MLFLOW_ALLOW_MODEL_CODE_EXECUTION", "false")
    assert registry.load(waiting.model_uri).sha256 == waiting.sha256


@pytest.mark.parametrize(
    "uri",
    [
        "models:/osteon-mortality-nobody/1",
        "models:/osteon-mortality-nobody@champion",
        "models:/osteon-mortality-nobody/latest",
        "models:/m-0123456789abcdef",
        "runs:/0123456789abcdef/model",
        "/no/such/directory",
        "osteon-mortality",
        "",
    ],
)
def test_a_model_that_does_not_exist_is_a_wrong_usage(uri: str):
    with pytest.raises(UsageError, match=r"must be|The registry has no"):
        registry.load(uri)


def test_a_model_that_osteon_did_not_make_is_a_wrong_usage(run_id: str, tmp_path: Path):
    client = mlflow.MlflowClient()
    (tmp_path / "MLmodel").write_text("flavors: {}")
    client.log_artifacts(run_id, str(tmp_path), "model")
    with pytest.raises(UsageError, match="a model that Osteon made"):
        registry.load(f"runs:/{run_id}/model")


# --- names ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("outcome", "dataset", "simulated", "name"),
    [
        ("mortality", "", False, "osteon-mortality"),
        ("mortality-72h", "", False, "osteon-mortality-72h"),
        ("fracture", "", False, "osteon-fracture"),
        ("mortality", "support2", False, "osteon-mortality-support2"),
        ("in_hospital_death", "physionet2012", False, "osteon-in_hospital_death-physionet2012"),
        ("mortality", "", True, "osteon-mortality-simulated"),
    ],
)
def test_a_model_is_named_for_outcome_and_patients(outcome, dataset, simulated, name):
    assert registry.model_name(outcome, dataset=dataset, simulated=simulated) == name


def test_a_data_set_cannot_take_a_reserved_name_by_its_own():
    with pytest.raises(UsageError, match="osteon-mortality-72h is reserved"):
        registry.model_name("mortality", dataset="72h")


def test_an_own_cohort_needs_an_outcome_that_osteon_defines():
    with pytest.raises(UsageError, match="outcome must be one of"):
        registry.model_name("prevalent_fracture")


@pytest.mark.parametrize(
    ("dataset", "simulated"), [("support2", False), ("", True)], ids=["data set", "simulated"]
)
def test_other_patients_cannot_register_under_a_reserved_name(named, run_id, dataset, simulated):
    pretender = restated(named("x", simulated=simulated), name="osteon-mortality")
    with pytest.raises(UsageError, match="must register as osteon-mortality-"):
        registry.register(pretender, run_id=run_id, dataset=dataset)


def test_a_data_set_for_checks_only_never_registers(named: Named, run_id: str):
    with pytest.raises(UsageError, match="for checks only"):
        registry.register(named("nhanes"), run_id=run_id, dataset="nhanes", purpose="checks only")
    assert not registry.list_models("osteon-mortality-nhanes")


def test_a_simulated_model_is_tagged(named: Named, run_id: str):
    version = registry.register(named("simulated", simulated=True), run_id=run_id)
    assert version.tags["osteon.simulated"] == "true"


def test_a_run_that_does_not_exist_is_a_wrong_usage(named: Named):
    with pytest.raises(UsageError, match="MLflow has no run nothing"):
        registry.register(named("norun"), run_id="nothing", dataset="norun")


# --- integrity ------------------------------------------------------------------------------------


def test_a_changed_byte_in_the_registry_is_refused(named: Named, run_id: str):
    version = registry.register(named("bitrot"), run_id=run_id, dataset="bitrot")
    booster = artifacts_of(version) / "artifacts" / "bundle" / "booster.ubj"
    content = bytearray(booster.read_bytes())
    content[100] ^= 1
    booster.write_bytes(content)
    with pytest.raises(GateError, match="hashes"):
        registry.load(version.model_uri)


def test_changed_code_that_only_mlflow_clients_run_is_refused(named: Named, run_id: str):
    version = registry.register(named("code"), run_id=run_id, dataset="code")
    code = artifacts_of(version) / "model.py"
    code.write_text(code.read_text() + "\nprint('owned')\n")
    with pytest.raises(GateError, match="must run the code of its own bundle"):
        registry.load(version.model_uri)


def test_a_whole_bundle_put_in_the_place_of_another_is_refused(named: Named, run_id: str):
    version = registry.register(named("swap"), run_id=run_id, dataset="swap")
    bundle = artifacts_of(version) / "artifacts" / "bundle"
    for path in bundle.iterdir():
        path.unlink()
    write_bundle(named("swap", which=1), bundle)
    with pytest.raises(GateError, match="must hold the bundle it was registered with"):
        registry.load(version.model_uri)


def test_a_model_registered_under_another_name_is_refused(waiting: registry.Version):
    client = mlflow.MlflowClient()
    client.create_registered_model("osteon-mortality")
    client.create_model_version("osteon-mortality", waiting.model_uri, tags=dict(waiting.tags))
    with pytest.raises(GateError, match="must hold a model of that name"):
        registry.load("models:/osteon-mortality/1")


# --- the champion ---------------------------------------------------------------------------------


def test_a_promoted_version_is_champion_with_its_record(approved: registry.Version):
    champion = registry.load_champion(approved.name, KEY)
    assert (champion.version, champion.alias) == ("1", "champion")
    (listed,) = registry.list_models(approved.name)
    assert whole_gate_record(listed) == record_of(approved)
    assert listed.aliases == ("challenger", "champion")


def test_the_run_holds_the_whole_record_and_the_version_its_signed_short_form(
    approved: registry.Version,
):
    text = mlflow.artifacts.load_text(f"runs:/{approved.run_id}/gate.json")
    assert gate.verify(text, KEY, model_sha256=approved.sha256) == record_of(approved)
    tag = registry.list_models(approved.name)[0].tags["osteon.gate"]
    short = gate.verify(tag, KEY, model_sha256=approved.sha256)
    assert gate.is_whole_record_of(short, text)
    assert short.metrics == ()
    # MLflow before 2.9 keeps no longer tags of a version than 5,000 characters.
    assert len(tag) < 1000


def test_a_version_with_the_whole_record_in_its_tag_as_before_is_champion(
    named: Named, run_id: str
):
    version = registry.register(named("before"), run_id=run_id, dataset="before")
    promote(version)
    text = gate.seal(record_of(version), KEY)
    mlflow.MlflowClient().set_model_version_tag(version.name, version.version, "osteon.gate", text)
    (listed,) = registry.list_models(version.name)
    assert whole_gate_record(listed) == record_of(version)
    assert registry.load_champion(version.name, KEY).gate_text == text


def test_figures_that_were_changed_in_the_run_are_not_taken_for_those_of_the_decision(
    named: Named, run_id: str
):
    version = registry.register(named("figures"), run_id=run_id, dataset="figures")
    promote(version)
    client = connect().MlflowClient()
    text = mlflow.artifacts.load_text(f"runs:/{version.run_id}/gate.json")
    client.log_text(version.run_id, text.replace("0.8", "0.99"), "gate.json")
    (listed,) = registry.list_models(version.name)
    assert whole_gate_record(listed) == listed.gate_record
    assert listed.gate_record is not None
    assert listed.gate_record.metrics == ()
    assert registry.load_champion(version.name, KEY).version == "1"


def test_an_alias_moved_by_a_plain_client_makes_no_champion(named: Named, run_id: str):
    first = registry.register(named("alias"), run_id=run_id, dataset="alias")
    promote(first)
    second = registry.register(named("alias", which=1), run_id=run_id, dataset="alias")
    move_champion_by_hand(second)
    with pytest.raises(GateError, match="version 2 has no gate record"):
        registry.load_champion(first.name, KEY)


def test_a_record_copied_to_another_version_makes_no_champion(named: Named, run_id: str):
    first = registry.register(named("copied"), run_id=run_id, dataset="copied")
    promote(first)
    second = registry.register(named("copied", which=1), run_id=run_id, dataset="copied")
    text = registry.list_models(first.name)[-1].tags["osteon.gate"]
    mlflow.MlflowClient().set_model_version_tag(second.name, second.version, "osteon.gate", text)
    move_champion_by_hand(second)
    with pytest.raises(GateError, match="it is for another"):
        registry.load_champion(first.name, KEY)


def test_a_record_changed_in_the_registry_makes_no_champion(named: Named, run_id: str):
    version = registry.register(named("forged"), run_id=run_id, dataset="forged")
    promote(version)
    sealed = json.loads(registry.list_models(version.name)[0].tags["osteon.gate"])
    sealed["whole_sha256"] = "ef" * 32
    mlflow.MlflowClient().set_model_version_tag(
        version.name, version.version, "osteon.gate", json.dumps(sealed)
    )
    with pytest.raises(GateError, match="signature must match"):
        registry.load_champion(version.name, KEY)


def test_a_champion_whose_files_changed_is_refused(named: Named, run_id: str):
    version = registry.register(named("touched"), run_id=run_id, dataset="touched")
    promote(version)
    contract = artifacts_of(version) / "artifacts" / "bundle" / "contract.json"
    contract.write_text(contract.read_text().replace("Made-up", "Made-up "))
    with pytest.raises(GateError):
        registry.load_champion(version.name, KEY)


def test_the_message_on_a_missing_champion_shows_how_to_promote_one(waiting: registry.Version):
    with pytest.raises(GateError, match=f"osteon promote {waiting.name} VERSION"):
        registry.load_champion(waiting.name, KEY)


def test_an_unknown_model_has_no_champion():
    with pytest.raises(UsageError, match="The registry has no model"):
        registry.load_champion("osteon-mortality-nobody", KEY)


@pytest.mark.parametrize("change", [{"decision": "refuse"}, {"model_sha256": "ab" * 32}])
def test_a_record_that_does_not_allow_a_version_leaves_the_champion_as_it_is(
    approved: registry.Version, change: dict[str, str]
):
    with pytest.raises(GateError):
        registry.promote(approved.name, "1", replace(record_of(approved), **change), key=KEY)
    assert registry.load_champion(approved.name, KEY).version == "1"


def test_promoting_a_version_that_does_not_exist_is_a_wrong_usage(waiting: registry.Version):
    with pytest.raises(UsageError, match="The registry has no version 7 of"):
        registry.promote(waiting.name, "7", record_of(waiting), key=KEY)


def test_rolling_back_goes_to_the_newest_approved_version_before(named: Named, run_id: str):
    first, _, third = (
        registry.register(named("rolled", which=which), run_id=run_id, dataset="rolled")
        for which in (0, 1, 0)
    )
    promote(first)
    promote(third)  # the second was not approved
    assert registry.rollback(first.name, key=KEY, by="a test").version == "1"
    assert registry.load_champion(first.name, KEY).version == "1"
    with pytest.raises(GateError, match="approved version before 1"):
        registry.rollback(first.name, key=KEY, by="a test")
    assert registry.load_champion(first.name, KEY).version == "1"


def test_an_alias_moved_back_to_an_older_approved_version_makes_no_champion(
    named: Named, run_id: str
):
    first, second = (
        registry.register(named("moved", which=which), run_id=run_id, dataset="moved")
        for which in (0, 1)
    )
    promote(first)
    promote(second)
    move_champion_by_hand(first)
    with pytest.raises(GateError, match="must have the newest gate record of its name"):
        registry.load_champion(first.name, KEY)
    move_champion_by_hand(second)
    assert registry.load_champion(first.name, KEY).version == "2"
    # A rollback signs a new record, so that the older version may be served.
    assert registry.rollback(first.name, key=KEY, by="a user").version == "1"
    assert registry.load_champion(first.name, KEY).version == "1"
    rolled_back = registry.list_models(first.name)[-1].gate_record
    assert rolled_back is not None
    assert rolled_back.by == "a user"
    # The figures are those of the first decision.
    (signed,) = (v for v in registry.list_models(first.name) if v.version == "1")
    assert signed.gate_record is not None
    assert signed.gate_record.whole_sha256


def test_a_withdrawn_version_is_refused_for_good(named: Named, run_id: str):
    first, second, same_as_second = (
        registry.register(named("unfit", which=which), run_id=run_id, dataset="unfit")
        for which in (0, 1, 1)
    )
    promote(first)
    promote(second)
    with pytest.raises(UsageError, match="--why must be one line"):
        withdraw(second.name, "2", why="two\nlines", by="a user")
    withdraw(second.name, "2", why="A unit was wrong", by="a user")
    with pytest.raises(GateError, match="has no champion"):
        registry.load_champion(first.name, KEY)
    move_champion_by_hand(second)
    with pytest.raises(VersionWithdrawn, match=r"withdrawn: A unit was wrong\. It is never"):
        registry.load_champion(first.name, KEY)
    for version in (second, same_as_second):
        with pytest.raises(VersionWithdrawn):
            promote(version)
    # The older version is not served because an alias names it, only after a rollback.
    move_champion_by_hand(first)
    with pytest.raises(GateError, match="newest gate record"):
        registry.load_champion(first.name, KEY)
    mlflow.MlflowClient().delete_registered_model_alias(first.name, "champion")
    assert registry.rollback(first.name, key=KEY, by="a user").version == "1"
    assert registry.load_champion(first.name, KEY).version == "1"


# --- two versions, failures -----------------------------------------------------------------------


def test_two_versions_in_one_process_each_return_their_own_numbers(
    named: Named, run_id: str, patients: pd.DataFrame
):
    models = [named("twins", which=which) for which in (0, 1)]
    uris = [registry.register(m, run_id=run_id, dataset="twins").model_uri for m in models]
    ours = [registry.load(uri).risk_model for uri in uris]
    theirs = [mlflow.pyfunc.load_model(uri) for uri in uris]
    expected = [m.predict(patients, [28, 90]).risk for m in models]
    assert np.nanmax(np.abs(expected[0] - expected[1])) > 0.01
    answers: list[np.ndarray] = [np.empty(0)] * 8

    def ask(place: int) -> None:
        answer = theirs[place % 2].predict(patients, params={"horizons_days": [28, 90]})
        answers[place] = answer["risk"].to_numpy().reshape(len(patients), 2)

    threads = [threading.Thread(target=ask, args=(place,)) for place in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for place, answer in enumerate(answers):
        np.testing.assert_allclose(answer, expected[place % 2], atol=1e-12)
    for model, wanted in zip(ours, expected, strict=True):
        np.testing.assert_array_equal(model.predict(patients, [28, 90]).risk, wanted)


def test_versions_are_listed_newest_first(named: Named, run_id: str):
    for which in (0, 1):
        registry.register(named("listed", which=which), run_id=run_id, dataset="listed")
    listed = registry.list_models("osteon-mortality-listed")
    assert [v.version for v in listed] == ["2", "1"]
    assert [v.aliases for v in listed] == [("challenger",), ()]
    everything = registry.list_models()
    assert [v for v in everything if v.name == "osteon-mortality-listed"] == list(listed)


@pytest.mark.parametrize("uri", ["sqlite:///{}", "http://127.0.0.1:9"], ids=["no database", "down"])
def test_a_registry_that_does_not_answer_is_an_outside_failure(uri, tmp_path, monkeypatch):
    broken = tmp_path / "secret-path.db"
    broken.write_text("not a database " * 100)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", uri.format(broken))
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    with pytest.raises(OutsideError, match="MLflow registry failed with") as caught:
        registry.load("models:/osteon-mortality/1")
    assert "secret-path" not in str(caught.value)


def test_artifacts_that_are_gone_are_an_outside_failure(named: Named, run_id: str):
    version = registry.register(named("gone"), run_id=run_id, dataset="gone")
    artifacts_of(version).rename(artifacts_of(version).with_name("elsewhere"))
    with pytest.raises(OutsideError, match="artifact store no longer holds the files"):
        registry.load(version.model_uri)
