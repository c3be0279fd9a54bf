"""The model as any MLflow client meets it: what goes in, what comes out, what is refused."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import Any

import httpx
import mlflow
import numpy as np
import pandas as pd
import pytest

from models.inference.risk_model import RiskModel
from models.registry import lifecycle as registry

# MLflow 3.17 warns about its own code under SQLAlchemy 2.1 and pandas 3; it answers right.
pytestmark = pytest.mark.filterwarnings("ignore:::mlflow")


@pytest.fixture(scope="module")
def risk_model(named: Callable[..., RiskModel]) -> RiskModel:
    return named("pyfunc")


@pytest.fixture(scope="module")
def model(risk_model: RiskModel, new_run: Callable[[], str]) -> Any:
    registered = registry.register(risk_model, run_id=new_run(), dataset="pyfunc")
    return mlflow.pyfunc.load_model(registered.model_uri)


@pytest.fixture(scope="module")
def files(model: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    uri = f"models:/{model.metadata.model_id}"
    return Path(
        mlflow.artifacts.download_artifacts(uri, dst_path=str(tmp_path_factory.mktemp("m")))
    )


def test_it_answers_as_the_risk_model_does(model, risk_model, patients):
    frame = patients.head(20).assign(
        patient_id=[f"p{i}" for i in range(20)], stay_id=[f"s{i}" for i in range(20)]
    )
    answer = model.predict(frame, params={"horizons_days": [28, 60.5], "explain": True})
    expected = risk_model.predict(frame, [28, 60.5], explain=True).to_frame(frame)
    pd.testing.assert_frame_equal(answer, expected)


def test_one_row_per_patient_and_horizon_with_these_columns(model, patients):
    answer = model.predict(patients.head(3))
    assert len(answer) == 3 * 2
    assert list(answer.columns) == [
        *("patient_id", "stay_id", "outcome", "time_zero", "horizon_days", "status"),
        *(
            "refusal_code",
            "warning_code",
            "risk",
            "risk_low",
            "risk_high",
            "baseline_risk",
            "cohort_risk",
        ),
        *("base_log_odds", "monotone_adjustment"),
    ]
    explained = model.predict(patients.head(3), params={"explain": True})
    added = list(explained.columns[len(answer.columns) :])
    assert added == [
        *("contribution__age", "contribution__lactate", "contribution__albumin"),
        *("contribution__sex", "points__age", "points__lactate", "points__albumin", "points__sex"),
    ]


def test_a_refused_patient_stays_with_an_empty_risk(model, patients):
    frame = patients.head(2).assign(age=[17.0, 60.0])
    answer = model.predict(frame, params={"horizons_days": [28]})
    assert answer["refusal_code"].str.contains("under_18").tolist() == [True, False]
    assert np.isnan(answer["risk"][0])


@pytest.mark.parametrize("age", [np.float64(64), np.int32(64), np.float32(64), np.nan])
def test_a_number_of_up_to_64_bits_may_be_missing(model, risk_model, patients, age):
    frame = patients.head(1).assign(age=np.array([age]))
    expected = risk_model.predict(frame.astype({"age": float}), [28]).risk.ravel()
    answer = model.predict(frame, params={"horizons_days": [28]})["risk"]
    np.testing.assert_array_equal(answer, expected)


@pytest.mark.parametrize(
    ("column", "value"), [("age", "sixty-one"), ("pregnant", "yes"), ("age", 7351)]
)
def test_a_value_of_another_type_is_refused_and_not_printed(model, patients, column, value):
    frame = patients.head(2).assign(**{column: pd.Series([value, value])})
    with pytest.raises(Exception, match="Failed to enforce model input schema") as caught:
        model.predict(frame)
    assert f"column {column}" in str(caught.value.__context__)
    assert str(value) not in f"{caught.value} {caught.value.__context__}"


def test_text_that_the_model_does_not_know_as_text_is_refused_in_its_words(model, patients):
    frame = patients.head(2).assign(sex=pd.Series([7351, None], dtype=object))
    with pytest.raises(
        ValueError, match="sex must hold text or null; 1 of 2 rows are not"
    ) as caught:
        model.predict(frame)
    assert "7351" not in str(caught.value)


def test_a_missing_column_is_named_and_no_value_is(model, patients):
    frame = patients.head(1).drop(columns="lactate").assign(albumin=[31.4159])
    with pytest.raises(ValueError, match="missing: lactate") as caught:
        model.predict(frame)
    assert "31.4159" not in str(caught.value)


def test_a_column_the_model_does_not_know_is_ignored(model, patients):
    frame = patients.head(2)
    answer = model.predict(frame.assign(hair_colour="brown"))
    pd.testing.assert_frame_equal(answer, model.predict(frame))


def test_a_horizon_beyond_the_model_is_refused(model, patients):
    with pytest.raises(ValueError, match="1 of 2 do not"):
        model.predict(patients.head(1), params={"horizons_days": [28, 40_000]})


def test_the_signature_names_what_is_read_and_the_parameters(model):
    signature = model.metadata.signature
    names = signature.inputs.input_names()
    assert set(names) >= {"patient_id", "stay_id", "time_zero", "age", "pregnant", "rrt", "lactate"}
    assert signature.inputs.required_input_names() == []
    types = {column.name: column.type.name for column in signature.inputs.inputs}
    assert (types["age"], types["sex"], types["patient_id"]) == ("double", "string", "string")
    outputs = {column.name: column.type.name for column in signature.outputs.inputs}
    assert (outputs["risk"], outputs["status"]) == ("double", "string")
    assert {p.name: p.default for p in signature.params} == {
        "horizons_days": [28.0, 90.0],
        "explain": False,
    }


def test_the_example_is_a_made_up_patient_and_can_be_sent_as_it_is(
    model, risk_model, patients, files
):
    example = json.loads((files / "serving_input_example.json").read_text())
    frame = pd.DataFrame(**example["dataframe_split"])
    assert frame.to_dict("records") == [risk_model.contract.example]
    assert not (patients[frame.columns] == frame.iloc[0]).all(axis=1).any()
    assert model.predict(frame, params=example["params"])["status"].eq("ok").all()


def test_it_requires_these_four_packages_at_the_versions_installed_here(files):
    assert (files / "requirements.txt").read_text().split() == [
        f"{name}=={version(name)}" for name in ("mlflow", "xgboost", "pandas", "numpy")
    ]


def test_mlflow_keeps_code_and_bundle_and_no_pickle(model, files):
    names = {str(path.relative_to(files)) for path in files.rglob("*") if path.is_file()}
    assert names == {
        *("MLmodel", "conda.yaml", "python_env.yaml", "requirements.txt", "model.py"),
        *("input_example.json", "serving_input_example.json", "registered_model_meta"),
        *(f"artifacts/bundle/{name}" for name in ("manifest.json", "contract.json", "model.json")),
        *(f"artifacts/bundle/{name}" for name in ("model.py", "booster.ubj")),
        *(f"artifacts/bundle/fold_{k:02d}.ubj" for k in range(3)),
    }
    assert "python_model" not in model.metadata.flavors["python_function"]  # would be a pickle


def test_the_model_file_states_the_population_and_the_units(model, risk_model):
    metadata = model.metadata.metadata
    assert metadata["population"] == "Made-up patients of a test."
    assert metadata["simulated"] is False
    assert set(metadata["columns"]) == set(risk_model.features)


def test_a_flag_of_what_was_not_done_is_checked_and_changes_no_ignorable_risk(model, patients):
    frame = patients.head(4).assign(lactate=[np.nan, np.nan, 2.0, 2.0])
    expected = model.predict(frame)
    flagged = frame.assign(lactate__not_done=[1.0, np.nan, 0.0, np.nan])
    pd.testing.assert_frame_equal(model.predict(flagged), expected)
    with pytest.raises(ValueError, match=r"lactate must have no value.*; 1 of 4 rows have both"):
        model.predict(flagged.assign(lactate__not_done=[1.0, 0, 1, 0]))
    with pytest.raises(ValueError, match="lactate__not_done must hold 0, 1 or null; 1 of 4 rows"):
        model.predict(flagged.assign(lactate__not_done=[1.0, 0, 2, 0]))


def invoked(model: Any, **request: Any) -> httpx.Response:
    """Ask the application that `mlflow models serve` runs."""
    from mlflow.pyfunc import scoring_server

    async def ask() -> httpx.Response:
        transport = httpx.ASGITransport(scoring_server.init(model))
        async with httpx.AsyncClient(transport=transport, base_url="http://mlflow") as client:
            return await client.post("/invocations", **request)

    return asyncio.run(ask())


def test_csv_at_mlflow_models_serve_is_answered_like_json(model, patients):
    frame = patients.head(5).assign(patient_id=[f"p{i}" for i in range(5)])
    split = frame.astype(object).where(frame.notna(), None).to_dict(orient="split")
    as_json = invoked(model, json={"dataframe_split": split})
    text_csv = {"content-type": "text/csv"}
    as_csv = invoked(model, content=frame.to_csv(index=False), headers=text_csv)
    assert (as_json.status_code, as_csv.status_code) == (200, 200), as_csv.text
    assert as_csv.json() == as_json.json()
    assert len(as_csv.json()["predictions"]) == 10


def test_whole_numbers_are_read_at_mlflow_models_serve(model, patients):
    frame = patients.head(2).assign(age=[64, 50])
    split = frame.astype(object).where(frame.notna(), None).to_dict(orient="split")
    answer = invoked(model, json={"dataframe_split": split})
    assert answer.status_code == 200, answer.text


def test_mlflow_models_serve_names_the_column_of_another_type_to_its_sender(model, patients):
    frame = patients.head(2).astype(object).assign(age="97.125 years")
    split = frame.where(frame.notna(), None).to_dict(orient="split")
    answer = invoked(model, json={"dataframe_split": split})
    assert answer.status_code == 400
    assert "column age" in answer.text
