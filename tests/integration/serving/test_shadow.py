from __future__ import annotations

import json
from contextlib import closing
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import select

from contracts import restated
from data_schema.errors import DataError
from models.monitoring.comparison import compare
from models.monitoring.watch import watch
from serving.app import create_app
from serving.audit.head import read_head
from serving.audit.opening import audit_keys, database_of, head_path
from serving.audit.predicted import arrivals_of, predicted_rows, shadowed
from serving.audit.verification import verify
from serving.settings import Settings
from serving.store.tables import RISKS

if TYPE_CHECKING:
    import httpx

    from serving.prediction.served import ServedModel

NAME = "osteon-mortality-simulated"


def request(number: int, **stated: Any) -> dict[str, Any]:
    return {
        "patient_id": f"patient-{number}",
        "time_zero": "2026-11-01T08:00:00+01:00",
        "asked_at": "2026-11-01T08:00:00+01:00",
        "sex": "female",
        "birth_date": f"19{30 + number % 50}-03-02",
        "outcomes": ["mortality"],
        "horizons_days": [28, 90],
        "measurements": [
            {"variable": "lactate", "value": 1.0 + number % 7, "unit": "mmol/L"},
            {"variable": "albumin", "value": 2.5, "unit": "g/dL"},
            {"variable": "fgf23_c", "value": 400, "unit": "[arb'U]/mL"},
            {"variable": "ctx_s", "value": 500, "unit": "pg/mL"},
        ],
    } | stated


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(state_dir=tmp_path / "state")


def as_challenger(model: ServedModel, **contract: Any) -> ServedModel:
    """Return the model as another version, whose risks are those of a third of the trees."""
    changed = restated(model.loaded.risk_model, population="Other patients.", **contract)
    loaded = replace(
        model.loaded, risk_model=changed, version="4", sha256="1" * 64, alias="challenger"
    )
    return replace(model, loaded=loaded, promoted=False)


def stored(settings: Settings) -> list[dict[str, Any]]:
    with closing(database_of(settings)) as database, database.reading() as connection:
        return [row._asdict() for row in connection.execute(select(RISKS))]


def is_whole(settings: Settings) -> bool:
    keys = audit_keys(settings)
    with closing(database_of(settings)) as database:
        return verify(database, keys, read_head(head_path(settings), keys)).ok


def without_identity(answer: httpx.Response) -> dict[str, Any]:
    body: dict[str, Any] = answer.json()
    return {name: body[name] for name in ("time_zero", "predictions", "notice")}


def test_a_challenger_is_on_record_and_never_shown(
    serve: Any, settings: Settings, tmp_path: Path, mortality: ServedModel
) -> None:
    alone = Settings(state_dir=tmp_path / "alone")
    champion = serve(create_app(alone, models=[mortality]))
    both = serve(create_app(settings, models=[mortality], shadows=[as_challenger(mortality)]))
    shown = both.post("/v1/predict", json=request(1))
    assert without_identity(shown) == without_identity(
        champion.post("/v1/predict", json=request(1))
    )
    assert "Other patients." not in both.get("/v1/models").text + both.get("/").text
    rows = {row["model"]: row for row in stored(settings)}
    assert set(rows) == {NAME, f"{NAME}@shadow"}
    assert rows[f"{NAME}@shadow"]["version"] == "4"
    assert [days for days, _ in json.loads(rows[f"{NAME}@shadow"]["risks"])] == [28, 90]
    assert is_whole(settings), "the record vouches for the challenger's risks too"
    assert len(stored(alone)) == 1


def test_a_challenger_that_fails_costs_no_patient_the_answer(
    serve: Any, settings: Settings, mortality: ServedModel
) -> None:
    broken = as_challenger(mortality, max_horizon_days=60.0)
    client = serve(create_app(settings, models=[mortality], shadows=[broken]))
    answer = client.post("/v1/predict", json=request(1))
    assert answer.status_code == 200
    assert answer.json()["predictions"][0]["status"] == "ok"
    rows = {row["model"]: row["risks"] for row in stored(settings)}
    assert rows[f"{NAME}@shadow"] == "[]"


def test_predictions_on_record_are_watched_and_compared_with_outcomes(
    serve: Any,
    settings: Settings,
    mortality: ServedModel,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    client = serve(create_app(settings, models=[mortality], shadows=[as_challenger(mortality)]))
    for number in range(40):
        answer = client.post("/v1/predict", json=request(number)).json()
        if number == 0:  # asked again: the last answer of a patient counts
            answer = client.post("/v1/predict", json=request(number)).json()
        died = number % 2
        reported = {
            "prediction_id": answer["prediction_id"],
            "outcome": "mortality",
            "event": died,
            "days": 10 if died else 100,
        }
        if number < 30:
            assert client.post("/v1/outcomes", json=reported).status_code == 201
    with closing(database_of(settings)) as database:
        rows = predicted_rows(database, name=NAME, version="3")
        later = predicted_rows(database, name=NAME, version="3", since=date(2999, 1, 1))
        pair = shadowed(database, name=NAME)
        with pytest.raises(DataError, match="--shadow osteon-fracture@challenger"):
            shadowed(database, name="osteon-fracture")
    assert len(rows) == 40
    assert later == []
    contract = mortality.contract
    arrivals = arrivals_of(rows, contract.default_horizons_days)
    watched = watch(arrivals, contract, model=NAME)
    assert watched.stays == 40
    assert not watched.has_values
    assert {one.metric for one in watched.metrics} >= {"auroc", "oe_ratio"}
    assert (pair.champion, pair.challenger) == ("3", "4")
    assert pair.patients.horizons_days == (28.0, 90.0)
    compared = compare(pair.patients, planned=30, looks=1)
    assert compared.patients == 40
    assert compared.known == 30
    (look,) = compared.looks
    assert look.statistic == 0, "the same risks differ by nothing"
    assert compared.verdict == "no difference"
    assert {(one.metric, one.estimate) for one in compared.differences} == {
        ("auroc", 0.0),
        ("brier", 0.0),
    }
    from osteon import app
    from training.cli.main import run_command

    monkeypatch.setenv("OSTEON_STATE_DIR", str(settings.state_dir))
    command = ["compare", NAME, "--planned", "30", "--looks", "1"]
    assert run_command(app, [*command, "--json"]) == 0
    printed = json.loads(capsys.readouterr().out)
    assert {name: printed[name] for name in ("name", "champion", "challenger", "verdict")} == {
        "name": NAME,
        "champion": "3",
        "challenger": "4",
        "verdict": "no difference",
    }
    assert "may have changed what was done" in printed["statement"]
    assert run_command(app, command) == 0
    shown = capsys.readouterr().out
    assert "challenger 4 in the shadow of champion 3" in shown
    assert "No difference has shown (1 of 1 planned looks" in shown
    assert run_command(app, ["compare", "osteon-fracture", "--json"]) == 1
    assert run_command(app, [*command, "--looks", "9", "--json"]) == 2
