"""The model as any MLflow client meets it: what goes in, what comes out, what is refused."""

from __future__ import annotations

import json
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import Any

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
    frame = patients.head(20).assign(patient_id=[f"p{i}" for i in range(20)], stay_id=range(20))
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
    frame = patients.head(2).assign(age=[17, 60])
    answer = model.predict(frame, params={"horizons_days": [28]})
    assert answer["refusal_code"].str.contains("under_18").tolist() == [True, False]
    assert np.isnan(answer["risk"][0])


@pytest.mark.parametrize("age", [64, 64.0, np.int32(64), True, None])
def test_a_number_may_be_of_any_type_and_may_be_missing(model, risk_model, patients, age):
    frame = patients.head(1).assign(age=pd.Series([age]))
    expected = risk_model.predict(frame.astype({"age": float}), [28]).risk.ravel()
    answer = model.predict(frame, params={"horizons_days": [28]})["risk"]
    np.testing.assert_array_equal(answer, expected)


def test_a_column_of_nullable_integers_is_read(model, risk_model, patients):
    frame = patients.head(3).assign(age=pd.array([64, None, 50], dtype="Int64"))
    expected = risk_model.predict(frame.assign(age=[64, np.nan, 50]), [28]).risk.ravel()
    answer = model.predict(frame, params={"horizons_days": [28]})["risk"]
    np.testing.assert_array_equal(answer, expected)


@pytest.mark.parametrize(
    ("column", "value", "message"),
    [
        ("age", "sixty-one", "age must hold numbers or null; 1 of 2 rows are not"),
        ("age", "61", "age must hold numbers or null; 1 of 2 rows are not"),
        ("pregnant", "yes", "pregnant must hold numbers or null; 1 of 2 rows are not"),
        ("sex", 7351, "sex must hold text or null; 1 of 2 rows are not"),
    ],
)
def test_a_value_of_the_wrong_kind_is_refused_and_not_printed(
    model, patients, column, value, message
):
    frame = patients.head(2).assign(**{column: pd.Series([value, None], dtype=object)})
    with pytest.raises(ValueError, match=message) as caught:
        model.predict(frame)
    assert str(value) not in str(caught.value)


def test_it_refuses_what_the_risk_model_refuses_in_the_same_words(model, risk_model, patients):
    dated = pd.to_datetime(pd.Series(["2020-01-01", None]))
    for column, values in (("sex", pd.Categorical([7351, None])), ("lactate", dated)):
        frame = patients.head(2).assign(**{column: values})
        with pytest.raises(ValueError, match=f"{column} must hold .*; 1 of 2 rows") as at_mlflow:
            model.predict(frame)
        with pytest.raises(ValueError, match=column) as at_model:
            risk_model.predict(frame)
        assert str(at_model.value) in str(at_mlflow.value)


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
    flagged = frame.assign(lactate__not_done=[1, None, 0, None])
    pd.testing.assert_frame_equal(model.predict(flagged), expected)
    with pytest.raises(ValueError, match=r"lactate must have no value.*; 1 of 4 rows have both"):
        model.predict(flagged.assign(lactate__not_done=[1, 0, 1, 0]))
    with pytest.raises(ValueError, match="lactate__not_done must hold 0, 1 or null; 1 of 4 rows"):
        model.predict(flagged.assign(lactate__not_done=[1, 0, 2, 0]))
    with pytest.raises(ValueError, match="lactate__not_done must hold numbers or null; 4 of 4"):
        model.predict(flagged.assign(lactate__not_done="yes"))
