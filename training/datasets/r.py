"""Run one of our R scripts with the `Rscript` of this machine."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

from data_schema.errors import OutsideError

__all__ = ["run_r"]

_ABSENT_PACKAGE = re.compile(r"no package called\s+\W?([\w.]+)")


def run_r(script: Path, *arguments: str, table: str = "") -> str:
    """Run an R script and return what it prints.

    Parameters
    ----------
    script : Path
        The script.
    *arguments : str
        What it gets from `commandArgs(TRUE)`.
    table : str
        What it reads from standard input.

    Returns
    -------
    str
        Its standard output.

    Raises
    ------
    OutsideError
        If R or a package of R is not installed, or the script fails. R's own message may hold
        values of patients and is not passed on.
    """
    rscript = shutil.which("Rscript")
    if rscript is None:
        raise OutsideError(
            "Rscript is not on the PATH. Install R with its packages survival and cmprsk "
            "(Debian: r-base-core r-cran-survival r-cran-cmprsk)."
        )
    done = subprocess.run(
        [rscript, "--vanilla", str(script), *arguments],
        input=table,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode == 0:
        return done.stdout
    absent = _ABSENT_PACKAGE.search(done.stderr)
    if absent:
        raise OutsideError(
            f"R has no package {absent[1]}. Install it (Debian: r-cran-{absent[1].lower()})."
        )
    raise OutsideError(f"{script.name} failed in R with exit status {done.returncode}.")
