"""Run `deploy/compose.yaml` in containers, and use it: does the stack work as a whole?

    python tests/benchmark/compose_stack.py FOLDER

Images are made by `container_images.py` (no registry of images is asked) and stay in FOLDER, so
that a second run starts at once; `podman-compose` (PyPI) starts the stack, with its networks,
addresses, read-only file systems and limits. `tour` of `tests/support/deployed_stack.py` then
takes the steps of a site: keys, training through MLflow's sign-in, promotion, predictions through
nginx, Prometheus, an alert, the verified trail, a backup. Grafana is left out (no package of
Debian); its dashboard's expressions are asked of Prometheus. Prints one JSON object; exit 1 if a
step fails. Needs root. Ends with the containers removed.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "support"))

from container_images import Engine, environment_of, make_images

from deployed_stack import DEPLOY, REPLICAS, DeployedStack, tour, until

_PARTS = ("postgres", "mlflow", *REPLICAS, "nginx", "prometheus")
_PORT = 8_443


class Compose:
    """podman-compose on a copy of `deploy/`."""

    def __init__(self, engine: Engine, folder: Path, program: str) -> None:
        self._engine = engine
        self._folder = folder
        self._program = program

    def call(self, *arguments: str, check: bool = True) -> str:
        """Call podman-compose, and return what it printed."""
        done = subprocess.run(
            [self._program, "--env-file", "compose/images.env", "-f", "compose.yaml", *arguments],
            cwd=self._folder,
            env=self._engine.environment(),
            capture_output=True,
            text=True,
            check=False,
        )
        if check and done.returncode != 0:
            raise RuntimeError(f"{arguments[0]}: {done.stdout[-3_000:]}{done.stderr[-3_000:]}")
        return done.stdout

    def start(self, part: str) -> None:
        """Start one part and wait until its health check passes, if it has one.

        podman's own checks need systemd; the check of the image or of the file is called here.
        """
        self.call("up", "--detach", "--no-deps", "--no-build", part)
        container = self.container(part)
        described = json.loads(self._engine.run("container", "inspect", container))[0]
        if described["Config"].get("Healthcheck"):
            until(lambda: self._is_healthy(container), f"{part} is healthy", seconds=900)

    def stop(self, part: str) -> None:
        """Stop one part as `docker compose stop` does, within its grace period."""
        self.call("stop", part)

    def container(self, part: str) -> str:
        """Return the name of a part's container."""
        return f"osteon_{part}_1"

    def run(self, part: str, arguments: Sequence[str]) -> subprocess.CompletedProcess[str]:
        """Run `osteon` in the container of a replica."""
        return subprocess.run(
            ["podman", "exec", self.container(part), "osteon", *arguments],
            env=self._engine.environment(),
            capture_output=True,
            text=True,
            check=False,
        )

    def _is_healthy(self, container: str) -> bool:
        done = subprocess.run(
            ["podman", "healthcheck", "run", container],
            env=self._engine.environment(),
            capture_output=True,
            check=False,
        )
        return done.returncode == 0


def main() -> int:
    """Run the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path, help="for images and storage; 3 GB")
    parser.add_argument("--podman-compose", default="podman-compose")
    stated = parser.parse_args()
    if os.geteuid() != 0 or shutil.which("podman") is None:
        raise SystemExit("Needs root, and podman (Debian).")
    engine = Engine(stated.folder.absolute())
    engine.prepare()
    started = time.monotonic()
    images = make_images(engine)
    made = time.monotonic() - started
    deploy = stated.folder.absolute() / "deploy"
    shutil.rmtree(deploy, ignore_errors=True)
    shutil.copytree(DEPLOY, deploy, ignore=shutil.ignore_patterns("secrets"))
    subprocess.run(["bash", str(deploy / "compose" / "make_secrets.sh")], check=True)
    (deploy / "compose" / "images.env").write_text(environment_of(images))
    compose = Compose(engine, deploy, stated.podman_compose)
    compose.call("down", "--volumes", check=False)
    started = time.monotonic()
    try:
        for part in _PARTS:
            print(f"starting {part}", file=sys.stderr, flush=True)
            compose.start(part)
        up = time.monotonic() - started
        for part in ("mlflow", *REPLICAS):
            _check_contained(engine, compose.container(part))
        figures = tour(_stack(compose, deploy), Path(tempfile.mkdtemp(prefix="osteon-tour-")))
        print("backing up", file=sys.stderr, flush=True)
        compose.call("--profile", "backup", "run", "--rm", "--no-deps", "backup")
    except BaseException:
        for part in _PARTS:
            print(f"--- {part}", file=sys.stderr, flush=True)
            subprocess.run(
                ["podman", "logs", "--tail", "30", compose.container(part)],
                env=engine.environment(),
                stdout=sys.stderr,
                check=False,
            )
        raise
    finally:
        compose.call("down", "--volumes", check=False)
    figures |= {"images_seconds": round(made), "up_seconds": round(up)}
    figures["tour_seconds"] = round(time.monotonic() - started - up)
    print(json.dumps(figures))
    return 0


def _check_contained(engine: Engine, container: str) -> None:
    """Fail unless a container is read-only, of a user who is not root, and without build tools."""
    user = engine.run("exec", container, "sh", "-c", "id -u").strip()
    assert int(user) > 0, container
    for refused in (
        ["sh", "-c", "echo > /written"],
        ["python", "-m", "pip", "--version"],
        ["/usr/local/bin/python", "-m", "pip", "--version"],
        ["/usr/local/bin/python", "-m", "ensurepip", "--version"],
        ["sh", "-c", "command -v gcc cc make"],
    ):
        done = subprocess.run(
            ["podman", "exec", container, *refused],
            env=engine.environment(),
            capture_output=True,
            check=False,
        )
        assert done.returncode != 0, (container, refused)
    bill = engine.run("exec", container, "cat", "/opt/osteon/sbom.cdx.json")
    assert len(json.loads(bill)["components"]) > 50, container


def _stack(compose: Compose, deploy: Path) -> DeployedStack:
    secrets = deploy / "compose" / "secrets"
    return DeployedStack(
        public=f"https://localhost:{_PORT}",
        mlflow="https://localhost:5443",
        prometheus="http://127.0.0.1:9090",
        certificate=secrets / "certificate.pem",
        secrets=secrets,
        osteon=compose.run,
        stop=compose.stop,
        start=compose.start,
        seconds_to_alert=300,
    )


if __name__ == "__main__":
    sys.exit(main())
