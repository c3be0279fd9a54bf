"""Training, promotion and serving with an MLflow server that several people share."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import httpx
import pytest

from mlflow_server import ADMIN, PASSWORD, SharedServer, shared_server

# MLflow 3.17 warns about its own code under SQLAlchemy 2.1 and pandas 3; it answers right.
pytestmark = pytest.mark.filterwarnings("ignore:::mlflow")

MODEL = "osteon-mortality-simulated"


def checks(place: Any, **environment: str) -> dict[str, Any]:
    found = place.run("doctor", "--json", **environment).json["checks"]
    return {check["check"]: check for check in found}


@pytest.mark.slow
def test_a_shared_server_takes_training_promotion_and_serving_from_three_accounts(
    make_workplace: Any, simulated: Any, tmp_path: Path
) -> None:
    from postgresql import running_postgresql

    with running_postgresql() as database:
        import psycopg

        with psycopg.connect(database.url.format(name="postgres"), autocommit=True) as admin:
            for name in ("mlflow", "mlflow_sign_in"):
                admin.execute(f"CREATE DATABASE {name}")
        tracking, sign_in = (
            database.url.format(name=name).replace("postgresql://", "postgresql+psycopg://")
            for name in ("mlflow", "mlflow_sign_in")
        )
        with shared_server(tmp_path, tracking=tracking, sign_in=sign_in) as server:
            for account in ("trainer", "service"):
                server.create_account(account)
            _use(server, make_workplace("shared"), simulated)


def _use(server: SharedServer, place: Any, simulated: Any) -> None:
    trainer, gate, service = map(server.environment, ("trainer", ADMIN, "service"))
    simulated(500, 7).to_csv(place.folder / "cohort.csv", index=False)
    (place.folder / "run.toml").write_text(
        'horizons_days = [90]\npopulation = "Made-up adults"\nsimulated = true\n'
        "interval_folds = 3\nmax_trees = 10\nbootstrap_resamples = 50\nthreads = 1\nrepeats = 1\n"
    )
    trained = place.run(
        *("train", "cohort.csv", "--outcome", "mortality", "--config", "run.toml", "--json"),
        **trainer,
    )
    assert trained.code == 0, trained.err
    assert "registered without the alias challenger" in trained.err
    assert any(server.artifacts.rglob("report.html")), "the server keeps the files"
    assert not (place.folder / "mlflow.db").exists()

    # Who trains may edit the model, and yet moves no alias: not by the command, nor past it.
    refused = place.run("promote", MODEL, "1", "--json", **trainer)
    assert refused.code == 3
    alias = {"name": MODEL, "alias": "champion", "version": "1"}
    for path in ("/api/2.0", "/ajax-api/2.0", "//api/2.0", "/api/2%2E0"):
        for method in ("POST", "DELETE"):
            answer = httpx.request(
                method,
                f"{server.url}{path}/mlflow/registered-models/alias",
                json=alias,
                auth=("trainer", PASSWORD),
                timeout=60,
            )
            assert answer.status_code in (403, 404), (method, path)
    posing = httpx.post(
        f"{server.url}/api/2.0/mlflow/registered-models/alias",
        json=alias,
        auth=(ADMIN, "a wrong password"),
        timeout=60,
    )
    assert posing.status_code == 401
    listed = place.run("registry", MODEL, "--json", **service).json["versions"]
    assert [version["aliases"] for version in listed] == [[]]

    promoted = place.run("promote", MODEL, "1", "--json", **gate)
    assert promoted.code == 0, promoted.out + promoted.err
    with place.entered(**service):
        from models.registry.gate import gate_key
        from serving.processes.loading import load_models
        from serving.settings import Settings

        loaded = load_models(Settings(names=(MODEL,)))
        assert [one.loaded.version for one in loaded.models] == ["1"]
        assert loaded.models[0].promoted
        assert gate_key()
    found = checks(place, **gate)
    assert found["mlflow"]["ok"]
    assert found["mlflow"]["detail"].startswith("server ")
    assert found[f"champion of {MODEL}"]["ok"]
    denied = place.run(
        "doctor", "--json", **gate | {"MLFLOW_TRACKING_PASSWORD": "a wrong password"}
    )
    assert denied.code == 3


def test_doctor_reads_the_revision_of_the_database(trained: Any, workplace: Any) -> None:
    place, _ = trained
    found = checks(place)["mlflow"]
    assert found["ok"]
    assert "the database has revision" in found["detail"]
    with (
        closing(sqlite3.connect(place.folder / "mlflow.db")) as before,
        closing(sqlite3.connect(workplace.folder / "mlflow.db")) as copy,
    ):
        before.backup(copy)
        for revision, advice in (
            ("451aebb31d03", "then run `mlflow db upgrade`"),
            ("0123456789ab", "It was made by a newer MLflow"),
        ):
            copy.execute("UPDATE alembic_version SET version_num = ?", (revision,))
            copy.commit()
            differs = checks(workplace)["mlflow"]
            assert not differs["ok"]
            assert f"revision {revision} and differs" in differs["detail"]
            assert advice in differs["detail"]


def test_doctor_says_nothing_of_a_database_that_is_not_made_yet(workplace: Any) -> None:
    with workplace.entered():
        from models.registry.compatibility import compatibility

        assert compatibility() is None
    assert not (workplace.folder / "mlflow.db").exists()
