"""The notebooks run from top to bottom, and the site shows what they print."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

from places import ROOT

pytestmark = pytest.mark.slow

NOTEBOOKS = ROOT / "docs" / "notebooks"


def executed(name: str, folder: Path) -> str:
    """Run a notebook in a folder, and return the text of its outputs."""
    notebook = nbformat.read(NOTEBOOKS / name, as_version=4)
    client = NotebookClient(
        notebook, timeout=600, kernel_name="python3", resources={"metadata": {"path": str(folder)}}
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", f"{folder}{os.pathsep}{ROOT}")
        patch.setenv("OMP_NUM_THREADS", "1")
        client.execute()
    outputs = [output for cell in notebook.cells for output in cell.get("outputs", ())]
    return "\n".join(
        output.get("text", "") or output.get("data", {}).get("text/plain", "") for output in outputs
    )


def test_the_survival_analysts_notebook_runs(tmp_path: Path) -> None:
    if shutil.which("Rscript") is None:
        pytest.skip("R is not installed")
    printed = executed("survival_analyst.ipynb", tmp_path)
    assert "1384 people" in printed
    for model in ("Osteon", "cause-specific Cox", "Fine-Gray"):
        assert model in printed


def test_the_integrators_notebook_runs(prepared: Path, tmp_path: Path) -> None:
    folder = tmp_path / "place"
    shutil.copytree(prepared, folder)
    shutil.copy(ROOT / "docs" / "tutorials" / "mock_hospital.py", folder)
    printed = executed("integrator.ipynb", folder)
    assert "refused ['under_18'" in printed
    assert "DEMO: SIMULATED PATIENTS" in printed
    assert "RiskAssessment: " in printed
    assert "The audit trail is complete" in printed
