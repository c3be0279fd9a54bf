"""The tutorial is followed as it is printed: every command, in order, in an empty folder."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from documents import blocks
from places import ROOT

pytestmark = pytest.mark.slow

TUTORIALS = ROOT / "docs" / "tutorials"


def test_a_spreadsheet_becomes_a_served_and_explained_prediction(tmp_path: Path) -> None:
    shutil.copy(TUTORIALS / "laboratory.py", tmp_path)
    steps = ["set -euo pipefail", 'osteon() { python -m osteon "$@"; }']
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
        "PATH": f"{Path(sys.executable).parent}:{environment['PATH']}",
        "PYTHONPATH": str(ROOT),
        "OMP_NUM_THREADS": "1",
    }
    done = subprocess.run(
        ["bash", "-c", "\n".join(steps)],
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
