"""A Dask worker that is killed in the middle changes no model, no scores and no evaluation."""

from __future__ import annotations

import gc
import logging
import os
import signal
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from data_schema.table.row_groups import RowGroups
from linear_truth import HORIZONS, SMALL, small_cohort
from models.estimator import CumulativeIncidenceModel
from training.cohorts.drawn_patients import drawn_from_file
from training.config import RunConfig
from training.distributed.cluster import FOLDER_VARIABLE, Cluster, connected
from training.distributed.fits import ClusterFits
from training.in_parts.evaluate_file import evaluate_file
from training.score_files import ScoreOptions, score_file

distributed = pytest.importorskip("distributed", reason="the extra dask is not installed")
pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    """Return the scheduler of two workers that are processes of their own."""
    with distributed.LocalCluster(
        n_workers=2,
        threads_per_worker=1,
        dashboard_address=None,
        scheduler_kwargs={"dashboard_address": "127.0.0.1:0"},
        silence_logs=logging.CRITICAL,
    ) as machine:
        yield machine.scheduler_address


@pytest.fixture
def cluster(
    address: str, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Cluster]:
    monkeypatch.setenv(FOLDER_VARIABLE, str(tmp_path_factory.mktemp("shared")))
    with connected(address) as cluster:
        assert cluster is not None
        yield cluster


class Killer:
    """A progress callback that kills one worker when the first step of a kind is done."""

    def __init__(self, cluster: Cluster, step: str) -> None:
        self.cluster, self.step = cluster, step
        self.killed: list[int] = []

    def __call__(self, what: str, done: int, steps: int) -> None:
        if what == self.step and not self.killed:
            pids = list(self.cluster.client.run(os.getpid).values())
            assert len(set(pids)) == 2
            assert os.getpid() not in pids
            os.kill(pids[0], signal.SIGKILL)
            self.killed.append(pids[0])


def imported(module: str) -> bool:
    return module in sys.modules


def test_workers_import_at_once_and_collect_garbage_as_this_process(
    cluster: Cluster,
) -> None:
    until = time.monotonic() + 60
    while not all(cluster.client.run(imported, "training.checked_file").values()):
        assert time.monotonic() < until
        time.sleep(0.1)
    before = gc.get_threshold()
    try:
        gc.set_threshold(12_345)
        (there,) = cluster.results(gc.get_threshold, [()])
    finally:
        gc.set_threshold(*before)
    assert there[0] == 12_345


def test_a_model_is_the_same_after_a_worker_was_killed(cluster: Cluster) -> None:
    frame, y = small_cohort()
    settings = {"horizons_days": HORIZONS, **SMALL, "interval_folds": 4, "tuning_folds": 4}
    undisturbed = CumulativeIncidenceModel(**settings).fit(frame, y)
    killer = Killer(cluster, "choosing out of fold")
    disturbed = CumulativeIncidenceModel(
        **settings, runner=ClusterFits(cluster), progress=killer
    ).fit(frame, y)
    assert len(killer.killed) == 1
    assert disturbed.risk_model_.files() == undisturbed.risk_model_.files()


def test_workers_read_a_cohort_of_which_patients_are_drawn(
    cluster: Cluster, address: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = 6_000
    table = pd.DataFrame({"patient_id": [f"p{n}" for n in range(rows)], "age": 60.0})
    table.to_parquet(tmp_path / "cohort.parquet", index=False, row_group_size=300)
    here = drawn_from_file(tmp_path / "cohort.parquet", RunConfig(max_patients=1_000))

    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("this process must not read rows; workers do")

    monkeypatch.setattr(RowGroups, "read", refuse)
    received: list[int] = []
    results = Cluster.results

    def counted(*arguments: Any) -> Iterator[Any]:
        for result in results(*arguments):
            received.append(len(result))
            yield result

    monkeypatch.setattr(Cluster, "results", counted)
    settings = RunConfig(max_patients=1_000, dask=address)
    there = drawn_from_file(tmp_path / "cohort.parquet", settings)
    pd.testing.assert_frame_equal(there.table, here.table)
    # Keys of each row group, then of each its drawn rows alone.
    assert len(received) == 40
    assert sum(received[20:]) == len(there.table) == 1_000


def test_scores_are_the_same_after_a_worker_was_killed(
    cluster: Cluster, mortality, patients: pd.DataFrame, tmp_path: Path
) -> None:
    cohort = patients.assign(patient_id=[f"p{n}" for n in range(len(patients))])
    path = tmp_path / "cohort.parquet"
    cohort.to_parquet(path, index=False, row_group_size=20)
    options = ScoreOptions(explain=True, rows_at_a_time=20)
    undisturbed, out = tmp_path / "undisturbed.parquet", tmp_path / "out.parquet"
    score_file(path, undisturbed, mortality.loaded, options)
    cluster.client.wait_for_workers(2, timeout=60)
    killer = Killer(cluster, "scoring")
    score_file(path, out, mortality.loaded, options, cluster=cluster, progress=killer)
    assert len(killer.killed) == 1
    first, second = pd.read_parquet(undisturbed), pd.read_parquet(out)
    pd.testing.assert_frame_equal(second, first, check_exact=False, rtol=0, atol=1e-12)
    assert np.isfinite(second["risk"]).any()


@pytest.mark.parametrize("step", ["predicting", "judging"])
def test_an_evaluation_is_the_same_after_a_worker_was_killed(
    cluster: Cluster, mortality, patients: pd.DataFrame, tmp_path: Path, step: str
) -> None:
    rng = np.random.default_rng(3)
    cohort = patients.assign(
        patient_id=[f"p{n}" for n in range(len(patients))],
        mortality_days=np.ceil(rng.uniform(1, 200, len(patients))),
        mortality_event=rng.integers(0, 2, len(patients)),
    )
    path = tmp_path / "cohort.parquet"
    cohort.to_parquet(path, index=False, row_group_size=20)
    options = {"rows_at_a_time": 20, "n_bootstrap": 200}
    undisturbed = evaluate_file(path, mortality.loaded, **options)
    cluster.client.wait_for_workers(2, timeout=60)
    killer = Killer(cluster, step)
    disturbed = evaluate_file(path, mortality.loaded, cluster=cluster, progress=killer, **options)
    assert len(killer.killed) == 1
    assert disturbed.as_json() == undisturbed.as_json()
