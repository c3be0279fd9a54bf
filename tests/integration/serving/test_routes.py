from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from fastapi.routing import APIRoute

from data_schema.biomarkers import VARIABLES
from serving.app import ROUTERS, create_app
from serving.prediction.schemas import PredictResponse
from serving.routes import launch, sign_in
from serving.settings import OWN_PATHS, Settings

if TYPE_CHECKING:
    import httpx

    from serving.prediction.served import ServedModel

BROWSER_ROUTERS = (sign_in.router, launch.router)
PROBLEM = "application/problem+json"


@pytest.fixture(scope="module")
def client(serve: Any, mortality: ServedModel, fracture: ServedModel) -> httpx.Client:
    return serve(create_app(Settings(), models=[mortality, fracture]))


def test_the_example_request_is_answered_and_the_example_answer_is_an_answer(
    client: httpx.Client,
) -> None:
    operation = client.get("/openapi.json").json()["paths"]["/v1/predict"]["post"]
    request = operation["requestBody"]["content"]["application/json"]["example"]
    answer = client.post("/v1/predict", json=request)
    assert answer.status_code == 200
    assert answer.json()["predictions"][0]["status"] == "ok"
    example = operation["responses"]["200"]["content"]["application/json"]["example"]
    PredictResponse.model_validate(example)
    assert example["predictions"] == answer.json()["predictions"]


def test_without_a_model_the_example_request_is_still_well_formed(serve: Any) -> None:
    bare = serve(create_app(Settings()))
    operation = bare.get("/openapi.json").json()["paths"]["/v1/predict"]["post"]
    request = operation["requestBody"]["content"]["application/json"]["example"]
    assert bare.post("/v1/predict", json=request).status_code == 503


def test_every_problem_is_documented_as_it_is_sent(client: httpx.Client) -> None:
    document = client.get("/openapi.json").json()
    operations = [
        (path.startswith("/fhir/"), operation)
        for path, methods in document["paths"].items()
        for operation in methods.values()
    ]
    assert {in_fhir for in_fhir, _ in operations} == {True, False}
    for in_fhir, operation in operations:
        sent_as = "application/fhir+json" if in_fhir else PROBLEM
        assert list(operation["responses"]["default"]["content"]) == [sent_as]
        assert "application/json" not in operation["responses"].get("422", {}).get("content", {})
    schemas = document["components"]["schemas"]
    assert set(schemas["Problem"]["properties"]) == {"type", "title", "status", "errors"}
    assert "FieldProblem" in schemas


@pytest.mark.parametrize("path", ["/docs", "/redoc"])
def test_no_page_loads_anything_from_another_host(client: httpx.Client, path: str) -> None:
    assert client.get(path).status_code == 404


def test_variables_are_the_catalogue_and_the_models_own(client: httpx.Client) -> None:
    listed = {one["name"]: one for one in client.get("/v1/variables").json()["variables"]}
    assert set(listed) == set(VARIABLES) | {"aps", "dzgroup"}
    assert listed["fgf23_c"]["unit"] == "[arb'U]/mL"
    assert listed["ctx_s"]["units"]["ng/mL"] == 1000
    assert listed["dzgroup"]["categories"] == ["ARF/MOSF w/Sepsis", "COPD", "Cirrhosis"]
    assert listed["lactate"]["models"] == [
        "osteon-mortality-simulated",
        "osteon-fracture-simulated",
    ]
    assert listed["estradiol"]["models"] == []


def test_models_say_what_they_are(client: httpx.Client, mortality: ServedModel) -> None:
    first, second = client.get("/v1/models").json()["models"]
    assert (first["name"], first["version"], first["alias"]) == (
        "osteon-mortality-simulated",
        "3",
        "champion",
    )
    assert first["population"] == "Made-up patients of a test."
    assert first["simulated"] is True
    assert first["sha256"] == mortality.loaded.sha256
    assert first["training"]["events"] == mortality.contract.training.events
    assert first["variables"] == list(mortality.loaded.risk_model.variables)
    assert first["evaluation"]["stays"] == 90
    assert [metric["metric"] for metric in first["metrics"]] == ["auroc"]
    assert second["outcome"] == "fracture"
    assert second["competing"] == "death"


def test_a_service_with_models_is_ready(client: httpx.Client) -> None:
    ready = client.get("/health/ready").json()
    assert ready["status"] == "ready"
    assert [model["name"] for model in ready["models"]] == [
        "osteon-mortality-simulated",
        "osteon-fracture-simulated",
    ]


@pytest.mark.parametrize("path", ["/health/live", "/health/ready"])
def test_health_may_be_checked_without_a_body_and_its_methods_are_named(
    client: httpx.Client, path: str
) -> None:
    head = client.head(path)
    assert (head.status_code, head.content) == (200, b"")
    options = client.options(path)
    assert options.status_code == 204
    assert options.headers["allow"] == "GET, HEAD, OPTIONS"
    assert client.post(path).status_code == 405


def test_no_public_path_begins_like_a_path_of_the_service() -> None:
    routers = (*ROUTERS, *BROWSER_ROUTERS)
    routes = [route for router in routers for route in router.routes if isinstance(route, APIRoute)]
    paths = {"/openapi.json", *(route.path for route in routes)}
    assert {path.split("/")[1] for path in paths} - {""} == OWN_PATHS
