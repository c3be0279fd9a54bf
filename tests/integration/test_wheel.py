"""What a wheel holds beside Python: without it an installed Osteon could not write its report."""

import subprocess
import sys
import zipfile
from pathlib import Path

from places import ROOT


def test_a_wheel_holds_the_templates_of_the_report(tmp_path: Path) -> None:
    build = "import sys, hatchling.build as b; print(b.build_wheel(sys.argv[1]))"
    subprocess.run([sys.executable, "-c", build, str(tmp_path)], cwd=ROOT, check=True)
    (wheel,) = tmp_path.glob("*.whl")

    names = set(zipfile.ZipFile(wheel).namelist())

    beside = ROOT / "training" / "report" / "templates"
    templates = {f"training/report/templates/{path.name}" for path in beside.iterdir()}
    assert len(templates) == 3
    assert templates <= names
