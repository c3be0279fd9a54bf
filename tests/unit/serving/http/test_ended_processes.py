"""Counts of processes that have ended go on in one file of each kind."""

from __future__ import annotations

from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.mmap_dict import MmapedDict, mmap_key
from prometheus_client.multiprocess import MultiProcessCollector

from serving.http.ended_processes import add_counts


def _count(folder: Path, pid: int, route: str, value: float) -> None:
    counts = MmapedDict(str(folder / f"counter_{pid}.db"))
    key = mmap_key("osteon_requests", "osteon_requests_total", ["route"], [route], "Requests.")
    counts.write_value(key, value, 0.0)
    counts.close()


def _totals(folder: Path) -> dict[str, float]:
    registry = CollectorRegistry()
    MultiProcessCollector(registry, path=str(folder))
    lines = generate_latest(registry).decode().splitlines()
    samples = (line.rsplit(" ", 1) for line in lines if not line.startswith("#"))
    return {name: float(value) for name, value in samples}


def test_counts_of_ended_processes_are_added_and_their_files_deleted(tmp_path: Path) -> None:
    for pid, route, value in ((11, "/a", 2), (12, "/a", 3), (12, "/b", 5), (13, "/b", 7)):
        _count(tmp_path, pid, route, value)
    before = _totals(tmp_path)
    assert before == {
        'osteon_requests_total{route="/a"}': 5.0,
        'osteon_requests_total{route="/b"}': 12.0,
    }
    for ended in (11, 12):
        add_counts(tmp_path, ended)
        assert _totals(tmp_path) == before
    add_counts(tmp_path, 99)
    names = sorted(path.name for path in tmp_path.iterdir())
    assert names == ["counter_13.db", "counter_ended.db"]


def test_a_file_that_cannot_be_read_stays(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    _count(tmp_path, 11, "/a", 2)
    add_counts(tmp_path, 11)
    broken = tmp_path / "counter_12.db"
    broken.write_bytes(b"\xff\xff\xff\x7f" + b"\0" * 60)
    add_counts(tmp_path, 12)
    assert broken.exists()
    assert "Counts of process 12 stay" in caplog.text
    assert sorted(path.name for path in tmp_path.iterdir()) == ["counter_12.db", "counter_ended.db"]
