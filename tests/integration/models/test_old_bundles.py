"""A bundle of an older format: read, verified, and answered with the same numbers as ever."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pandas as pd
import pytest

from models.inference.contract import BUNDLE_FORMAT
from models.inference.prediction import Prediction
from models.inference.risk_model import RiskModel
from models.registry import lifecycle
from models.registry.bundle import bundle_sha256, read_bundle, write_files
from places import ROOT
from predict_requests import request_of
from serving.app import create_app
from serving.processes.loading import load_models
from serving.settings import Settings

FOLDER = ROOT / "tests/data/bundles/631c1e3"
BUNDLE = FOLDER / "bundle"
DAYS = [30.0, 365.0, 1000.5]
MEASURED = ("age", "sex", "lactate", "ctx_s", "diabetes")

# MLflow 3.17 warns about its own code under SQLAlchemy 2.1 and pandas 3; it answers right.
pytestmark = pytest.mark.filterwarnings("ignore:::mlflow")


@pytest.fixture(scope="module")
def patients() -> pd.DataFrame:
    frame = pd.read_csv(FOLDER / "patients.csv")
    frame["sex"] = frame["sex"].astype(object).where(frame["sex"].notna(), None)
    return frame


@pytest.fixture(scope="module")
def risk_model() -> RiskModel:
    return lifecycle.load(str(BUNDLE)).risk_model


@pytest.fixture(scope="module")
def by_its_own_code(patients: pd.DataFrame) -> Any:
    """What the code that the bundle carries answers, which the older commit wrote."""
    source = (BUNDLE / "model.py").read_text().split("from mlflow")[0]
    code: dict[str, Any] = {"__name__": "older"}
    exec(compile(source, "model.py", "exec", dont_inherit=True), code)
    return code["RiskModel"].from_directory(BUNDLE).predict(patients, DAYS, explain=True)


def entries(remarks: list[list[Any]]) -> list[list[tuple[str, list[str]]]]:
    """Return refusals or warnings of either version alike, without the words, which may change."""
    plain = [[r if isinstance(r, dict) else r._asdict() for r in row] for row in remarks]
    return [[(r["code"], list(r["variables"])) for r in row] for row in plain]


def numbers(prediction: Any) -> Mapping[str, Any]:
    """Return all of a prediction but its remarks."""
    found: dict[str, Any] = prediction._asdict()
    return {k: v for k, v in found.items() if k not in ("refusals", "warnings")}


def test_it_answers_to_the_last_bit_as_the_code_that_wrote_it(
    risk_model: RiskModel, by_its_own_code: Any, patients: pd.DataFrame
) -> None:
    prediction = risk_model.predict(patients, DAYS, explain=True)

    np.testing.assert_equal(numbers(prediction), numbers(by_its_own_code))
    assert entries(prediction.refusals) == entries(by_its_own_code.refusals)
    assert entries(prediction.warnings) == entries(by_its_own_code.warnings)


def test_it_answers_what_the_older_commit_wrote_down(
    risk_model: RiskModel, patients: pd.DataFrame
) -> None:
    expected = pd.read_csv(FOLDER / "predictions.csv")
    answered: Prediction = risk_model.predict(patients, DAYS, explain=True)
    found = answered.to_frame(patients)

    assert list(found.columns) == list(expected.columns)
    assert (found["status"] == expected["status"]).all()
    assert (found["refusal_code"] == expected["refusal_code"].fillna("")).all()
    of_numbers = expected.select_dtypes("number").columns.drop("time_zero", errors="ignore")
    assert "risk_high" in of_numbers
    # The written digits are all of them; another processor may sum in another order.
    np.testing.assert_allclose(
        found[of_numbers].to_numpy(float), expected[of_numbers], rtol=1e-12, atol=1e-13
    )


def test_its_files_are_those_of_its_manifest_and_are_written_again_as_they_are(
    tmp_path: Path,
) -> None:
    bundle = read_bundle(BUNDLE)

    assert bundle.sha256 == bundle_sha256(BUNDLE)
    assert write_files(bundle.files, tmp_path / "again") == bundle.sha256
    for path in BUNDLE.iterdir():
        if path.name != "manifest.json":
            assert (tmp_path / "again" / path.name).read_bytes() == path.read_bytes()


def test_what_its_format_lacks_is_derived_from_its_words(risk_model: RiskModel) -> None:
    assert json.loads((BUNDLE / "contract.json").read_text())["bundle_format"] == 3
    contract = risk_model.contract

    assert contract.bundle_format == BUNDLE_FORMAT
    assert (contract.event_label, contract.event_singular) == ("fractures", "fracture")
    assert not contract.is_death
    assert not contract.population_described
    assert contract.interval.available


def test_written_anew_it_is_of_todays_format_and_answers_the_same(
    risk_model: RiskModel, patients: pd.DataFrame
) -> None:
    files = risk_model.files()
    again = RiskModel.from_files(files)

    assert json.loads(files["contract.json"])["bundle_format"] == BUNDLE_FORMAT
    assert again.contract == risk_model.contract
    np.testing.assert_equal(
        again.predict(patients, DAYS, explain=True)._asdict(),
        risk_model.predict(patients, DAYS, explain=True)._asdict(),
    )


def test_a_service_loads_and_serves_it(
    risk_model: RiskModel, patients: pd.DataFrame, serve: Any
) -> None:
    (model,) = load_models(Settings(model=str(BUNDLE))).models
    client: httpx.Client = serve(create_app(Settings(), models=[model]))
    typical = patients.iloc[[0]]
    values = {name: typical[name].iloc[0] for name in MEASURED}
    body = request_of(values, outcomes=["fracture"], horizons_days=DAYS)

    answer = client.post("/v1/predict", json=body)

    assert answer.status_code == 200, answer.text
    risks = answer.json()["predictions"][0]["risks"]
    expected = risk_model.predict(typical, DAYS)
    assert [risk["risk"] for risk in risks] == expected.risk[0].tolist()
    assert [risk["interval"]["high"] for risk in risks] == expected.risk_high[0].tolist()
