"""Documents followed as they are printed: their commands run in order, in one folder.

    python tests/support/followed_pages.py PAGE FOLDER

follows one page in a folder that exists, with the settings of the environment, and prints what its
commands print.
"""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

from documents import Block, blocks, runs
from places import ROOT

_PYTHON = """python - <<'END_OF_PYTHON'
{text}END_OF_PYTHON
"""
_NUMBER = re.compile(r"[-+−]?\d[\d,.]*(?:e[-+]?\d+)?")
_HEXADECIMAL = re.compile(r"\b[0-9a-f]{12,}\b")
_TIMEOUT_SECONDS = 900


def script_of(found: list[Block]) -> str:
    """Return the blocks as one script of bash that stops at the first failure."""
    parts = ["set -euo pipefail"]
    for block in found:
        if runs(block):
            text = block.text if block.language == "sh" else _PYTHON.format(text=block.text)
            parts.append(text)
    return "\n".join(parts)


def environment_in(folder: Path) -> dict[str, str]:
    """Return an environment in which `osteon` is a program, as after an installation."""
    # A program and not a shell around it: what ends it must end Osteon.
    command = folder / ".bin" / "osteon"
    command.parent.mkdir(exist_ok=True)
    command.write_text('#!/bin/sh\nexec python -m osteon "$@"\n')
    command.chmod(0o755)
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("OSTEON_", "MLFLOW_"))
    }
    search = f"{command.parent}:{Path(sys.executable).parent}:{kept['PATH']}:/usr/sbin"
    others = {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1", "MPLBACKEND": "Agg"}
    return kept | others | {"PATH": search}


def follow(
    page: Path,
    folder: Path,
    *,
    settings: Mapping[str, str] | None = None,
    replaced: Mapping[str, str] | None = None,
) -> str:
    """Run every command of a page in a folder, and return what they printed.

    `replaced` holds ports of the page and the free ones that stand for them.
    """
    found = list(blocks(page))
    script = script_of(found)
    for old, new in (replaced or {}).items():
        script = script.replace(old, new)
    printed = folder / ".printed"
    with printed.open("w") as file:
        shell = subprocess.Popen(
            ["bash", "-c", script],
            cwd=folder,
            env=environment_in(folder) | dict(settings or {}),
            stdout=file,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        try:
            shell.wait(_TIMEOUT_SECONDS)
        finally:
            # What a page starts ends with it, also where one of its commands fails.
            with suppress(ProcessLookupError):
                os.killpg(shell.pid, signal.SIGKILL)
            shell.wait()
    output = printed.read_text()
    assert shell.returncode == 0, f"{page.name} ends with {shell.returncode}:\n{output[-6000:]}"
    return output


def not_printed(page: Path, output: str) -> list[str]:
    """Return the lines that a page shows as output and that its commands did not print.

    Figures may differ by machine and version: every number stands for any number. A line of dots
    stands for what is left out.
    """
    printed = _masked(output)
    return [
        line
        for block in blocks(page)
        if block.language == "text" and not block.reason
        for line in block.text.splitlines()
        if line.strip(" .") and _masked(line.removesuffix("...")) not in printed
    ]


def _masked(text: str) -> str:
    masked = _NUMBER.sub("#", _HEXADECIMAL.sub("#", text))
    return " ".join(masked.split())


def main() -> None:
    """Follow one page."""
    page, folder = map(Path, sys.argv[1:])
    own = ("OSTEON_", "MLFLOW_")
    stated = {name: value for name, value in os.environ.items() if name.startswith(own)}
    output = follow(page.resolve(), folder, settings=stated)
    print(output)
    print("shown and not printed:", not_printed(page.resolve(), output))


if __name__ == "__main__":
    main()
