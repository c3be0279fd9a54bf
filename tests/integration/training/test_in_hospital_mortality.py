"""Death in hospital as an outcome of its own, from the table to the answer of the service."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from serving.app import create_app
from serving.cds.services import SERVICES, model_of
from serving.prediction.served import Served
from serving.processes.loading import load_models
from serving.settings import Settings

if TYPE_CHECKING:
    import httpx

# MLflow 3.17 warns about its own code under SQLAlchemy 2.1 and pandas 3; it answers right.
pytestmark = pytest.mark.filterwarnings("ignore:::mlflow")

PATIENTS = 400
MAPPING = """
[outcome.in_hospital_mortality]
days = "los"
event = "hospital_death"
event_map = {0 = 2, 1 = 1}
"""
AS_MORTALITY = MAPPING.replace("in_hospital_mortality", "mortality").replace("0 = 2", "0 = 0")
SETTINGS = """
population = "Made-up adults of a test"
interval_folds = 3
max_trees = 10
bootstrap_resamples = 50
threads = 1
test_fraction = 0.3
refit_on_all = false
"""
NAME = "osteon-in_hospital_mortality"
VALUES = (("age", 60, "a"), ("lactate", 2.0, "mmol/L"), ("albumin", 3.0, "g/dL"))


@pytest.fixture(scope="module")
def hospital(make_workplace: Callable[[str], Any], simulated: Callable[..., Any]) -> Any:
    """A trained model of death in hospital, its folder, and what training printed."""
    place = make_workplace("hospital")
    table = simulated(PATIENTS, 4)
    rng = np.random.default_rng(8)
    home = np.exp(rng.normal(2.4, 0.6, PATIENTS)) + 0.5
    death = rng.exponential(60 * np.exp(-0.04 * (table["age"] - 62)))
    table["los"] = np.minimum(home, death).clip(0.05).round(2)
    table["hospital_death"] = (death <= home).astype(int)
    followed = table.drop(columns=["los", "hospital_death"])
    stays = table.drop(columns=["mortality_days", "mortality_event"])
    stays.to_csv(place.folder / "stays.csv", index=False)
    followed.to_csv(place.folder / "followed.csv", index=False)
    (place.folder / "stays.toml").write_text(MAPPING)
    (place.folder / "wrong.toml").write_text(AS_MORTALITY)
    (place.folder / "run.toml").write_text(SETTINGS)
    outcome = ("--outcome", "in_hospital_mortality", "--mapping", "stays.toml")
    trained = place.run("train", "stays.csv", *outcome, "--config", "run.toml", "--json")
    assert trained.code == 0, trained.out + trained.err
    return place, trained.json, int(stays["hospital_death"].sum())


def test_it_is_registered_under_its_own_name(hospital: Any) -> None:
    _, trained, deaths = hospital
    assert (trained["model_name"], trained["events"]) == (NAME, deaths)


def test_report_and_card_state_the_estimand_with_discharge_alive_competing(hospital: Any) -> None:
    report = Path(hospital[1]["report"]).read_text()
    assert "Cumulative incidence of death in hospital within h days" in report
    assert "24 h after ICU admission, alive and in hospital" in report
    assert "Discharge alive is a competing event" in report
    assert "discharge alive first" in report
    assert "Death has no competing event" not in report
    assert "Death from any cause" not in report


def test_the_same_stays_are_refused_as_death_from_any_cause(hospital: Any) -> None:
    place, *_ = hospital
    train = ("train", "stays.csv", "--outcome", "mortality", "--mapping", "wrong.toml", "--json")
    refused = place.run(*train)
    assert refused.code == 1
    assert "[discharge_censors]" in refused.json["error"]["message"]


def test_evaluate_and_gate_judge_it_on_deaths_in_hospital_alone(hospital: Any) -> None:
    place, *_ = hospital
    model = ("--model", f"models:/{NAME}/1")
    again = place.run("evaluate", "stays.csv", *model, "--mapping", "stays.toml", "--json")
    assert again.code == 0, again.err
    for refused in (
        place.run("evaluate", "followed.csv", *model),
        place.run("promote", NAME, "1", "--cohort", "followed.csv"),
    ):
        assert refused.code == 1
        assert "in_hospital_mortality_days must be a column" in refused.out + refused.err


@pytest.fixture(scope="module")
def served(hospital: Any, serve: Callable[..., httpx.Client]) -> Any:
    """What the service answers of a patient, and its page."""
    place, *_ = hospital
    request = {
        "patient_id": "p",
        "time_zero": "2026-11-01T08:00:00+01:00",
        "asked_at": "2026-11-01T08:00:00+01:00",
        "outcomes": ["in_hospital_mortality"],
        "sex": "female",
        "measurements": [
            {"variable": name, "value": value, "unit": unit} for name, value, unit in VALUES
        ],
    }
    with place.entered():
        settings = Settings(state_dir=place.folder / "state", model=f"models:/{NAME}/1")
        models = load_models(settings).models
        app = create_app(settings, models=models)
        client = serve(app)
        answer = client.post("/v1/predict", json=request).json()
        mortality = request | {"outcomes": ["mortality"]}
        refused = client.post("/v1/predict", json=mortality)
        return answer, client.get("/").text, refused.status_code, models


def test_the_answer_counts_those_who_leave_alive_beside_those_who_die(served: Any) -> None:
    answer, _, mortality, _ = served
    (prediction,) = answer["predictions"]
    assert (prediction["outcome"], prediction["status"]) == ("in_hospital_mortality", "ok")
    assert [risk["horizon_days"] for risk in prediction["risks"]] == [7, 28]
    at_28 = prediction["risks"][1]
    assert at_28["risk"] + at_28["competing_risk"] <= 1
    pattern = r"would die in hospital, \d+ leave hospital alive first, \d+ neither"
    assert re.search(pattern, at_28["sentences"][0])
    assert mortality != 200


def test_the_page_names_it_and_what_competes(served: Any) -> None:
    page = served[1]
    assert "Death in hospital" in page
    assert "Discharge alive without the event competes" in page
    assert '"competingVerb": "leave hospital alive"' in page


def test_no_card_of_mortality_is_made_of_it(served: Any) -> None:
    assert model_of(SERVICES["osteon-mortality"], Served(served[3])) is None
