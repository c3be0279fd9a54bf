"""The files of a deployment agree with the service: settings, metrics, routes, containment."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from containerfile import stages_of
from models.monitoring.prometheus_rules import prometheus_rules
from places import ROOT
from serving.http.metrics import Metrics
from serving.prediction.served import Served
from serving.settings_page import documented_settings
from training.distributed.cluster import FOLDER_VARIABLE

DEPLOY = ROOT / "deploy"
VARIABLE = re.compile(r"\bOSTEON_[A-Z_]+\b")
METRIC = re.compile(r"\b(osteon_[a-z_]+|process_[a-z_]+)\b")
# Of Compose, PostgreSQL's first start, the images and Dask workers, not of the service.
NOT_SETTINGS = {"OSTEON_IMAGE", "OSTEON_DATABASE_PASSWORD", "OSTEON_DASK_IMAGE", FOLDER_VARIABLE}
SUFFIXES = ("_bucket", "_count", "_sum", "_total")


def files() -> list[Path]:
    return [
        path
        for path in sorted(DEPLOY.rglob("*"))
        if path.is_file() and "locks" not in path.parts and "secrets" not in path.parts
    ]


def documents(name: str) -> list[dict[str, Any]]:
    text = (DEPLOY / "kubernetes" / "base" / name).read_text()
    return list(yaml.safe_load_all(text))


def compose() -> dict[str, Any]:
    stated: dict[str, Any] = yaml.safe_load((DEPLOY / "compose.yaml").read_text())
    return stated


def metrics_of_the_service() -> set[str]:
    """Return the names of every family of metrics, without the suffixes of their samples."""
    text = Metrics().text(Served(models=()), []).decode()
    names = set(re.findall(r"^# TYPE (\S+)", text, flags=re.MULTILINE))
    return {name.removesuffix("_total").removesuffix("_created") for name in names}


def expressions() -> list[str]:
    """Return the expressions of the service's own rules and of the dashboards."""
    rules = yaml.safe_load((DEPLOY / "prometheus/rules/service.yml").read_text())
    alerts = [rule["expr"] for group in rules["groups"] for rule in group["rules"]]
    boards = [json.loads(path.read_text()) for path in (DEPLOY / "grafana/dashboards").glob("*")]
    shown = [
        target["expr"]
        for board in boards
        for panel in board["panels"]
        for target in panel.get("targets", ())
    ]
    return [*alerts, *shown]


def test_every_setting_that_a_deployment_names_exists() -> None:
    known = {setting.variable for setting in documented_settings()} | NOT_SETTINGS
    named = {name for path in files() for name in VARIABLE.findall(path.read_text())}
    assert len(named) > 10
    assert {name for name in named if not name.endswith("_")} - known == set()


def test_every_metric_of_rules_and_dashboards_is_one_of_the_service() -> None:
    known = metrics_of_the_service()
    named = {name for expression in expressions() for name in METRIC.findall(expression)}
    families = set()
    for name in named:
        suffix = next((end for end in SUFFIXES if name.endswith(end)), "")
        families.add(name if name in known else name.removesuffix(suffix))
    assert len(families) > 5
    assert families - known == set()


def test_the_rules_of_predictions_are_those_that_the_command_prints() -> None:
    assert (DEPLOY / "prometheus/rules/predictions.yml").read_text() == prometheus_rules()


def test_the_last_stages_have_no_build_tool_and_no_root() -> None:
    stages = stages_of((DEPLOY / "Containerfile").read_text())
    assert [*stages] == ["build", "build-mlflow", "mlflow", "service"]
    for name in ("mlflow", "service"):
        instructions = stages[name].instructions
        user = next(one.text for one in instructions if one.name == "USER")
        assert int(user.split(":")[0]) > 0
        assert any(one.name == "HEALTHCHECK" for one in instructions)
        assert not any("pip install" in one.text for one in instructions)
        assert any(one.name == "RUN" and "ensurepip" in one.text for one in instructions)


def test_no_base_image_has_a_tag_without_a_digest() -> None:
    text = (DEPLOY / "Containerfile").read_text()
    assert "ARG PYTHON_IMAGE\n" in text  # without a default
    assert {stage.base for stage in stages_of(text).values()} == {"${PYTHON_IMAGE}", "build"}
    images = [service["image"] for service in compose()["services"].values()]
    assert all(re.fullmatch(r"\$\{[A-Z_]+_IMAGE:\?.+\}", image) for image in images)
    example = (DEPLOY / "compose" / "images.env.example").read_text()
    others = re.findall(r"^(?!OSTEON|MLFLOW|#)\w+=(.+)$", example, flags=re.MULTILINE)
    assert len(others) == 5
    assert all(image.endswith("@sha256:") for image in others)


def test_a_lock_pins_every_package_by_hash() -> None:
    for path in (DEPLOY / "locks").glob("*.txt"):
        entries = re.split(r"\n(?=\S)", path.read_text().strip())
        assert all("==" in entry and "--hash=sha256:" in entry for entry in entries)
        assert "://" not in path.read_text()


def test_what_the_image_installs_is_what_the_tests_ran_with() -> None:
    pinned = re.compile(r"^([a-z0-9._-]+)==(\S+)", flags=re.MULTILINE)
    tested = {*pinned.findall((ROOT / "requirements.lock").read_text())}
    installed = {*pinned.findall((DEPLOY / "locks" / "service.txt").read_text())}
    assert len(installed) > 80
    assert installed - tested == set()
    # The copyleft peers of the benchmarks are no part of the product.
    assert not {"scikit-survival", "survset"} & {name for name, _ in installed}


@pytest.mark.parametrize("service", ["osteon-1", "osteon-2", "mlflow"])
def test_a_container_of_ours_is_contained(service: str) -> None:
    stated = compose()["services"][service]
    assert stated["read_only"] is True
    assert stated["cap_drop"] == ["ALL"]
    assert "no-new-privileges:true" in stated["security_opt"]


def test_a_pod_is_contained_drains_and_is_asked_whether_it_is_ready() -> None:
    (deployment,) = documents("deployment.yaml")
    pod = deployment["spec"]["template"]["spec"]
    (container,) = pod["containers"]
    assert pod["securityContext"]["runAsNonRoot"] is True
    assert container["securityContext"]["readOnlyRootFilesystem"] is True
    assert container["securityContext"]["capabilities"] == {"drop": ["ALL"]}
    assert container["readinessProbe"]["httpGet"]["path"] == "/health/ready"
    assert container["livenessProbe"]["httpGet"]["path"] == "/health/live"
    (settings,) = documents("settings.yaml")
    stated = settings["data"]
    needed = int(stated["OSTEON_DRAIN_SECONDS"]) + int(stated["OSTEON_SHUTDOWN_SECONDS"])
    assert pod["terminationGracePeriodSeconds"] > needed
    assert "secretRef" in json.dumps(container["envFrom"])


def test_pods_scale_stay_available_and_reach_only_what_they_need() -> None:
    (deployment,) = documents("deployment.yaml")
    labels = deployment["spec"]["template"]["metadata"]["labels"]
    (scaler,) = documents("autoscaling.yaml")
    assert scaler["spec"]["scaleTargetRef"]["name"] == deployment["metadata"]["name"]
    assert 2 <= scaler["spec"]["minReplicas"] < scaler["spec"]["maxReplicas"]
    (budget,) = documents("disruption.yaml")
    assert budget["spec"]["minAvailable"] < scaler["spec"]["minReplicas"]
    assert budget["spec"]["selector"]["matchLabels"].items() <= labels.items()
    (service,) = documents("service.yaml")
    assert service["spec"]["selector"].items() <= labels.items()
    (policy,) = documents("network-policy.yaml")
    assert policy["spec"]["podSelector"] == {}
    assert policy["spec"]["policyTypes"] == ["Ingress", "Egress"]
    (way_in,) = policy["spec"]["ingress"]
    (container,) = deployment["spec"]["template"]["spec"]["containers"]
    assert {port["port"] for port in way_in["ports"]} == {container["ports"][0]["containerPort"]}
    assert all("from" in rule for rule in policy["spec"]["ingress"])
    assert all("to" in rule and "ports" in rule for rule in policy["spec"]["egress"])
    (namespace,) = documents("namespace.yaml")
    assert namespace["metadata"]["labels"]["pod-security.kubernetes.io/enforce"] == "restricted"


def test_the_backup_of_the_cluster_is_contained_and_keeps_its_files() -> None:
    claim, job = documents("backup.yaml")
    pod = job["spec"]["jobTemplate"]["spec"]["template"]["spec"]
    (container,) = pod["containers"]
    assert pod["securityContext"]["runAsNonRoot"] is True
    assert container["securityContext"]["readOnlyRootFilesystem"] is True
    claims = {
        volume["persistentVolumeClaim"]["claimName"]
        for volume in pod["volumes"]
        if "persistentVolumeClaim" in volume
    }
    assert claims == {claim["metadata"]["name"]}
    assert container["args"][0] == "backup"


def test_compose_waits_until_a_replica_has_drained() -> None:
    replica = compose()["services"]["osteon-1"]
    drained = int(replica["environment"]["OSTEON_DRAIN_SECONDS"])
    assert int(replica["stop_grace_period"].removesuffix("s")) > drained + 20


def test_nginx_of_compose_trusts_no_one_and_is_the_only_trusted_proxy() -> None:
    services = compose()["services"]
    address = services["nginx"]["networks"]["inside"]["ipv4_address"]
    assert services["osteon-1"]["environment"]["OSTEON_TRUSTED_PROXIES"] == address
    text = (DEPLOY / "compose" / "nginx.conf").read_text()
    assert "proxy_set_header X-Forwarded-For $remote_addr;" in text
    assert "proxy_set_header X-Forwarded-Proto $scheme;" in text


def test_no_secret_is_written_down() -> None:
    text = "".join(path.read_text() for path in files())
    assert re.findall(r"(?i)(?:password|secret|key)\s*[=:]\s*[0-9a-f]{16,}", text) == []


def test_dask_workers_share_the_folder_of_cohorts_and_have_no_way_out() -> None:
    stated = yaml.safe_load((DEPLOY / "dask/compose.yaml").read_text())
    services = stated["services"]
    assert set(services) == {"scheduler", "worker", "osteon"}
    assert services["worker"]["deploy"]["replicas"] == 2
    assert stated["networks"] == {"inside": {"internal": True}}
    for service in services.values():
        assert service["networks"] == ["inside"]
        assert "ports" not in service
        (volume,) = service["volumes"]
        assert volume.endswith(f":{service['environment'][FOLDER_VARIABLE]}")
        program, *command = service["entrypoint"]
        path = Path(sys.executable).parent / program
        subprocess.run([path, *command, "--help"], check=True, capture_output=True)
