"""Work on a cluster gives what one process gives, or a clear error."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from data_schema.errors import DataError, OutsideError, UsageError
from linear_truth import HORIZONS, SMALL, small_cohort
from models.estimator import CumulativeIncidenceModel
from training.distributed.cluster import FOLDER_VARIABLE, Cluster, connected, open_cluster
from training.distributed.fits import ClusterFits


def refuse(part: int) -> int:
    if part == 3:
        raise DataError("part must not be 3; got 3.")
    return part * part


def test_results_come_in_the_order_of_the_jobs(cluster: Cluster) -> None:
    assert cluster.workers == 2
    assert list(cluster.results(pow, [(k, 2) for k in range(20)])) == [k * k for k in range(20)]


def test_an_error_of_the_work_is_raised_as_itself(cluster: Cluster) -> None:
    results = cluster.results(refuse, [(k,) for k in range(6)])
    assert [next(results) for _ in range(3)] == [0, 1, 4]
    with pytest.raises(DataError, match="part must not be 3"):
        next(results)


def test_an_open_connection_is_shared(cluster: Cluster, address: str) -> None:
    assert open_cluster(address) is cluster
    with connected(address) as again:
        assert again is cluster
    assert open_cluster(address) is cluster
    assert open_cluster("") is None
    with connected("") as nothing:
        assert nothing is None


def test_what_nothing_has_opened_is_opened_until_the_process_ends(
    address: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    at_the_end: list[Callable[[], object]] = []
    monkeypatch.setenv(FOLDER_VARIABLE, str(tmp_path))
    monkeypatch.setattr("training.distributed.cluster.atexit.register", at_the_end.append)
    cluster = open_cluster(address)
    assert cluster is not None
    assert open_cluster(address) is cluster
    assert list(cluster.results(pow, [(3, 2)])) == [9]
    (close,) = at_the_end
    close()
    assert list(tmp_path.iterdir()) == []


def test_a_model_fitted_on_a_cluster_has_the_same_bytes(cluster: Cluster) -> None:
    frame, y = small_cohort()
    settings = {"horizons_days": HORIZONS, **SMALL, "interval_folds": 2}
    here = CumulativeIncidenceModel(**settings).fit(frame, y)
    there = CumulativeIncidenceModel(**settings, runner=ClusterFits(cluster)).fit(frame, y)
    assert there.risk_model_.files() == here.risk_model_.files()
    assert there.out_of_fold_loss_ == here.out_of_fold_loss_


def test_a_scheduler_elsewhere_needs_a_shared_folder(
    address: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for folder in ("", str(tmp_path / "nowhere")):
        monkeypatch.setenv(FOLDER_VARIABLE, folder)
        with pytest.raises(UsageError, match=FOLDER_VARIABLE), connected(address):
            pass


def test_workers_with_other_versions_are_refused(
    address: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(FOLDER_VARIABLE, str(tmp_path))
    answers = iter([{"xgboost": "3.2.0"}, {"xgboost": "3.1.0"}, {"xgboost": "3.2.0"}])
    monkeypatch.setattr("training.distributed.cluster.versions", lambda: next(answers))
    with pytest.raises(OutsideError, match=r"xgboost .* 1 of 2 have another"), connected(address):
        pass


def test_a_scheduler_that_does_not_answer_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(FOLDER_VARIABLE, str(tmp_path))
    monkeypatch.setattr("training.distributed.cluster.SECONDS_TO_CONNECT", 0.2)
    with (
        pytest.raises(OutsideError, match=r"tcp://127.0.0.1:9 did not answer"),
        connected("tcp://127.0.0.1:9"),
    ):
        pass


def test_local_workers_that_do_not_start_are_an_error_that_says_so(tmp_path: Path) -> None:
    import dask

    missing = str(tmp_path / "absent.py")
    with (
        dask.config.set({"distributed.nanny.preload": [missing]}),
        pytest.raises(OutsideError, match="workers of this machine did not start"),
        connected("local"),
    ):
        pass
