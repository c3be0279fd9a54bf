"""A small run of `tests/benchmark/replicas.py`: machines that share one PostgreSQL."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import Any

import pytest

from places import ROOT

SCRIPT = ROOT / "tests" / "benchmark" / "replicas.py"

# MLflow 3.17 warns about its own code under SQLAlchemy 2.1 and pandas 3; it answers right.
pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore:::mlflow")]


def test_replicas_that_are_killed_and_replaced_lose_no_acknowledged_record(
    site: Any, new_postgresql_database: Any
) -> None:
    done = subprocess.run(
        [
            *(sys.executable, str(SCRIPT), "--replicas", "2", "--seconds", "12", "--every", "5"),
            *("--clients", "2", "--database-url", new_postgresql_database()),
        ],
        env=os.environ | site.environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert found["killed_and_replaced"] > 0
    assert found["acknowledged"] > 0
    assert found["lost"] == found["twice"] == found["flaws"] == found["manual_steps"] == 0
