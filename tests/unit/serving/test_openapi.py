from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from serving.app import create_app
from serving.settings import Settings


def document(folder: Path, **stated: Any) -> dict[str, Any]:
    return create_app(Settings(state_dir=folder, **stated)).openapi()


def test_on_this_machine_no_credential_is_needed(tmp_path: Path) -> None:
    found = document(tmp_path)
    assert found["security"] == []
    assert found["servers"] == [{"url": "/"}]
    assert "securitySchemes" not in found["components"]


@pytest.mark.parametrize("has_clients", [True, False])
def test_each_operation_states_the_credential_that_it_needs(
    tmp_path: Path, has_clients: bool
) -> None:
    clients = {"https://ehr.example": "https://ehr.example/jwks"} if has_clients else {}
    found = document(
        tmp_path,
        authentication="required",
        public_url="https://host.example/osteon",
        cds_clients=clients,
    )
    assert found["servers"] == [{"url": "https://host.example/osteon"}]
    assert found["security"] == [{"caller": []}]
    named = {
        path: operation["security"]
        for path, methods in found["paths"].items()
        for operation in methods.values()
        if "security" in operation
    }
    call, feedback = "/cds-services/{service_id}", "/cds-services/{service_id}/feedback"
    of_clients = {call: [{"cdsClient": []}], feedback: [{"cdsClient": []}]} if has_clients else {}
    assert named == {"/cds-services": [], "/health/live": [], "/health/ready": [], **of_clients}
    schemes = found["components"]["securitySchemes"]
    assert set(schemes) == ({"caller", "cdsClient"} if has_clients else {"caller"})


def test_every_operation_documents_its_refusals_and_has_a_described_tag(tmp_path: Path) -> None:
    found = document(tmp_path)
    tags = {tag["name"] for tag in found["tags"] if tag["description"]}
    for methods in found["paths"].values():
        for operation in methods.values():
            assert {"4XX", "default"} <= set(operation["responses"])
            assert set(operation["tags"]) <= tags
