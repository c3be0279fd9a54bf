"""The OpenAPI document: valid, and a Python client that a generator makes of it calls every route.

`tests/benchmark/openapi_lint.py` has redocly and spectral check it, which npm installs.
"""

from __future__ import annotations

import importlib
import json
import os
import subprocess
import sys
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from fhir_bundles import TIME_ZERO, bundle, resources
from predict_requests import VALID

if TYPE_CHECKING:
    import httpx

PACKAGE = "generated_osteon_client"


@pytest.fixture(scope="module")
def document(client: httpx.Client) -> dict[str, Any]:
    found: dict[str, Any] = client.get("/openapi.json").json()
    return found


@pytest.fixture(scope="module")
def generated(
    document: dict[str, Any], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Callable[[str], Any]]:
    """Return a function that imports a module of the generated client."""
    pytest.importorskip("openapi_python_client")
    folder = tmp_path_factory.mktemp("client")
    (folder / "openapi.json").write_text(json.dumps(document))
    programs = Path(sys.executable).parent
    done = subprocess.run(
        [
            *(sys.executable, "-m", "openapi_python_client", "generate", "--path", "openapi.json"),
            *("--output-path", PACKAGE, "--meta", "none", "--fail-on-warning"),
        ],
        cwd=folder,
        env=os.environ | {"PATH": f"{programs}{os.pathsep}{os.environ['PATH']}"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(folder)
        yield lambda name: importlib.import_module(f"{PACKAGE}.{name}".rstrip("."))


@pytest.fixture
def connection(client: httpx.Client, generated: Callable[[str], Any]) -> Iterator[Any]:
    """The generated client, connected."""
    with generated("client").Client(base_url=str(client.base_url), timeout=60) as opened:
        yield opened


def test_the_document_is_valid_and_no_two_schemas_have_one_name(document: dict[str, Any]) -> None:
    pytest.importorskip("openapi_spec_validator").validate(document)
    names = [name.casefold() for name in document["components"]["schemas"]]
    assert len(names) == len(set(names))
    assert not [name for name in names if "__" in name]  # how FastAPI tells two of one name apart
    ids = [one["operationId"] for path in document["paths"].values() for one in path.values()]
    assert len(ids) == len(set(ids))


def test_a_generated_client_calls_every_route(
    document: dict[str, Any],
    generated: Callable[[str], Any],
    connection: Any,
    build: Any,
    user: str,
) -> None:
    models = generated("models")
    called = set()

    def call(module: str, *path: str, body: Any = None, **query: Any) -> Any:
        """Call an operation, and return its answer as the client reads it."""
        operation = module.rpartition(".")[2]
        called.add(operation)
        sent = query if body is None else query | {"body": body}
        answer = generated(f"api.{module}").sync_detailed(*path, client=connection, **sent)
        assert answer.status_code in (200, 201), (operation, answer.content)
        return answer.parsed

    predicted = call("prediction.prediction_predict", body=models.PredictRequest.from_dict(VALID))
    assert predicted.predictions[0].risks[0].risk > 0
    batch = models.BatchRequest.from_dict({"requests": [VALID]})
    assert len(call("prediction.prediction_predict_batch", body=batch).answers) == 1
    happened = {"prediction_id": predicted.prediction_id, "outcome": "mortality"}
    outcome = models.SentOutcome.from_dict(happened | {"event": 1, "days": 12})
    assert call("monitoring.monitoring_outcomes", body=outcome).outcome == "mortality"
    assert len(call("variables.variables_variables").variables) > 100
    assert len(call("models.models_models").models) == 2
    observed = models.FhirPredictBody.from_dict(bundle(*resources()))
    assessed = call(
        "fhir.fhir_predict", body=observed, outcome=["mortality"], time_zero=[TIME_ZERO]
    )
    assert assessed["resourceType"] == "RiskAssessment"
    assert call("fhir.fhir_metadata")["resourceType"] == "CapabilityStatement"
    assert call("fhir.fhir_operation_definition")["resourceType"] == "OperationDefinition"
    assert call("fhir.fhir_code_system")["resourceType"] == "CodeSystem"
    services = call("cds_hooks.cds_hooks_services").services
    service = services[0]["id"]
    hook = models.HookRequest.from_dict(build.call(user=user))
    (card,) = call("cds_hooks.cds_hooks_call", service, body=hook).cards
    feedback = {"card": card["uuid"], "outcome": "overridden"}
    said = {"feedback": [feedback | {"outcomeTimestamp": "2026-11-01T09:00:00Z"}]}
    call("cds_hooks.cds_hooks_feedback", service, body=models.SentFeedback.from_dict(said))
    assert call("operations.operations_live").status == "live"
    assert call("operations.operations_ready").status == "ready"
    call("operations.operations_metrics")
    every = {one["operationId"] for path in document["paths"].values() for one in path.values()}
    assert called == every


def test_a_client_reads_a_problem_and_sends_outcomes_of_later_models(
    generated: Callable[[str], Any], connection: Any
) -> None:
    models = generated("models")
    later = VALID | {"outcomes": ["mortality-of-a-later-model"], "patient_id": str(uuid.uuid4())}
    answer = generated("api.prediction.prediction_predict").sync_detailed(
        client=connection, body=models.PredictRequest.from_dict(later)
    )
    assert answer.status_code == 422
    assert answer.parsed.errors[0].rule == "unknown_outcome"
