"""One caller's requests, counted together by several workers."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from collections.abc import Iterator
from types import SimpleNamespace

import pytest

from serving.access.rate import Buckets, RateLimit

# Answers how often it was allowed to ask.
WORKER = """
import sys
from serving.access.rate import Buckets, RateLimit
limit = RateLimit("requests", 40, Buckets(int(sys.argv[1])))
print(sum(limit.allows("a caller") for _ in range(30)))
"""


@pytest.fixture
def file() -> Iterator[int]:
    with tempfile.TemporaryFile() as opened:
        opened.truncate(Buckets.SIZE)
        yield opened.fileno()


def test_a_caller_has_one_bucket_whichever_worker_is_asked(file: int) -> None:
    workers = [RateLimit("requests", 5, Buckets(file)) for _ in range(3)]
    allowed = [workers[number % 3].allows("a caller") for number in range(9)]
    assert allowed == [True] * 5 + [False] * 4
    assert workers[0].allows("another")


def test_processes_share_it(file: int) -> None:
    answers = [
        subprocess.run(
            [sys.executable, "-c", WORKER, str(file)],
            pass_fds=[file],
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for _ in range(2)
    ]
    # In the second that the second process takes to start, a few come back.
    assert int(answers[0]) == 30
    assert 10 <= int(answers[1]) < 20


def test_it_fills_again(monkeypatch: pytest.MonkeyPatch) -> None:
    moment = 1_000.0
    # Of this module alone: what else runs in this process must not take the time for another.
    clock = SimpleNamespace(monotonic=lambda: moment)
    monkeypatch.setattr("serving.access.rate.time", clock)
    limit = RateLimit("requests", 60, Buckets())
    assert sum(limit.allows("a caller") for _ in range(100)) == 60
    moment += 2.5
    assert sum(limit.allows("a caller") for _ in range(100)) == 2
    moment += 3_600
    assert sum(limit.allows("a caller") for _ in range(100)) == 60


def test_two_limits_do_not_meet_in_the_same_buckets() -> None:
    buckets = Buckets()
    requests, failures = RateLimit("requests", 1, buckets), RateLimit("failures", 1, buckets)
    assert requests.allows("192.0.2.7")
    assert failures.allows("192.0.2.7")
    assert not requests.allows("192.0.2.7")


def test_five_thousand_others_crowd_nobody_out(monkeypatch: pytest.MonkeyPatch) -> None:
    moment = 1_000.0
    clock = SimpleNamespace(monotonic=lambda: moment)
    monkeypatch.setattr("serving.access.rate.time", clock)
    limit = RateLimit("requests", 1, Buckets())
    assert limit.allows("a caller")
    for number in range(5_000):
        moment += 1e-6
        assert limit.allows(f"other {number}")
    assert not limit.allows("a caller")
