"""Two small models, a registry of our own, and a run to log them to."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from contracts import restated
from models.estimator import CumulativeIncidenceModel
from models.inference.risk_model import RiskModel
from models.registry.tracking import connect
from models.targets import survival_target


@pytest.fixture(scope="session")
def patients() -> pd.DataFrame:
    """Made-up patients, some values missing, every number as float64 as MLflow wants it."""
    rng = np.random.default_rng(0)
    n = 240
    frame = pd.DataFrame(
        {
            "age": rng.integers(25, 90, n).astype(float),
            "lactate": rng.lognormal(0.5, 0.7, n).round(2),
            "albumin": rng.normal(30, 6, n).round(1),
            "sex": rng.choice(np.array(["female", "male"], dtype=object), n),
        }
    )
    frame.loc[rng.random(n) < 0.2, "lactate"] = np.nan
    return frame


@pytest.fixture(scope="session")
def fitted(patients: pd.DataFrame) -> tuple[RiskModel, RiskModel]:
    """Two models of the same patients that disagree."""
    return _fit(patients, seed=1), _fit(patients, seed=2)


@pytest.fixture(scope="session")
def named(fitted: tuple[RiskModel, RiskModel]) -> Callable[..., RiskModel]:
    """Return one of the two models as the model of a data set, ready to register."""

    def name(dataset: str, *, which: int = 0, simulated: bool = False) -> RiskModel:
        return restated(
            fitted[which],
            name=f"osteon-mortality-{dataset}",
            time_zero="study day 3",
            population="Made-up patients of a test.",
            simulated=simulated,
        )

    return name


@pytest.fixture(scope="session")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The directory of a registry that these tests share: making its database takes seconds."""
    return tmp_path_factory.mktemp("mlflow")


@pytest.fixture(scope="module", autouse=True)
def _tracking(store: Path) -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{store / 'mlflow.db'}")
        yield


@pytest.fixture(scope="module")
def new_run(store: Path, _tracking: None) -> Callable[[], str]:
    """Return a function that makes a run, whose artifacts go beside the database."""
    client = connect().MlflowClient()
    experiment = client.get_experiment_by_name("tests")
    experiment_id = (
        experiment.experiment_id
        if experiment
        else client.create_experiment("tests", artifact_location=(store / "artifacts").as_uri())
    )
    return lambda: str(client.create_run(experiment_id).info.run_id)


@pytest.fixture
def run_id(new_run: Callable[[], str]) -> str:
    """A run of this test's own."""
    return new_run()


def _fit(patients: pd.DataFrame, seed: int) -> RiskModel:
    rng = np.random.default_rng(seed)
    # Partly along and partly against straight lines, so that both parts have a say.
    opposed = np.sign(patients["age"] - 57) * np.sign(patients["albumin"] - 30)
    log_odds = 0.08 * (patients["age"] - 57) + opposed
    time_days = rng.exponential(200 * np.exp(-log_odds)).clip(0.5)
    censored = rng.uniform(60, 800, len(patients))
    target = survival_target(np.minimum(time_days, censored), (time_days <= censored).astype(int))
    model = CumulativeIncidenceModel(
        horizons_days=(28.0, 90.0),
        learning_rate=0.1,
        max_trees=25,
        max_depth=3,
        column_share=1.0,
        interval_folds=3,
        n_jobs=1,
    ).fit(patients, target)
    assert 0 < model.linear_weight_ < 1
    return model.risk_model_
