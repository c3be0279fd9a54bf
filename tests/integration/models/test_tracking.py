"""The connection to MLflow."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Barrier

import pytest

from models.registry.tracking import connect, experiment_id

pytestmark = pytest.mark.filterwarnings("ignore:::mlflow")


def test_commands_that_start_together_share_one_experiment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{tmp_path}/mlflow.db")
    connect()
    together = Barrier(6)

    def open_experiment(_: int) -> str:
        together.wait()
        return experiment_id()

    with ThreadPoolExecutor(6) as pool:
        assert len(set(pool.map(open_experiment, range(6)))) == 1
