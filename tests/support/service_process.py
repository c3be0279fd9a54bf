"""`osteon serve` as a process of its own, stopped or killed with all that it started."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

COMMAND = "import typer; from serving.cli.serve import serve; typer.run(serve)"


class ServiceProcess:
    """A service that is starting; its log is in the file `log` of its folder."""

    def __init__(self, folder: Path, environment: Mapping[str, str], *options: str) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._log = folder / "log"
        with self._log.open("w") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-c", COMMAND, "--json", *options],
                cwd=folder,
                env={**os.environ, **environment},
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
            )

    def address(self) -> str:
        """Return where it answers, once it does."""
        assert self.process.stdout is not None
        printed = self.process.stdout.readline()
        assert printed, f"the service must start: {self.log()}"
        url: str = json.loads(printed)["url"]
        return url

    def log(self) -> str:
        return self._log.read_text()

    def kill(self) -> None:
        """End every process of it at once, as when a machine fails."""
        for pid in (self.process.pid, *self._children()):
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        self.process.communicate()

    def stop(self) -> None:
        """Let it finish."""
        self.process.send_signal(signal.SIGTERM)
        self.process.communicate(timeout=60)

    def _children(self) -> list[int]:
        path = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children")
        with suppress(OSError):
            return [int(child) for child in path.read_text().split()]
        return []
