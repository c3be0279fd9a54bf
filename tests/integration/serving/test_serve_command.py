from __future__ import annotations

import errno
import json
import os
import shutil
import signal
import socket
import ssl
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from certificates import certificate
from data_schema.errors import OutsideError, UsageError
from models.registry.bundle import write_bundle
from serving.access.api_keys import create
from serving.audit.opening import open_trail
from serving.cli.serve import serve as serve_command
from serving.settings import read_settings

if TYPE_CHECKING:
    from serving.prediction.served import ServedModel

# What `osteon serve` is, without the other commands.
COMMAND = "import typer; from serving.cli.serve import serve; typer.run(serve)"


def serve(**options: Any) -> None:
    """Call the command with the options that are not given left out."""
    left_out = {"host": None, "port": 0, "model": None, "name": None, "as_json": False}
    serve_command(**(left_out | options))


@contextmanager
def serving(*options: str, cwd: Path) -> Iterator[tuple[dict[str, Any], subprocess.Popen[str]]]:
    """Run the command and give what it printed once it could be reached."""
    process = subprocess.Popen(
        [sys.executable, "-c", COMMAND, "--port", "0", "--json", *options],
        cwd=cwd,
        env=os.environ | {"OSTEON_DRAIN_SECONDS": "0"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    try:
        printed = process.stdout.readline()
        assert printed, process.communicate()[1]
        yield json.loads(printed), process
    finally:
        process.kill()
        process.communicate()


def client_of(printed: dict[str, Any]) -> httpx.Client:
    """Return a client of a service that can be reached."""
    return httpx.Client(base_url=printed["url"], timeout=60)


@pytest.fixture(scope="module")
def bundle(mortality: ServedModel, tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("bundle")
    write_bundle(mortality.loaded.risk_model, directory)
    return directory


def test_a_model_without_a_record_is_served_with_a_banner_and_without_an_alias(
    bundle: Path, tmp_path: Path
) -> None:
    with (
        serving("--model", str(bundle), cwd=tmp_path) as (printed, process),
        client_of(printed) as client,
    ):
        example = client.get("/openapi.json").json()["paths"]["/v1/predict"]["post"]
        request = example["requestBody"]["content"]["application/json"]["example"]
        answer = client.post("/v1/predict?patient=Sentinel4711", json=request)
        assert answer.status_code == 200
        assert answer.json()["predictions"][0]["model"]["alias"] is None
        assert client.get("/v1/models").json()["models"][0]["alias"] is None
        assert "server" not in answer.headers
        process.send_signal(signal.SIGTERM)
        _, log = process.communicate(timeout=30)
    assert printed["url"].startswith("http://127.0.0.1:")
    assert "NOT PROMOTED: osteon-mortality-simulated" in log
    assert "POST /v1/predict 200" in log
    assert "Sentinel4711" not in log
    assert "Traceback" not in log


def test_without_any_model_it_serves_and_predictions_answer_503(tmp_path: Path) -> None:
    with serving(cwd=tmp_path) as (printed, process), client_of(printed) as client:
        assert printed["models"] == []
        assert client.get("/health/live").status_code == 200
        assert client.get("/health/ready").status_code == 503
        process.send_signal(signal.SIGTERM)
        log = process.communicate(timeout=30)[1]
    assert (
        "NO MODEL: there is no promoted model; predictions are answered with 503. Check MLFLOW_"
        in log
    )


def test_every_address_is_served_to_who_has_a_key_over_tls(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pem, key = certificate(tmp_path)
    for name, value in {
        "AUTHENTICATION": "required",
        "AUDIT_KEY": "a key of the tests, long enough",
        "STATE_DIR": str(tmp_path / "state"),
        "TLS_CERTIFICATE": str(pem),
        "TLS_KEY": str(key),
    }.items():
        monkeypatch.setenv(f"OSTEON_{name}", value)
    with closing(open_trail(read_settings())) as trail:
        _, text = create(trail, "a test", ["predict"], days=1, actor="command:a")
    context = ssl.create_default_context(cafile=str(pem))
    with serving("--host", "0.0.0.0", cwd=tmp_path) as (printed, _):
        assert printed["url"].startswith("https://0.0.0.0:")
        url = printed["url"].replace("0.0.0.0", "127.0.0.1")
        with httpx.Client(base_url=url, verify=context, timeout=60) as client:
            assert client.get("/v1/models").status_code == 401
            header = {"Authorization": f"Bearer {text}"}
            answer = client.get("/v1/models", headers=header)
            assert answer.json() == {"models": []}
            assert answer.headers["strict-transport-security"]


def without_certificate(pem: Path, key: Path) -> None:
    pem.unlink()


def with_nonsense_for_a_key(pem: Path, key: Path) -> None:
    key.write_text("nonsense")


def with_the_key_of_another(pem: Path, key: Path) -> None:
    kept = pem.read_bytes()
    certificate(pem.parent)
    pem.write_bytes(kept)


def with_a_passphrase(pem: Path, key: Path) -> None:
    private = serialization.load_pem_private_key(key.read_bytes(), password=None)
    key.write_bytes(
        private.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.BestAvailableEncryption(b"a secret of the tests"),
        )
    )


def with_an_empty_passphrase(pem: Path, key: Path) -> None:
    stated = ["openssl", "pkcs8", "-topk8", "-in", str(key), "-passout", "pass:"]
    encrypted = subprocess.run(stated, capture_output=True, check=True).stdout
    assert b"ENCRYPTED" in encrypted
    key.write_bytes(encrypted)


def with_a_weak_key(pem: Path, key: Path) -> None:
    certificate(pem.parent, rsa.generate_private_key(65537, 1024))


@pytest.mark.parametrize(
    "spoil",
    [
        without_certificate,
        with_nonsense_for_a_key,
        with_the_key_of_another,
        with_a_passphrase,
        pytest.param(
            with_an_empty_passphrase,
            marks=pytest.mark.skipif(not shutil.which("openssl"), reason="openssl is missing"),
        ),
        with_a_weak_key,
    ],
)
def test_a_certificate_and_key_that_no_worker_could_serve_with_are_refused_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, spoil: Callable[[Path, Path], None]
) -> None:
    pem, key = certificate(tmp_path)
    spoil(pem, key)
    monkeypatch.setenv("OSTEON_STATE_DIR", str(tmp_path / "state"))
    monkeypatch.setenv("OSTEON_TLS_CERTIFICATE", str(pem))
    monkeypatch.setenv("OSTEON_TLS_KEY", str(key))
    with pytest.raises(UsageError, match=r"OSTEON_TLS_KEY must be .* without a passphrase") as said:
        serve()
    assert str(tmp_path) not in str(said.value)


@pytest.mark.parametrize("host", ["0.0.0.0", "::"])
def test_an_address_beyond_this_machine_is_refused_and_says_why(host: str) -> None:
    with pytest.raises(
        UsageError, match=r"loopback.*OSTEON_AUTHENTICATION.*OSTEON_TLS_CERT.*OSTEON_AUDIT_KEY"
    ):
        serve(host=host)


@pytest.mark.parametrize("host", ["not an address", "a..b", "x" * 70])
def test_an_address_that_is_none_is_refused(host: str) -> None:
    with pytest.raises(UsageError, match="must be an address of this machine"):
        serve(host=host)


def test_an_address_of_a_kind_that_this_machine_lacks_is_refused(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def without_ipv6(*_: Any) -> None:
        raise OSError(errno.EAFNOSUPPORT, os.strerror(errno.EAFNOSUPPORT))

    monkeypatch.setattr("serving.processes.listening.socket.socket", without_ipv6)
    with pytest.raises(UsageError, match="host must be an address of this machine; got"):
        serve(host="::1")


def test_an_address_of_another_machine_is_wrong_usage_and_not_a_taken_port() -> None:
    with pytest.raises(UsageError, match="host must be an address of this machine; got"):
        serve(host="192.0.2.1")


def test_of_two_services_that_start_at_once_on_one_port_one_is_told_why_it_ends(
    tmp_path: Path,
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as found:
        port = str(found.getsockname()[1])
    folders = [tmp_path / "one", tmp_path / "other"]  # a registry for each
    for folder in folders:
        folder.mkdir()
    both = [
        subprocess.Popen(
            [sys.executable, "-m", "osteon", "serve", "--port", port, "--json"],
            cwd=folder,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for folder in folders
    ]
    try:
        while all(process.poll() is None for process in both):
            time.sleep(0.1)
        (ended,) = [process for process in both if process.poll() is not None]
        (served,) = [process for process in both if process is not ended]
        said, log = ended.communicate()
        assert ended.returncode == 3
        assert json.loads(said)["error"]["message"].startswith(f"port must be free; {port} ")
        assert "Traceback" not in log
        assert served.stdout is not None
        assert json.loads(served.stdout.readline())["url"].endswith(port)
    finally:
        for process in both:
            process.kill()
            process.communicate()


def test_a_port_that_is_taken_is_a_failure_outside(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(OutsideError, match="port must be free"):
            serve(port=port)


def test_a_model_that_does_not_exist_is_wrong_usage(tmp_path: Path) -> None:
    asked = [sys.executable, "-m", "osteon", "serve", "--port", "0", "--json"]
    done = subprocess.run(
        [*asked, "--model", str(tmp_path / "nothing")], cwd=tmp_path, capture_output=True, text=True
    )
    assert done.returncode == 2
    assert "bundle" in done.stdout + done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    "options",
    [
        {"model": "models:/osteon-mortality/1", "name": ["osteon-mortality"]},
        {"model": "models:/osteon-mortality/1", "demo": True},
        {"name": ["osteon-mortality"], "demo": True},
    ],
)
def test_two_ways_to_choose_models_at_once_are_wrong_usage(options: dict[str, Any]) -> None:
    with pytest.raises(UsageError, match="must not be set together"):
        serve(**options)


def test_the_server_imports_nothing_that_only_training_needs(bundle: Path, tmp_path: Path) -> None:
    program = f"""
import sys
from models.registry.lifecycle import load
from serving.app import create_app
from serving.prediction.predictor import predict
from serving.openapi import example_request
from serving.prediction.json_translation import question_of
from serving.prediction.schemas import PredictRequest
from serving.prediction.served import Served, ServedModel
from serving.settings import Settings
model = ServedModel(load({str(bundle)!r}), promoted=False)
create_app(Settings(), models=[model])
served = Served([model])
predict(question_of(PredictRequest.model_validate(example_request(served))), served)
heavy = {{"shap", "matplotlib", "optuna", "mlflow", "training"}}
print(sorted(heavy.intersection(sys.modules)))
"""
    done = subprocess.run(
        [sys.executable, "-c", program],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.strip() == "[]"
