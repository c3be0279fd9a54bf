"""A small run of `tests/benchmark/audit_crash.py`, which kills the service twenty times."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from models.registry.bundle import write_bundle
from places import ROOT

if TYPE_CHECKING:
    from serving.prediction.served import ServedModel

SCRIPT = ROOT / "tests" / "benchmark" / "audit_crash.py"


def test_every_answered_prediction_survives_a_kill(
    database_url: str, mortality: ServedModel, tmp_path: Path
) -> None:
    write_bundle(mortality.loaded.risk_model, tmp_path / "bundle")
    done = subprocess.run(
        [
            *(sys.executable, str(SCRIPT), "--model", str(tmp_path / "bundle")),
            *("--kills", "1", "--connections", "4", "--database-url", database_url),
        ],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert found["answered"] > 0
    assert found["missing"] == 0
    assert found["chain_verified"] == 1
