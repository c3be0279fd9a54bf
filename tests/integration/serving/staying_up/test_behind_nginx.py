"""A small run of `tests/benchmark/behind_nginx.py`: the service below a path, under TLS."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from typing import Any

import pytest

from places import ROOT

SCRIPT = ROOT / "tests" / "benchmark" / "behind_nginx.py"

pytestmark = [
    pytest.mark.slow,
    # MLflow 3.17 warns about its own code under SQLAlchemy 2.1 and pandas 3; it answers right.
    pytest.mark.filterwarnings("ignore:::mlflow"),
    pytest.mark.skipif(
        not (shutil.which("nginx") or shutil.which("nginx", path="/usr/sbin")),
        reason="nginx is not installed (Debian: nginx-light)",
    ),
]


def test_every_request_through_nginx_is_answered(site: Any) -> None:
    done = subprocess.run(
        [
            *(sys.executable, str(SCRIPT), "--requests", "100", "--clients", "2"),
            *("--workers", "1", "--pause", "0"),
        ],
        env=os.environ | site.environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert found["errors"] == 0
    assert found["requests"] == 100
