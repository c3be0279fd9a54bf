"""A small run of `tests/benchmark/openapi_conformance.py`, which makes over 2,000 cases."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from models.registry.bundle import write_bundle
from places import ROOT

if TYPE_CHECKING:
    from serving.prediction.served import ServedModel

SCRIPT = ROOT / "tests" / "benchmark" / "openapi_conformance.py"


@pytest.mark.slow
def test_the_service_keeps_the_word_of_its_openapi_document(
    real_mortality: ServedModel, tmp_path: Path
) -> None:
    pytest.importorskip("schemathesis", reason="schemathesis is not installed")
    write_bundle(real_mortality.loaded.risk_model, tmp_path / "bundle")
    done = subprocess.run(
        [
            *(sys.executable, str(SCRIPT), "--model", str(tmp_path / "bundle")),
            *("--phases", "examples,coverage,fuzzing", "--examples", "5", "--cases", "300"),
        ],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["failures"] == 0
