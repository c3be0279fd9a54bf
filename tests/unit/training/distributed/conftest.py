"""Two Dask workers that are threads of this process."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from pathlib import Path

import pytest

from training.distributed.cluster import FOLDER_VARIABLE, Cluster, connected

distributed = pytest.importorskip("distributed", reason="the extra dask is not installed")


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    """Return the scheduler of two workers that are threads of this process."""
    with distributed.LocalCluster(
        n_workers=2,
        threads_per_worker=1,
        processes=False,
        protocol="tcp",
        dashboard_address=None,
        scheduler_kwargs={"dashboard_address": "127.0.0.1:0"},
        silence_logs=logging.ERROR,
    ) as machine:
        yield machine.scheduler_address


@pytest.fixture
def cluster(address: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Cluster]:
    monkeypatch.setenv(FOLDER_VARIABLE, str(tmp_path))
    with connected(address) as cluster:
        assert cluster is not None
        yield cluster
    assert list(tmp_path.iterdir()) == []
