"""A registered model where Osteon is not installed: mlflow, xgboost, pandas, numpy and no more.

The second environment is a virtual environment of its own whose packages are links to the installed
ones: those four and what they require, nothing else. It takes a second instead of minutes.
"""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
import time
import venv
from collections.abc import Callable, Iterator
from importlib.metadata import Distribution, PackageNotFoundError, distribution
from pathlib import Path

import httpx
import numpy as np
import pandas as pd
import pytest
from packaging.requirements import Requirement

from models.inference.risk_model import RiskModel
from models.registry import lifecycle as registry
from models.registry.gate import GateRecord

# MLflow 3.17 warns about its own code under SQLAlchemy 2.1 and pandas 3; it answers right.
pytestmark = pytest.mark.filterwarnings("ignore:::mlflow")

KEY = b"a key of sixteen characters or more"
ASKED = {"horizons_days": [28, 90], "explain": True}
TOLERANCE = (
    1e-6  # the figure to reach: the other environment returns the service's numbers within it
)

PREDICT = """
import importlib, json, sys
import mlflow, pandas as pd

for name in ("osteon", "models", "data_schema", "training", "serving"):
    try:
        importlib.import_module(name)
    except ImportError:
        continue
    sys.exit(f"{name} can be imported")
frame = pd.read_json(sys.stdin, orient="split")
frame = frame.astype({name: float for name in frame.select_dtypes("number")})
model = mlflow.pyfunc.load_model("models:/osteon-mortality-second@champion")
answer = model.predict(frame, params=json.loads(sys.argv[1]))
print(answer.to_json(orient="split", double_precision=15))
"""


@pytest.fixture(scope="module")
def champion(named: Callable[..., RiskModel], new_run: Callable[[], str]) -> RiskModel:
    """The champion as the service loads it."""
    version = registry.register(named("second"), run_id=new_run(), dataset="second")
    record = GateRecord(
        version.sha256, "cd" * 32, [], "promote", "reviewer", "2026-11-22T10:00:00Z"
    )
    registry.promote(version.name, version.version, record, key=KEY)
    return registry.load_champion(version.name, KEY).risk_model


@pytest.fixture(scope="module")
def frame(patients: pd.DataFrame) -> pd.DataFrame:
    few = patients.head(12)
    return few.assign(patient_id=[f"p{i}" for i in range(len(few))])


@pytest.fixture(scope="module")
def second_python(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The interpreter of an environment without Osteon."""
    home = tmp_path_factory.mktemp("second")
    venv.create(home, symlinks=True, with_pip=False)
    python = home / "bin" / "python"
    (packages,) = home.glob("lib/python3.*/site-packages")
    for found in _required("mlflow", "xgboost", "pandas", "numpy"):
        for name in {Path(str(file)).parts[0] for file in found.files or ()}:
            if name not in ("..", "__pycache__") and not (packages / name).exists():
                (packages / name).symlink_to(Path(str(found.locate_file(name))))
        for entry in found.entry_points.select(group="console_scripts"):
            if entry.name in ("mlflow", "uvicorn"):
                script = f"#!{python}\nfrom {entry.module} import {entry.attr}\n{entry.attr}()\n"
                (home / "bin" / entry.name).write_text(script)
                (home / "bin" / entry.name).chmod(0o755)
    return python


def test_load_model_returns_the_numbers_of_the_service(champion, frame, second_python, tmp_path):
    done = subprocess.run(
        [second_python, "-c", PREDICT, json.dumps(ASKED)],
        input=frame.to_json(orient="split", double_precision=15),
        capture_output=True,
        text=True,
        cwd=tmp_path,
        env=_environment(second_python),
        check=False,
    )
    assert done.returncode == 0, done.stderr
    _agree(pd.DataFrame(**json.loads(done.stdout)), champion, frame)


def test_mlflow_models_serve_returns_the_numbers_of_the_service(champion, frame, served):
    content = frame.astype(object).where(frame.notna(), None).to_dict(orient="split")
    reply = httpx.post(
        f"{served}/invocations", json={"dataframe_split": content, "params": ASKED}, timeout=60
    )
    assert reply.status_code == 200, reply.text
    _agree(pd.DataFrame(reply.json()["predictions"]), champion, frame)


def test_mlflow_models_serve_names_the_column_that_it_cannot_read(frame, served):
    content = frame.astype(object).where(frame.notna(), None).assign(age="97.125 years")
    reply = httpx.post(
        f"{served}/invocations",
        json={"dataframe_split": content.to_dict(orient="split")},
        timeout=60,
    )
    assert reply.status_code == 400
    assert "column age" in reply.text


@pytest.fixture(scope="module")
def served(
    champion, second_python: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[str]:
    """The address of `mlflow models serve` on the champion, run by the second environment."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    uri = "models:/osteon-mortality-second@champion"
    command = [second_python, "-m", "mlflow", "models", "serve", "-m", uri]
    command += ["--env-manager", "local", "-h", "127.0.0.1", "-p", str(port)]
    folder = tmp_path_factory.mktemp("serve")
    with (folder / "log").open("w") as log:
        server = subprocess.Popen(
            command,
            cwd=folder,
            env=_environment(second_python),
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        try:
            _wait_for(f"http://127.0.0.1:{port}/ping", server, folder / "log")
            yield f"http://127.0.0.1:{port}"
        finally:
            os.killpg(server.pid, signal.SIGTERM)  # MLflow starts uvicorn as a child
            server.wait()


def _agree(answer: pd.DataFrame, champion: RiskModel, frame: pd.DataFrame) -> None:
    """Compare every number and every text with what the service computes."""
    expected = champion.predict(frame, [28, 90], explain=True).to_frame(frame)
    assert list(answer.columns) == list(expected.columns)
    numbers = expected.select_dtypes("number").columns
    assert len(numbers) > 15
    assert expected["risk"].notna().sum() >= 12
    np.testing.assert_allclose(
        answer[numbers].astype(float), expected[numbers], rtol=0, atol=TOLERANCE
    )
    for name in ("patient_id", "outcome", "status", "refusal_code"):
        assert answer[name].tolist() == expected[name].tolist()


def _environment(python: Path) -> dict[str, str]:
    """Return the process environment, with the second environment's commands first."""
    kept = {name: text for name, text in os.environ.items() if not name.startswith("PYTHON")}
    return kept | {"PATH": f"{python.parent}{os.pathsep}{os.environ['PATH']}"}


def _wait_for(url: str, server: subprocess.Popen[bytes], log: Path) -> None:
    """Wait until the server answers; a busy machine may take half a minute to import MLflow."""
    for _ in range(600):
        assert server.poll() is None, log.read_text()
        try:
            if httpx.get(url, timeout=1).status_code == 200:
                return
        except httpx.TransportError:
            time.sleep(0.2)
    pytest.fail(log.read_text())


def _required(*names: str) -> list[Distribution]:
    """Return the installed distributions of these names and of everything they require."""
    found: dict[str, Distribution] = {}
    waiting = list(names)
    while waiting:
        name = re.sub(r"[-_.]+", "-", waiting.pop()).lower()
        if name in found:
            continue
        try:
            found[name] = distribution(name)
        except PackageNotFoundError:
            continue  # required on another platform
        wanted = map(Requirement, found[name].requires or ())
        waiting += [w.name for w in wanted if w.marker is None or w.marker.evaluate({"extra": ""})]
    return list(found.values())
