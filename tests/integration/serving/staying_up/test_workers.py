"""`osteon serve` as processes: several workers are one service to whoever asks."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from typing import Any

import httpx
import pytest

from serving.access import api_keys
from serving.audit.opening import open_trail
from serving.settings import Settings

# MLflow 3.17 warns about its own code under SQLAlchemy 2.1 and pandas 3; it answers right.
pytestmark = pytest.mark.filterwarnings("ignore:::mlflow")


def test_a_limit_is_one_whichever_worker_answers(
    site_with: Callable[..., Any], tmp_path: Path
) -> None:
    state = tmp_path / "state"
    with closing(open_trail(Settings(state_dir=state))) as trail:
        _, text = api_keys.create(trail, "a test", ["predict"], days=None, actor="command:a")
    site = site_with(
        OSTEON_STATE_DIR=str(state),
        OSTEON_AUTHENTICATION="required",
        OSTEON_REQUESTS_PER_MINUTE="20",
    )
    with site.serving("--workers", "3") as service, ThreadPoolExecutor(8) as asking:

        def ask(_: int) -> int:
            headers = {"Authorization": f"Bearer {text}"}
            return httpx.get(f"{service.url}/v1/models", headers=headers, timeout=60).status_code

        began = time.monotonic()
        answers = list(asking.map(ask, range(80)))
        minutes = (time.monotonic() - began) / 60
    assert set(answers) == {200, 429}
    # What is counted in the same microsecond may go uncounted; three limits would be 60.
    assert 20 <= answers.count(200) <= 20 + 20 * minutes + 3


def test_a_service_that_cannot_begin_says_why_and_nothing_else(site: Any, tmp_path: Path) -> None:
    state = {"OSTEON_STATE_DIR": str(tmp_path / "state"), "OSTEON_GATE_KEY": ""}
    done = subprocess.run(
        [sys.executable, "-m", "osteon", "serve", "--port", "0", "--workers", "2"],
        cwd=site.folder,
        env=os.environ | site.environment | state,
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 2
    assert "OSTEON_GATE_KEY must" in done.stderr
    assert "Traceback" not in done.stderr
