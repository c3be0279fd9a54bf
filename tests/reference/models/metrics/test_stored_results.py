"""What R says now is what is stored; skipped where R or one of its packages is missing."""

import functools
import shutil
import subprocess
from pathlib import Path

import pandas as pd
import pytest

HERE = Path(__file__).parent
SCRIPTS = sorted(
    script for script in HERE.glob("*.R") if script.name not in {"simulate.R", "reading.R"}
)
PACKAGES = ("survival", "prodlim", "riskRegression", "cmprsk", "rms", "pROC", "Hmisc")
OWN_PACKAGES = {"meta_analysis": ("metafor",)}
"""Script -> packages that it alone needs, in the place of the others."""


@functools.cache
def missing_from_r(packages: tuple[str, ...]) -> str:
    """Return why a script that needs these packages cannot run, or ""."""
    rscript = shutil.which("Rscript")
    if rscript is None:
        return "R is not installed"
    found = " && ".join(f"nzchar(system.file(package = '{package}'))" for package in packages)
    check = subprocess.run([rscript, "-e", f"quit(status = !({found}))"], check=False)
    return "" if check.returncode == 0 else "a package of R is not installed"


@pytest.mark.parametrize("script", SCRIPTS, ids=[script.stem for script in SCRIPTS])
def test_script_gives_the_stored_results(script: Path, tmp_path: Path) -> None:
    if reason := missing_from_r(OWN_PACKAGES.get(script.stem, PACKAGES)):
        pytest.skip(reason)
    subprocess.run(
        ["Rscript", script.name, str(tmp_path)], cwd=script.parent, check=True, capture_output=True
    )

    pd.testing.assert_frame_equal(
        pd.read_csv(tmp_path / f"{script.stem}.csv"),
        pd.read_csv(script.with_suffix(".csv")),
        atol=1e-9,
    )
