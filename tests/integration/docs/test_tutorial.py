"""The tutorial is followed as it is printed: every command, in order, in an empty folder."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import httpx
import pytest

from documents import blocks
from nginx import free_port
from places import ROOT

pytestmark = pytest.mark.slow

TUTORIALS = ROOT / "docs" / "tutorials"


def test_a_spreadsheet_becomes_a_served_and_explained_prediction(tmp_path: Path) -> None:
    shutil.copy(TUTORIALS / "laboratory.py", tmp_path)
    # A program, as it is after an installation: "kill" must end it, and not a shell around it.
    command = tmp_path / "bin" / "osteon"
    command.parent.mkdir()
    command.write_text('#!/bin/sh\nexec python -m osteon "$@"\n')
    command.chmod(0o755)
    port = free_port()
    steps = ["set -euo pipefail"]
    for block in blocks(TUTORIALS / "spreadsheet.md"):
        if block.language == "sh" and not block.reason:
            steps.append(block.text)
        elif block.language == "python":
            steps.append(f"python - <<'END_OF_PYTHON'\n{block.text}END_OF_PYTHON\n")
    environment = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("OSTEON_", "MLFLOW_"))
    }
    environment |= {
        "PATH": f"{command.parent}:{Path(sys.executable).parent}:{environment['PATH']}",
        "PYTHONPATH": str(ROOT),
        "OMP_NUM_THREADS": "1",
    }
    done = subprocess.run(
        ["bash", "-c", "\n".join(steps).replace("8123", str(port))],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-4000:]
    assert "12 of 2000 rows are not" in done.stdout  # the refusal that the page prints
    assert "is champion: it passed the gate" in done.stdout
    answer = json.loads((tmp_path / "answer.json").read_text())
    (prediction,) = answer["predictions"]
    assert prediction["status"] == "ok"
    assert prediction["risks"][0]["contributions"]
    assert "The audit trail is complete" in done.stdout
    with pytest.raises(httpx.ConnectError):  # the service that the page starts has ended
        httpx.get(f"http://127.0.0.1:{port}/health/live")
