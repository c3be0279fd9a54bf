"""The recipe "add an endpoint": one new file in `serving/routes/`, and `serving/app.py`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from source_trees import changed_files, run_python

ROUTE = '''"""`/v1/acknowledgements`: a clinician has seen a prediction."""

from __future__ import annotations

from fastapi import APIRouter, Request
from pydantic import BaseModel

from serving.audit.record import AuditEvent
from serving.http.route_classes import StrictRoute

__all__ = ["router"]

router = APIRouter(prefix="/v1", route_class=StrictRoute, tags=["monitoring"])


class Acknowledgement(BaseModel):
    """Which prediction was seen."""

    prediction_id: str


@router.post("/acknowledgements", summary="A prediction was seen")
def acknowledge(body: Acknowledgement, request: Request) -> Acknowledgement:
    """Called by a ward's display; audited."""
    request.app.state.trail.append(
        AuditEvent(
            action="feedback",
            actor=request.state.caller.actor,
            status="ok",
            route=request.scope["route"].path,
            prediction_id=body.prediction_id,
        )
    )
    return body
'''

ASK = """
import asyncio, json, sys
from pathlib import Path

import httpx

import serving.app
from serving.access import api_keys
from serving.audit.opening import database_of, open_trail
from serving.audit.export import audit_events
from serving.settings import Settings

settings = Settings(state_dir=Path("state"), authentication="required")
trail = open_trail(settings)
_, key = api_keys.create(trail, "a ward", ["predict"], days=None, actor="command:a")
_, other = api_keys.create(trail, "a registry", ["outcomes"], days=None, actor="command:a")
app = serving.app.create_app(settings)
PATH, BODY = "/v1/acknowledgements", {"prediction_id": "01JD0000000000000000000000"}


async def ask():
    transport = httpx.ASGITransport(app, client=("127.0.0.1", 1))
    async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1") as client:
        def headers(text):
            return {"Authorization": f"Bearer {text}"}

        return {
            "answer": (await client.post(PATH, json=BODY, headers=headers(key))).json(),
            "stranger": (await client.post(PATH, json=BODY)).status_code,
            "other_role": (await client.post(PATH, json=BODY, headers=headers(other))).status_code,
            "wrong": (await client.post(PATH, json={}, headers=headers(key))).json(),
            "document": (await client.get("/openapi.json", headers=headers(key))).json(),
        }


answers = asyncio.run(ask())
answers["source"] = serving.app.__file__
answers["records"] = list(audit_events(database_of(settings)))
print(json.dumps(answers))
"""


@pytest.fixture
def answers(source_tree: Path, tmp_path: Path) -> dict[str, Any]:
    """What a service with the new endpoint answers, its document and its records."""
    (source_tree / "serving" / "routes" / "acknowledgements.py").write_text(ROUTE)
    app = source_tree / "serving" / "app.py"
    text = app.read_text()
    changed = text.replace(
        "from serving.routes import (\n", "from serving.routes import (\n    acknowledgements,\n"
    ).replace("    outcomes.router,\n", "    outcomes.router,\n    acknowledgements.router,\n")
    assert changed.count("acknowledgements") == 2
    app.write_text(changed)
    found: dict[str, Any] = json.loads(run_python(source_tree, ASK, cwd=tmp_path))
    assert Path(found["source"]) == app
    return found


def test_an_endpoint_takes_two_files(answers: dict[str, Any], source_tree: Path) -> None:
    document = answers["document"]
    operation = document["paths"]["/v1/acknowledgements"]["post"]
    recorded = [one for one in answers["records"] if one["subtype"][0]["code"] == "feedback"]
    details = [
        {d["type"]: d["valueString"] for d in one["entity"][0]["detail"]} for one in recorded
    ]
    assert changed_files(source_tree) == {"serving/app.py", "serving/routes/acknowledgements.py"}
    assert answers["answer"] == {"prediction_id": "01JD0000000000000000000000"}
    assert (answers["stranger"], answers["other_role"]) == (401, 403)
    assert answers["wrong"]["errors"][0]["field"] == "prediction_id"
    assert operation["summary"] == "A prediction was seen"
    assert list(operation["responses"]["default"]["content"]) == ["application/problem+json"]
    assert [one["route"] for one in details] == ["/v1/acknowledgements"]
