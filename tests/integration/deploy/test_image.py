"""The image of `deploy/Containerfile`, made step by step in an empty folder, never as root.

No container engine runs here: the instructions are read from the file and performed with a bare
Python. What is left is what the image would hold, and is all that the tests below start.
"""

from __future__ import annotations

import importlib.metadata
import importlib.util
import json
import os
import re
import shutil
import ssl
import subprocess
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from certificates import certificate
from containerfile import Image, base_python, stages_of
from nginx import free_port
from places import ROOT

pytestmark = pytest.mark.slow

UNPRIVILEGED = 65_534
AUDIT_KEY = "a key of more than sixteen characters"
RUN = """
horizons_days = [28, 90]
population = "Simulated adults of a test"
simulated = true
interval_folds = 3
max_trees = 5
bootstrap_resamples = 50
threads = 1
repeats = 1
"""


@pytest.fixture(scope="module")
def image() -> Iterator[Image]:
    """The image `service`, and beside it the wheel and the installer of its build."""
    if os.geteuid() != 0:
        pytest.skip("only root can perform the steps as another user")
    if importlib.util.find_spec("ensurepip") is None:
        pytest.skip("this Python makes no environments (Debian: python3-venv)")
    # Not below pytest's own folder, which only root can enter.
    root = Path(tempfile.mkdtemp(prefix="osteon-image-"))
    try:
        base_python(root)
        for place in (root, root / "tmp"):
            os.chown(place, UNPRIVILEGED, UNPRIVILEGED)
        root.chmod(0o755)
        made = Image(root, ROOT, UNPRIVILEGED)
        stages = stages_of((ROOT / "deploy" / "Containerfile").read_text())
        made.perform(stages["build"])
        shutil.copytree(made.place("/build/tools"), root / "tools", symlinks=True)
        shutil.copytree(made.place("/build/dist"), root / "dist")
        made.perform(stages["service"])
        made.clear(but=made.copied)
        _close(made.place("/opt/osteon"))
        yield made
    finally:
        shutil.rmtree(root)


def _close(folder: Path) -> None:
    """Take every right to write from all, root's image being read-only."""
    for path in (folder, *folder.rglob("*")):
        os.chown(path, 0, 0, follow_symlinks=False)
        if not path.is_symlink():
            path.chmod(path.stat().st_mode & ~0o222)


@contextmanager
def serving(image: Image, folder: Path, *options: str, **environment: str) -> Iterator[str]:
    """Run the entry point and the command of the image, and yield its address."""
    log = image.root / "tmp" / "log"
    with log.open("w") as written:
        process = subprocess.Popen(
            [*image.entrypoint, *image.command, "--json", *options],
            cwd=folder,
            env=image.process_environment(OSTEON_DRAIN_SECONDS="0", **environment),
            stdout=subprocess.PIPE,
            stderr=written,
            text=True,
            **image.identity(),  # type: ignore[call-overload]
        )
    try:
        assert process.stdout is not None
        printed = process.stdout.readline()
        assert printed, log.read_text()
        yield json.loads(printed)["url"]
    finally:
        process.terminate()
        process.communicate(timeout=300)


@pytest.fixture(scope="module")
def secured(image: Image) -> Mapping[str, str]:
    """The settings that let the service listen to other machines."""
    folder = image.root / "tls"
    folder.mkdir()
    pem, key = certificate(folder)
    for path in (folder, pem, key):
        os.chown(path, UNPRIVILEGED, UNPRIVILEGED)
    return {
        "OSTEON_AUTHENTICATION": "required",
        "OSTEON_TLS_CERTIFICATE": str(pem),
        "OSTEON_TLS_KEY": str(key),
        "OSTEON_AUDIT_KEY": AUDIT_KEY,
        "OSTEON_PORT": str(free_port()),
    }


def test_it_holds_osteon_and_no_tool_of_the_build(image: Image) -> None:
    assert not image.place("/build").exists()
    inside = {path.name for path in (image.place("/opt/osteon") / "bin").iterdir()}
    assert {"osteon", "python"} <= inside
    assert not {"pip", "pip3", "hatchling", "cyclonedx-py"} & inside
    assert image.run("osteon", "--help").returncode == 0


def test_its_bill_of_materials_names_every_package_and_a_licence(image: Image) -> None:
    bill = json.loads((image.place("/opt/osteon") / "sbom.cdx.json").read_text())
    assert bill["bomFormat"] == "CycloneDX"
    named = {_normal(component["name"]) for component in bill["components"]}
    (packages,) = image.place("/opt/osteon").glob("lib/*/site-packages")
    installed = importlib.metadata.distributions(path=[str(packages)])
    assert {_normal(found.metadata["Name"]) for found in installed} == named
    without = {one["name"] for one in bill["components"] if not one.get("licenses")}
    assert without <= {"huey", "protobuf"}  # they state none where the format looks for it
    assert "osteon" in named
    assert not {"pip", "scikit-survival", "survset"} & named


def _normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def test_it_refuses_to_listen_to_other_machines_unprotected(image: Image) -> None:
    refused = image.run(*image.entrypoint, *image.command)
    assert refused.returncode == 2
    assert "OSTEON_AUTHENTICATION=required" in refused.stderr


def test_a_service_from_it_is_healthy_and_writes_nothing_but_its_state(
    image: Image, secured: Mapping[str, str]
) -> None:
    state = image.place("/var/lib/osteon")
    before = _files(image)
    created = image.run(
        *("osteon", "keys", "create", "a ward", "--role", "predict", "--json"), **secured
    )
    assert created.returncode == 0, created.stderr
    key = json.loads(created.stdout)["key"]
    assert image.run(*image.healthcheck, **secured).returncode == 1  # not before it runs
    with serving(image, state, **secured) as url:
        port = url.rsplit(":", 1)[1]
        address = f"https://127.0.0.1:{port}"
        trusted = ssl.create_default_context(cafile=secured["OSTEON_TLS_CERTIFICATE"])
        # An engine asks again, too: on a busy machine one answer may come late.
        tries = (image.run(*image.healthcheck, **secured).returncode for _ in range(20))
        assert 0 in tries
        held = {"Authorization": f"Bearer {key}"}
        with httpx.Client(verify=trusted, timeout=300) as client:
            assert client.get(f"{address}/health/live").status_code == 200
            assert client.get(f"{address}/health/ready").status_code == 503  # it has no model
            assert client.get(f"{address}/v1/models").status_code == 401
            assert client.get(f"{address}/v1/models", headers=held).status_code == 200
    assert {path for path in _files(image) - before if not path.is_relative_to(state)} == set()
    verified = image.run("osteon", "audit", "verify", **secured)
    assert verified.returncode == 0, verified.stdout
    saved = image.run("osteon", "backup", str(image.root / "tmp" / "b"), "--trail-only", **secured)
    assert saved.returncode == 0, saved.stderr


def _files(image: Image) -> set[Path]:
    own = (image.place(path) for path in image.copied)
    return {path for folder in own for path in folder.rglob("*")}


@pytest.fixture(scope="module")
def workshop(image: Image) -> Path:
    """A folder of a user with the wheel installed as `osteon[serve,train]`, and no source tree."""
    folder = image.root / "workshop"
    folder.mkdir()
    os.chown(folder, UNPRIVILEGED, UNPRIVILEGED)
    for path in (image.place("/opt/osteon"), *image.place("/opt/osteon").rglob("*")):
        os.chown(path, UNPRIVILEGED, UNPRIVILEGED, follow_symlinks=False)
        if not path.is_symlink():
            path.chmod(path.stat().st_mode | 0o200)
    pins = sorted(
        {
            f"{found.metadata['Name']}=={found.version}"
            for found in importlib.metadata.distributions()
            if found.metadata["Name"] != "osteon"
        }
    )
    (image.root / "pins.txt").write_text("\n".join(pins))
    (wheel,) = (image.root / "dist").glob("*.whl")
    installed = image.run(
        *(str(image.root / "tools" / "bin" / "python"), "-m", "pip"),
        *("--python", str(image.place("/opt/osteon")), "install", "--quiet", "--no-cache-dir"),
        *("-c", str(image.root / "pins.txt"), f"osteon[serve,train] @ file://{wheel}"),
    )
    assert installed.returncode == 0, installed.stderr
    (folder / "run.toml").write_text(RUN)
    return folder


def test_an_installed_wheel_trains_explains_serves_and_shows_the_page(
    image: Image, workshop: Path
) -> None:
    playwright = pytest.importorskip("playwright.sync_api", reason="Playwright is not installed")
    if shutil.which("chromium") is None:
        pytest.skip("Chromium is not installed (Debian: chromium)")
    registry = {"MLFLOW_TRACKING_URI": f"sqlite:///{workshop / 'mlflow.db'}"}
    registry |= {"OSTEON_HOST": "127.0.0.1", "OSTEON_STATE_DIR": str(workshop / "state")}

    def osteon(*arguments: str) -> dict[str, Any]:
        done = image.run("osteon", *arguments, "--json", cwd=workshop, **registry)
        assert done.returncode == 0, f"osteon {arguments[0]}: {done.stdout}{done.stderr}"
        printed: dict[str, Any] = json.loads(done.stdout)
        return printed

    osteon("simulate", "--patients", "500", "--out", "cohort.parquet")
    run = osteon("train", "cohort.parquet", "--outcome", "mortality", "--config", "run.toml")
    assert run["model_uri"].startswith("models:/osteon-mortality-simulated/")
    explained = osteon("explain", "--model", run["model_uri"])
    assert "deaths within" in explained["summary"]
    checked = image.run(
        *("python", "-c"),
        "import osteon, pandas; frame = pandas.read_parquet('cohort.parquet');"
        "print(len(osteon.score(frame.head(5), model='models:/osteon-mortality-simulated/1')))",
        cwd=workshop,
        **registry,
    )
    assert checked.returncode == 0, checked.stderr
    assert int(checked.stdout.split()[-1]) == 10
    with (
        serving(image, workshop, "--demo", "--port", "0", **registry) as url,
        playwright.sync_playwright() as running,
    ):
        browser = running.chromium.launch(
            executable_path=shutil.which("chromium"), args=["--no-sandbox", "--disable-gpu"]
        )
        page = browser.new_page()
        broken: list[str] = []
        page.on("pageerror", lambda error: broken.append(str(error)))
        page.on("response", lambda got: broken.append(got.url) if got.status >= 400 else None)
        page.goto(url)
        page.get_by_text("Research use only").first.wait_for()
        assert "osteon" in page.content().lower()
        browser.close()
        assert broken == []
