"""The stack of `deploy/` as a site uses it: every step is one that a person or a machine takes.

`tests/integration/deploy/test_stack.py` starts its parts as processes, and
`tests/benchmark/compose_stack.py` as the containers of `deploy/compose.yaml`; both call `tour`.
"""

from __future__ import annotations

import json
import os
import re
import ssl
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import yaml

from places import ROOT

DEPLOY = ROOT / "deploy"
MODEL = "osteon-mortality-simulated"
REPLICAS = ("osteon-1", "osteon-2")
_TRAINER, _PASSWORD = "trainer", "a password of twelve or more"
_METRIC = re.compile(r"\b(?:osteon|process)_[a-z_]+\b")
_SUFFIX = re.compile(r"_(bucket|count|sum|total)$")
_SAMPLED = {
    *("osteon_model_info", "osteon_model_seconds", "osteon_predictions", "osteon_registry_seconds"),
    *("osteon_request_seconds", "osteon_requests", "osteon_trail_seconds"),
    "process_resident_memory_bytes",
}
_RUN = """
horizons_days = [90]
population = "Made-up adults"
simulated = true
interval_folds = 3
max_trees = 10
bootstrap_resamples = 50
threads = 1
repeats = 1
"""
_COHORT = """
import sys
import numpy as np, pandas as pd
rng, n = np.random.default_rng(7), 500
age, lactate = rng.normal(62, 14, n).clip(18.5, 95), np.exp(rng.normal(0.6, 0.6, n)).clip(0.3, 20)
died = rng.exponential(300 * np.exp(-0.05 * (age - 62) - 0.8 * np.log(lactate / 1.8)))
censored = rng.uniform(400, 900, n)
pd.DataFrame({
    "patient_id": [f"patient-{i}" for i in range(n)],
    "age": age.round(1), "lactate": lactate.round(2),
    "mortality_days": np.minimum(died, censored).clip(0.5).round(2),
    "mortality_event": (died <= censored).astype(int),
}).to_csv(sys.argv[1], index=False)
"""


@dataclass(frozen=True)
class DeployedStack:
    """A stack that runs.

    Parameters
    ----------
    public, mlflow, prometheus : str
        Addresses, as this machine reaches them.
    certificate : Path
        What to trust at the first two.
    secrets : Path
        The folder that `make_secrets.sh` filled.
    osteon : callable
        Runs `osteon` with arguments in a replica.
    stop, start : callable
        Stops and starts a replica.
    seconds_to_alert : float
        Time within which Prometheus must notice that a replica is down.
    """

    public: str
    mlflow: str
    prometheus: str
    certificate: Path
    secrets: Path
    osteon: Callable[[str, Sequence[str]], subprocess.CompletedProcess[str]]
    stop: Callable[[str], object]
    start: Callable[[str], object]
    seconds_to_alert: float

    def secret(self, file: str, name: str) -> str:
        """Return a value of one of the files of secrets."""
        return environment_file(self.secrets / file)[name]

    def json_of(self, replica: str, *arguments: str) -> Any:
        """Return what a command prints in a replica."""
        done = self.osteon(replica, [*arguments, "--json"])
        assert done.returncode == 0, f"osteon {arguments[0]}: {done.stdout}{done.stderr}"
        return json.loads(done.stdout)

    def query(self, expression: str) -> list[dict[str, Any]]:
        """Return the series that Prometheus has for an expression."""
        answer = self._prometheus("query", query=expression)
        assert answer["status"] == "success", (expression, answer)
        series: list[dict[str, Any]] = answer["data"]["result"]
        return series

    def _prometheus(self, what: str, **parameters: str) -> dict[str, Any]:
        answer = httpx.get(f"{self.prometheus}/api/v1/{what}", params=parameters, timeout=60)
        document: dict[str, Any] = answer.json()
        return document

    def known_metrics(self) -> set[str]:
        """Return the families of metrics that Prometheus has scraped."""
        return {_SUFFIX.sub("", name) for name in self._prometheus("metadata")["data"]}

    def alerts(self) -> dict[str, str]:
        """Return the alerts that are pending or firing: name -> state."""
        alerts = self._prometheus("alerts")["data"]["alerts"]
        return {alert["labels"]["alertname"]: alert["state"] for alert in alerts}

    def rules(self) -> set[str]:
        """Return the names of the alert rules that Prometheus evaluates."""
        groups = self._prometheus("rules")["data"]["groups"]
        assert all(rule["health"] != "err" for group in groups for rule in group["rules"])
        return {rule["name"] for group in groups for rule in group["rules"]}


def environment_file(path: Path) -> dict[str, str]:
    """Return the variables of a file of `NAME=value` lines."""
    lines = (line.partition("=") for line in path.read_text().splitlines() if line.strip())
    return {name: value for name, _, value in lines}


def rule_names() -> set[str]:
    """Return the names of the alerts of `deploy/prometheus/rules`."""
    return {rule["alert"] for rule in _rules()}


def expressions() -> list[str]:
    """Return every PromQL expression of the alerts and the dashboards of `deploy/`."""
    boards = [json.loads(path.read_text()) for path in (DEPLOY / "grafana/dashboards").glob("*")]
    shown = [
        target["expr"]
        for board in boards
        for panel in board["panels"]
        for target in panel.get("targets", ())
    ]
    return [*(rule["expr"] for rule in _rules()), *shown]


def families(expression: str) -> set[str]:
    """Return the families of metrics that an expression names."""
    return {_SUFFIX.sub("", name) for name in _METRIC.findall(expression)}


def _rules() -> Iterator[dict[str, Any]]:
    for path in sorted((DEPLOY / "prometheus" / "rules").glob("*.yml")):
        for group in yaml.safe_load(path.read_text())["groups"]:
            yield from group["rules"]


def until(holds: Callable[[], object], what: str, *, seconds: float = 400) -> None:
    """Wait until a condition holds; fail with its description after some seconds."""
    deadline, last = time.monotonic() + seconds, ""
    while time.monotonic() < deadline:
        try:
            if holds():
                return
        except (httpx.HTTPError, KeyError) as error:
            last = f": {type(error).__name__}"
        time.sleep(0.5)
    raise AssertionError(f"{what} must hold within {seconds:g} s{last}")


def tour(stack: DeployedStack, folder: Path, *, requests: int = 20) -> dict[str, Any]:
    """Take a stack from empty to a prediction, an alert and a verified trail.

    Parameters
    ----------
    folder : Path
        Empty; a data scientist's own.
    requests : int
        Predictions asked for while both replicas run, and again while one is down.
    """
    train(stack, folder)
    return used(stack, requests=requests)


def train(stack: DeployedStack, folder: Path) -> None:
    """Take an empty stack to a champion, trained through MLflow's sign-in."""
    trusted = ssl.create_default_context(cafile=stack.certificate)
    with httpx.Client(base_url=stack.public, verify=trusted, timeout=60) as client:
        until(lambda: client.get("/health/live").status_code == 200, "the service is alive")
        assert client.get("/health/ready").status_code == 503  # it has no model
        assert client.get("/metrics").status_code == 404  # not for callers
        empty = {check["check"]: check for check in _checks(stack)}
        assert "0 models" in empty["registry"]["detail"]
        assert empty["database role"]["ok"]
        _train_and_promote(stack, folder)


def used(stack: DeployedStack, *, requests: int = 20) -> dict[str, Any]:
    """Take a stack with a champion to predictions, an alert and a verified trail."""
    trusted = ssl.create_default_context(cafile=stack.certificate)
    with httpx.Client(base_url=stack.public, verify=trusted, timeout=60) as client:
        ward = stack.json_of("osteon-1", "keys", "create", "a ward", "--role", "predict")["key"]
        of_metrics = stack.json_of("osteon-1", "keys", "create", "prometheus", "--role", "metrics")
        (stack.secrets / "metrics.key").write_text(of_metrics["key"])
        # nginx takes turns between the replicas.
        until(
            lambda: all(client.get("/health/ready").status_code == 200 for _ in range(6)),
            "every replica serves a champion",
        )
        well = {check["check"]: check for check in _checks(stack)}
        assert well[f"champion of {MODEL}"]["ok"]
        client.headers["Authorization"] = f"Bearer {ward}"
        operation = client.get("/openapi.json").json()["paths"]["/v1/predict"]["post"]
        example = operation["requestBody"]["content"]["application/json"]["example"]
        anonymous = httpx.post(f"{stack.public}/v1/predict", json=example, verify=trusted)
        assert anonymous.status_code == 401
        ids = [_predicted(client, example) for _ in range(requests)]

        _watched(stack, requests)
        stack.stop("osteon-2")
        ids += [_predicted(client, example) for _ in range(requests)]
        until(
            lambda: stack.alerts().get("OsteonReplicaDown") == "firing",
            "the alert of a replica that is down",
            seconds=stack.seconds_to_alert,
        )
        stack.start("osteon-2")
        until(
            lambda: "OsteonReplicaDown" not in stack.alerts(),
            "the end of the alert",
            seconds=stack.seconds_to_alert,
        )
    verified = stack.json_of("osteon-1", "audit", "verify")
    assert verified["ok"]
    assert len({*ids}) == 2 * requests
    return {
        "predictions": len(ids),
        "records": verified["records"],
        "rules": len(stack.rules()),
        "expressions": len(expressions()),
    }


def _checks(stack: DeployedStack) -> list[dict[str, Any]]:
    """Return the checks of `osteon doctor` in a replica, whatever its exit code."""
    done = stack.osteon("osteon-1", ["doctor", "--json"])
    assert done.stdout, done.stderr
    found: list[dict[str, Any]] = json.loads(done.stdout)["checks"]
    return found


def _predicted(client: httpx.Client, example: dict[str, Any]) -> str:
    """Return the id of one prediction, which must be answered with risks."""
    answer = client.post("/v1/predict", json=example)
    assert answer.status_code == 200, answer.text
    body = answer.json()
    assert body["predictions"], body
    return str(body["prediction_id"])


def _train_and_promote(stack: DeployedStack, folder: Path) -> None:
    """Train as an account that may not promote, and promote as the gate."""
    _create_trainer(stack)
    environment = os.environ | {
        "MLFLOW_TRACKING_URI": stack.mlflow,
        "MLFLOW_TRACKING_USERNAME": _TRAINER,
        "MLFLOW_TRACKING_PASSWORD": _PASSWORD,
        "MLFLOW_TRACKING_SERVER_CERT_PATH": str(stack.certificate),
        "OSTEON_STATE_DIR": str(folder / "state"),
        "OMP_NUM_THREADS": "1",
    }
    (folder / "run.toml").write_text(_RUN)
    subprocess.run([sys.executable, "-c", _COHORT, str(folder / "cohort.csv")], check=True)

    def osteon(*arguments: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "osteon", *arguments, "--json"]
        return subprocess.run(
            command, cwd=folder, env=environment, capture_output=True, text=True, check=False
        )

    denied = osteon("train", "cohort.csv", "--outcome", "mortality", "--config", "run.toml")
    assert denied.returncode == 3, denied.stdout + denied.stderr
    assert "permission EDIT for the experiment osteon" in denied.stdout
    _let_edit(stack)
    trained = osteon("train", "cohort.csv", "--outcome", "mortality", "--config", "run.toml")
    assert trained.returncode == 0, trained.stdout + trained.stderr
    assert json.loads(trained.stdout)["model_uri"] == f"models:/{MODEL}/1"
    environment["OSTEON_GATE_KEY"] = stack.secret("service.env", "OSTEON_GATE_KEY")
    refused = osteon("promote", MODEL, "1")
    assert refused.returncode == 3, refused.stdout + refused.stderr
    promoted = stack.json_of("osteon-1", "promote", MODEL, "1")
    assert promoted["decision"] == "promote", promoted


def _mlflow(stack: DeployedStack, method: str, path: str, **content: str) -> dict[str, Any]:
    """Call MLflow as its administrator, who is the gate."""
    answer = httpx.request(
        method,
        f"{stack.mlflow}/api/{path}",
        **{"params" if method == "GET" else "json": content},  # type: ignore[arg-type]
        auth=(
            stack.secret("mlflow.env", "MLFLOW_AUTH_ADMIN_USERNAME"),
            stack.secret("mlflow.env", "MLFLOW_AUTH_ADMIN_PASSWORD"),
        ),
        verify=ssl.create_default_context(cafile=stack.certificate),
        timeout=60,
    )
    assert answer.status_code == 200, answer.text
    document: dict[str, Any] = answer.json()
    return document


def _create_trainer(stack: DeployedStack) -> None:
    _mlflow(stack, "POST", "2.0/mlflow/users/create", username=_TRAINER, password=_PASSWORD)


def _let_edit(stack: DeployedStack) -> None:
    """Let the trainer log runs to the experiment, which `osteon doctor` made."""
    found = _mlflow(stack, "GET", "2.0/mlflow/experiments/get-by-name", experiment_name="osteon")
    _mlflow(
        stack,
        "POST",
        "3.0/mlflow/users/permissions/grant",
        username=_TRAINER,
        resource_type="experiment",
        resource_id=found["experiment"]["experiment_id"],
        permission="EDIT",
    )


def _watched(stack: DeployedStack, requests: int) -> None:
    """Prometheus scrapes both replicas, counts what was asked, and knows every named metric."""
    until(lambda: len(stack.query("up == 1")) == len(REPLICAS), "both replicas are scraped")
    counted = "sum(osteon_predictions_total)"
    until(
        lambda: [float(one["value"][1]) for one in stack.query(counted)] == [float(requests)],
        f"{requests} predictions are counted",
    )
    assert stack.rules() == rule_names()
    for expression in expressions():
        stack.query(expression.replace("$__rate_interval", "1m"))
    # Others have no series before a card, a failure or an outcome: their names are compared with
    # the service's own in tests/unit/deploy.
    assert {name for expression in expressions() for name in families(expression)} >= _SAMPLED
    assert stack.known_metrics() >= _SAMPLED
