"""The command as a user runs it, in a folder and a registry of its own; one small trained model."""

from __future__ import annotations

import contextlib
import io
import json
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

GATE_KEY = "a key of the tests, long enough"
MODEL = "osteon-mortality-simulated"
SETTINGS = """
horizons_days = [90, 365]
population = "Made-up adults of a test"
simulated = true
interval_folds = 3
max_trees = 15
bootstrap_resamples = 100
threads = 1
repeats = 2
"""


@dataclass(frozen=True)
class Answer:
    """What a command left: its exit code and what it printed."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> dict[str, Any]:
        """The one JSON object on stdout."""
        assert self.out.count("\n") == 1
        found = json.loads(self.out)
        assert isinstance(found, dict)
        return found


@dataclass(frozen=True)
class Workplace:
    """A folder with a registry."""

    folder: Path

    @property
    def environment(self) -> dict[str, str]:
        return {
            "MLFLOW_TRACKING_URI": f"sqlite:///{self.folder / 'mlflow.db'}",
            "OSTEON_GATE_KEY": GATE_KEY,
        }

    @contextlib.contextmanager
    def entered(self, **environment: str) -> Any:
        with contextlib.chdir(self.folder), pytest.MonkeyPatch.context() as patch:
            for name, value in (self.environment | environment).items():
                patch.setenv(name, value)
            yield

    def run(self, *arguments: str, **environment: str) -> Answer:
        """Run `osteon` with the arguments, in this process."""
        from osteon import app
        from training.cli.main import run_command

        out, err = io.StringIO(), io.StringIO()
        with (
            self.entered(**environment),
            warnings.catch_warnings(),
            contextlib.redirect_stdout(out),
            contextlib.redirect_stderr(err),
        ):
            # MLflow 3.17 warns about its own code under SQLAlchemy 2.1 and pandas 3.
            warnings.filterwarnings("ignore", module="mlflow")
            code = run_command(app, arguments)
        return Answer(code, out.getvalue(), err.getvalue())

    def files(self) -> set[str]:
        return {str(path.relative_to(self.folder)) for path in self.folder.rglob("*")}


def simulated_table(n: int, seed: int) -> pd.DataFrame:
    """Return adults whose risk of death rises with age and lactate and falls with albumin."""
    rng = np.random.default_rng(seed)
    age = rng.normal(62, 14, n).clip(18.5, 95).round(1)
    lactate = np.exp(rng.normal(0.6, 0.6, n)).clip(0.3, 20).round(2)
    albumin = rng.normal(3.0, 0.6, n).clip(1.2, 5.2).round(1)
    log_risk = 0.05 * (age - 62) + 0.8 * np.log(lactate / 1.8) - 0.6 * (albumin - 3)
    died, censored = rng.exponential(300 * np.exp(-log_risk)), rng.uniform(400, 900, n)
    table = pd.DataFrame(
        {
            "patient_id": [f"patient-{seed}-{number}" for number in range(n)],
            "age": age,
            "lactate": lactate,
            "albumin": albumin,
            "sofa": rng.integers(0, 18, n).astype(float),
            "sex": rng.choice(["female", "male"], n),
            "mortality_days": np.minimum(died, censored).clip(0.5).round(2),
            "mortality_event": (died <= censored).astype(int),
        }
    )
    table.loc[rng.random(n) < 0.2, "lactate"] = np.nan
    return table


@pytest.fixture(scope="session")
def simulated() -> Callable[[int, int], pd.DataFrame]:
    """Return a function of a number of patients and a seed that gives a clean cohort."""
    return simulated_table


@pytest.fixture
def workplace(tmp_path: Path) -> Workplace:
    """An empty folder."""
    return Workplace(tmp_path)


@pytest.fixture(scope="session")
def make_workplace(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Workplace]:
    """Return a function of a name that gives an empty folder."""
    return lambda name: Workplace(tmp_path_factory.mktemp(name))


@pytest.fixture(scope="session")
def trained(tmp_path_factory: pytest.TempPathFactory) -> tuple[Workplace, dict[str, Any]]:
    """A folder with a cohort, a model trained on it and promoted; and what `train` printed."""
    place = Workplace(tmp_path_factory.mktemp("trained"))
    simulated_table(700, 7).to_csv(place.folder / "cohort.csv", index=False)
    simulated_table(300, 9).to_csv(place.folder / "others.csv", index=False)
    (place.folder / "run.toml").write_text(SETTINGS)
    answer = place.run(
        *("train", "cohort.csv", "--outcome", "mortality", "--config", "run.toml", "--json")
    )
    assert answer.code == 0, answer.err
    promoted = place.run("promote", MODEL, "1", "--json")
    assert promoted.code == 0, promoted.out + promoted.err
    return place, answer.json
